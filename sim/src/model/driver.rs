//! The driver of a process in the small world: tells its machine what happens, and carries out what
//! it orders. Callers judge in a step of their own; they wake to a fill and to a landing at once.

use oneflight_core::{
    Attempt, Command, Event, FillResult, FlightId, Judgement, Notice, Order, Outcome, PassengerId,
    Revision, Token, Verdict,
};

use super::machine::{KEY, Machines};
use super::setup::{Setup, Wants};
use super::state::{Fill, GARBLED, Message, Stage, State, Watch};
use super::{Violation, invariants};
use crate::bugs::Bug;
use crate::trace::{Digest, Nanos, Request};

/// A state under way, and what is noted on the way.
pub(super) struct Step<'a> {
    pub(super) setup: &'a Setup,
    pub(super) machines: &'a mut Machines,
    pub(super) state: State,
    pub(super) broken: Option<Violation>,
    /// The orders, for whoever reads them.
    pub(super) orders: Option<Vec<Order<crate::trace::Key>>>,
}

impl Step<'_> {
    /// Notes what was broken, the first only.
    pub(super) fn report(&mut self, invariant: &'static str, story: Option<String>) {
        if let Some(story) = story
            && self.broken.is_none()
        {
            self.broken = Some(Violation { invariant, story });
        }
    }

    pub(super) fn tell(&mut self, node: usize, notice: Notice<crate::trace::Key>) {
        let told = match self.setup.bug {
            None => Some(notice),
            Some(bug) => bug.on_notice(notice),
        };
        let Some(notice) = told else {
            return;
        };
        let before = self.state.nodes[node].machine;
        let (after, orders) = self.machines.tell(before, self.state.now, &notice);
        self.state.node(node).machine = after;
        if let Some(told) = &mut self.orders {
            told.extend(orders.iter().cloned());
        }
        for order in orders.iter() {
            self.carry_out(node, order);
        }
    }

    fn carry_out(&mut self, node: usize, order: &Order<crate::trace::Key>) {
        match order {
            Order::Command { flight, command } => self.command(node, flight.number, *command),
            Order::Judge { passenger, .. } => {
                let it = self.state.node(node);
                if let Some(call) = it.call_of(passenger.0)
                    && it.calls[call].is_open()
                {
                    it.calls[call].asked = true;
                }
            }
            Order::Fill {
                flight,
                passenger,
                attempt,
                lease,
            } => {
                let token = lease.map(|lease| lease.token);
                self.fill_begins(node, flight.number, passenger.0, *attempt, token);
            }
            Order::Land {
                passenger, outcome, ..
            } => self.lands(node, passenger.0, *outcome),
            Order::Retired { .. } => {}
        }
    }

    fn fill_begins(
        &mut self,
        node: usize,
        flight: u64,
        passenger: u64,
        attempt: Attempt,
        token: Option<Token>,
    ) {
        let it = self.state.node(node);
        it.filled = flight;
        let index = it.call_of(passenger);
        let Some(index) = index.filter(|index| it.calls[*index].is_open()) else {
            return;
        };
        invariants::fill_begins(self, node, index, token);
        let began = self.setup.policy.fill_timeout.map(|_| self.state.now);
        let call = &mut self.state.node(node).calls[index];
        call.asked = false;
        call.fills = (call.fills + 1).min(15);
        call.filling = Some(Fill {
            flight,
            attempt,
            token,
            slow: false,
            began,
        });
        call.voided = false;
        call.fenced = false;
    }

    fn lands(&mut self, node: usize, passenger: u64, outcome: Outcome) {
        let Some(index) = self.state.nodes[node].call_of(passenger) else {
            return;
        };
        if self.state.nodes[node].calls[index].stage == Stage::Ghost {
            return;
        }
        invariants::lands(self, node, index, outcome);
        let call = &mut self.state.node(node).calls[index];
        call.stage = Stage::Over;
        call.asked = false;
        call.filling = None;
        call.failed = crate::check::is_definite(outcome);
    }

    fn command(&mut self, node: usize, flight: u64, command: Command) {
        invariants::commanded(self, node, flight, command);
        let it = &self.state.nodes[node];
        let computed = it.computed;
        let ttl = self
            .machines
            .policy(it.machine, flight)
            .map_or(0, |policy| policy.lease_ttl.as_nanos() as Nanos);
        let (attempt, request) = match command {
            Command::WarnLeaseLost { .. } | Command::Fill { .. } | Command::Land(_) => return,
            Command::Watch => {
                let watch = Watch {
                    flight,
                    at_store: false,
                    pushes: Vec::new(),
                };
                return self.state.node(node).watches.push(watch);
            }
            Command::Unwatch => {
                let watches = &mut self.state.node(node).watches;
                return watches.retain(|watch| watch.flight != flight);
            }
            Command::Claim { attempt, seen } => {
                let aboard = it.calls.iter().map(|call| call.passenger).max();
                self.state.node(node).claim = Some((flight, attempt, aboard.unwrap_or(0)));
                (attempt, Request::Claim { attempt, seen, ttl })
            }
            Command::Renew { attempt, token } => (attempt, Request::Renew { token, ttl }),
            Command::Publish { attempt, token } => match computed {
                Some(digest) => (attempt, Request::Publish { token, digest }),
                None => return,
            },
            Command::Release { attempt, token } => (attempt, Request::Release { token }),
            Command::Put { seen } => match computed {
                Some(digest) => (Attempt::new(0), Request::Put { seen, digest }),
                None => return,
            },
        };
        let it = &self.state.nodes[node];
        let dropped = match (self.setup.bug, request) {
            (Some(Bug::LateGrantLeaks), Request::Release { .. }) => it.filled != flight,
            (Some(Bug::HeartbeatQuits), Request::Renew { .. }) => it.quit == flight,
            _ => false,
        };
        let sent = match self.setup.bug {
            Some(bug) => bug.on_request(request),
            None => Some(request),
        };
        let Some(request) = sent.filter(|_| !dropped) else {
            return;
        };
        let herd = self.setup.bug == Some(Bug::Herd) && matches!(request, Request::Claim { .. });
        let copies = if herd { 8 } else { 1 };
        self.report("L9 Budget", invariants::l9_budget(copies));
        let known = match command {
            Command::Put { seen } => seen,
            _ => Revision::NEVER,
        };
        let message = Message {
            flight,
            attempt,
            request,
            known,
            answer: None,
            late: false,
            again: false,
            second: false,
            heard: false,
        };
        let messages = &mut self.state.node(node).messages;
        messages.extend(std::iter::repeat_n(message, copies));
    }

    /// A caller begins its call: without a copy of its own, so it knows nothing of the key.
    pub(super) fn begins(&mut self, node: usize, index: usize) {
        let revision = self.state.store.rows[0].revision;
        let it = self.state.node(node);
        let passenger = it.calls.iter().map(|call| call.passenger).max();
        let passenger = passenger.unwrap_or(0) + 1;
        let call = &mut it.calls[index];
        call.stage = Stage::Open;
        call.passenger = passenger;
        call.began = revision;
        let notice = Notice::Boarded {
            key: KEY,
            passenger: PassengerId(passenger),
            policy: self.setup.policy,
            known: Verdict::UNKNOWN,
        };
        self.tell(node, notice);
    }

    pub(super) fn judges(&mut self, node: usize, index: usize) {
        let wants = self.setup.wants;
        let bug = self.setup.bug;
        let it = self.state.node(node);
        let (call, arrived, news) = (&mut it.calls[index], it.arrived, it.news);
        call.asked = false;
        let Some(arrived) = arrived else { return };
        let judgement = if arrived.digest.0 & GARBLED > 0 {
            if bug == Some(Bug::Poison) {
                Judgement::Malformed
            } else {
                Judgement::Absent
            }
        } else {
            match wants {
                Wants::Any => Judgement::Fresh,
                Wants::Newer if arrived.revision > call.began => Judgement::Fresh,
                Wants::Newer | Wants::Computed => Judgement::Stale,
            }
        };
        call.judged = Some((arrived.revision, judgement));
        let own =
            matches!((arrived.token, call.floor), (Some(token), Some(floor)) if token > floor);
        // What a newer revision has replaced meanwhile satisfies nobody.
        let satisfied = judgement == Judgement::Fresh || judgement == Judgement::Stale && own;
        if satisfied && arrived.revision >= news {
            call.satisfied = Some(arrived.revision);
        }
        let notice = Notice::Judged {
            key: KEY,
            passenger: PassengerId(call.passenger),
            verdict: Verdict {
                revision: arrived.revision,
                token: arrived.token,
                judgement,
            },
        };
        self.tell(node, notice);
    }

    pub(super) fn fill_ends(&mut self, node: usize, index: usize, result: FillResult) {
        let it = self.state.node(node);
        let call = &mut it.calls[index];
        let Some(fill) = call.filling.take() else {
            return;
        };
        call.asked = false;
        call.computed = None;
        if result == FillResult::Value {
            let maker = (node as u64) << 8 | (index as u64) << 4;
            let digest = Digest(maker | u64::from(call.fills));
            call.computed = Some(digest);
            it.computed = Some(digest);
        }
        let passenger = PassengerId(it.calls[index].passenger);
        let event = Event::FillDone {
            attempt: fill.attempt,
            result,
        };
        let flight = flight_id(fill.flight);
        self.tell(node, Notice::Answered { flight, event });
        invariants::fill_ended(self, node, index, result);
        if result == FillResult::Panic && self.state.nodes[node].calls[index].is_open() {
            self.state.node(node).calls[index].stage = Stage::Over;
            let key = KEY;
            self.tell(node, Notice::Left { key, passenger });
        }
    }

    /// A caller is gone before its call has ended.
    pub(super) fn leaves(&mut self, node: usize, index: usize) {
        let call = &mut self.state.node(node).calls[index];
        let passenger = PassengerId(call.passenger);
        call.asked = false;
        call.filling = None;
        if self.setup.bug == Some(Bug::ZombieHeartbeat) {
            call.stage = Stage::Ghost;
            return;
        }
        call.stage = Stage::Over;
        self.tell(
            node,
            Notice::Left {
                key: KEY,
                passenger,
            },
        );
    }
}

pub(super) fn flight_id(number: u64) -> FlightId<crate::trace::Key> {
    FlightId { key: KEY, number }
}
