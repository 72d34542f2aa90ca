//! Where callers, the machine and the pump meet: one mutex, never held across an await.
//!
//! Callers and the store's watchers tell the machine what happened; what it orders goes into the
//! callers' mailboxes or into the pump's outbox.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use oneflight_core::{Flights, Instant, Notice, Order, PassengerId, Policy, Verdict};
use oneflight_store::{Holder, Store, StoreError};
use oneflight_trace::{Freshness, What};

use crate::clock::Clock;
use crate::copies::Copies;
use crate::driver::Driver;
use crate::observe::{Held, Meters};
use crate::pump::Pump;
use crate::recorder::Recorder;
use crate::request::Underway;

mod news;
mod seat;
mod state;
mod work;

use seat::Mailbox;
pub(crate) use seat::{Failure, Filled, Landed, Mail, Seat};
use state::{Calls, State, Stream};
pub(crate) use work::{Errand, Names, Todo, Work};

/// Where the callers of one process, the machine and the pump meet.
pub struct Hub {
    pub(crate) driver: Box<dyn Driver>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) copies: Copies,
    pub(crate) clock: Clock,
    pub(crate) holder: Holder,
    /// Tells this process from all others, past and present.
    pub(crate) nonce: u64,
    pub(crate) recorder: Option<Arc<Recorder>>,
    pub(crate) meters: Meters,
    /// The number of the last caller.
    passengers: AtomicU64,
    state: Mutex<State>,
    /// Changes only under the mutex; a caller who waits reads it without.
    pump_runs: AtomicBool,
}

