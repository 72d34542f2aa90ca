//! The process of each call, and of its heartbeat: when it runs, and what is in its mailbox.

use std::collections::VecDeque;

use oneflight_core::{
    Attempt, Event as Fact, FillResult, FlightId, Instant, Notice, Order, PassengerId,
};

use super::Fleet;
use crate::fates::Dice;
use crate::seed::caller::{Caller, Input};
use crate::seed::heartbeat::Heartbeat;
use crate::trace::{Answer, Digest, Fault, Freshness, Key, Nanos, What};
use crate::world::Observer;
use crate::world::caller::GARBLED;
use crate::world::queue::Event;

#[derive(Default)]
pub(super) struct Process {
    pub(super) node: u32,
    pub(super) passenger: u64,
    pub(super) machine: Option<Caller>,
    pub(super) mailbox: VecDeque<Letter>,
    /// When it looks at its mail.
    pub(super) wake_at: Option<Nanos>,
    /// When it has slept long enough.
    pub(super) timer: Option<Nanos>,
    /// The request it is blocked on, and its number among the call's requests.
    pub(super) blocked: Option<(u32, Attempt)>,
    pub(super) attempts: u32,
    pub(super) subscribed: bool,
    fills: usize,
    /// Tells the end of this fill from that of an earlier one.
    serial: u32,
    filling: Option<Attempt>,
    pub(super) computed: Option<Digest>,
    pub(super) heartbeat: Option<Heartbeat>,
    pub(super) beat_at: Option<Nanos>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Letter {
    Answer(Answer),
    Key,
    Lock { released: bool },
}

/// Who a request's answer is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Owner {
    Caller(u32),
    Heartbeat(u32, Attempt),
    Put(Key, Digest),
}

impl Process {
    pub(super) fn is_open(&self) -> bool {
        self.machine.is_some()
    }

    pub(super) fn attempt(&mut self) -> Attempt {
        self.attempts += 1;
        Attempt::new(self.attempts)
    }

    /// It dies, or returns; its heartbeat is linked to it.
    pub(super) fn end(&mut self) {
        self.machine = None;
        self.heartbeat = None;
        self.filling = None;
    }
}

