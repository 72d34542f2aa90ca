//! Requests to the store, and what comes of them.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::task::noop_waker_ref;
use oneflight_core::{Attempt, Command, Event, FlightId};
use oneflight_store::{
    AttemptId, Claim, ClaimRequest, KeyState, LeaseId, Publication, PutOutcome, Renewal,
    StoreError, Token,
};
use oneflight_trace::{Digest, Request, nanos};

use crate::hub::{Errand, Hub, Names};
use crate::observe::{Sighting, StoreCall};
use crate::recorder;

/// A request under way.
pub(crate) type Underway = BoxFuture<'static, Answer>;

/// What came of a request.
pub(crate) enum Answer {
    Claim(FlightId<Names>, Attempt, Instant, Result<Claim, StoreError>),
    Renew(FlightId<Names>, Attempt, Result<Renewal, StoreError>),
    Publish(
        FlightId<Names>,
        Attempt,
        Token,
        Result<Publication, StoreError>,
    ),
    Release(FlightId<Names>, Attempt, Result<(), StoreError>),
    Put(FlightId<Names>, Result<PutOutcome, StoreError>),
    /// Nobody waits for it.
    Nothing,
}

impl Hub {
    /// Sends what is in the outbox from the caller's own task, so that it does not have to wait for
    /// the pump's turn. What the store does not answer on the spot the pump waits for.
    pub(crate) fn send_off(self: &Arc<Self>) {
        loop {
            let errands = self.take_errands();
            if errands.is_empty() {
                return;
            }
            for errand in errands {
                let mut request = self.request(errand);
                // The pump polls it again with a waker of its own.
                let mut cx = Context::from_waker(noop_waker_ref());
                match request.as_mut().poll(&mut cx) {
                    Poll::Ready(answer) => self.answer(answer),
                    Poll::Pending => self.hand_over(request),
                }
            }
        }
    }

    /// Sends a command to the store. Never under the hub's mutex: a store may carry it out in place,
    /// and tell its watchers.
    pub(crate) fn request(&self, errand: Errand) -> Underway {
        let Errand {
            flight,
            command,
            ttl,
            value,
            patience: _,
        } = errand;
        let (store, names, number) = (&self.store, &flight.key, Some(flight.number));
        let key = Arc::clone(&names.key);
        let asked = self.clock.read();
        let digest = || {
            value
                .as_ref()
                .map_or(Digest(0), |(bytes, _)| Digest::of(bytes))
        };
        match command {
            Command::Claim { attempt, seen } => {
                let request = || Request::Claim {
                    attempt,
                    seen,
                    ttl: nanos(ttl),
                };
                let claim = self.ask(names, number, request, recorder::claimed, || {
                    store.claim(ClaimRequest {
                        key,
                        lock: names.lock(),
                        ttl,
                        seen,
                        holder: self.holder.clone(),
                        attempt: self.attempt_id(flight.number, attempt),
                    })
                });
                Box::pin(async move { Answer::Claim(flight, attempt, asked, claim.await) })
            }
            Command::Renew { attempt, token } => {
                let request = || Request::Renew {
                    token,
                    ttl: nanos(ttl),
                };
                let renew = self.ask(names, number, request, recorder::renewed, || {
                    store.renew(lease_id(names, token), ttl)
                });
                Box::pin(async move { Answer::Renew(flight, attempt, renew.await) })
            }
            Command::Publish { attempt, token } => {
                let request = || Request::Publish {
                    token,
                    digest: digest(),
                };
                let publish = self.ask(names, number, request, recorder::published, || {
                    let (bytes, retain) = value.clone().unwrap_or_default();
                    store.publish(lease_id(names, token), key, bytes, retain)
                });
                Box::pin(async move { Answer::Publish(flight, attempt, token, publish.await) })
            }
            Command::Release { attempt, token } => {
                let request = || Request::Release { token };
                let release = self.ask(names, number, request, recorder::released, || {
                    store.release(lease_id(names, token))
                });
                Box::pin(async move { Answer::Release(flight, attempt, release.await) })
            }
            Command::Put { seen } => {
                let request = || Request::Put {
                    seen,
                    digest: digest(),
                };
                let put = self.ask(names, number, request, recorder::put, || {
                    let (bytes, retain) = value.clone().unwrap_or_default();
                    store.put(key, bytes, retain, seen)
                });
                Box::pin(async move { Answer::Put(flight, put.await) })
            }
            Command::Watch
            | Command::Unwatch
            | Command::Fill { .. }
            | Command::WarnLeaseLost { .. }
            | Command::Land(_) => Box::pin(std::future::ready(Answer::Nothing)),
        }
    }

    /// Tells the machine what came of a request.
    pub(crate) fn answer(self: &Arc<Self>, answer: Answer) {
        match answer {
            Answer::Claim(flight, attempt, asked, Ok(claim)) => match claim {
                Claim::Granted {
                    token,
                    remaining,
                    generation,
                } => {
                    self.saw(&Sighting::Granted {
                        names: flight.key.clone(),
                        token,
                        generation,
                        remaining,
                    });
                    self.answered(
                        flight,
                        Event::LeaseGranted {
                            attempt,
                            token,
                            remaining,
                            generation,
                        },
                    );
                }
                Claim::Held {
                    token, remaining, ..
                } => {
                    let token = Some(token);
                    self.answered(
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
                    self.arrived(flight, Some(attempt), latest, key, asked);
                }
            },
            Answer::Renew(flight, attempt, Ok(renewal)) => self.answered(
                flight,
                match renewal {
                    Renewal::Renewed => Event::Renewed { attempt },
                    Renewal::Lost => Event::LeaseLost { attempt },
                },
            ),
            Answer::Publish(flight, attempt, token, Ok(publication)) => match publication {
                Publication::Published(revision) => {
                    self.published(flight, attempt, revision, token)
                }
                Publication::Fenced => {
                    let names = flight.key.clone();
                    self.saw(&Sighting::Fenced { names, token });
                    self.answered(flight, Event::Fenced { attempt });
                }
            },
            Answer::Release(flight, attempt, Ok(())) => {
                self.answered(flight, Event::Released { attempt });
            }
            Answer::Claim(flight, attempt, _, Err(error)) => {
                self.failed(flight, attempt, StoreCall::Claim, error);
            }
            Answer::Renew(flight, attempt, Err(error)) => {
                self.failed(flight, attempt, StoreCall::Renew, error);
            }
            Answer::Publish(flight, attempt, _, Err(error)) => {
                self.failed(flight, attempt, StoreCall::Publish, error);
            }
            Answer::Release(flight, attempt, Err(error)) => {
                self.failed(flight, attempt, StoreCall::Release, error);
            }
            Answer::Put(flight, Err(error)) => self.saw(&Sighting::Failed {
                names: flight.key,
                call: StoreCall::Put,
                error,
            }),
            Answer::Put(_, Ok(_)) | Answer::Nothing => {}
        }
    }

    fn attempt_id(&self, flight: u64, attempt: Attempt) -> AttemptId {
        let process = u128::from(self.nonce) << 64;
        AttemptId(process | u128::from(flight << 24) | u128::from(attempt.get() & 0xff_ffff))
    }
}

fn lease_id(names: &Names, token: Token) -> LeaseId {
    let lock = names.lock();
    LeaseId { lock, token }
}
