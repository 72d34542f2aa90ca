//! The machine's commands in the contract's words: [`Errand`] and [`News`].

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oneflight_core::{Arrival, Attempt, Command, Event, FlightId, Notice, Revision, Token};

use crate::{
    AttemptId, Claim, ClaimRequest, Entry, Holder, KeyState, LeaseId, LockState, Publication,
    Renewal, Store, StoreError, WatchEvent, blocking,
};

/// A command of [`Flights`](oneflight_core::Flights) that is for the store, and what the store is to
/// be told beside it: for whoever drives the machine without one of the ready-made drivers.
///
/// `Claim`, `Renew`, `Publish`, `Put` and `Release` are for the store; any other command is no errand,
/// and nothing comes of it. `Watch` is [`Store::watch`] with a watcher that tells
/// [`News::watched`].
#[derive(Clone, Debug)]
pub struct Errand<K> {
    /// Whose command it is.
    pub flight: FlightId<K>,
    /// The command.
    pub command: Command,
    /// The key.
    pub key: Arc<str>,
    /// The lock key; [`default_lock`](crate::default_lock) unless all callers agree on another.
    pub lock: Arc<str>,
    /// How long the lease is to live, for a claim or a renewal: the `lease_ttl` of
    /// [`Flights::policy`](oneflight_core::Flights::policy).
    pub ttl: Duration,
    /// What the flight's last fill has computed, for a publish or a put.
    pub value: Bytes,
    /// How long the store keeps the value, for a publish or a put; `None` for good.
    pub retain: Option<Duration>,
    /// Who asks, for a claim.
    pub holder: Holder,
    /// Tells this process from all others, past and present, for a claim: a random number.
    pub process: u64,
}

/// What came of an errand or from a watch: what the machine is to be told, and the value to be kept for
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News<K> {
    /// What the machine is to be told.
    pub notice: Notice<K>,
    /// A value of the key, to be kept before the machine is told unless a newer one is: callers will be
    /// asked to judge it, or land with it.
    pub entry: Option<Entry>,
    /// Why the store did not do it, for the callers who land with that.
    pub error: Option<StoreError>,
}

/// The future of an [`Errand`]; `None` if nobody waits for the answer.
///
/// Dropping it gives up the answer, not the call.
pub type Sent<K> = Pin<Box<dyn Future<Output = Option<News<K>>> + Send>>;

impl<K: Send + 'static> Errand<K> {
    /// Makes the call, and answers the future of what came of it.
    pub fn send(self, store: &(impl Store + ?Sized)) -> Sent<K> {
        let key = Arc::clone(&self.key);
        match self.command {
            Command::Claim { attempt, seen } => {
                let answer = store.claim(self.claim(attempt, seen));
                Box::pin(async move { Some(claimed(self.flight, attempt, answer.await)) })
            }
            Command::Renew { attempt, token } => {
                let answer = store.renew(self.lease(token), self.ttl);
                Box::pin(async move { Some(renewed(self.flight, attempt, answer.await)) })
            }
            Command::Publish { attempt, token } => {
                let value = self.value.clone();
                let answer = store.publish(self.lease(token), key, value, self.retain);
                Box::pin(async move { Some(self.published(attempt, token, answer.await)) })
            }
            Command::Release { attempt, token } => {
                let answer = store.release(self.lease(token));
                Box::pin(async move { Some(released(self.flight, attempt, answer.await)) })
            }
            Command::Put { seen } => {
                let answer = store.put(key, self.value, self.retain, seen);
                Box::pin(async move {
                    drop(answer.await);
                    None
                })
            }
            Command::Watch
            | Command::Unwatch
            | Command::Fill { .. }
            | Command::WarnLeaseLost { .. }
            | Command::Land(_) => Box::pin(ready(None)),
        }
    }
}

impl<K> Errand<K> {
    /// Makes the call in place, and answers what came of it; `None` if nobody waits for the answer.
    pub fn carry_out(self, store: &(impl blocking::Store + ?Sized)) -> Option<News<K>> {
        let key = Arc::clone(&self.key);
        match self.command {
            Command::Claim { attempt, seen } => {
                let answer = store.claim(self.claim(attempt, seen));
                Some(claimed(self.flight, attempt, answer))
            }
            Command::Renew { attempt, token } => {
                let answer = store.renew(self.lease(token), self.ttl);
                Some(renewed(self.flight, attempt, answer))
            }
            Command::Publish { attempt, token } => {
                let value = self.value.clone();
                let answer = store.publish(self.lease(token), key, value, self.retain);
                Some(self.published(attempt, token, answer))
            }
            Command::Release { attempt, token } => {
                let answer = store.release(self.lease(token));
                Some(released(self.flight, attempt, answer))
            }
            Command::Put { seen } => {
                drop(store.put(key, self.value, self.retain, seen));
                None
            }
            Command::Watch
            | Command::Unwatch
            | Command::Fill { .. }
            | Command::WarnLeaseLost { .. }
            | Command::Land(_) => None,
        }
    }

