//! The store of the small world carries out what has come, and tells who listens.

use std::rc::Rc;

use oneflight_core::Attempt;

use super::driver::Step;
use super::invariants;
use super::state::{Message, Push, State};
use crate::bugs::Bug;
use crate::trace::{Answer, Request};
use crate::world::store::Changed;

impl Step<'_> {
    /// The store carries out a request.
    pub(super) fn commits(&mut self, node: usize, index: usize) {
        let message = self.state.nodes[node].messages[index];
        let attempt = Some((node as u64 + 1, message.flight, message.attempt));
        let before = self.state.store.rows[0];
        let (answer, changed) = self.at_store(attempt, message.request);
        invariants::committed(self, node, message, &before, answer, changed);
        self.tell_watchers(changed);
        let messages = &mut self.state.node(node).messages;
        // Nobody waits for the answer to a put.
        let answered = !matches!(message.request, Request::Put { .. }) && !message.heard;
        if answered {
            messages[index].answer = Some(answer);
            messages[index].again = false;
            messages[index].late = false;
        } else {
            messages.swap_remove(index);
        }
        if message.again {
            messages.push(Message {
                again: false,
                second: true,
                late: true,
                ..message
            });
        }
    }

    /// An answer is heard: of a request that was carried out twice, the other is not.
    pub(super) fn hears(&mut self, node: usize, heard: Message) {
        let messages = &mut self.state.node(node).messages;
        let other = messages.iter().position(|other| {
            (other.flight, other.attempt, other.request)
                == (heard.flight, heard.attempt, heard.request)
                && other.second != heard.second
        });
        if let Some(other) = other
            && (heard.second || messages[other].second)
        {
            if messages[other].answer.is_some() {
                messages.swap_remove(other);
            } else if messages[other].second {
                messages[other].heard = true;
            }
        }
    }

    fn at_store(
        &mut self,
        attempt: Option<(u64, u64, Attempt)>,
        request: Request,
    ) -> (Answer, Changed) {
        let time = self.state.time();
        let store = Rc::make_mut(&mut self.state.store);
        match (self.setup.bug, request) {
            (Some(Bug::PublishNotFenced), Request::Publish { token, .. })
            | (Some(Bug::OvertakenRenewal), Request::Renew { token, .. }) => {
                store.pretend(0, token, time);
            }
            _ => {}
        }
        store.carry_out(time, 0, attempt, request)
    }

    /// Somebody forgets the key.
    pub(super) fn forgets(&mut self) {
        let lease = self.state.store.rows[0].lease;
        let (answer, changed) = self.at_store(None, Request::Forget);
        if self.setup.bug == Some(Bug::ForgottenComesBack) {
            Rc::make_mut(&mut self.state.store).rows[0].lease = lease;
        }
        invariants::forgotten(self, answer);
        self.tell_watchers(changed);
    }

    /// The store begins to tell of changes, after how things stand.
    pub(super) fn opens(&mut self, node: usize, watch: usize) {
        let key = key_push(&self.state);
        let lock = lock_push(&self.state);
        let it = &mut self.state.node(node).watches[watch];
        it.at_store = true;
        match self.setup.bug {
            Some(Bug::WatchGap) => {}
            Some(Bug::LostRelease) => it.pushes.push(key),
            _ => it.pushes.extend([key, lock]),
        }
    }

    fn tell_watchers(&mut self, changed: Changed) {
        if self.setup.bug == Some(Bug::NoNotifications) || changed == Changed::default() {
            return;
        }
        let key = changed.key.then(|| key_push(&self.state));
        let lock = changed.lock.then(|| lock_push(&self.state));
        for node in 0..self.state.nodes.len() {
            if self.state.nodes[node]
                .watches
                .iter()
                .all(|watch| !watch.at_store)
            {
                continue;
            }
            for watch in &mut self.state.node(node).watches {
                let ended = matches!(watch.pushes.last(), Some(Push::Ended | Push::Refused));
                if watch.at_store && !ended {
                    let renewed = matches!(
                        (watch.pushes.last(), key, lock),
                        (Some(Push::Held(_)), None, Some(Push::Held(_)))
                    );
                    if renewed {
                        // Of a row of renewals that wait to be heard, the last tells all.
                        watch.pushes.pop();
                    }
                    watch.pushes.extend(key.iter().chain(&lock));
                    if self.setup.bug == Some(Bug::FirstWaiterOnly) {
                        return;
                    }
                }
            }
        }
    }
}

fn key_push(state: &State) -> Push {
    let row = &state.store.rows[0];
    Push::Key {
        revision: row.revision,
        value: row.value.map(|value| (value.token, value.digest)),
    }
}

fn lock_push(state: &State) -> Push {
    let time = state.time();
    let lease = state.store.rows[0].lease;
    match lease.filter(|lease| lease.lapses > time) {
        Some(lease) => Push::Held(lease.lapses - time),
        None => Push::Free,
    }
}
