//! One call: its options, and the local look.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use oneflight_core::{OnAbort, OnFenced, OnUnavailable};
use oneflight_store::{Change, Revision, StoreError};
use oneflight_trace::Request;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::candidate::{Candidate, Look};
use crate::copies::Copy;
use crate::fly::no_answer;
use crate::freshness::{Always, Freshness, When};
use crate::handle::Handle;
use crate::hub::Names;
use crate::options::{Options, Timing};
use crate::recorder::forgotten;
use crate::value::Arrived;
use crate::{Error, Landing, Lease, SingleFlight};

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
    /// Default 30 s, at least 1 ms. It is renewed at a third of this for as long as the fill takes.
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

    /// How long the store may take to answer before it counts as unreachable. Default 5 s. An answer that
    /// takes more than a minute is not waited for in any case.
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

    /// The lock key. Default `_dust:sf/` and the key. All callers of a key must name the same: two locks
    /// do not exclude one another.
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

    pub(crate) fn names(&self) -> Names {
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
        let asked = Instant::now();
        let names = self.names();
        let read = hub.read(&names);
        let state = self
            .bounded(read)
            .await
            .map_err(|error| self.store_error(error))?;
        let Some(entry) = state.entry else {
            return Ok(None);
        };
        let arrived = Arrived::new(entry, asked);
        match arrived.value.decode() {
            Ok(value) => {
                let candidate = Candidate::new(value, &arrived, hub);
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
            .bounded(hub.ask(
                &names,
                None,
                || Request::Forget,
                forgotten,
                || hub.store.forget(Arc::clone(&names.key), lock),
            ))
            .await?;
        // Not only the copy: a value that is being judged just now must not become one either.
        let key = names.key;
        hub.changed(Change::Moved { key, revision });
        Ok(revision)
    }

    async fn bounded<T>(&self, pending: oneflight_store::Pending<T>) -> Result<T, StoreError> {
        let timeout = self.options.store_timeout();
        match tokio::time::timeout(timeout, pending).await {
            Ok(answer) => answer,
            Err(_) => Err(no_answer(timeout)),
        }
    }

    pub(crate) fn accepts<V>(&self, value: &V, age: Duration) -> bool
    where
        P: Freshness<V>,
    {
        self.options.max_age.is_none_or(|limit| age <= limit) && self.fresh.is_fresh(value)
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
            digest: copy.digest,
        };
        match self.options.timing(copy.times) {
            Timing::Good => {}
            Timing::TooLongUnread => return Look::Stale(None),
            Timing::TooOld => return Look::Stale(Some(candidate)),
        }
        if self.fresh.is_fresh(&candidate.value) {
            self.flights.hit(
                || self.names(),
                || self.options.freshness(!self.fresh.takes_any()),
                &candidate,
            );
            Look::Fresh(candidate)
        } else {
            Look::Stale(Some(candidate))
        }
    }
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
