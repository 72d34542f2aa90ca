//! The callers: they begin, judge, fill, land, and may be cancelled at any moment.

use std::time::Duration;

use oneflight_core::{
    Attempt, Event as Fact, FillResult, FlightId, Judgement, Lease, Notice, Outcome, PassengerId,
    Policy, Revision, Token, Verdict, Warning,
};

use super::node::Arrived;
use super::queue::Event;
use super::{Observer, World};
use crate::bugs::Bug;
use crate::plan::{CallPlan, Predicate};
use crate::trace::{Digest, Fault, Freshness, Key, Nanos, What};

/// The bit of a digest that says that its value does not decode.
pub(super) const GARBLED: u64 = 1 << 63;

#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) node: u32,
    pub(super) passenger: u64,
    stage: Stage,
    mail: Option<Mail>,
    waking: bool,
    /// When it began, by the process's own clock.
    started: Nanos,
    candidate: Option<(Revision, Option<Token>, Digest)>,
    computed: Option<Digest>,
    fills: usize,
    /// Tells the end of this fill from that of an earlier one.
    serial: u32,
    filling: Option<(FlightId<Key>, Attempt)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Before,
    Open,
    Over,
}

/// What the machine has for a caller; a later letter takes the place of an earlier one.
#[derive(Clone, Debug)]
pub(super) enum Mail {
    Judge(Arrived),
    Fill {
        flight: FlightId<Key>,
        attempt: Attempt,
        lease: Option<Lease>,
    },
    Land {
        outcome: Outcome,
        arrived: Option<Arrived>,
        computed: Option<Digest>,
    },
}

impl Call {
    pub(super) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Its process is gone.
    pub(super) fn crash(&mut self) {
        self.stage = Stage::Over;
    }
}

