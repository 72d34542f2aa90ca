//! The network and the store at its other end: requests, answers, pushes.

use oneflight_core::{Attempt, FlightId, Revision};

use super::queue::{Event, Push, Told};
use super::store::Changed;
use super::{Observer, World};
use crate::bugs::Bug;
use crate::fates::{Mishap, Way};
use crate::trace::{self, Answer, Fault, Key, Nanos, What};

#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) node: u32,
    key: Key,
    flight: Option<u64>,
    attempt: Option<Attempt>,
    request: trace::Request,
    denied: bool,
    answered: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    pub(super) node: u32,
    pub(super) key: Key,
    pub(super) flight: u64,
    /// Its process still listens.
    pub(super) open: bool,
    /// The store tells it of changes.
    at_store: bool,
    /// When the last push arrives: they stay in order.
    last: Nanos,
}

impl<O: Observer> World<'_, O> {
    pub(super) fn send(
        &mut self,
        node: u32,
        key: Key,
        flight: Option<u64>,
        attempt: Option<Attempt>,
        request: trace::Request,
    ) {
        let index = self.requests.len() as u32;
        let id = u64::from(index);
        let from = u64::from(node) + 1;
        self.requests.push(Request {
            node,
            key,
            flight,
            attempt,
            request,
            denied: false,
            answered: false,
        });
        self.emit(
            from,
            &What::Sent {
                id,
                key,
                flight,
                request,
            },
        );
        if self.cuts[self.nodes[node as usize].slot as usize].0 > 0 {
            return self.unheard(index, self.plan.request_timeout);
        }
        let fate = self.fates.next(Way::Up);
        let slow = if self.now < self.slow.0 {
            self.slow.1
        } else {
            0
        };
        let at = self.now + fate.takes + self.plan.store.work + slow;
        let arrival = Event::AtStore {
            request: index,
            again: false,
        };
        match fate.mishap {
            Mishap::None => {}
            Mishap::Late => self.fault(from, Fault::Delayed, at),
            Mishap::Lost { heard } => {
                self.fault(from, Fault::RequestLost, at);
                let after = if heard {
                    2 * fate.takes
                } else {
                    self.plan.request_timeout
                };
                return self.unheard(index, after);
            }
            Mishap::Again { after } => {
                self.fault(from, Fault::Duplicated, at + after);
                let again = Event::AtStore {
                    request: index,
                    again: true,
                };
                self.queue.push(at + after, again);
            }
            Mishap::Denied => {
                self.fault(from, Fault::Denied, at);
                self.requests[index as usize].denied = true;
            }
            Mishap::Gap | Mishap::WatchEnded => {}
        }
        self.queue.push(at, arrival);
    }

    /// The caller's side gives up on a request.
    fn unheard(&mut self, request: u32, after: Nanos) {
        let event = Event::Back {
            request,
            answer: Answer::Unavailable,
            age: 0,
            again: false,
        };
        self.queue.push(self.now + after, event);
    }

    pub(super) fn at_store(&mut self, index: u32, again: bool) {
        let request = self.requests[index as usize];
        let from = u64::from(request.node) + 1;
        let time = self.now + self.store.jumped;
        let attempt = match (request.flight, request.attempt) {
            (Some(flight), Some(attempt)) => Some((from, flight, attempt)),
            (Some(_) | None, _) => None,
        };
        let key = request.key.index();
        let (answer, changed) = if request.denied {
            (Answer::Refused, Changed::default())
        } else {
            match self.bug {
                None => self.store.carry_out(time, key, attempt, request.request),
                Some(bug) => self.carry_out_with(bug, time, key, attempt, request.request),
            }
        };
        let committed = What::Committed {
            id: u64::from(index),
            again,
            time,
            key: request.key,
            from,
            request: request.request,
            answer,
        };
        self.emit(0, &committed);
        self.told(request.key, changed);
        let profile = &self.plan.store.profile;
        let reads = !profile.atomic_claim && matches!(answer, Answer::Granted { .. });
        let releases =
            !profile.atomic_publish && changed.key && matches!(answer, Answer::Published { .. });
        if reads || releases {
            let at = self.now + 2 * self.plan.net.least + self.plan.net.spread;
            let event = Event::Step {
                request: index,
                answer,
            };
            self.queue.push(at, event);
            if releases {
                // Who has published need not wait for the release.
                self.reply(index, answer);
            }
            return;
        }
        self.reply(index, answer);
    }

    #[cold]
    fn carry_out_with(
        &mut self,
        bug: Bug,
        time: Nanos,
        key: usize,
        attempt: Option<(u64, u64, Attempt)>,
        request: trace::Request,
    ) -> (Answer, Changed) {
        match (bug, request) {
            (Bug::PublishNotFenced, trace::Request::Publish { token, .. })
            | (Bug::OvertakenRenewal, trace::Request::Renew { token, .. }) => {
                self.store.pretend(key, token, time);
            }
            _ => {}
        }
        let lease = self.store.rows[key].lease;
        let result = self.store.carry_out(time, key, attempt, request);
        if let (Bug::ForgottenComesBack, trace::Request::Forget) = (bug, request) {
            self.store.rows[key].lease = lease;
        }
        result
    }

    /// A composite store's second step, which the caller's side asks for.
    pub(super) fn second_step(&mut self, index: u32, first: Answer) {
        let request = self.requests[index as usize];
        let answered = matches!(request.request, trace::Request::Publish { .. });
        if !self.nodes[request.node as usize].alive
            || self.cuts[self.nodes[request.node as usize].slot as usize].0 > 0
        {
            if !answered {
                self.unheard(index, self.plan.request_timeout);
            }
            return;
        }
        let key = request.key.index();
        let mut answer = first;
        let release = match (request.request, first) {
            (trace::Request::Claim { seen, .. }, Answer::Granted { token, .. }) => {
                self.store.newer(key, seen).map(|newer| {
                    answer = newer;
                    token
                })
            }
            (trace::Request::Publish { token, .. }, _) => Some(token),
            _ => None,
        };
        if let Some(token) = release {
            let (released, changed) = self.store.release(key, token);
            let committed = What::Committed {
                id: u64::from(index),
                again: false,
                time: self.now + self.store.jumped,
                key: request.key,
                from: u64::from(request.node) + 1,
                request: trace::Request::Release { token },
                answer: released,
            };
            self.emit(0, &committed);
            self.told(request.key, changed);
        }
        if !answered {
            self.reply(index, answer);
        }
    }

    fn reply(&mut self, index: u32, answer: Answer) {
        let request = self.requests[index as usize];
        let node = u64::from(request.node) + 1;
        let age = self.age(request.key);
        if self.cuts[self.nodes[request.node as usize].slot as usize].1 > 0 {
            return self.unheard(index, self.plan.request_timeout);
        }
        let fate = self.fates.next(Way::Down);
        let at = self.now + fate.takes;
        match fate.mishap {
            Mishap::Lost { heard } => {
                self.fault(node, Fault::AnswerLost, at);
                let after = if heard {
                    fate.takes
                } else {
                    self.plan.request_timeout
                };
                return self.unheard(index, after);
            }
            Mishap::Late => self.fault(node, Fault::Delayed, at),
            Mishap::Again { after } => {
                self.fault(node, Fault::Duplicated, at + after);
                let again = Event::Back {
                    request: index,
                    answer,
                    age,
                    again: true,
                };
                self.queue.push(at + after, again);
            }
            Mishap::None | Mishap::Denied | Mishap::Gap | Mishap::WatchEnded => {}
        }
        let event = Event::Back {
            request: index,
            answer,
            age,
            again: false,
        };
        self.queue.push(at, event);
    }

    fn age(&self, key: Key) -> Nanos {
        let time = self.now + self.store.jumped;
        let value = self.store.rows[key.index()].value;
        value.map_or(0, |value| time.saturating_sub(value.written))
    }

    pub(super) fn back(&mut self, index: u32, answer: Answer, age: Nanos, again: bool) {
        let request = self.requests[index as usize];
        // A machine puts up with an answer that comes twice; of two answers a driver takes the first.
        if request.answered && !again || !self.nodes[request.node as usize].alive {
            return;
        }
        let event = Event::Back {
            request: index,
            answer,
            age,
            again,
        };
        if self.is_deferred(request.node, event) {
            return;
        }
        self.requests[index as usize].answered = true;
        let id = u64::from(index);
        self.emit(u64::from(request.node) + 1, &What::Answered { id, answer });
        match (request.flight, request.attempt) {
            (Some(number), Some(attempt)) => {
                let key = request.key;
                let flight = FlightId { key, number };
                self.answer(request.node, flight, request.request, attempt, answer, age);
            }
            (None, _) if request.request == trace::Request::Read && !again => {
                self.revalidated(request.node, request.key, answer);
            }
            (Some(_) | None, _) => {}
        }
    }

    pub(super) fn has_pending(&self, node: u32) -> bool {
        self.requests
            .iter()
            .any(|it| it.node == node && !it.answered && it.flight.is_some())
    }

    pub(super) fn watch(&mut self, node: u32, flight: &FlightId<Key>) {
        let watch = self.watches.len() as u32;
        self.watches.push(Watch {
            node,
            key: flight.key,
            flight: flight.number,
            open: true,
            at_store: false,
            last: 0,
        });
        self.nodes[node as usize]
            .watches
            .push((flight.number, watch));
        let ended = Event::Pushed {
            watch,
            push: Push::Ended,
        };
        let (up, down) = self.cuts[self.nodes[node as usize].slot as usize];
        if up > 0 || down > 0 {
            // A connection that carries nothing one way is given up, though the store may have opened it.
            self.queue.push(self.now + self.plan.request_timeout, ended);
        }
        if up > 0 {
            return;
        }
        let fate = self.fates.next(Way::Up);
        let at = self.now + fate.takes;
        let from = u64::from(node) + 1;
        match fate.mishap {
            Mishap::Lost { .. } => {
                self.fault(from, Fault::RequestLost, at);
                return self.queue.push(at + fate.takes, ended);
            }
            Mishap::Denied => {
                self.fault(from, Fault::Denied, at);
                let push = Push::Refused;
                let event = Event::Pushed { watch, push };
                return self.queue.push(at + fate.takes, event);
            }
            Mishap::Late => self.fault(from, Fault::Delayed, at),
            Mishap::None | Mishap::Again { .. } | Mishap::Gap | Mishap::WatchEnded => {}
        }
        self.queue.push(at, Event::WatchAtStore { watch });
    }

    pub(super) fn unwatch(&mut self, node: u32, flight: u64) {
        let watches = &self.nodes[node as usize].watches;
        if let Some((_, watch)) = watches.iter().find(|(number, _)| *number == flight) {
            let watch = *watch;
            self.close_watch(watch);
            let at = self.now + self.plan.net.least;
            self.queue.push(at, Event::UnwatchAtStore { watch });
        }
    }

    /// The process listens no more.
    pub(super) fn close_watch(&mut self, watch: u32) {
        let it = &mut self.watches[watch as usize];
        it.open = false;
        self.nodes[it.node as usize]
            .watches
            .retain(|(_, open)| *open != watch);
    }

    pub(super) fn watch_at_store(&mut self, watch: u32) {
        let it = &mut self.watches[watch as usize];
        if !it.open || !self.nodes[it.node as usize].alive {
            return;
        }
        it.at_store = true;
        let (key, watcher, flight) = (it.key, u64::from(it.node) + 1, it.flight);
        self.watchers[key.index()].push(watch);
        let opened = What::WatchOpened {
            key,
            watcher,
            flight,
        };
        self.emit(0, &opened);
        if !self.has(Bug::WatchGap) {
            self.snapshot(watch);
        }
    }

    /// How things stand, told to one who listens.
    pub(super) fn snapshot(&mut self, watch: u32) {
        let key = self.watches[watch as usize].key;
        let push = self.key_push(key);
        self.push(watch, push);
        if !self.has(Bug::LostRelease) {
            let push = self.lock_push(key);
            self.push(watch, push);
        }
    }

    pub(super) fn unwatch_at_store(&mut self, watch: u32) {
        let it = &mut self.watches[watch as usize];
        if !it.at_store {
            return;
        }
        it.at_store = false;
        let (key, watcher, flight) = (it.key, u64::from(it.node) + 1, it.flight);
        self.watchers[key.index()].retain(|other| *other != watch);
        let closed = What::WatchClosed {
            key,
            watcher,
            flight,
        };
        self.emit(0, &closed);
    }

    fn key_push(&self, key: Key) -> Push {
        let row = &self.store.rows[key.index()];
        let age = self.age(key);
        let value = row.value.map(|value| Told {
            digest: value.digest,
            token: value.token,
            age,
        });
        Push::Key {
            revision: row.revision,
            value,
        }
    }

    fn lock_push(&self, key: Key) -> Push {
        let time = self.now + self.store.jumped;
        let lease = self.store.rows[key.index()].lease;
        match lease.filter(|lease| lease.lapses > time) {
            Some(lease) => Push::Held(lease.lapses - time),
            None => Push::Free,
        }
    }

    /// Tells who listens what has changed.
    pub(super) fn told(&mut self, key: Key, changed: Changed) {
        if self.has(Bug::NoNotifications) {
            return;
        }
        let most = if self.has(Bug::FirstWaiterOnly) {
            1
        } else {
            usize::MAX
        };
        // A push may end its watch, and so take it out of the list.
        let mut watchers = std::mem::take(&mut self.listeners);
        watchers.extend(self.watchers[key.index()].iter().take(most));
        for watch in watchers.drain(..) {
            if changed.key {
                let push = self.key_push(key);
                self.push(watch, push);
            }
            if changed.lock {
                let push = self.lock_push(key);
                self.push(watch, push);
            }
        }
        self.listeners = watchers;
        if changed.key && self.plan.copies {
            let revision = self.store.rows[key.index()].revision;
            self.tell_changes(key, revision);
        }
    }

    fn tell_changes(&mut self, key: Key, revision: Revision) {
        let at = self.now + self.plan.net.least + self.plan.net.spread;
        for node in 0..self.nodes.len() {
            let it = &self.nodes[node];
            if it.alive && self.cuts[it.slot as usize] == (0, 0) {
                let event = Event::Changed {
                    node: node as u32,
                    key: key.0,
                    revision,
                };
                self.queue.push(at, event);
            }
        }
    }

    fn push(&mut self, watch: u32, push: Push) {
        let it = self.watches[watch as usize];
        let slot = self.nodes[it.node as usize].slot as usize;
        if !it.at_store || self.cuts[slot].1 > 0 {
            return;
        }
        let fate = self.fates.next(Way::Push);
        let at = it.last.max(self.now + fate.takes);
        let node = u64::from(it.node) + 1;
        match fate.mishap {
            Mishap::Lost { .. } => return self.fault(node, Fault::PushLost, at),
            Mishap::WatchEnded => {
                self.fault(node, Fault::WatchEnded, at);
                self.unwatch_at_store(watch);
                let push = Push::Ended;
                self.queue.push(at, Event::Pushed { watch, push });
            }
            Mishap::Gap => {
                self.fault(node, Fault::PushLate, at + self.trip() - self.now);
                self.watches[watch as usize].last = at;
                return self.queue.push(at, Event::Gap { watch });
            }
            Mishap::Late => self.fault(node, Fault::PushLate, at),
            Mishap::Again { .. } => self.queue.push(at, Event::Pushed { watch, push }),
            Mishap::None | Mishap::Denied => {}
        }
        self.watches[watch as usize].last = at;
        self.queue.push(at, Event::Pushed { watch, push });
    }
}
