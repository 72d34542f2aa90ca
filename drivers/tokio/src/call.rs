//! One call: its options, the local look, the flight.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use oneflight_core::{
    Judgement, OnAbort, OnFenced, OnUnavailable, Outcome, Policy, Unpublished, Verdict,
};
use oneflight_store::{Revision, StoreError, Token};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::copies::Copy;
use crate::freshness::{Always, Freshness, When};
use crate::handle::Handle;
use crate::hub::{Failure, Filled, Landed, Mail, Names};
use crate::value::{Arrived, Times, Value};
use crate::{Error, Landing, Lease, SingleFlight, Source};

/// What a caller may choose.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    lease_ttl: Option<Duration>,
    wait_timeout: Option<Duration>,
    store_timeout: Option<Duration>,
    fill_timeout: Option<Duration>,
    max_age: Option<Duration>,
    local_max_age: Option<Duration>,
    retain: Option<Duration>,
    lock: Option<Arc<str>>,
    on_unavailable: OnUnavailable,
    on_fenced: OnFenced,
    on_abort: OnAbort,
    malformed_is_absent: bool,
}

impl Options {
    fn policy(&self) -> Policy {
        let default = Policy::DEFAULT;
        let lease_ttl = self.lease_ttl.unwrap_or(default.lease_ttl);
        Policy {
            lease_ttl,
            wait_timeout: self
                .wait_timeout
                .unwrap_or(lease_ttl.saturating_add(Duration::from_secs(5))),
            store_timeout: self.store_timeout.unwrap_or(default.store_timeout),
            fill_timeout: self.fill_timeout,
            on_unavailable: self.on_unavailable,
            on_fenced: self.on_fenced,
            on_abort: self.on_abort,
            ..default
        }
    }

    pub(crate) fn store_timeout(&self) -> Duration {
        self.store_timeout.unwrap_or(Policy::DEFAULT.store_timeout)
    }

    /// Whether a copy may be served, as far as its age goes.
    #[inline]
    pub(crate) fn timing(&self, times: Times) -> Timing {
        // Reading the clock is most of what a hit costs: only who cares for the age pays for it.
        if self.max_age.is_none() && self.local_max_age.is_none() {
            return Timing::Good;
        }
        self.timing_now(times)
    }

    fn timing_now(&self, times: Times) -> Timing {
        let (max_age, local) = (self.max_age, self.local_max_age);
        let now = Instant::now();
        if local.is_some_and(|limit| times.unread_for(now) > limit) {
            Timing::TooLongUnread
        } else if max_age.is_some_and(|limit| times.age_at(now) > limit) {
            Timing::TooOld
        } else {
            Timing::Good
        }
    }
}

/// See [`Options::timing`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timing {
    Good,
    /// Older than the caller accepts.
    TooOld,
    /// The caller wants the store to be asked again.
    TooLongUnread,
}

/// A call that is being prepared: made by [`SingleFlight::key`], ended by [`Call::run`].
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is run"]
pub struct Call<'a, P = Always> {
    pub(crate) flights: &'a SingleFlight,
    pub(crate) key: &'a str,
    pub(crate) options: Options,
    pub(crate) fresh: P,
}

impl<'a, P> Call<'a, P> {
    /// How long the lease lives unless renewed: the time after which a dead holder is replaced.
    /// Default 30 s. It is renewed at a third of this for as long as the fill takes.
    pub fn lease_ttl(mut self, ttl: Duration) -> Self {
        self.options.lease_ttl = Some(ttl);
        self
    }

    /// How long to wait for somebody else's fill. Default `lease_ttl` + 5 s. Zero asks once and never
    /// waits. The call's own fill may take longer.
    pub fn wait_timeout(mut self, timeout: Duration) -> Self {
        self.options.wait_timeout = Some(timeout);
        self
    }

