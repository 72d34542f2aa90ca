//! Where callers, the machine and the pump meet: one mutex, never held across an await.
//!
//! Callers and the store's watchers tell the machine what happened; what it orders goes into the
//! callers' mailboxes or into the pump's outbox.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use oneflight_core::{
    Arrival, Attempt, Command, Event, FillResult, FlightId, Flights, Instant, Notice, Order,
    Outcome, PassengerId, Policy, Verdict,
};
use oneflight_store::{
    Change, Holder, KeyState, LockState, Revision, Store, StoreError, Token, WatchEvent,
};
use quick_cache::DefaultHashBuilder;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::copies::Copies;
use crate::lease::{Lease, LeaseState};
use crate::pump;
use crate::value::{Arrived, Times, Value};

/// What callers of one process fly for: a key, and the lock that guards it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Names {
    pub(crate) key: Arc<str>,
    /// `None` for the default.
    pub(crate) lock: Option<Arc<str>>,
}

impl Names {
    /// The lock key: by default the one that the first implementations of the protocol use.
    pub(crate) fn lock(&self) -> Arc<str> {
        match &self.lock {
            Some(lock) => Arc::clone(lock),
            None => format!("_dust:sf/{}", self.key).into(),
        }
    }
}

/// What the machine has for a caller.
pub(crate) enum Mail {
    Judge(Arrived),
    Fill {
        flight: FlightId<Names>,
        attempt: Attempt,
        lease: Lease,
    },
    Land(Landed),
}

/// An outcome, and what the driver knows beside it.
pub(crate) struct Landed {
    pub(crate) outcome: Outcome,
    pub(crate) arrived: Option<Arrived>,
    pub(crate) computed: Option<Arc<Value>>,
    pub(crate) failure: Option<Failure>,
    pub(crate) cause: Option<StoreError>,
}

/// How a fill failed.
#[derive(Clone)]
pub(crate) enum Failure {
    /// With the caller's own error.
    Error(Arc<dyn Any + Send + Sync>),
    /// With a value that does not go through the codec.
    Codec(Arc<str>),
}

/// How a fill ended.
pub(crate) enum Filled {
    Value {
        value: Arc<Value>,
        retain: Option<Duration>,
    },
    Failed(Failure),
    Panicked,
}

/// Something for the pump to do.
pub(crate) enum Work {
    Command {
        flight: FlightId<Names>,
        command: Command,
        /// How long a lease is to live, for a claim or a renewal.
        ttl: Duration,
        /// The value, for a publish or a put.
        value: Option<(Bytes, Option<Duration>)>,
    },
    /// Look again at all copies: changes may have been missed.
    Revalidate,
}

pub(crate) struct Hub {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) copies: Copies,
    pub(crate) clock: Clock,
    pub(crate) holder: Holder,
    /// Tells this process from all others, past and present.
    pub(crate) nonce: u64,
    state: Mutex<State>,
    /// Changes only under the mutex; a caller who waits reads it without.
    pump_runs: AtomicBool,
    /// Wakes the pump.
    pub(crate) work: Notify,
    /// Wakes whoever waits for the last clean-up.
    pub(crate) idle: Notify,
    /// Tells the pump that the last handle is gone.
    pub(crate) closed: Notify,
}

struct State {
    flights: Flights<Names>,
    /// Of the callers who have not landed. The numbers are ours: no need to hash against an attack.
    seats: HashMap<PassengerId, Arc<Mailbox>, DefaultHashBuilder>,
    desks: BTreeMap<Names, Desk>,
    outbox: Vec<Work>,
    passengers: u64,
    /// When the pump will wake by itself.
    armed: Instant,
    /// The pump has requests at the store.
    busy: bool,
    closing: bool,
    /// The change stream has broken off since the copies were known to be true.
    gap: bool,
}

/// What the machine has for one caller. Its mutex may be taken under the hub's, never the other way
/// round: a caller fetches its mail without disturbing the others.
#[derive(Default)]
struct Mailbox {
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    mail: Option<Mail>,
    waker: Option<Waker>,
}

