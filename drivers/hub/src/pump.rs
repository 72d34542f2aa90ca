//! Carries the machine's orders to the store and the answers back, and keeps the time: turned by the
//! driver, in a task or a thread of its own. One at a time per hub; renewals run here, so they do not
//! depend on a fill that yields.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use oneflight_core::{Command, FlightId};
use oneflight_store::{Change, KeyState, StoreError, Subscription, WatchEvent, Watcher};

use crate::hub::{Hub, Names, Todo, Work};
use crate::observe::{Pushes, Up};
use crate::request::{Answer, Underway};
use crate::timers::Timers;

/// How long a request may go unanswered before it is dropped: the machine has given up on it long
/// before, but a late grant is still worth to be released.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// How long to wait before a copy is looked at again, if the store did not answer.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long clean-up may go on after the last handle is gone.
pub const CLOSING_PATIENCE: Duration = Duration::from_secs(5);

/// How often a turn looks for more to do before others on its thread have theirs.
const MOST_ROUNDS: usize = 64;

/// What carries the machine's orders to the store and the answers back, and keeps the time.
///
/// It does nothing by itself: [`Pump::turn`] it, from one place that no caller's fill can block.
pub struct Pump {
    hub: Arc<Hub>,
    watches: HashMap<u64, (FlightId<Names>, Subscription, Up)>,
    requests: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// Looks at copies after a gap in the change stream: nobody waits for them, not even `close`.
    looks: FuturesUnordered<BoxFuture<'static, ()>>,
    timers: Timers,
    /// When to end whatever is left to do: a while after the last handle is gone.
    give_up: Option<oneflight_core::Instant>,
}

/// Hears for a flight what its store pushes.
struct OfFlight {
    flight: FlightId<Names>,
    patience: Duration,
    pushes: Pushes,
    hub: Weak<Hub>,
}

impl Watcher for OfFlight {
    fn notify(&self, event: WatchEvent) {
        if let WatchEvent::Key(key) = &event {
            self.pushes.heard(key);
        }
        if let Some(hub) = self.hub.upgrade() {
            hub.watched(self.flight.clone(), event);
        }
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}

/// When a [`Pump`] is to be turned again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a driver has to heed each of them")]
pub enum Until {
    /// When its waker is woken, and at this moment at the latest, if there is one.
    Moment(Option<Instant>),
    /// Never: it is to be dropped.
    Ended,
}

impl Drop for Pump {
    fn drop(&mut self) {
        // Its runtime may have ended under callers on another: they start a new pump, which finds
        // the watches to be opened again. Requests under way count as unanswered.
        for (_, (flight, watch, _watched)) in self.watches.drain() {
            drop(watch);
            let ended = StoreError::unavailable("the driver has ended");
            self.hub.watched(flight, WatchEvent::Ended(ended));
        }
        self.hub.pump_ended();
        if self.hub.is_closing() {
            self.hub.end_recording();
        }
    }
}

impl Pump {
    /// For a hub that has none.
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self {
            hub,
            watches: HashMap::new(),
            requests: FuturesUnordered::new(),
            looks: FuturesUnordered::new(),
            timers: Timers::default(),
            give_up: None,
        }
    }

    /// The hub it is of.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Does what there is to do, without blocking but for a store that does.
    pub fn turn(&mut self, cx: &mut Context<'_>) -> Until {
        for _ in 0..MOST_ROUNDS {
            let now = self.hub.clock.now();
            self.timers.fire(now);
            // After a time without a turn, answers are found together with a moment that has come: what
            // was answered must not be taken for unanswered.
            while let Poll::Ready(Some(answer)) = self.requests.poll_next_unpin(cx) {
                self.hub.answer(answer);
            }
            while let Poll::Ready(Some(())) = self.looks.poll_next_unpin(cx) {}
            let busy = !self.requests.is_empty();
            match self.hub.next_work(now, busy, cx.waker()) {
                Todo::Work(work) => work.into_iter().for_each(|item| self.start(item)),
                Todo::Tick => self.hub.tick(),
                Todo::Rest { due, closing } => return self.rest(due, closing),
                Todo::End => return Until::Ended,
            }
        }
        cx.waker().wake_by_ref();
        Until::Moment(None)
    }