impl<O: Observer> Fleet<'_, O> {
    pub(super) fn key(&self, call: u32) -> Key {
        Key(self.world.plan.calls[call as usize].key)
    }

    pub(super) fn flight(&self, call: u32) -> FlightId<Key> {
        FlightId {
            key: self.key(call),
            number: self.processes[call as usize].passenger,
        }
    }

    pub(super) fn local(&self, node: u32) -> Nanos {
        self.world.nodes[node as usize].local(self.world.now)
    }

    /// The moment at which a process's clock shows this.
    pub(super) fn global(&self, node: u32, local: Nanos) -> Nanos {
        let instant = Instant::from_nanos(local);
        let at = self.world.nodes[node as usize].global(instant);
        at.max(self.world.now)
    }

    /// Its process of the world is gone, or stands still.
    fn is_out(&mut self, node: u32, event: Event) -> bool {
        !self.world.nodes[node as usize].alive || self.world.is_deferred(node, event)
    }

    pub(super) fn begin(&mut self, call: u32) {
        let plan = &self.world.plan.calls[call as usize];
        let node = self.world.slots[plan.slot as usize];
        if self.is_out(node, Event::Begin { call }) {
            return;
        }
        let at = &mut self.world.nodes[node as usize];
        at.passengers += 1;
        let passenger = at.passengers;
        let seed = self.world.plan.seed ^ (u64::from(call) << 32);
        let process = &mut self.processes[call as usize];
        process.node = node;
        process.passenger = passenger;
        process.machine = Some(Caller::new(plan, Dice::new(seed).any()));
        let freshness = Freshness {
            max_age: plan.max_age,
            predicate: plan.predicate != crate::plan::Predicate::None,
            malformed_as_absent: plan.malformed_as_absent,
        };
        let began = What::Began {
            key: Key(plan.key),
            passenger: PassengerId(passenger),
            freshness,
        };
        self.world.emit(u64::from(node) + 1, &began);
        if let Some(after) = plan.cancel {
            let at = self.world.now + after;
            self.world.queue.push(at, Event::Cancel { call });
        }
        self.step(call, Input::Begun, None);
    }

    /// The caller's process is killed: its subscriptions end with it, and its heartbeat.
    pub(super) fn cancel(&mut self, call: u32) {
        let node = self.processes[call as usize].node;
        if !self.processes[call as usize].is_open() || self.is_out(node, Event::Cancel { call }) {
            return;
        }
        let id = u64::from(node) + 1;
        self.world.fault(id, Fault::Cancelled, self.world.now);
        let (key, passenger) = (
            self.key(call),
            PassengerId(self.processes[call as usize].passenger),
        );
        self.world.emit(id, &What::Left { key, passenger });
        self.unsubscribe(call);
        self.processes[call as usize].end();
        let flight = self.flight(call);
        let orders = vec![Order::Retired { flight }];
        self.told(node, Notice::Left { key, passenger }, orders);
    }

    /// What has come takes its reader a while to see.
    pub(super) fn mail(&mut self, call: u32, letter: Letter) {
        let process = &mut self.processes[call as usize];
        process.mailbox.push_back(letter);
        if process.wake_at.is_none() {
            let at = self.world.now + self.world.plan.calls[call as usize].wake;
            process.wake_at = Some(at);
            self.world.queue.push(at, Event::Wake { call });
        }
    }

    pub(super) fn wake(&mut self, call: u32) {
        let node = self.processes[call as usize].node;
        if !self.processes[call as usize].is_open() || self.is_out(node, Event::Wake { call }) {
            return;
        }
        self.beat(call);
        let now = self.world.now;
        let process = &self.processes[call as usize];
        let due = |at: Option<Nanos>| at.filter(|at| *at <= now);
        let (slept, mail) = (due(process.timer), due(process.wake_at));
        // A sleep that is over goes before the mail that came meanwhile but has not been read.
        let first = slept.is_some() && mail.is_none_or(|mail| slept <= Some(mail));
        if first {
            self.slept(call);
        }
        if mail.is_some() {
            self.processes[call as usize].wake_at = None;
            while let Some(letter) = self.processes[call as usize].mailbox.pop_front() {
                self.reads(call, letter);
            }
        }
        if slept.is_some() && !first {
            self.slept(call);
        }
    }

    fn slept(&mut self, call: u32) {
        let due = self.processes[call as usize].timer;
        if due.is_some_and(|due| due <= self.world.now) {
            self.processes[call as usize].timer = None;
            self.step(call, Input::Slept, Some(Notice::Tick));
        }
    }

    fn reads(&mut self, call: u32, letter: Letter) {
        let flight = self.flight(call);
        match letter {
            Letter::Answer(answer) => {
                let Some((_, attempt)) = self.processes[call as usize].blocked.take() else {
                    return;
                };
                let event = super::act::fact(attempt, answer);
                let notice = event.map(|event| Notice::Answered { flight, event });
                self.step(call, Input::Answered(answer), notice);
            }
            Letter::Key => self.step(call, Input::KeyEvent, None),
            Letter::Lock { released } => {
                let event = if released {
                    Fact::LockReleased
                } else {
                    let remaining = None;
                    Fact::LockHeld { remaining }
                };
                let notice = Notice::Answered { flight, event };
                self.step(call, Input::LockEvent { released }, Some(notice));
            }
        }
    }

    pub(super) fn back(&mut self, request: u32, answer: Answer, event: Event) {
        let node = self.world.requests[request as usize].node;
        if self.is_out(node, event) {
            return;
        }
        let Some(owner) = self.owners[request as usize].take() else {
            return;
        };
        let id = u64::from(request);
        let answered = What::Answered { id, answer };
        self.world.emit(u64::from(node) + 1, &answered);
        match owner {
            Owner::Caller(call) => {
                let process = &self.processes[call as usize];
                if process.is_open() && process.blocked.is_some_and(|it| it.0 == request) {
                    self.mail(call, Letter::Answer(answer));
                }
            }
            Owner::Heartbeat(call, attempt) => self.beat_answered(call, attempt, answer),
            Owner::Put(key, digest) => self.put_answered(node, key, digest, answer),
        }
    }

    pub(super) fn fill_begins(&mut self, call: u32, attempt: Attempt) {
        let plan = &self.world.plan.calls[call as usize];
        let process = &mut self.processes[call as usize];
        process.serial += 1;
        let takes = plan.fills[process.fills.min(plan.fills.len() - 1)].takes;
        process.fills += 1;
        process.filling = Some(attempt);
        let serial = process.serial;
        let at = self.world.now + takes;
        self.world.queue.push(at, Event::FillEnd { call, serial });
    }

    pub(super) fn fill_end(&mut self, call: u32, serial: u32) {
        let process = &self.processes[call as usize];
        let node = process.node;
        if !process.is_open() || process.serial != serial || process.filling.is_none() {
            return;
        }
        if self.is_out(node, Event::FillEnd { call, serial }) {
            return;
        }
        let plan = &self.world.plan.calls[call as usize];
        let flight = self.flight(call);
        let process = &mut self.processes[call as usize];
        let Some(attempt) = process.filling.take() else {
            return;
        };
        let fill = plan.fills[(process.fills - 1).min(plan.fills.len() - 1)];
        let result = fill.result;
        let digest = (result == FillResult::Value).then(|| {
            self.world.values += 1;
            let garbled = if fill.garbled { GARBLED } else { 0 };
            Digest(self.world.values | garbled)
        });
        process.computed = digest;
        let ended = What::FillEnded {
            key: flight.key,
            passenger: PassengerId(process.passenger),
            flight: flight.number,
            attempt,
            result,
            digest,
        };
        let id = u64::from(node) + 1;
        self.world.emit(id, &ended);
        if digest.is_none() {
            self.world.fault(id, Fault::FillFailed, self.world.now);
        } else if fill.garbled {
            self.world.fault(id, Fault::Garbled, self.world.now);
        }
        let event = Fact::FillDone { attempt, result };
        let notice = Notice::Answered { flight, event };
        self.step(call, Input::Filled(result), Some(notice));
    }
}