impl Mailbox {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is on hand for one key while somebody flies for it.
#[derive(Default)]
struct Desk {
    seats: usize,
    flights: BTreeSet<u64>,
    arrived: Option<Arrived>,
    computed: Option<(Arc<Value>, Option<Duration>)>,
    /// The last revision of which a copy was kept.
    copied: Revision,
    failure: Option<Failure>,
    cause: Option<StoreError>,
    lease: Option<Arc<LeaseState>>,
    /// The last revision that the change stream told of.
    moved: Revision,
}

/// What is to be done once the mutex is free.
#[derive(Default)]
struct Calls {
    wakers: Vec<Waker>,
    pump: bool,
}

impl Hub {
    pub(crate) fn new(store: Arc<dyn Store>, copies: Copies, holder: Holder, nonce: u64) -> Self {
        Self {
            store,
            copies,
            clock: Clock::new(),
            holder,
            nonce,
            state: Mutex::new(State {
                flights: Flights::new(),
                seats: HashMap::default(),
                desks: BTreeMap::new(),
                outbox: Vec::new(),
                passengers: 0,
                armed: Instant::NEVER,
                busy: false,
                closing: false,
                gap: false,
            }),
            pump_runs: AtomicBool::new(false),
            work: Notify::new(),
            idle: Notify::new(),
            closed: Notify::new(),
        }
    }

    /// A panic under the lock (out of memory, say) must not wedge every other key.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a caller aboard.
    pub(crate) fn board(
        self: &Arc<Self>,
        names: Names,
        mut policy: Policy,
        known: Verdict,
    ) -> Seat {
        let mailbox = Arc::new(Mailbox::default());
        let id = self.with(|state, hub| {
            state.passengers += 1;
            let id = PassengerId(state.passengers);
            policy.seed = hub.nonce ^ state.passengers.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            state.seats.insert(id, Arc::clone(&mailbox));
            state.desks.entry(names.clone()).or_default().seats += 1;
            let notice = Notice::Boarded {
                key: names.clone(),
                passenger: id,
                policy,
                known,
            };
            (id, Some(notice))
        });
        let hub = Arc::clone(self);
        Seat {
            hub,
            names,
            id,
            mailbox,
            landed: false,
        }
    }

