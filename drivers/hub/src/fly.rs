//! The way of a call that has no fresh copy: aboard a flight until it lands.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use oneflight_core::{FillResult, Judgement, OnAbort, Outcome, Unpublished, Verdict};
use oneflight_store::StoreError;
use oneflight_trace::Digest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::Instrument as _;

use crate::call::Call;
use crate::candidate::Candidate;
use crate::error::Error;
use crate::freshness::Freshness;
use crate::hub::{Failure, Filled, Hub, Landed, Mail, Seat};
use crate::landing::{Landing, Source};
use crate::lease::Lease;
use crate::observe::Journey;
use crate::value::{Arrived, Value};

impl<P> Call<'_, P> {
    /// The way of a call that has no fresh copy: see the driver's `Call::run`. `before_fill` is awaited
    /// before each fill.
    ///
    /// # Errors
    ///
    /// Each of [`Error`]'s. Cancel-safe.
    ///
    /// # Panics
    ///
    /// If the fill does, once its lease is given up.
    pub async fn fly<V, E, F, Fut, W>(
        &self,
        candidate: Option<Candidate<V>>,
        before_fill: fn() -> W,
        fill: F,
    ) -> Result<Landing<V>, Error<V, E>>
    where
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
        E: Send + Sync + 'static,
        F: FnMut(Lease) -> Fut,
        Fut: Future<Output = Result<V, E>>,
        W: Future<Output = ()>,
        P: Freshness<V>,
    {
        let hub = self.shared.ready();
        let started = hub.clock.read();
        let mut journey = Journey::begin(hub, self.key, started);
        let span = journey.span();
        let flown = async move {
            let flown = self.fly_on(candidate, before_fill, fill, started, &mut journey);
            let landed = flown.await;
            journey.landed(landed.as_ref());
            landed
        };
        flown.instrument(span).await
    }

    async fn fly_on<V, E, F, Fut, W>(
        &self,
        mut candidate: Option<Candidate<V>>,
        before_fill: fn() -> W,
        mut fill: F,
        started: Instant,
        journey: &mut Journey<'_>,
    ) -> Result<Landing<V>, Error<V, E>>
    where
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
        E: Send + Sync + 'static,
        F: FnMut(Lease) -> Fut,
        Fut: Future<Output = Result<V, E>>,
        W: Future<Output = ()>,
        P: Freshness<V>,
    {
        let hub = self.shared.hub();
        let mut policy = self.options.policy();
        loop {
            let known = candidate
                .as_ref()
                .map_or(Verdict::UNKNOWN, Candidate::stale);
            let takes_any = self.takes_any::<V>();
            let freshness = self.options.freshness(!self.fresh.takes_any());
            let mut seat = hub.board(self.names(), policy, known, takes_any, freshness);
            let mut replaced = None;
            let mut computed = None;
            let mut computed_digest = None;
            let mut malformed = None;
            let landed = loop {
                let mail = match poll_fn(|cx| seat.poll_mail(cx)).await {
                    Ok(mail) => mail,
                    Err(cause) => {
                        return Err(match computed {
                            Some(value) => Error::Unpublished { value, cause },
                            None => Error::Unavailable(cause),
                        });
                    }
                };
                match mail {
                    Mail::Judge(arrived) => {
                        let (judgement, judged) = self.judge(&arrived, started);
                        match judged {
                            Ok(judged) => replaced = std::mem::replace(&mut candidate, judged),
                            Err(error) => malformed = Some(error),
                        }
                        seat.judged(Verdict {
                            revision: arrived.revision,
                            token: arrived.token,
                            judgement,
                        });
                    }
                    Mail::Fill {
                        flight,
                        attempt,
                        lease,
                    } => {
                        before_fill().await;
                        seat.fill_begins(&flight, attempt, &lease);
                        journey.fill_began(&lease);
                        let fill = AssertUnwindSafe(async { fill(lease).await }).catch_unwind();
                        let filled = match aboard(&seat, fill).await {
                            Ok(Ok(value)) => match Value::encode(&value) {
                                Ok((value, decoded)) => {
                                    computed = Some(decoded);
                                    computed_digest = Some(hub.digest(&value));
                                    let (value, retain) = (Arc::new(value), self.options.retain);
                                    Filled::Value { value, retain }
                                }
                                Err(error) => {
                                    Filled::Failed(Failure::Codec(error.to_string().into()))
                                }
                            },
                            Ok(Err(error)) => Filled::Failed(Failure::Error(Arc::new(error))),
                            Err(panic) => {
                                journey.fill_ended(FillResult::Panic);
                                seat.fill_done(flight, attempt, Filled::Panicked);
                                resume_unwind(panic);
                            }
                        };
                        journey.fill_ended(filled.result());
                        seat.fill_done(flight, attempt, filled);
                    }
                    Mail::Land(landed) => break landed,
                }
            };
            let outcome = landed.outcome;
            // The order to land may have been given while this caller judged a newer value.
            let is_meant =
                |one: &Candidate<V>| outcome.revision().is_none_or(|it| it == one.revision);
            let meant = candidate.clone().filter(is_meant);
            let meant = meant.or_else(|| replaced.filter(is_meant));
            let digest = match &hub.recorder {
                Some(_) => digest(hub, &landed, meant.as_ref(), computed_digest),
                None => None,
            };
            let result = self.landing(landed, meant, computed, malformed);
            seat.landed(as_felt(outcome, &result), digest);
            match result {
                Some(result) => return result,
                // Another caller's error is of a type this one cannot share: fly on, for as long as this
                // call meant to wait, and share no more of them.
                None => {
                    policy.on_abort = OnAbort::Promote;
                    let wait = self.options.policy().wait_timeout;
                    policy.wait_timeout =
                        wait.saturating_sub(hub.clock.read().saturating_duration_since(started));
                }
            }
        }
    }

    /// Whether this caller is content with any value that decodes.
    fn takes_any<V>(&self) -> bool
    where
        P: Freshness<V>,
    {
        let options = &self.options;
        options.max_age.is_none() && !options.malformed_is_absent && self.fresh.takes_any()
    }

    /// What this caller thinks of a value; the value itself if it decodes.
    fn judge<V>(
        &self,
        arrived: &Arrived,
        started: Instant,
    ) -> (Judgement, Result<Option<Candidate<V>>, serde_json::Error>)
    where
        V: DeserializeOwned + Send + Sync + 'static,
        P: Freshness<V>,
    {
        match arrived.value.decode() {
            Ok(value) => {
                // What counts is the age when the call began: a value published since is fresh.
                let age = arrived.times.age_at(started);
                let judgement = if self.accepts(&value, age) {
                    Judgement::Fresh
                } else {
                    Judgement::Stale
                };
                (
                    judgement,
                    Ok(Some(Candidate::new(value, arrived, self.shared.hub()))),
                )
            }
            Err(_) if self.options.malformed_is_absent => (Judgement::Absent, Ok(None)),
            Err(error) => (Judgement::Malformed, Err(error)),
        }
    }

    /// Puts an outcome into the caller's words; `None` if the call is to begin again.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the outcomes are all named, and the enum may grow"
    )]
    fn landing<V, E>(
        &self,
        landed: Landed,
        candidate: Option<Candidate<V>>,
        computed: Option<Arc<V>>,
        malformed: Option<serde_json::Error>,
    ) -> Option<Result<Landing<V>, Error<V, E>>>
    where
        V: DeserializeOwned + Send + Sync + 'static,
        E: Send + Sync + 'static,
    {
        let cause = |kind| self.cause(landed.cause.clone(), kind);
        let found = |revision, source, stale| {
            let judged = candidate.filter(|candidate| candidate.revision == revision);
            match (judged, &landed.arrived) {
                (Some(candidate), _) => Ok(candidate.land(source, stale)),
                (None, Some(arrived)) => match arrived.value.decode() {
                    Ok(value) => {
                        Ok(Candidate::new(value, arrived, self.shared.hub()).land(source, stale))
                    }
                    Err(error) => Err(self.malformed(error)),
                },
                // INVARIANT: a revision lands only those who judged it or whose desk it lies on.
                (None, None) => Err(Error::Unavailable(StoreError::unavailable(
                    "the value was gone when it was wanted",
                ))),
            }
        };
        let uncoordinated = |value, source| Landing {
            value,
            source,
            stale: false,
            coordinated: false,
            revision: None,
            token: None,
        };
        Some(match landed.outcome {
            Outcome::Cached { revision, stale } => found(revision, Source::Cached, stale),
            Outcome::Awaited {
                revision: Some(revision),
            } => found(revision, Source::Awaited, false),
            Outcome::Computed {
                revision: Some(revision),
            } => match computed {
                Some(value) => Ok(Landing {
                    value,
                    source: Source::Computed,
                    stale: false,
                    coordinated: true,
                    revision: Some(revision),
                    token: landed.arrived.and_then(|arrived| arrived.token),
                }),
                None => found(revision, Source::Computed, false),
            },
            Outcome::Computed { revision: None } => Ok(uncoordinated(computed?, Source::Computed)),
            Outcome::Awaited { revision: None } => match landed.computed?.decode() {
                Ok(value) => Ok(uncoordinated(value, Source::Awaited)),
                Err(error) => Err(self.malformed(error)),
            },
            Outcome::Aborted => match landed.failure? {
                Failure::Error(error) => Err(Error::Aborted(error.downcast().ok()?)),
                Failure::Codec(reason) => Err(Error::Malformed {
                    key: self.key.into(),
                    reason,
                }),
            },
            Outcome::Panicked => Err(Error::Panicked),
            Outcome::TimedOut => Err(Error::TimedOut),
            Outcome::Fenced => Err(Error::Fenced),
            Outcome::Unavailable => Err(Error::Unavailable(cause(Unpublished::Unavailable))),
            Outcome::Refused => Err(Error::Refused(cause(Unpublished::Refused))),
            Outcome::Malformed => Err(match malformed {
                Some(error) => self.malformed(error),
                None => self.store_error(cause(Unpublished::Malformed)),
            }),
            Outcome::Unpublished { cause: why } => Err(Error::Unpublished {
                value: computed?,
                cause: cause(why),
            }),
            // INVARIANT: this driver is released with its machine, whose outcomes these are.
            _ => Err(Error::TimedOut),
        })
    }

    /// What the store said last, if it is of the kind that the machine speaks of: other requests of the
    /// key may have failed otherwise meanwhile.
    fn cause(&self, last: Option<StoreError>, kind: Unpublished) -> StoreError {
        match (kind, last) {
            (Unpublished::Refused, Some(error @ StoreError::Refused(_)))
            | (Unpublished::Malformed, Some(error @ StoreError::Malformed { .. }))
            | (Unpublished::Unavailable, Some(error @ StoreError::Unavailable(_))) => error,
            (Unpublished::Refused, _) => StoreError::refused("it did not say why"),
            (Unpublished::Malformed, _) => StoreError::Malformed {
                key: self.key.into(),
                reason: "the store did not say why".into(),
            },
            (Unpublished::Unavailable | _, _) => no_answer(self.options.store_timeout()),
        }
    }

    pub(crate) fn malformed<V, E>(&self, error: serde_json::Error) -> Error<V, E> {
        Error::Malformed {
            key: self.key.into(),
            reason: error.to_string().into(),
        }
    }

    pub(crate) fn store_error<V, E>(&self, error: StoreError) -> Error<V, E> {
        match error {
            StoreError::Refused(_) => Error::Refused(error),
            StoreError::Malformed { key, reason } => Error::Malformed { key, reason },
            StoreError::Unavailable(_) | _ => Error::Unavailable(error),
        }
    }
}

