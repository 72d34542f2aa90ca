//! The network and the store at its other end: requests and answers.

use oneflight_core::{Attempt, FlightId};

use super::queue::Event;
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

    /// How old a key's value is, by the store's clock.
    pub(super) fn age(&self, key: Key) -> Nanos {
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
}