    /// Does something under the mutex, tells the machine, and carries out what it orders.
    fn with<T>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut State, &Self) -> (T, Option<Notice<Names>>),
    ) -> T {
        let mut state = self.state();
        let (result, notice) = act(&mut state, self);
        let mut calls = Calls::default();
        if let Some(notice) = notice {
            let orders = state.flights.handle(self.clock.now(), notice);
            for order in orders {
                state.carry_out(order, self, &mut calls);
            }
        }
        let due = state.flights.deadline().unwrap_or(Instant::NEVER);
        calls.pump |= due < state.armed;
        let revive =
            !self.pump_runs.load(Ordering::Relaxed) && (calls.pump || !state.seats.is_empty());
        if revive {
            self.pump_runs.store(true, Ordering::SeqCst);
        }
        drop(state);
        // Not under the lock: a runtime that is ending drops the pump on the spot.
        if revive && !pump::spawn(self) {
            let _state = self.state();
            self.pump_runs.store(false, Ordering::SeqCst);
        }
        for waker in calls.wakers {
            waker.wake();
        }
        if calls.pump {
            self.work.notify_one();
        }
        result
    }

    fn tell(self: &Arc<Self>, notice: Notice<Names>) {
        self.with(|_, _| ((), Some(notice)));
    }

    pub(crate) fn tick(self: &Arc<Self>) {
        self.tell(Notice::Tick);
    }

    /// A command was answered, or the watch tells of the lock.
    pub(crate) fn answered(self: &Arc<Self>, flight: FlightId<Names>, event: Event) {
        let renewed = matches!(event, Event::Renewed { .. });
        self.with(|_, _| {
            let notice = Notice::Answered {
                flight: flight.clone(),
                event,
            };
            ((), Some(notice))
        });
        if renewed {
            let state = self.state();
            if let Some(lease) = state.flights.lease(&flight)
                && let Some(handle) = state
                    .desks
                    .get(&flight.key)
                    .and_then(|desk| desk.lease.as_ref())
            {
                handle.set_expiry(lease.expires);
            }
        }
    }

    /// A command failed.
    pub(crate) fn failed(
        self: &Arc<Self>,
        flight: FlightId<Names>,
        attempt: Attempt,
        error: StoreError,
    ) {
        let event = match error {
            StoreError::Refused(_) => Event::Refused { attempt },
            StoreError::Malformed { .. } => Event::Malformed { attempt },
            StoreError::Unavailable(_) | _ => Event::Unavailable { attempt },
        };
        self.note_cause(&flight.key, error);
        self.answered(flight, event);
    }

    fn note_cause(&self, names: &Names, error: StoreError) {
        if let Some(desk) = self.state().desks.get_mut(names) {
            desk.cause = Some(error);
        }
    }

    /// A fill's value stands.
    pub(crate) fn published(
        self: &Arc<Self>,
        flight: FlightId<Names>,
        attempt: Attempt,
        revision: Revision,
        token: Token,
    ) {
        self.with(|state, _| {
            if let Some(desk) = state.desks.get_mut(&flight.key)
                && let Some((value, _)) = &desk.computed
            {
                desk.arrived = Some(Arrived {
                    value: Arc::clone(value),
                    revision,
                    token: Some(token),
                    times: Times::new(Duration::ZERO),
                });
            }
            let event = Event::Published { attempt, revision };
            ((), Some(Notice::Answered { flight, event }))
        });
    }

    /// A state of the key has come.
    pub(crate) fn arrived(
        self: &Arc<Self>,
        flight: FlightId<Names>,
        attempt: Option<Attempt>,
        latest: Option<Token>,
        key: KeyState,
    ) {
        self.with(|state, _| {
            let arrival = Arrival {
                revision: key.revision,
                token: key.entry.as_ref().and_then(|entry| entry.token),
                value: key.entry.is_some(),
            };
            if let Some(desk) = state.desks.get_mut(&flight.key)
                && let Some(entry) = key.entry
                && desk
                    .arrived
                    .as_ref()
                    .is_none_or(|known| known.revision < entry.revision)
            {
                desk.arrived = Some(Arrived::new(entry));
            }
            let notice = Notice::Arrived {
                flight,
                attempt,
                latest,
                arrival,
            };
            ((), Some(notice))
        });
    }

    /// The watch tells something.
    pub(crate) fn watched(self: &Arc<Self>, flight: FlightId<Names>, event: WatchEvent) {
        let event = match event {
            WatchEvent::Key(key) => return self.arrived(flight, None, None, key),
            WatchEvent::Lock(LockState::Free) => Event::LockReleased,
            WatchEvent::Lock(LockState::Held { remaining, .. }) => Event::LockHeld { remaining },
            WatchEvent::Ended(error) => {
                let refused = matches!(error, StoreError::Refused(_));
                self.note_cause(&flight.key, error);
                if refused {
                    Event::WatchRefused
                } else {
                    Event::WatchLost
                }
            }
        };
        self.answered(flight, event);
    }

    /// The change stream tells something: local copies follow.
    pub(crate) fn changed(self: &Arc<Self>, change: Change) {
        self.with(|state, hub| {
            match change {
                Change::Moved { key, revision } => {
                    hub.copies.outdate(&key, revision);
                    // Not only the default lock's desk: a key may be flown for under several.
                    let first = Names { key, lock: None };
                    for (names, desk) in state.desks.range_mut(first.clone()..) {
                        if names.key != first.key {
                            break;
                        }
                        desk.moved = desk.moved.max(revision);
                    }
                }
                Change::Gap(_) => state.gap = true,
                Change::Connected => {
                    if mem::take(&mut state.gap) {
                        state.outbox.push(Work::Revalidate);
                        hub.work.notify_one();
                    }
                }
            }
            ((), None)
        });
    }

    /// What the pump is to do now, and when it is to come back at the latest; `None` if it is to end.
    pub(crate) fn take_work(&self, busy: bool) -> Option<(Vec<Work>, Option<Instant>)> {
        let mut state = self.state();
        let work = mem::take(&mut state.outbox);
        state.busy = busy || !work.is_empty();
        if state.flights.is_idle() && !state.busy {
            self.idle.notify_waiters();
            if state.closing {
                return None;
            }
        }
        let due = state.flights.deadline();
        state.armed = due.unwrap_or(Instant::NEVER);
        Some((work, due))
    }

    /// The pump has ended, perhaps because its runtime did: whoever waits must start another.
    pub(crate) fn pump_ended(&self) {
        let wakers: Vec<Waker> = {
            let mut state = self.state();
            // Before the wakers are taken: see `Seat::poll_mail`.
            self.pump_runs.store(false, Ordering::SeqCst);
            state.armed = Instant::NEVER;
            state.busy = false;
            let seats = state.seats.values();
            seats.filter_map(|seat| seat.slot().waker.take()).collect()
        };
        for waker in wakers {
            waker.wake();
        }
        self.idle.notify_waiters();
    }

    pub(crate) fn close(&self) {
        self.state().closing = true;
        self.closed.notify_one();
        self.work.notify_one();
    }

    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state();
        !self.pump_runs.load(Ordering::Relaxed)
            || state.flights.is_idle() && state.outbox.is_empty() && !state.busy
    }
}

