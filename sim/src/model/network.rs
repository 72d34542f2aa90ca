//! The store of the small world carries out what has come, and tells who listens.

use std::rc::Rc;

use oneflight_core::Attempt;

use super::driver::Step;
use super::invariants;
use super::state::{Push, State};
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
        if message.again {
            messages[index].again = false;
            messages[index].late = true;
        }
        // Nobody waits for the answer to a put.
        let answered = !matches!(message.request, Request::Put { .. });
        if message.again && answered {
            let mut answered = message;
            answered.again = false;
            answered.answer = Some(answer);
            messages.push(answered);
        } else if answered {
            messages[index].answer = Some(answer);
            messages[index].late = false;
        } else if !message.again {
            messages.swap_remove(index);
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
                let ended = matches!(watch.pushes.last(), Some(Push::Ended));
                if watch.at_store && !ended {
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
