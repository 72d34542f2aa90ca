//! The driver of a process: tells the machine what happens, and carries out what it orders.

use oneflight_core::{Arrival, Command, Event as Fact, FlightId, Instant, Notice, Order, Token};

use super::caller::Mail;
use super::node::Arrived;
use super::queue::{Event, Push};
use super::{Observer, World};
use crate::answers;
use crate::bugs::Bug;
use crate::coverage;
use crate::trace::{Answer, Key, Nanos, Request};

impl<O: Observer> World<'_, O> {
    /// Tells the machine of a process, and carries out its orders.
    pub(super) fn tell(&mut self, node: u32, notice: Notice<Key>) {
        let index = node as usize;
        let now = Instant::from_nanos(self.nodes[index].local(self.now));
        let machine = &mut self.nodes[index].flights;
        let key = self.coverage.as_ref().and_then(|_| notice.key());
        let before = key.and_then(|key| machine.phase(key));
        let mut orders = std::mem::take(&mut self.orders);
        match self.bug {
            None => machine.handle_into(now, &notice, &mut orders),
            Some(bug) => {
                if let Some(told) = bug.on_notice(notice.clone()) {
                    machine.handle_into(now, &told, &mut orders);
                }
            }
        }
        if let (Some(coverage), Some(key)) = (&mut self.coverage, key) {
            coverage.count(before, &notice, machine.phase(key));
        }
        self.observer
            .see_told(self.now, u64::from(node) + 1, now, &notice, &orders);
        for order in orders.drain(..) {
            self.carry_out(node, order);
        }
        self.orders = orders;
        self.arm(node);
    }

    /// Sets a process's timer to its machine's deadline.
    pub(super) fn arm(&mut self, node: u32) {
        let early = u64::from(self.has(Bug::BusyLoop));
        let at = &mut self.nodes[node as usize];
        let Some(deadline) = at.flights.deadline() else {
            return;
        };
        let due = at.global(deadline).saturating_sub(early).max(self.now);
        if due < at.armed {
            at.armed = due;
            self.queue.push(due, Event::Timer { node });
        }
    }

    pub(super) fn timer(&mut self, node: u32) {
        let at = &mut self.nodes[node as usize];
        if !at.alive || at.armed > self.now || self.is_deferred(node, Event::Timer { node }) {
            return;
        }
        let at = &mut self.nodes[node as usize];
        at.armed = Nanos::MAX;
        if self.has(Bug::Overshoot) && self.has_pending(node) {
            self.nodes[node as usize].armed = self.now + self.plan.request_timeout;
            let later = self.nodes[node as usize].armed;
            return self.queue.push(later, Event::Timer { node });
        }
        let at = &mut self.nodes[node as usize];
        let now = at.local(self.now);
        match at.flights.deadline() {
            Some(due) if due.as_nanos() <= now => self.tell(node, Notice::Tick),
            Some(_) if self.has(Bug::BusyLoop) => self.tell(node, Notice::Tick),
            Some(_) => self.arm(node),
            None => {}
        }
    }

    fn carry_out(&mut self, node: u32, order: Order<Key>) {
        match order {
            Order::Command { flight, command } => self.command(node, &flight, command),
            Order::Judge { key, passenger, .. } => {
                let arrived = self.nodes[node as usize].desks[key.index()].arrived;
                if let Some(arrived) = arrived {
                    self.mail(node, passenger, Mail::Judge(arrived));
                }
            }
            Order::Fill {
                flight,
                passenger,
                attempt,
                lease,
            } => {
                self.note_flight(node, &flight);
                self.nodes[node as usize].desks[flight.key.index()].filled = flight.number;
                let mail = Mail::Fill {
                    flight,
                    attempt,
                    lease,
                };
                self.mail(node, passenger, mail);
            }
            Order::Land {
                key,
                passenger,
                outcome,
            } => {
                let desk = &mut self.nodes[node as usize].desks[key.index()];
                let revision = outcome.revision();
                let arrived = desk.arrived.filter(|it| Some(it.revision) == revision);
                let computed = desk.computed;
                if let Some(arrived) = arrived
                    && self.plan.copies
                    && arrived.revision >= desk.moved
                    && !coverage::is_stale(outcome)
                    && desk.copy.is_none_or(|it| it.revision < arrived.revision)
                {
                    desk.copy = Some(arrived);
                }
                let mail = Mail::Land {
                    outcome,
                    arrived,
                    computed,
                };
                self.mail(node, passenger, mail);
            }
            Order::Retired { flight } => {
                let desk = &mut self.nodes[node as usize].desks[flight.key.index()];
                desk.flights.retain(|number| *number != flight.number);
                desk.clear();
            }
        }
    }

    fn note_flight(&mut self, node: u32, flight: &FlightId<Key>) {
        let desk = &mut self.nodes[node as usize].desks[flight.key.index()];
        if !desk.flights.contains(&flight.number) {
            desk.flights.push(flight.number);
        }
    }

    fn command(&mut self, node: u32, flight: &FlightId<Key>, command: Command) {
        let desk = &self.nodes[node as usize].desks[flight.key.index()];
        let computed = desk.computed;
        let request = match command {
            Command::WarnLeaseLost { warning, .. } => return self.warned(node, flight, warning),
            Command::Watch => return self.watch(node, flight),
            Command::Unwatch => return self.unwatch(node, flight.number),
            Command::Claim { attempt, seen } => {
                self.note_flight(node, flight);
                let ttl = self.ttl(node, flight);
                Request::Claim { attempt, seen, ttl }
            }
            Command::Renew { token, .. } => {
                let ttl = self.ttl(node, flight);
                Request::Renew { token, ttl }
            }
            Command::Publish { token, .. } => match computed {
                Some(digest) => Request::Publish { token, digest },
                None => return,
            },
            Command::Release { token, .. } => Request::Release { token },
            Command::Put { seen } => match computed {
                Some(digest) => Request::Put { seen, digest },
                None => return,
            },
            Command::Fill { .. } | Command::Land(_) => return,
        };
        let attempt = match command {
            Command::Claim { attempt, .. }
            | Command::Renew { attempt, .. }
            | Command::Publish { attempt, .. }
            | Command::Release { attempt, .. } => Some(attempt),
            Command::Put { .. }
            | Command::Watch
            | Command::Unwatch
            | Command::Fill { .. }
            | Command::WarnLeaseLost { .. }
            | Command::Land(_) => None,
        };
        let (request, copies) = match self.bug {
            None => (request, 1),
            Some(bug) => match self.spoil(bug, node, flight, request) {
                Some(spoilt) => spoilt,
                None => return,
            },
        };
        for _ in 0..copies {
            self.send(node, flight.key, Some(flight.number), attempt, request);
        }
    }

    /// What a bug makes of a request, and how often it is sent, if it is.
    #[cold]
    fn spoil(
        &mut self,
        bug: Bug,
        node: u32,
        flight: &FlightId<Key>,
        request: Request,
    ) -> Option<(Request, u32)> {
        let at = &mut self.nodes[node as usize];
        let read = at.local(self.now);
        let desk = &mut at.desks[flight.key.index()];
        let dropped = match (bug, request) {
            (Bug::LateGrantLeaks, Request::Release { .. }) => desk.filled != flight.number,
            (Bug::HeartbeatQuits, Request::Renew { .. }) => desk.quit == flight.number,
            _ => false,
        };
        if dropped {
            return None;
        }
        let request = bug.on_request(request)?;
        if let (Bug::DirtyRead, Request::Publish { token, digest }) = (bug, request) {
            let revision = desk.copy.map_or(desk.moved, |copy| copy.revision);
            desk.copy = Some(Arrived {
                revision,
                token: Some(token),
                digest,
                age: 0,
                read,
            });
        }
        let herd = matches!((bug, request), (Bug::Herd, Request::Claim { .. }));
        Some((request, if herd { 8 } else { 1 }))
    }

    fn ttl(&self, node: u32, flight: &FlightId<Key>) -> Nanos {
        self.nodes[node as usize]
            .flights
            .policy(flight)
            .map_or(0, |policy| policy.lease_ttl.as_nanos() as Nanos)
    }

    /// An answer has come: the machine is told.
    pub(super) fn answer(
        &mut self,
        node: u32,
        flight: FlightId<Key>,
        request: Request,
        attempt: oneflight_core::Attempt,
        answer: Answer,
        age: Nanos,
    ) {
        let mut told = answer;
        match answer {
            Answer::Newer {
                revision,
                token,
                digest,
                ..
            } => {
                let arrived = self.arrived(node, revision, token, digest, age);
                self.put_on_desk(node, flight.key, arrived);
            }
            Answer::Published { revision } => {
                // A publish may be answered again when the desk holds a newer value, of another flight.
                if let Request::Publish { token, digest } = request
                    && let Some(lease) = self.nodes[node as usize].flights.lease(&flight)
                    && lease.token == token
                {
                    let arrived = self.arrived(node, revision, Some(token), digest, 0);
                    self.nodes[node as usize].desks[flight.key.index()].arrived = Some(arrived);
                }
            }
            Answer::Unavailable => match request {
                Request::Renew { .. } => {
                    let desk = &mut self.nodes[node as usize].desks[flight.key.index()];
                    desk.quit = flight.number;
                }
                Request::Publish { .. } if self.has(Bug::LostPublishAnswer) => {
                    told = Answer::Fenced;
                }
                Request::Claim { .. }
                | Request::Publish { .. }
                | Request::Release { .. }
                | Request::Put { .. }
                | Request::Read
                | Request::Forget => {}
            },
            Answer::Granted { .. }
            | Answer::Held { .. }
            | Answer::Renewed
            | Answer::Lost
            | Answer::Fenced
            | Answer::Released { .. }
            | Answer::Refused
            | Answer::Malformed
            | Answer::Written { .. }
            | Answer::Kept { .. }
            | Answer::State { .. } => {}
        }
        if let Some(notice) = answers::notice(flight, attempt, told) {
            self.tell(node, notice);
        }
    }

    fn arrived(
        &self,
        node: u32,
        revision: oneflight_core::Revision,
        token: Option<Token>,
        digest: crate::trace::Digest,
        age: Nanos,
    ) -> Arrived {
        let read = self.nodes[node as usize].local(self.now);
        Arrived {
            revision,
            token,
            digest,
            age,
            read,
        }
    }

    fn put_on_desk(&mut self, node: u32, key: Key, arrived: Arrived) {
        let desk = &mut self.nodes[node as usize].desks[key.index()];
        if desk
            .arrived
            .is_none_or(|known| known.revision < arrived.revision)
        {
            desk.arrived = Some(arrived);
        }
    }

    /// A push has come.
    pub(super) fn pushed(&mut self, watch: u32, push: Push) {
        let it = self.watches[watch as usize];
        if !it.open || self.is_deferred(it.node, Event::Pushed { watch, push }) {
            return;
        }
        let flight = FlightId {
            key: it.key,
            number: it.flight,
        };
        let event = match push {
            Push::Key { revision, value } => {
                let arrival = Arrival {
                    revision,
                    token: value.and_then(|value| value.token),
                    value: value.is_some(),
                };
                if let Some(value) = value {
                    let arrived =
                        self.arrived(it.node, revision, value.token, value.digest, value.age);
                    self.put_on_desk(it.node, it.key, arrived);
                }
                let notice = Notice::Arrived {
                    flight,
                    attempt: None,
                    latest: None,
                    arrival,
                };
                return self.tell(it.node, notice);
            }
            Push::Free => Fact::LockReleased,
            Push::Held(remaining) => Fact::LockHeld {
                remaining: Some(std::time::Duration::from_nanos(remaining)),
            },
            Push::Ended => {
                self.close_watch(watch);
                // What was on its way to the store when the connection broke is of no use there.
                self.unwatch_at_store(watch);
                if self.has(Bug::SlowDegrade) {
                    return;
                }
                Fact::WatchLost
            }
            Push::Refused => {
                self.close_watch(watch);
                Fact::WatchRefused
            }
        };
        self.tell(it.node, Notice::Answered { flight, event });
    }
}