impl State {
    fn carry_out(&mut self, order: Order<Names>, hub: &Hub, calls: &mut Calls) {
        match order {
            Order::Command { flight, command } => self.command(flight, command, calls),
            Order::Judge { key, passenger, .. } => {
                let arrived = self.desks.get(&key).and_then(|desk| desk.arrived.clone());
                if let Some(arrived) = arrived {
                    self.mail(passenger, Mail::Judge(arrived), calls);
                }
            }
            Order::Fill {
                flight,
                passenger,
                attempt,
                lease,
            } => {
                let Some(desk) = self.desks.get_mut(&flight.key) else {
                    return;
                };
                desk.flights.insert(flight.number);
                desk.failure = None;
                let handle = desk.lease.insert(LeaseState::new(hub.clock));
                let lease = Lease::new(lease, Arc::clone(handle));
                let mail = Mail::Fill {
                    flight,
                    attempt,
                    lease,
                };
                self.mail(passenger, mail, calls);
            }
            Order::Land {
                key,
                passenger,
                outcome,
            } => self.land(&key, passenger, outcome, hub, calls),
            Order::Retired { flight } => {
                if let Some(desk) = self.desks.get_mut(&flight.key) {
                    desk.flights.remove(&flight.number);
                }
                self.clear(&flight.key);
                // The pump tells whoever waits for the last clean-up.
                calls.pump = true;
            }
        }
    }

    fn command(&mut self, flight: FlightId<Names>, command: Command, calls: &mut Calls) {
        let desk = self.desks.get_mut(&flight.key);
        let mut value = None;
        match command {
            Command::WarnLeaseLost { warning, .. } => {
                if let Some(lease) = desk.and_then(|desk| desk.lease.as_ref()) {
                    lease.warn(warning);
                }
                return;
            }
            Command::Claim { .. } => {
                if let Some(desk) = desk {
                    desk.flights.insert(flight.number);
                    desk.cause = None;
                }
            }
            Command::Publish { .. } | Command::Put { .. } => {
                value = desk
                    .and_then(|desk| desk.computed.as_ref())
                    .map(|(value, retain)| (value.bytes(), *retain));
            }
            Command::Watch
            | Command::Unwatch
            | Command::Renew { .. }
            | Command::Release { .. }
            | Command::Fill { .. }
            | Command::Land(_) => {}
        }
        let ttl = self.flights.policy(&flight).map(|policy| policy.lease_ttl);
        self.outbox.push(Work::Command {
            flight,
            command,
            ttl: ttl.unwrap_or_default(),
            value,
        });
        calls.pump = true;
    }

