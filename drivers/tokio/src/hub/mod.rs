//! Where callers, the machine and the pump meet: one mutex, never held across an await.
//!
//! Callers and the store's watchers tell the machine what happened; what it orders goes into the
//! callers' mailboxes or into the pump's outbox.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use oneflight_core::{
    Arrival, Attempt, Command, Event, FlightId, Flights, Instant, Notice, Order, PassengerId,
    Policy, Verdict,
};
use oneflight_store::{
    Change, Holder, KeyState, LockState, Revision, Store, StoreError, Token, WatchEvent,
    default_lock,
};
use oneflight_trace::{Freshness, What};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::copies::Copies;
use crate::pump;
use crate::recorder::Recorder;
use crate::request::Underway;
use crate::value::{Arrived, Times};

mod seat;
mod state;

use seat::Mailbox;
pub(crate) use seat::{Failure, Filled, Landed, Mail, Seat};
use state::{Calls, State};

/// What callers of one process fly for: a key, and the lock that guards it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Names {
    pub(crate) key: Arc<str>,
    /// `None` for the default.
    pub(crate) lock: Option<Arc<str>>,
}

impl Names {
    /// The lock key.
    pub(crate) fn lock(&self) -> Arc<str> {
        match &self.lock {
            Some(lock) => Arc::clone(lock),
            None => default_lock(&self.key).into(),
        }
    }
}

/// Something for the pump to do.
pub(crate) enum Work {
    /// Carry out a command, or send it to the store.
    Errand(Errand),
    /// Wait for the answer to a request.
    Request(Underway),
    /// Look again at these keys: changes may have been missed.
    Revalidate(Vec<Arc<str>>),
}

/// A command, and what the driver knows beside it.
pub(crate) struct Errand {
    pub(crate) flight: FlightId<Names>,
    pub(crate) command: Command,
    /// How long a lease is to live, for a claim or a renewal.
    pub(crate) ttl: Duration,
    /// The value, for a publish or a put, which stays on its desk until the flight retires.
    pub(crate) value: Option<(Bytes, Option<Duration>)>,
}

impl Errand {
    fn is_for_the_store(&self) -> bool {
        matches!(
            self.command,
            Command::Claim { .. }
                | Command::Renew { .. }
                | Command::Publish { .. }
                | Command::Put { .. }
                | Command::Release { .. }
        )
    }
}

pub(crate) struct Hub {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) copies: Copies,
    pub(crate) clock: Clock,
    pub(crate) holder: Holder,
    /// Tells this process from all others, past and present.
    pub(crate) nonce: u64,
    pub(crate) recorder: Option<Arc<Recorder>>,
    /// The number of the last caller.
    passengers: AtomicU64,
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