impl<O: Observer> World<'_, O> {
    pub(super) fn begin(&mut self, index: u32) {
        let plan: &CallPlan = &self.plan.calls[index as usize];
        let node_index = self.slots[plan.slot as usize];
        if !self.nodes[node_index as usize].alive
            || self.is_deferred(node_index, Event::Begin { call: index })
        {
            return;
        }
        let key = Key(plan.key);
        let id = u64::from(node_index) + 1;
        let node = &mut self.nodes[node_index as usize];
        node.passengers += 1;
        node.seats.push(index);
        let passenger = node.passengers;
        let started = node.local(self.now);
        let copy = node.desks[key.index()].copy;
        let call = &mut self.calls[index as usize];
        call.node = node_index;
        call.passenger = passenger;
        call.stage = Stage::Open;
        call.started = started;
        let passenger = PassengerId(passenger);
        let freshness = Freshness {
            max_age: plan.max_age,
            predicate: plan.predicate != Predicate::None,
            malformed_as_absent: plan.malformed_as_absent,
        };
        self.emit(
            id,
            &What::Began {
                key,
                passenger,
                freshness,
            },
        );
        let mut known = Verdict::UNKNOWN;
        if let Some(copy) = copy {
            if plan.predicate == Predicate::Panics {
                self.calls[index as usize].stage = Stage::Over;
                let outcome = Outcome::Panicked;
                return self.landed(index, outcome, None, true);
            }
            match judge(plan, &copy, started, self.bug) {
                Judgement::Fresh => {
                    self.calls[index as usize].stage = Stage::Over;
                    let outcome = Outcome::Cached {
                        revision: copy.revision,
                        stale: false,
                    };
                    return self.landed(index, outcome, Some(copy.digest), true);
                }
                Judgement::Stale => {
                    let call = &mut self.calls[index as usize];
                    call.candidate = Some((copy.revision, copy.token, copy.digest));
                    known = Verdict {
                        revision: copy.revision,
                        token: copy.token,
                        judgement: Judgement::Stale,
                    };
                }
                Judgement::Absent | Judgement::Malformed | _ => {}
            }
        }
        self.nodes[node_index as usize].desks[key.index()].seats += 1;
        if let Some(cancel) = plan.cancel {
            let at = self.now + cancel;
            self.queue.push(at, Event::Cancel { call: index });
        }
        let policy = policy(plan, self.plan.seed ^ u64::from(index));
        let notice = Notice::Boarded {
            key,
            passenger,
            policy,
            known,
        };
        self.tell(node_index, notice);
    }

    fn landed(&mut self, index: u32, outcome: Outcome, digest: Option<Digest>, local: bool) {
        let call = &self.calls[index as usize];
        let what = What::Landed {
            key: Key(self.plan.calls[index as usize].key),
            passenger: PassengerId(call.passenger),
            outcome,
            digest,
            local,
        };
        let id = u64::from(call.node) + 1;
        self.emit(id, &what);
    }

    pub(super) fn cancel(&mut self, index: u32) {
        let call = &self.calls[index as usize];
        if call.is_open() && !self.is_deferred(call.node, Event::Cancel { call: index }) {
            let id = u64::from(self.calls[index as usize].node) + 1;
            self.fault(id, Fault::Cancelled, self.now);
            let left = What::Left {
                key: Key(self.plan.calls[index as usize].key),
                passenger: PassengerId(self.calls[index as usize].passenger),
            };
            self.emit(id, &left);
            if self.has(Bug::ZombieHeartbeat) {
                self.calls[index as usize].stage = Stage::Over;
                return;
            }
            self.leave(index);
        }
    }

    /// The caller drops its seat.
    fn leave(&mut self, index: u32) {
        let key = Key(self.plan.calls[index as usize].key);
        let call = &mut self.calls[index as usize];
        call.stage = Stage::Over;
        call.mail = None;
        let (node, passenger) = (call.node, PassengerId(call.passenger));
        self.nodes[node as usize].desks[key.index()].seats -= 1;
        self.tell(node, Notice::Left { key, passenger });
        self.nodes[node as usize].desks[key.index()].clear();
    }

    /// Puts a letter into a caller's mailbox.
    pub(super) fn mail(&mut self, node: u32, passenger: PassengerId, mail: Mail) {
        let Some(index) = self.nodes[node as usize].call_of(passenger.0) else {
            return;
        };
        let call = &mut self.calls[index as usize];
        if !call.is_open() {
            return;
        }
        let computed = matches!(
            &mail,
            Mail::Land {
                outcome: Outcome::Computed { .. },
                ..
            }
        );
        call.mail = Some(mail);
        // While it fills, a caller does not read its mail.
        if !call.waking && call.filling.is_none() {
            call.waking = true;
            let mut at = self.now + self.plan.calls[index as usize].wake;
            if computed && self.has(Bug::SlowWinner) {
                at += 2 * (self.plan.net.least + self.plan.net.spread);
            }
            self.queue.push(at, Event::Wake { call: index });
        }
    }

    pub(super) fn wake(&mut self, index: u32) {
        let call = &mut self.calls[index as usize];
        let node = call.node;
        if !call.is_open() || self.is_deferred(node, Event::Wake { call: index }) {
            return;
        }
        let call = &mut self.calls[index as usize];
        call.waking = false;
        let Some(mail) = call.mail.take() else {
            return;
        };
        match mail {
            Mail::Judge(arrived) => self.judges(index, &arrived),
            Mail::Fill {
                flight,
                attempt,
                lease,
            } => self.fills(index, flight, attempt, lease),
            Mail::Land {
                outcome,
                arrived,
                computed,
            } => self.lands(index, outcome, arrived, computed),
        }
    }

    fn judges(&mut self, index: u32, arrived: &Arrived) {
        let plan = &self.plan.calls[index as usize];
        if plan.predicate == Predicate::Panics {
            self.landed(index, Outcome::Panicked, None, false);
            return self.leave(index);
        }
        let call = &mut self.calls[index as usize];
        let judgement = judge(plan, arrived, call.started, self.bug);
        let known = Some((arrived.revision, arrived.token, arrived.digest));
        match judgement {
            Judgement::Fresh | Judgement::Stale => call.candidate = known,
            Judgement::Absent => call.candidate = None,
            Judgement::Malformed | _ => {}
        }
        let notice = Notice::Judged {
            key: Key(plan.key),
            passenger: PassengerId(call.passenger),
            verdict: Verdict {
                revision: arrived.revision,
                token: arrived.token,
                judgement,
            },
        };
        let node = call.node;
        self.tell(node, notice);
    }

    fn fills(&mut self, index: u32, flight: FlightId<Key>, attempt: Attempt, lease: Option<Lease>) {
        let plan = &self.plan.calls[index as usize];
        let call = &mut self.calls[index as usize];
        call.serial += 1;
        let fill = plan.fills[call.fills.min(plan.fills.len() - 1)];
        call.fills += 1;
        call.filling = Some((flight.clone(), attempt));
        let serial = call.serial;
        let what = What::FillBegan {
            key: flight.key,
            passenger: PassengerId(call.passenger),
            flight: flight.number,
            attempt,
            token: lease.map(|lease| lease.token),
        };
        let id = u64::from(call.node) + 1;
        let at = self.now + fill.takes;
        self.emit(id, &what);
        self.queue.push(
            at,
            Event::FillEnd {
                call: index,
                serial,
            },
        );
    }

    /// The fill is told that its lease is lost: some give up.
    pub(super) fn warned(&mut self, node: u32, flight: &FlightId<Key>, _warning: Warning) {
        for position in 0..self.nodes[node as usize].seats.len() {
            let index = self.nodes[node as usize].seats[position];
            let call = &self.calls[index as usize];
            if call.is_open()
                && let Some((filling, _)) = &call.filling
                && filling == flight
            {
                let fills = &self.plan.calls[index as usize].fills;
                if fills[(call.fills - 1).min(fills.len() - 1)].heeds {
                    let serial = call.serial;
                    let at = self.now + self.plan.calls[index as usize].wake;
                    self.queue.push(
                        at,
                        Event::FillEnd {
                            call: index,
                            serial,
                        },
                    );
                }
            }
        }
    }

    pub(super) fn fill_end(&mut self, index: u32, serial: u32) {
        let call = &self.calls[index as usize];
        let node = call.node;
        if !call.is_open() || call.serial != serial || call.filling.is_none() {
            return;
        }
        if self.is_deferred(
            node,
            Event::FillEnd {
                call: index,
                serial,
            },
        ) {
            return;
        }
        let plan = &self.plan.calls[index as usize];
        let call = &mut self.calls[index as usize];
        let Some((flight, attempt)) = call.filling.take() else {
            return;
        };
        let fill = plan.fills[(call.fills - 1).min(plan.fills.len() - 1)];
        call.mail = None;
        let digest = (fill.result == FillResult::Value).then(|| {
            self.values += 1;
            let garbled = if fill.garbled { GARBLED } else { 0 };
            Digest(self.values | garbled)
        });
        let passenger = PassengerId(call.passenger);
        if digest.is_some() {
            call.computed = digest;
            self.nodes[node as usize].desks[flight.key.index()].computed = digest;
        }
        let what = What::FillEnded {
            key: flight.key,
            passenger,
            flight: flight.number,
            attempt,
            result: fill.result,
            digest,
        };
        let id = u64::from(node) + 1;
        self.emit(id, &what);
        if digest.is_none() {
            self.fault(id, Fault::FillFailed, self.now);
        } else if fill.garbled {
            self.fault(id, Fault::Garbled, self.now);
        }
        let result = fill.result;
        let event = Fact::FillDone { attempt, result };
        self.tell(node, Notice::Answered { flight, event });
        if result == FillResult::Panic {
            self.landed(index, Outcome::Panicked, None, false);
            self.leave(index);
        }
    }

    fn lands(
        &mut self,
        index: u32,
        outcome: Outcome,
        arrived: Option<Arrived>,
        computed: Option<Digest>,
    ) {
        let call = &self.calls[index as usize];
        let found = |revision: Revision| match call.candidate {
            Some((judged, _, digest)) if judged == revision => Some(digest),
            Some(_) | None => arrived.map(|arrived| arrived.digest),
        };
        let digest = match outcome {
            Outcome::Cached { revision, .. }
            | Outcome::Awaited {
                revision: Some(revision),
            } => found(revision),
            Outcome::Computed { .. } | Outcome::Unpublished { .. } => call.computed,
            Outcome::Awaited { revision: None } => computed,
            Outcome::Aborted
            | Outcome::Panicked
            | Outcome::TimedOut
            | Outcome::Fenced
            | Outcome::Unavailable
            | Outcome::Refused
            | Outcome::Malformed
            | _ => None,
        };
        self.landed(index, outcome, digest, false);
        self.leave(index);
    }
}

/// What a caller thinks of a value.
fn judge(plan: &CallPlan, arrived: &Arrived, started: Nanos, bug: Option<Bug>) -> Judgement {
    if arrived.digest.0 & GARBLED > 0 {
        return if plan.malformed_as_absent && bug != Some(Bug::Poison) {
            Judgement::Absent
        } else {
            Judgement::Malformed
        };
    }
    // What counts is the age when the call began: a value published since is fresh.
    let too_old = plan
        .max_age
        .is_some_and(|limit| arrived.age_at(started) > limit);
    if too_old || plan.predicate == Predicate::Refuses {
        Judgement::Stale
    } else {
        Judgement::Fresh
    }
}

pub(super) fn policy(plan: &CallPlan, seed: u64) -> Policy {
    Policy {
        lease_ttl: Duration::from_nanos(plan.ttl),
        wait_timeout: Duration::from_nanos(plan.wait),
        store_timeout: Duration::from_nanos(plan.store_timeout),
        fill_timeout: plan.fill_timeout.map(Duration::from_nanos),
        max_backoff: Duration::from_nanos(plan.max_backoff),
        on_unavailable: plan.on_unavailable,
        on_fenced: plan.on_fenced,
        on_abort: plan.on_abort,
        seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
    }
}