    /// How long the store may take to answer before it counts as unreachable. Default 5 s.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.options.store_timeout = Some(timeout);
        self
    }

    /// How long the call's own fill may hold the lease. After that the fill is warned
    /// ([`Lease::lost`]) and the lease lapses, so that another can take over. Default: no limit.
    pub fn fill_timeout(mut self, timeout: Duration) -> Self {
        self.options.fill_timeout = Some(timeout);
        self
    }

    /// Accept a value that was published no longer than this before the call began, by the store's
    /// clock. Default: however old. Zero shares only fills that end while the call waits.
    pub fn fresh_for(mut self, age: Duration) -> Self {
        self.options.max_age = Some(age);
        self
    }

    /// Accept a value if the predicate says so; together with [`Call::fresh_for`] if both do.
    ///
    /// A value whose fill began after this call did is accepted whatever the predicate says: filling
    /// again would give nothing fresher. The predicate runs in the caller's task.
    pub fn fresh<V, Q: Fn(&V) -> bool>(self, predicate: Q) -> Call<'a, When<Q>> {
        Call {
            flights: self.flights,
            key: self.key,
            options: self.options,
            fresh: When(predicate),
        }
    }

    /// Serve this process's copy of a value for no longer than this without asking the store.
    /// Default: for as long as the store tells of no change.
    pub fn local_max_age(mut self, age: Duration) -> Self {
        self.options.local_max_age = Some(age);
        self
    }

    /// How long the store keeps the published value. Default: for good.
    pub fn retain(mut self, retain: Duration) -> Self {
        self.options.retain = Some(retain);
        self
    }

    /// The lock key. Default `_dust:sf/` and the key.
    pub fn lock_key(mut self, lock: &str) -> Self {
        self.options.lock = Some(lock.into());
        self
    }

    /// What to do when the store cannot be reached. Default: run the fill without it.
    pub fn on_unavailable(mut self, choice: OnUnavailable) -> Self {
        self.options.on_unavailable = choice;
        self
    }

    /// What to do when the fill was overtaken. Default: ride the newer value.
    pub fn on_fenced(mut self, choice: OnFenced) -> Self {
        self.options.on_fenced = choice;
        self
    }

    /// What to do when the fill of another caller in this process fails. Default: share its error.
    pub fn on_abort(mut self, choice: OnAbort) -> Self {
        self.options.on_abort = choice;
        self
    }

    /// Treat a value that does not decode as absent, and fill again. Default: an error.
    pub fn malformed_as_absent(mut self) -> Self {
        self.options.malformed_is_absent = true;
        self
    }

    fn names(&self) -> Names {
        Names {
            key: self.key.into(),
            lock: self.options.lock.clone(),
        }
    }

    /// Gets a fresh value: from this process's copies, from the store, from somebody else's fill that
    /// is under way, or by running `fill`.
    ///
    /// The fill runs in this task, under a lease that is renewed meanwhile by the driver's task. `Ok`
    /// publishes the value to all, `Err` publishes nothing. It may be called again after it was
    /// overtaken, so it is to be idempotent, and what it returns is to be small: a pointer to the
    /// bytes rather than the bytes.
    ///
    /// **Cancellation.** The future may be dropped at any moment: a lease in hand goes to the next
    /// caller of this process who waits for the key, or is released.
    ///
    /// **Panics.** A panic of the fill releases the lease and goes on in this task. Needs a tokio
    /// runtime with its timer enabled. On a current-thread runtime a fill that blocks the thread
    /// blocks the renewals, too: run it in `spawn_blocking`.
    ///
    /// # Errors
    ///
    /// Each of [`Error`]'s, which say what to do.
    pub async fn run<V, E, F, Fut>(&self, fill: F) -> Result<Landing<V>, Error<V, E>>
    where
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
        E: Send + Sync + 'static,
        F: FnMut(Lease) -> Fut,
        Fut: Future<Output = Result<V, E>>,
        P: Freshness<V>,
    {
        match self.look_local() {
            Look::Fresh(found) => Ok(found.cached()),
            // Boxed, so that a hit does not carry the whole flight around.
            Look::Stale(known) => Box::pin(self.fly(known, fill)).await,
        }
    }

    /// A handle for a key that is wanted often: its fresh hit costs no look-up.
    pub fn handle<V>(self) -> Handle<V, P>
    where
        V: Send + Sync + 'static,
    {
        Handle::new(self)
    }

    /// The value as it stands, without filling: from this process's copies or from the store; `None`
    /// if there is none that is fresh.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`], [`Error::Refused`], [`Error::Malformed`]. Cancel-safe.
    pub async fn get<V>(&self) -> Result<Option<Landing<V>>, Error<V, std::convert::Infallible>>
    where
        V: DeserializeOwned + Send + Sync + 'static,
        P: Freshness<V>,
    {
        if let Look::Fresh(found) = self.look_local() {
            return Ok(Some(found.cached()));
        }
        let hub = self.flights.hub();
        let read = hub.store.read(self.key.into());
        let state = self
            .bounded(read)
            .await
            .map_err(|error| self.store_error(error))?;
        let Some(entry) = state.entry else {
            return Ok(None);
        };
        let arrived = Arrived::new(entry);
        match arrived.value.decode() {
            Ok(value) => {
                let candidate = Candidate::new(value, &arrived);
                let age = arrived.times.age_when_read();
                Ok(self
                    .accepts(&candidate.value, age)
                    .then(|| candidate.cached()))
            }
            Err(_) if self.options.malformed_is_absent => Ok(None),
            Err(error) => Err(self.malformed(error)),
        }
    }

    /// Removes the value and voids the fill under way, here and in every other process: what was
    /// computed from the old data cannot come back. Answers the key's revision.
    ///
    /// # Errors
    ///
    /// What the store says. Not cancel-safe in one respect: a dropped call may or may not have
    /// happened.
    pub async fn forget(&self) -> Result<Revision, StoreError> {
        let names = self.names();
        let lock = names.lock();
        let hub = self.flights.hub();
        let revision = self
            .bounded(hub.store.forget(Arc::clone(&names.key), lock))
            .await?;
        hub.copies.outdate(self.key, revision);
        Ok(revision)
    }

    async fn bounded<T>(&self, pending: oneflight_store::Pending<T>) -> Result<T, StoreError> {
        let timeout = self.options.store_timeout();
        match tokio::time::timeout(timeout, pending).await {
            Ok(answer) => answer,
            Err(_) => Err(no_answer(timeout)),
        }
    }

    /// The look at this process's copies: no lock across an await, no store.
    #[inline]
    pub(crate) fn look_local<V>(&self) -> Look<V>
    where
        V: Send + Sync + 'static,
        P: Freshness<V>,
    {
        match self.flights.hub().copies.get(self.key) {
            Some(copy) => self.look_at(copy),
            None => Look::Stale(None),
        }
    }

    #[inline]
    pub(crate) fn look_at<V>(&self, copy: Copy) -> Look<V>
    where
        V: Send + Sync + 'static,
        P: Freshness<V>,
    {
        let Ok(value) = copy.value.downcast::<V>() else {
            return Look::Stale(None); // Kept as another type: the store's bytes tell.
        };
        let candidate = Candidate {
            value,
            revision: copy.revision,
            token: copy.token,
        };
        match self.options.timing(copy.times) {
            Timing::Good => {}
            Timing::TooLongUnread => return Look::Stale(None),
            Timing::TooOld => return Look::Stale(Some(candidate)),
        }
        if self.fresh.is_fresh(&candidate.value) {
            Look::Fresh(candidate)
        } else {
            Look::Stale(Some(candidate))
        }
    }

    fn accepts<V>(&self, value: &V, age: Duration) -> bool
    where
        P: Freshness<V>,
    {
        self.options.max_age.is_none_or(|limit| age <= limit) && self.fresh.is_fresh(value)
    }

    /// The way of a call that has no fresh copy.
    async fn fly<V, E, F, Fut>(
        &self,
        mut candidate: Option<Candidate<V>>,
        mut fill: F,
    ) -> Result<Landing<V>, Error<V, E>>
    where
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
        E: Send + Sync + 'static,
        F: FnMut(Lease) -> Fut,
        Fut: Future<Output = Result<V, E>>,
        P: Freshness<V>,
    {
        let started = Instant::now();
        let hub = self.flights.ready();
        loop {
            let known = candidate
                .as_ref()
                .map_or(Verdict::UNKNOWN, Candidate::stale);
            let mut seat = hub.board(self.names(), self.options.policy(), known);
            let mut computed = None;
            let mut malformed = None;
            let landed = loop {
                match poll_fn(|cx| seat.poll_mail(cx)).await {
                    Mail::Judge(arrived) => {
                        let (judgement, judged) = self.judge(&arrived, started);
                        match judged {
                            Ok(judged) => candidate = judged,
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
                        // The pump may have been put into this worker's own slot, from where no other
                        // worker can take it: it must have run before a fill blocks this thread.
                        tokio::task::yield_now().await;
                        let fill = AssertUnwindSafe(async { fill(lease).await }).catch_unwind();
                        let filled = match aboard(&mut seat, fill).await {
                            Ok(Ok(value)) => match Value::encode(&value) {
                                Ok((value, decoded)) => {
                                    computed = Some(decoded);
                                    let (value, retain) = (Arc::new(value), self.options.retain);
                                    Filled::Value { value, retain }
                                }
                                Err(error) => {
                                    Filled::Failed(Failure::Codec(error.to_string().into()))
                                }
                            },
                            Ok(Err(error)) => Filled::Failed(Failure::Error(Arc::new(error))),
                            Err(panic) => {
                                seat.fill_done(flight, attempt, Filled::Panicked);
                                resume_unwind(panic);
                            }
                        };
                        seat.fill_done(flight, attempt, filled);
                    }
                    Mail::Land(landed) => break landed,
                }
            };
            drop(seat);
            match self.landing(landed, candidate.take(), computed, malformed) {
                Some(result) => return result,
                // Another caller's error is of a type this one cannot share: fly on alone.
                None => continue,
            }
        }
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
                (judgement, Ok(Some(Candidate::new(value, arrived))))
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
        let cause = || {
            let timeout = self.options.store_timeout();
            landed.cause.clone().unwrap_or_else(|| no_answer(timeout))
        };
        let found = |revision, source, stale| {
            let judged = candidate.filter(|candidate| candidate.revision == revision);
            match (judged, &landed.arrived) {
                (Some(candidate), _) => Ok(candidate.land(source, stale)),
                (None, Some(arrived)) => match arrived.value.decode() {
                    Ok(value) => Ok(Candidate::new(value, arrived).land(source, stale)),
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
            Outcome::Unavailable => Err(Error::Unavailable(cause())),
            Outcome::Refused => Err(Error::Refused(cause())),
            Outcome::Malformed => Err(match malformed {
                Some(error) => self.malformed(error),
                None => self.store_error(cause()),
            }),
            Outcome::Unpublished { cause: why } => Err(Error::Unpublished {
                value: computed?,
                cause: match why {
                    Unpublished::Unavailable
                    | Unpublished::Refused
                    | Unpublished::Malformed
                    | _ => cause(),
                },
            }),
            // INVARIANT: this driver is released with its machine, whose outcomes these are.
            _ => Err(Error::TimedOut),
        })
    }

    fn malformed<V, E>(&self, error: serde_json::Error) -> Error<V, E> {
        Error::Malformed {
            key: self.key.into(),
            reason: error.to_string().into(),
        }
    }

    fn store_error<V, E>(&self, error: StoreError) -> Error<V, E> {
        match error {
            StoreError::Refused(_) => Error::Refused(error),
            StoreError::Malformed { key, reason } => Error::Malformed { key, reason },
            StoreError::Unavailable(_) | _ => Error::Unavailable(error),
        }
    }
}

/// What the local look gave.
pub(crate) enum Look<V> {
    Fresh(Candidate<V>),
    Stale(Option<Candidate<V>>),
}

/// A decoded value that a caller may land with.
pub(crate) struct Candidate<V> {
    pub(crate) value: Arc<V>,
    revision: Revision,
    token: Option<Token>,
}

impl<V> Clone for Candidate<V> {
    #[inline]
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            revision: self.revision,
            token: self.token,
        }
    }
}

