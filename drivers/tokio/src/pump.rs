//! The driver's own task: carries the machine's orders to the store and the answers back, and keeps
//! the time. One per [`SingleFlight`](crate::SingleFlight); renewals run here, so they do not depend
//! on a fill that yields.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use oneflight_core::{Command, FlightId};
use oneflight_store::{Change, KeyState, StoreError, Subscription, WatchEvent};
use tokio::runtime::Handle;
use tokio::task::unconstrained;

use crate::hub::{Hub, Names, Work};
use crate::request::{Answer, Underway};

/// How long a request may go unanswered before it is dropped: the machine has given up on it long
/// before, but a late grant is still worth to be released.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// How long to wait before a copy is looked at again, if the store did not answer.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long clean-up may go on after the last handle is gone.
pub(crate) const CLOSING_PATIENCE: Duration = Duration::from_secs(5);

/// Starts the pump on the current runtime, if there is one.
pub(crate) fn spawn(hub: &Arc<Hub>) -> bool {
    let Ok(runtime) = Handle::try_current() else {
        return false;
    };
    let pump = Pump {
        hub: Arc::clone(hub),
        watches: HashMap::new(),
        requests: FuturesUnordered::new(),
        looks: FuturesUnordered::new(),
    };
    drop(runtime.spawn(pump.run()));
    true
}

struct Pump {
    hub: Arc<Hub>,
    watches: HashMap<u64, (FlightId<Names>, Subscription)>,
    requests: FuturesUnordered<BoxFuture<'static, Answer>>,
    /// Looks at copies after a gap in the change stream: nobody waits for them, not even `close`.
    looks: FuturesUnordered<BoxFuture<'static, ()>>,
}

impl Drop for Pump {
    fn drop(&mut self) {
        // Its runtime may have ended under callers on another: they start a new pump, which finds
        // the watches to be opened again. Requests under way count as unanswered.
        for (_, (flight, watch)) in self.watches.drain() {
            drop(watch);
            let ended = StoreError::unavailable("the driver's runtime has ended");
            self.hub.watched(flight, WatchEvent::Ended(ended));
        }
        self.hub.pump_ended();
        if self.hub.is_closing() {
            self.hub.end_recording();
        }
    }
}

impl Pump {
    async fn run(mut self) {
        let mut closing = pin!(closing(Arc::clone(&self.hub)));
        loop {
            let Some((work, due)) = self.hub.take_work(!self.requests.is_empty()) else {
                return;
            };
            let worked = !work.is_empty();
            for item in work {
                self.start(item);
            }
            if worked && self.requests.is_empty() {
                continue; // Nothing will be answered: look whether that was the last of it.
            }
            let hub = Arc::clone(&self.hub);
            tokio::select! {
                () = hub.work.notified() => {}
                Some(answer) = self.requests.next(), if !self.requests.is_empty() => {
                    self.hub.answer(answer);
                }
                Some(()) = self.looks.next(), if !self.looks.is_empty() => {}
                () = sleep_until(&hub, due) => {
                    self.answer_all();
                    hub.tick();
                }
                () = &mut closing => return,
            }
        }
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
                let watched = flight.clone();
                let hub = Arc::downgrade(&self.hub);
                let watcher = move |event| {
                    if let Some(hub) = hub.upgrade() {
                        hub.watched(watched.clone(), event);
                    }
                };
                let watch = self.hub.store.watch(key, lock, Arc::new(watcher));
                drop(self.watches.insert(flight.number, (flight, watch)));
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
        self.requests.push(Box::pin(async move {
            let answer = tokio::time::timeout(REQUEST_TIMEOUT, request).await;
            answer.unwrap_or(Answer::Nothing)
        }));
    }

    /// Passes on all answers that have come. After a time without a turn on its thread the pump finds
    /// them together with its timer: what was answered must not be taken for unanswered.
    fn answer_all(&mut self) {
        for _ in 0..self.requests.len() {
            // The budget of this turn may be spent, and then whatever is asked seems unanswered.
            match unconstrained(self.requests.next()).now_or_never() {
                Some(Some(answer)) => self.hub.answer(answer),
                Some(None) | None => break,
            }
        }
    }

    /// After a gap in the change stream: asks for the changes that may have been missed, until the store
    /// has answered for each key: nobody would tell of them again.
    fn revalidate(&self, keys: Vec<Arc<str>>) {
        let hub = Arc::clone(&self.hub);
        self.looks.push(Box::pin(async move {
            for key in keys {
                loop {
                    match read(&hub, &key).await {
                        Ok(KeyState { revision, .. }) => {
                            hub.changed(Change::Moved { key, revision });
                            break;
                        }
                        // The next connection brings the next look.
                        Err(_) if hub.is_deaf() => return,
                        Err(StoreError::Unavailable(_)) => tokio::time::sleep(LOOK_AGAIN).await,
                        Err(_) => break,
                    }
                }
            }
        }));
    }
}

async fn read(hub: &Hub, key: &Arc<str>) -> Result<KeyState, StoreError> {
    let read = hub.read(&Names {
        key: Arc::clone(key),
        lock: None,
    });
    match tokio::time::timeout(REQUEST_TIMEOUT, read).await {
        Ok(answer) => answer,
        Err(_) => Err(StoreError::unavailable("the store did not answer")),
    }
}

async fn sleep_until(hub: &Hub, due: Option<oneflight_core::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(hub.clock.moment(due)).await,
        None => std::future::pending().await,
    }
}

/// Ends a while after the last handle is gone.
async fn closing(hub: Arc<Hub>) {
    hub.closed.notified().await;
    tokio::time::sleep(CLOSING_PATIENCE).await;
}