impl Hub {
    pub(crate) fn new(
        driver: Box<dyn Driver>,
        store: Arc<dyn Store>,
        copies: Copies,
        holder: Holder,
        nonce: u64,
        recorder: Option<Arc<Recorder>>,
    ) -> Self {
        Self {
            clock: Clock::new(driver.clock()),
            driver,
            store,
            copies,
            holder,
            nonce,
            recorder,
            meters: Meters::default(),
            passengers: AtomicU64::new(0),
            state: Mutex::new(State {
                flights: Flights::new(),
                seats: HashMap::default(),
                desks: BTreeMap::new(),
                outbox: Vec::new(),
                armed: Instant::NEVER,
                pump: None,
                busy: false,
                closing: false,
                idle: Vec::new(),
                stream: Stream::NotYetUp,
                held: Held::default(),
            }),
            pump_runs: AtomicBool::new(false),
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
        // Before the mutex is taken: the first caller of all registers the metrics.
        let aboard = self.meters.passenger();
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
            _aboard: aboard,
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
                for order in self.tell(&mut state, notice) {
                    state.carry_out(order, self, &mut calls);
                }
            }
            notices = mem::take(&mut calls.judged);
        }
        let due = state.flights.deadline().unwrap_or(Instant::NEVER);
        calls.pump |= due < state.armed || !state.outbox.is_empty();
        if calls.pump {
            calls.wakers.extend(state.pump.take());
        }
        let revive = !self.pump_runs.load(Ordering::Relaxed) && (calls.pump || state.has_work());
        if revive {
            self.pump_runs.store(true, Ordering::SeqCst);
        }
        drop(state);
        if revive {
            // Whoever has to wait finds that none runs, and hears why.
            drop(self.start_pump());
        }
        for waker in calls.wakers {
            waker.wake();
        }
        for sighting in &calls.sightings {
            self.saw(sighting);
        }
        (result, calls.pump)
    }

    fn note(&self, what: What<Names>) {
        if let Some(recorder) = &self.recorder {
            recorder.note(what);
        }
    }

    /// Tells the machine something, and writes it down if anything is.
    fn tell(&self, state: &mut State, notice: Notice<Names>) -> Vec<Order<Names>> {
        let now = self.clock.now();
        let about = Held::about(&notice);
        let recorded = self
            .recorder
            .as_ref()
            .map(|recorder| (recorder, notice.clone()));
        let orders = state.flights.handle(now, notice);
        state
            .held
            .follow(&self.meters, &state.flights, about, &orders);
        let Some((recorder, notice)) = recorded else {
            return orders;
        };
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

    /// The change stream is down.
    pub(crate) fn is_deaf(&self) -> bool {
        !matches!(self.state().stream, Stream::Up { .. })
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
        let pump = {
            let mut state = self.state();
            state.outbox.push(Work::Request(request));
            state.pump.take()
        };
        pump.into_iter().for_each(Waker::wake);
    }

    /// What the pump is to do, which has heard all answers up to `now`. Leaves its waker if that is
    /// nothing: while it is at work it need not be woken, for it asks again before it rests.
    pub(crate) fn next_work(&self, now: Instant, busy: bool, waker: &Waker) -> Todo {
        let mut state = self.state();
        let work = mem::take(&mut state.outbox);
        state.busy = busy || !work.is_empty();
        let mut idle = Vec::new();
        if state.flights.is_idle() && !state.busy {
            idle = mem::take(&mut state.idle);
        }
        let due = state.flights.deadline();
        let todo = if !work.is_empty() {
            Todo::Work(work)
        } else if state.closing && !state.has_work() && !busy {
            Todo::End
        } else if due.is_some_and(|due| due <= now) {
            Todo::Tick
        } else {
            Todo::Rest {
                due,
                closing: state.closing,
            }
        };
        match &todo {
            Todo::Rest { .. } => {
                state.armed = due.unwrap_or(Instant::NEVER);
                state.pump = Some(waker.clone());
            }
            Todo::Work(_) | Todo::Tick | Todo::End => state.pump = None,
        }
        drop(state);
        idle.into_iter().for_each(Waker::wake);
        todo
    }

    /// The pump has ended before it has looked at these keys.
    pub(crate) fn look_again(self: &Arc<Self>, keys: Vec<Arc<str>>) {
        self.with(|state, _| {
            state.look_at(keys);
            ((), None)
        });
    }

    /// The pump has ended, perhaps because its runtime did: whoever waits must start another.
    pub(crate) fn pump_ended(&self) {
        let wakers: Vec<Waker> = {
            let mut state = self.state();
            // Before the wakers are taken: see `Seat::poll_mail`.
            self.pump_runs.store(false, Ordering::SeqCst);
            state.armed = Instant::NEVER;
            state.busy = false;
            state.pump = None;
            let idle = mem::take(&mut state.idle);
            let seats = state.seats.values();
            let seats = seats.filter_map(|seat| seat.slot().waker.take());
            idle.into_iter().chain(seats).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closing = true;
        // There are no copies any more that somebody could be served.
        state
            .outbox
            .retain(|work| !matches!(work, Work::Revalidate(_)));
        let idle = !state.has_work() && !state.busy;
        let pump = state.pump.take();
        drop(state);
        if idle {
            self.end_recording();
        }
        pump.into_iter().for_each(Waker::wake);
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
    /// ended, or it panicked, say.
    ///
    /// # Errors
    ///
    /// That the driver cannot turn one, and why.
    pub fn revive(self: &Arc<Self>) -> Result<(), StoreError> {
        {
            let state = self.state();
            if self.pump_runs.load(Ordering::Relaxed) || !state.has_work() {
                return Ok(());
            }
            self.pump_runs.store(true, Ordering::SeqCst);
        }
        self.start_pump()
    }

    /// Not under the lock: a pump that cannot be turned is dropped on the spot, which wakes all who may
    /// count on it.
    fn start_pump(self: &Arc<Self>) -> Result<(), StoreError> {
        self.driver.start(Pump::new(Arc::clone(self)))
    }

    /// Ready once nothing is under way, or nobody is there to see to it.
    pub(crate) fn poll_idle(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if !self.pump_runs.load(Ordering::Relaxed) || !state.has_work() && !state.busy {
            return Poll::Ready(());
        }
        if !state.idle.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.idle.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.end_recording();
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}