impl<V> Candidate<V> {
    fn new(value: Arc<V>, arrived: &Arrived) -> Self {
        Self {
            value,
            revision: arrived.revision,
            token: arrived.token,
        }
    }

    fn stale(&self) -> Verdict {
        Verdict {
            revision: self.revision,
            token: self.token,
            judgement: Judgement::Stale,
        }
    }

    /// A landing without a flight.
    #[inline]
    pub(crate) fn cached(self) -> Landing<V> {
        self.land(Source::Cached, false)
    }

    #[inline]
    fn land(self, source: Source, stale: bool) -> Landing<V> {
        Landing {
            value: self.value,
            source,
            stale,
            coordinated: true,
            revision: Some(self.revision),
            token: self.token,
        }
    }
}

fn no_answer(timeout: Duration) -> StoreError {
    StoreError::unavailable(format_args!("it did not answer within {timeout:?}"))
}

/// Runs a fill, and stays reachable meanwhile: should the pump's runtime end, this caller's task
/// starts another pump.
async fn aboard<T>(seat: &mut crate::hub::Seat, fill: impl Future<Output = T>) -> T {
    let mut fill = pin!(fill);
    poll_fn(|cx| {
        if let Poll::Ready(result) = fill.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        drop(seat.poll_mail(cx));
        Poll::Pending
    })
    .await
}

impl<'a> Call<'a> {
    #[inline]
    pub(crate) fn new(flights: &'a SingleFlight, key: &'a str) -> Self {
        Self {
            flights,
            key,
            options: Options::default(),
            fresh: Always,
        }
    }
}