    fn land(
        &mut self,
        names: &Names,
        passenger: PassengerId,
        outcome: Outcome,
        hub: &Hub,
        calls: &mut Calls,
    ) {
        let Some(desk) = self.desks.get_mut(names) else {
            return;
        };
        let revision = match outcome {
            Outcome::Cached { revision, .. } => Some(revision),
            Outcome::Computed { revision } | Outcome::Awaited { revision } => revision,
            Outcome::Aborted
            | Outcome::Panicked
            | Outcome::TimedOut
            | Outcome::Fenced
            | Outcome::Unavailable
            | Outcome::Refused
            | Outcome::Malformed
            | Outcome::Unpublished { .. }
            | _ => None,
        };
        let arrived = desk
            .arrived
            .as_ref()
            .filter(|arrived| Some(arrived.revision) == revision);
        if let Some(arrived) = arrived
            && arrived.revision >= desk.moved
            && arrived.revision > desk.copied
            && !matches!(outcome, Outcome::Cached { stale: true, .. })
            && let Some(copy) = arrived.copy()
        {
            desk.copied = arrived.revision;
            hub.copies.insert(&names.key, copy);
        }
        let landed = Landed {
            outcome,
            arrived: arrived.cloned(),
            computed: desk.computed.as_ref().map(|(value, _)| Arc::clone(value)),
            failure: desk.failure.clone(),
            cause: desk.cause.clone(),
        };
        if let Some(mailbox) = self.seats.remove(&passenger) {
            desk.seats -= 1;
            post(&mailbox, Mail::Land(landed), calls);
        }
        self.clear(names);
    }

    fn mail(&self, passenger: PassengerId, mail: Mail, calls: &mut Calls) {
        if let Some(mailbox) = self.seats.get(&passenger) {
            post(mailbox, mail, calls);
        }
    }

    /// Takes away a desk that nobody needs any more.
    fn clear(&mut self, names: &Names) {
        if let Some(desk) = self.desks.get(names)
            && desk.seats == 0
            && desk.flights.is_empty()
        {
            self.desks.remove(names);
        }
    }
}

/// A mailbox holds one letter: what comes later counts more.
fn post(mailbox: &Mailbox, mail: Mail, calls: &mut Calls) {
    let mut slot = mailbox.slot();
    slot.mail = Some(mail);
    calls.wakers.extend(slot.waker.take());
}

/// A caller's place aboard. Dropping it leaves the flight.
pub(crate) struct Seat {
    hub: Arc<Hub>,
    names: Names,
    id: PassengerId,
    mailbox: Arc<Mailbox>,
    /// The last letter has been read: there is nothing left to leave.
    landed: bool,
}

impl Seat {
    /// The next letter of the machine. Cancel-safe.
    pub(crate) fn poll_mail(&mut self, cx: &mut Context<'_>) -> Poll<Mail> {
        let mut slot = self.mailbox.slot();
        if let Some(mail) = slot.mail.take() {
            self.landed = matches!(mail, Mail::Land(_));
            return Poll::Ready(mail);
        }
        match &mut slot.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => slot.waker = Some(cx.waker().clone()),
        }
        drop(slot);
        // Read after the waker is left: a pump that ends takes the wakers after it has said so, so it
        // is noticed here or wakes this task.
        if !self.hub.pump_runs.load(Ordering::SeqCst) {
            self.hub.with(|_, _| ((), None));
        }
        Poll::Pending
    }

    pub(crate) fn judged(&self, verdict: Verdict) {
        self.hub.tell(Notice::Judged {
            key: self.names.clone(),
            passenger: self.id,
            verdict,
        });
    }

    pub(crate) fn fill_done(&self, flight: FlightId<Names>, attempt: Attempt, filled: Filled) {
        self.hub.with(|state, _| {
            let desk = state.desks.get_mut(&flight.key);
            let result = match filled {
                Filled::Value { value, retain } => {
                    if let Some(desk) = desk {
                        desk.computed = Some((value, retain));
                    }
                    FillResult::Value
                }
                Filled::Failed(failure) => {
                    if let Some(desk) = desk {
                        desk.failure = Some(failure);
                    }
                    FillResult::Error
                }
                Filled::Panicked => FillResult::Panic,
            };
            let event = Event::FillDone { attempt, result };
            ((), Some(Notice::Answered { flight, event }))
        });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.landed {
            return;
        }
        self.hub.with(|state, _| {
            if state.seats.remove(&self.id).is_some()
                && let Some(desk) = state.desks.get_mut(&self.names)
            {
                desk.seats -= 1;
            }
            // Of no consequence for a caller that has landed, its last letter unread.
            let notice = Notice::Left {
                key: self.names.clone(),
                passenger: self.id,
            };
            ((), Some(notice))
        });
        let mut state = self.hub.state();
        state.clear(&self.names);
    }
}