impl Hub {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        copies: Copies,
        holder: Holder,
        nonce: u64,
        recorder: Option<Arc<Recorder>>,
    ) -> Self {
        Self {
            store,
            copies,
            clock: Clock::new(),
            holder,
            nonce,
            recorder,
            passengers: AtomicU64::new(0),
            state: Mutex::new(State {
                flights: Flights::new(),
                seats: HashMap::default(),
                desks: BTreeMap::new(),
                outbox: Vec::new(),
                armed: Instant::NEVER,
                busy: false,
                closing: false,
                gap: true,
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
        takes_any: bool,
        freshness: Freshness,
    ) -> Seat {
        let mailbox = Arc::new(Mailbox::new(takes_any));
        let id = self.with_sending(|state, hub| {
            let id = hub.next_passenger();
            policy.seed = hub.nonce ^ id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            if let Some(recorder) = &hub.recorder {
                let key = names.clone();
                recorder.note(What::Began {
                    key,
                    passenger: id,
                    freshness,
                });
            }
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

    /// Each caller has a larger number than those before it.
    pub(crate) fn next_passenger(&self) -> PassengerId {
        PassengerId(self.passengers.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Does something under the mutex, tells the machine, and carries out what it orders.
    fn with<T>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut State, &Self) -> (T, Option<Notice<Names>>),
    ) -> T {
        self.act(act).0
    }

    /// The same in a caller's task, which sends to the store what there is to send.
    fn with_sending<T>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut State, &Self) -> (T, Option<Notice<Names>>),
    ) -> T {
        let (result, calls_for_pump) = self.act(act);
        if calls_for_pump {
            self.send_off();
        }
        result
    }

    /// Also answers whether there is something for the pump.
    fn act<T>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut State, &Self) -> (T, Option<Notice<Names>>),
    ) -> (T, bool) {
        let mut state = self.state();
        let (result, notice) = act(&mut state, self);
        let mut calls = Calls::default();
        let mut notices: Vec<_> = notice.into_iter().collect();
        while !notices.is_empty() {
            for notice in notices {
                for order in self.tell(&mut state.flights, notice) {
                    state.carry_out(order, self, &mut calls);
                }
            }
            notices = mem::take(&mut calls.judged);
        }
        let due = state.flights.deadline().unwrap_or(Instant::NEVER);
        calls.pump |= due < state.armed;
        let revive = !self.pump_runs.load(Ordering::Relaxed) && (calls.pump || state.has_work());
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
        (result, calls.pump)
    }

    fn note(&self, what: What<Names>) {
        if let Some(recorder) = &self.recorder {
            recorder.note(what);
        }
    }

    /// Tells the machine something, and writes it down if anything is.
    fn tell(&self, flights: &mut Flights<Names>, notice: Notice<Names>) -> Vec<Order<Names>> {
        let now = self.clock.now();
        let Some(recorder) = &self.recorder else {
            return flights.handle(now, notice);
        };
        let orders = flights.handle(now, notice.clone());
        recorder.note(What::Told {
            now,
            notice,
            orders: orders.clone(),
        });
        orders
    }

    pub(crate) fn tick(self: &Arc<Self>) {
        self.with(|_, _| ((), Some(Notice::Tick)));
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
            // A publish that was repeated is answered twice, and by the second answer the desk may hold
            // the value of another fill.
            let lease = state.flights.lease(&flight);
            if lease.is_some_and(|lease| lease.token == token)
                && let Some(desk) = state.desks.get_mut(&flight.key)
                && let Some(computed) = &desk.computed
            {
                desk.arrived = Some(Arrived {
                    value: Arc::clone(&computed.value),
                    revision,
                    token: Some(token),
                    // Not since this answer was asked for: an earlier request may have done it.
                    times: Times::new(Duration::ZERO, computed.done),
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
        asked: tokio::time::Instant,
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
                desk.arrived = Some(Arrived::new(entry, asked));
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
            WatchEvent::Key(key) => {
                return self.arrived(flight, None, None, key, tokio::time::Instant::now());
            }
            WatchEvent::Lock(LockState::Free) => Event::LockReleased,
            WatchEvent::Lock(LockState::Held { remaining, .. }) => Event::LockHeld { remaining },
            WatchEvent::Ended(error) => return self.watch_ended(flight, error),
        };
        self.answered(flight, event);
    }

    /// The watch can tell no more. The machine takes it for closed, so nobody else would close it.
    fn watch_ended(self: &Arc<Self>, flight: FlightId<Names>, error: StoreError) {
        let event = match error {
            StoreError::Refused(_) => Event::WatchRefused,
            StoreError::Unavailable(_) | StoreError::Malformed { .. } | _ => Event::WatchLost,
        };
        self.with(|state, hub| {
            if let Some(desk) = state.desks.get_mut(&flight.key) {
                desk.cause = Some(error);
            }
            state.outbox.push(Work::Errand(Errand {
                flight: flight.clone(),
                command: Command::Unwatch,
                ttl: Duration::ZERO,
                value: None,
            }));
            hub.work.notify_one();
            ((), Some(Notice::Answered { flight, event }))
        });
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
                Change::Gap(_) => {
                    state.gap = true;
                    hub.note(What::Changes { connected: false });
                }
                Change::Connected => {
                    hub.note(What::Changes { connected: true });
                    // What was read before is looked at again, and so is what is about to be kept.
                    if mem::take(&mut state.gap) {
                        let mut keys = hub.copies.keys();
                        keys.extend(state.desks.keys().map(|names| Arc::clone(&names.key)));
                        if !keys.is_empty() {
                            state.outbox.push(Work::Revalidate(keys));
                            hub.work.notify_one();
                        }
                    }
                }
            }
            ((), None)
        });
    }

    /// The change stream is down.
    pub(crate) fn is_deaf(&self) -> bool {
        self.state().gap
    }

    /// What a caller may send to the store in the pump's stead.
    pub(crate) fn take_errands(&self) -> Vec<Errand> {
        let mut state = self.state();
        let is_errand = |work: &mut Work| matches!(work, Work::Errand(it) if it.is_for_the_store());
        let errands = state.outbox.extract_if(.., is_errand);
        errands
            .filter_map(|work| match work {
                Work::Errand(errand) => Some(errand),
                Work::Request(_) | Work::Revalidate(_) => None,
            })
            .collect()
    }

    /// Lets the pump wait for a request.
    pub(crate) fn hand_over(&self, request: Underway) {
        self.state().outbox.push(Work::Request(request));
        self.work.notify_one();
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
        let mut state = self.state();
        state.closing = true;
        let idle = !state.has_work() && !state.busy;
        drop(state);
        if idle {
            self.end_recording();
        }
        self.closed.notify_one();
        self.work.notify_one();
    }

    /// The last handle is gone, and so is the pump or all that it had to do: nothing is left to tell.
    pub(crate) fn end_recording(&self) {
        if let Some(recorder) = &self.recorder {
            recorder.end(self.state().has_work());
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.state().closing
    }

    /// Sees to it that the pump runs if there is something to do: what was left behind when its runtime
    /// ended, say.
    pub(crate) fn revive(self: &Arc<Self>) {
        self.with(|_, _| ((), None));
    }

    pub(crate) fn is_idle(&self) -> bool {
        let state = self.state();
        !self.pump_runs.load(Ordering::Relaxed) || !state.has_work() && !state.busy
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.end_recording();
    }
}