    fn claim(&self, attempt: Attempt, seen: Revision) -> ClaimRequest {
        ClaimRequest {
            key: Arc::clone(&self.key),
            lock: Arc::clone(&self.lock),
            ttl: self.ttl,
            seen,
            holder: self.holder.clone(),
            attempt: AttemptId::new(self.process, self.flight.number, attempt),
        }
    }

    fn lease(&self, token: Token) -> LeaseId {
        let lock = Arc::clone(&self.lock);
        LeaseId { lock, token }
    }

    fn published(
        self,
        attempt: Attempt,
        token: Token,
        answer: Result<Publication, StoreError>,
    ) -> News<K> {
        match answer {
            Ok(Publication::Published(revision)) => {
                let event = Event::Published { attempt, revision };
                let entry = Entry {
                    value: self.value,
                    revision,
                    token: Some(token),
                    age: Duration::ZERO,
                };
                News {
                    entry: Some(entry),
                    ..News::answered(self.flight, event)
                }
            }
            Ok(Publication::Fenced) => News::answered(self.flight, Event::Fenced { attempt }),
            Err(error) => News::failed(self.flight, attempt, error),
        }
    }
}

impl<K> News<K> {
    /// What a watch tells the flight that opened it. A watch that tells of its own end is closed for
    /// the machine: whoever holds its subscription is to drop it.
    #[must_use]
    pub fn watched(flight: FlightId<K>, event: WatchEvent) -> Self {
        match event {
            WatchEvent::Key(state) => Self::arrived(flight, None, None, state),
            WatchEvent::Lock(LockState::Free) => Self::answered(flight, Event::LockReleased),
            WatchEvent::Lock(LockState::Held { remaining, .. }) => {
                Self::answered(flight, Event::LockHeld { remaining })
            }
            WatchEvent::Ended(error) => {
                let event = match error {
                    StoreError::Refused(_) => Event::WatchRefused,
                    StoreError::Unavailable(_) | StoreError::Malformed { .. } => Event::WatchLost,
                };
                Self {
                    error: Some(error),
                    ..Self::answered(flight, event)
                }
            }
        }
    }

    fn answered(flight: FlightId<K>, event: Event) -> Self {
        Self {
            notice: Notice::Answered { flight, event },
            entry: None,
            error: None,
        }
    }

    fn arrived(
        flight: FlightId<K>,
        attempt: Option<Attempt>,
        latest: Option<Token>,
        state: KeyState,
    ) -> Self {
        let arrival = Arrival {
            revision: state.revision,
            token: state.entry.as_ref().and_then(|entry| entry.token),
            value: state.entry.is_some(),
        };
        Self {
            notice: Notice::Arrived {
                flight,
                attempt,
                latest,
                arrival,
            },
            entry: state.entry,
            error: None,
        }
    }

    fn failed(flight: FlightId<K>, attempt: Attempt, error: StoreError) -> Self {
        let event = match error {
            StoreError::Unavailable(_) => Event::Unavailable { attempt },
            StoreError::Refused(_) => Event::Refused { attempt },
            StoreError::Malformed { .. } => Event::Malformed { attempt },
        };
        Self {
            error: Some(error),
            ..Self::answered(flight, event)
        }
    }
}

fn claimed<K>(flight: FlightId<K>, attempt: Attempt, answer: Result<Claim, StoreError>) -> News<K> {
    let event = match answer {
        Ok(Claim::Granted {
            token,
            remaining,
            generation,
        }) => Event::LeaseGranted {
            attempt,
            token,
            remaining,
            generation,
        },
        Ok(Claim::Held {
            token, remaining, ..
        }) => Event::Held {
            attempt,
            token: Some(token),
            remaining,
        },
        Ok(Claim::Newer { entry, latest }) => {
            let state = KeyState {
                revision: entry.revision,
                entry: Some(entry),
            };
            return News::arrived(flight, Some(attempt), latest, state);
        }
        Err(error) => return News::failed(flight, attempt, error),
    };
    News::answered(flight, event)
}

fn renewed<K>(
    flight: FlightId<K>,
    attempt: Attempt,
    answer: Result<Renewal, StoreError>,
) -> News<K> {
    match answer {
        Ok(Renewal::Renewed) => News::answered(flight, Event::Renewed { attempt }),
        Ok(Renewal::Lost) => News::answered(flight, Event::LeaseLost { attempt }),
        Err(error) => News::failed(flight, attempt, error),
    }
}

fn released<K>(flight: FlightId<K>, attempt: Attempt, answer: Result<(), StoreError>) -> News<K> {
    match answer {
        Ok(()) => News::answered(flight, Event::Released { attempt }),
        Err(error) => News::failed(flight, attempt, error),
    }
}