    fn rest(&mut self, due: Option<oneflight_core::Instant>, closing: bool) -> Until {
        let clock = self.hub.clock;
        if closing {
            let now = clock.now();
            let give_up = *self
                .give_up
                .get_or_insert_with(|| now.after(CLOSING_PATIENCE));
            if give_up <= now {
                return Until::Ended;
            }
        }
        let moments = [due, self.timers.next(), self.give_up];
        let next = moments.into_iter().flatten().min();
        Until::Moment(next.map(|at| clock.moment(at)))
    }

    /// Carries out one piece of work. Never under the hub's mutex: a store may answer, and a watch
    /// may tell its snapshot, in place.
    fn start(&mut self, work: Work) {
        let errand = match work {
            Work::Errand(errand) => errand,
            Work::Request(request) => return self.await_answer(request),
            Work::Revalidate(keys) => return self.revalidate(keys),
        };
        let flight = errand.flight.clone();
        match errand.command {
            Command::Watch => {
                let (key, lock) = (Arc::clone(&flight.key.key), flight.key.lock());
                let hub = Arc::downgrade(&self.hub);
                let pushes = self.hub.meters.pushes();
                let watcher = OfFlight {
                    flight: flight.clone(),
                    patience: errand.patience,
                    pushes,
                    hub,
                };
                let watch = self.hub.store.watch(key, lock, Arc::new(watcher));
                let watched = self.hub.meters.watch();
                drop(self.watches.insert(flight.number, (flight, watch, watched)));
            }
            Command::Unwatch => drop(self.watches.remove(&flight.number)),
            Command::Claim { .. }
            | Command::Renew { .. }
            | Command::Publish { .. }
            | Command::Put { .. }
            | Command::Release { .. } => self.await_answer(self.hub.request(errand)),
            // The hub sees to these itself.
            Command::Fill { .. } | Command::WarnLeaseLost { .. } | Command::Land(_) => {}
        }
    }

    fn await_answer(&self, request: Underway) {
        let (hub, timers) = (Arc::clone(&self.hub), self.timers.clone());
        self.requests.push(Box::pin(async move {
            let answer = bounded(&hub, &timers, request).await;
            answer.unwrap_or(Answer::Nothing)
        }));
    }

    /// After a gap in the change stream: asks for the changes that may have been missed, until the store
    /// has answered for each key: nobody would tell of them again.
    fn revalidate(&self, keys: Vec<Arc<str>>) {
        let (hub, timers) = (Arc::clone(&self.hub), self.timers.clone());
        let mut left = Left {
            hub: Arc::clone(&hub),
            keys,
        };
        self.looks.push(Box::pin(async move {
            while let Some(key) = left.keys.last().cloned() {
                match look(&hub, &timers, &key).await {
                    Ok(KeyState { revision, .. }) => hub.changed(Change::Moved { key, revision }),
                    // The next connection brings the next look.
                    Err(_) if hub.is_deaf() => left.keys.clear(),
                    Err(StoreError::Unavailable(_)) => {
                        timers.sleep_until(hub.clock.now().after(LOOK_AGAIN)).await;
                        continue;
                    }
                    Err(_) => {}
                }
                left.keys.pop();
            }
        }));
    }
}

/// The keys that are still to be looked at: the next pump does so if this one ends.
struct Left {
    hub: Arc<Hub>,
    keys: Vec<Arc<str>>,
}

impl Drop for Left {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // It may be this key at which the store panics: once is enough.
            self.keys.pop();
        }
        self.hub.look_again(std::mem::take(&mut self.keys));
    }
}

async fn look(hub: &Hub, timers: &Timers, key: &Arc<str>) -> Result<KeyState, StoreError> {
    let read = hub.read(&Names {
        key: Arc::clone(key),
        lock: None,
    });
    let answer = bounded(hub, timers, read).await;
    answer.unwrap_or_else(|| Err(StoreError::unavailable("the store did not answer")))
}

/// `None` if there is no answer in time.
async fn bounded<T>(
    hub: &Hub,
    timers: &Timers,
    request: impl Future<Output = T> + Unpin,
) -> Option<T> {
    let limit = timers.sleep_until(hub.clock.now().after(REQUEST_TIMEOUT));
    match select(request, limit).await {
        Either::Left((answer, _)) => Some(answer),
        Either::Right(((), _)) => None,
    }
}

impl std::fmt::Debug for Pump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pump").finish_non_exhaustive()
    }
}
