//! The driver's own task: carries the machine's orders to the store and the answers back, and keeps
//! the time. One per [`SingleFlight`](crate::SingleFlight); renewals run here, so they do not depend
//! on a fill that yields.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use oneflight_core::{Attempt, Command, Event, FlightId};
use oneflight_store::{
    AttemptId, Change, Claim, ClaimRequest, KeyState, LeaseId, Pending, Publication, Renewal,
    StoreError, Subscription, Token, WatchEvent,
};
use tokio::runtime::Handle;
use tokio::task::unconstrained;
use tokio::time::Instant;

use crate::hub::{Hub, Names, Work};

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

/// What came of a request.
enum Answer {
    Claim(FlightId<Names>, Attempt, Instant, Result<Claim, StoreError>),
    Renew(FlightId<Names>, Attempt, Result<Renewal, StoreError>),
    Publish(
        FlightId<Names>,
        Attempt,
        Token,
        Result<Publication, StoreError>,
    ),
    Release(FlightId<Names>, Attempt, Result<(), StoreError>),
    /// Nobody waits for it.
    Done,
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
                    self.answer(answer);
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
        let (flight, command, ttl, value) = match work {
            Work::Command {
                flight,
                command,
                ttl,
                value,
            } => (flight, command, ttl, value),
            Work::Revalidate(keys) => return self.revalidate(keys),
        };
        let store = Arc::clone(&self.hub.store);
        let asked = Instant::now();
        match command {
            Command::Claim { attempt, seen } => {
                let request = ClaimRequest {
                    key: Arc::clone(&flight.key.key),
                    lock: flight.key.lock(),
                    ttl,
                    seen,
                    holder: self.hub.holder.clone(),
                    attempt: self.attempt_id(flight.number, attempt),
                };
                let claim = bounded(store.claim(request));
                self.request(async move { Answer::Claim(flight, attempt, asked, claim.await) });
            }
            Command::Renew { attempt, token } => {
                let renew = bounded(store.renew(lease_id(&flight.key, token), ttl));
                self.request(async move { Answer::Renew(flight, attempt, renew.await) });
            }
            Command::Publish { attempt, token } => {
                let Some((bytes, retain)) = value else {
                    // INVARIANT: the value of a fill stays on its desk until the flight retires.
                    return self
                        .hub
                        .failed(flight, attempt, StoreError::unavailable("no value"));
                };
                let lease = lease_id(&flight.key, token);
                let key = Arc::clone(&flight.key.key);
                let publish = bounded(store.publish(lease, key, bytes, retain));
                self.request(async move { Answer::Publish(flight, attempt, token, publish.await) });
            }
            Command::Release { attempt, token } => {
                let release = bounded(store.release(lease_id(&flight.key, token)));
                self.request(async move { Answer::Release(flight, attempt, release.await) });
            }
            Command::Put { seen } => {
                let (bytes, retain): (Bytes, _) = value.unwrap_or_default();
                let put = bounded(store.put(Arc::clone(&flight.key.key), bytes, retain, seen));
                self.request(async move {
                    drop(put.await);
                    Answer::Done
                });
            }
            Command::Watch => {
                let (key, lock) = (Arc::clone(&flight.key.key), flight.key.lock());
                let watched = flight.clone();
                let hub = Arc::downgrade(&self.hub);
                let watcher = move |event| {
                    if let Some(hub) = hub.upgrade() {
                        hub.watched(watched.clone(), event);
                    }
                };
                let watch = store.watch(key, lock, Arc::new(watcher));
                drop(self.watches.insert(flight.number, (flight, watch)));
            }
            Command::Unwatch => drop(self.watches.remove(&flight.number)),
            // The hub sees to these itself.
            Command::Fill { .. } | Command::WarnLeaseLost { .. } | Command::Land(_) => {}
        }
    }

    fn request(&self, request: impl Future<Output = Answer> + Send + 'static) {
        self.requests.push(Box::pin(request));
    }

    /// Passes on all answers that have come. After a time without a turn on its thread the pump finds
    /// them together with its timer: what was answered must not be taken for unanswered.
    fn answer_all(&mut self) {
        for _ in 0..self.requests.len() {
            // The budget of this turn may be spent, and then whatever is asked seems unanswered.
            match unconstrained(self.requests.next()).now_or_never() {
                Some(Some(answer)) => self.answer(answer),
                Some(None) | None => break,
            }
        }
    }

    fn answer(&self, answer: Answer) {
        let hub = &self.hub;
        match answer {
            Answer::Claim(flight, attempt, asked, Ok(claim)) => match claim {
                Claim::Granted {
                    token,
                    remaining,
                    generation,
                } => hub.answered(
                    flight,
                    Event::LeaseGranted {
                        attempt,
                        token,
                        remaining,
                        generation,
                    },
                ),
                Claim::Held {
                    token, remaining, ..
                } => {
                    let token = Some(token);
                    hub.answered(
                        flight,
                        Event::Held {
                            attempt,
                            token,
                            remaining,
                        },
                    );
                }
                Claim::Newer { entry, latest } => {
                    let key = KeyState {
                        revision: entry.revision,
                        entry: Some(entry),
                    };
                    hub.arrived(flight, Some(attempt), latest, key, asked);
                }
            },
            Answer::Renew(flight, attempt, Ok(renewal)) => hub.answered(
                flight,
                match renewal {
                    Renewal::Renewed => Event::Renewed { attempt },
                    Renewal::Lost => Event::LeaseLost { attempt },
                },
            ),
            Answer::Publish(flight, attempt, token, Ok(publication)) => match publication {
                Publication::Published(revision) => hub.published(flight, attempt, revision, token),
                Publication::Fenced => hub.answered(flight, Event::Fenced { attempt }),
            },
            Answer::Release(flight, attempt, Ok(())) => {
                hub.answered(flight, Event::Released { attempt });
            }
            Answer::Claim(flight, attempt, _, Err(error))
            | Answer::Renew(flight, attempt, Err(error))
            | Answer::Publish(flight, attempt, _, Err(error))
            | Answer::Release(flight, attempt, Err(error)) => hub.failed(flight, attempt, error),
            Answer::Done => {}
        }
    }

    /// After a gap in the change stream: asks for the changes that may have been missed, until the store
    /// has answered for each key: nobody would tell of them again.
    fn revalidate(&self, keys: Vec<Arc<str>>) {
        let hub = Arc::clone(&self.hub);
        self.looks.push(Box::pin(async move {
            for key in keys {
                loop {
                    match bounded(hub.store.read(Arc::clone(&key))).await {
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

    fn attempt_id(&self, flight: u64, attempt: Attempt) -> AttemptId {
        let process = u128::from(self.hub.nonce) << 64;
        AttemptId(process | u128::from(flight << 24) | u128::from(attempt.get() & 0xff_ffff))
    }
}

fn lease_id(names: &Names, token: Token) -> LeaseId {
    let lock = names.lock();
    LeaseId { lock, token }
}

async fn bounded<T>(pending: Pending<T>) -> Result<T, StoreError> {
    match tokio::time::timeout(REQUEST_TIMEOUT, pending).await {
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