/// The digest of the value that a call lands with.
fn digest<V>(
    hub: &Hub,
    landed: &Landed,
    candidate: Option<&Candidate<V>>,
    computed: Option<Digest>,
) -> Option<Digest> {
    let found = |revision| {
        let judged = candidate.filter(|candidate| candidate.revision == revision);
        let arrived = landed.arrived.as_ref();
        judged
            .map(|candidate| candidate.digest)
            .or_else(|| arrived.map(|arrived| hub.digest(&arrived.value)))
    };
    match landed.outcome {
        Outcome::Cached { revision, .. }
        | Outcome::Awaited {
            revision: Some(revision),
        } => found(revision),
        Outcome::Computed { revision } => computed.or_else(|| found(revision?)),
        Outcome::Awaited { revision: None } => {
            landed.computed.as_ref().map(|value| hub.digest(value))
        }
        Outcome::Unpublished { .. } => computed,
        Outcome::Aborted
        | Outcome::Panicked
        | Outcome::TimedOut
        | Outcome::Fenced
        | Outcome::Unavailable
        | Outcome::Refused
        | Outcome::Malformed
        | _ => None,
    }
}

/// The outcome as the caller felt it: what it was to land with may not be of its type.
fn as_felt<V, E>(outcome: Outcome, result: &Option<Result<Landing<V>, Error<V, E>>>) -> Outcome {
    match (outcome, result) {
        (
            Outcome::Cached { .. } | Outcome::Computed { .. } | Outcome::Awaited { .. },
            Some(Err(Error::Malformed { .. })),
        ) => Outcome::Malformed,
        (
            Outcome::Cached { .. } | Outcome::Computed { .. } | Outcome::Awaited { .. },
            Some(Err(Error::Unavailable(_))),
        ) => Outcome::Unavailable,
        _ => outcome,
    }
}

/// What a store counts as that has not answered in time.
#[must_use]
pub fn no_answer(timeout: Duration) -> StoreError {
    StoreError::unavailable(format_args!("it did not answer within {timeout:?}"))
}

/// Runs a fill, and stays reachable meanwhile: should the pump's runtime end, this caller's task
/// starts another pump. Mail that comes meanwhile is read when the fill is over.
async fn aboard<T>(seat: &Seat, fill: impl Future<Output = T>) -> T {
    let mut fill = pin!(fill);
    poll_fn(|cx| {
        if let Poll::Ready(result) = fill.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        seat.stay(cx);
        Poll::Pending
    })
    .await
}
