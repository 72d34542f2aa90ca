//! One call: its options, the local look, and what it asks the store without a flight.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oneflight_store::{Change, Revision, StoreError};
use oneflight_trace::Request;
use serde::de::DeserializeOwned;
use tracing::Instrument as _;

use crate::candidate::{Candidate, Look};
use crate::copies::Copy;
use crate::error::Error;
use crate::freshness::{Always, Freshness, When};
use crate::handle::Handle;
use crate::hub::Names;
use crate::landing::Landing;
use crate::observe::Journey;
use crate::options::{Options, Timing};
use crate::recorder::forgotten;
use crate::shared::Shared;
use crate::value::Arrived;

/// A call that is being prepared: what a driver's own `Call` is made around.
#[derive(Clone, Debug)]
pub struct Call<'a, P = Always> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) key: &'a str,
    /// What the caller has chosen so far.
    pub options: Options,
    pub(crate) fresh: P,
}

impl<'a, P> Call<'a, P> {
    /// The same call, but only what satisfies the predicate is fresh.
    pub fn fresh<Q>(self, predicate: Q) -> Call<'a, When<Q>> {
        Call {
            shared: self.shared,
            key: self.key,
            options: self.options,
            fresh: When(predicate),
        }
    }

    /// A handle for the key.
    pub fn handle<V>(self) -> Handle<V, P>
    where
        V: Send + Sync + 'static,
    {
        Handle::new(self)
    }

    pub(crate) fn names(&self) -> Names {
        Names {
            key: self.key.into(),
            lock: self.options.lock.clone(),
        }
    }

    /// The value as it stands in the store, without filling; `None` if there is none that is fresh.
    /// The driver gives up on it after [`Options::store_timeout`].
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`], [`Error::Refused`], [`Error::Malformed`]. Cancel-safe.
    pub fn read<V>(&self) -> impl Future<Output = Result<Option<Landing<V>>, Error<V, Infallible>>>
    where
        V: DeserializeOwned + Send + Sync + 'static,
        P: Freshness<V>,
    {
        let hub = self.shared.hub();
        // Not when it is first polled: whether the driver has given it up shows by the time it took.
        let asked = hub.clock.read();
        let journey = Journey::begin(hub, self.key, asked).bounded(self.options.store_timeout());
        let span = journey.span();
        async move {
            let mut journey = journey;
            let read = self.look_at_store(asked).await;
            match &read {
                Ok(None) => journey.found_nothing(),
                Ok(Some(landing)) => journey.landed(Ok::<_, &Error<V, Infallible>>(landing)),
                Err(error) => journey.landed(Err(error)),
            }
            read
        }
        .instrument(span)
    }

    async fn look_at_store<V>(
        &self,
        asked: Instant,
    ) -> Result<Option<Landing<V>>, Error<V, Infallible>>
    where
        V: DeserializeOwned + Send + Sync + 'static,
        P: Freshness<V>,
    {
        let hub = self.shared.hub();
        let state = hub.read(&self.names()).await;
        let state = state.map_err(|error| self.store_error(error))?;
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

    /// Removes the value and voids the fill under way; answers the key's revision. The driver gives up
    /// on it after [`Options::store_timeout`].
    ///
    /// # Errors
    ///
    /// What the store says. Not cancel-safe in one respect: a dropped call may or may not have
    /// happened.
    pub async fn forget(&self) -> Result<Revision, StoreError> {
        let names = self.names();
        let hub = self.shared.hub();
        let forget = || hub.store.forget(Arc::clone(&names.key), names.lock());
        let request = || Request::Forget;
        let revision = hub.ask(&names, None, request, forgotten, forget).await?;
        // Not only the copy: a value that is being judged just now must not become one either.
        let key = names.key;
        hub.changed(Change::Moved { key, revision });
        Ok(revision)
    }

    pub(crate) fn accepts<V>(&self, value: &V, age: Duration) -> bool
    where
        P: Freshness<V>,
    {
        self.options.max_age.is_none_or(|limit| age <= limit) && self.fresh.is_fresh(value)
    }

    /// The look at this process's copies: never waits, never asks the store.
    #[inline]
    pub fn look_local<V>(&self) -> Look<V>
    where
        V: Send + Sync + 'static,
        P: Freshness<V>,
    {
        match self.shared.hub().copies.get(self.key) {
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
        match self.options.timing(copy.times, &self.shared.hub().clock) {
            Timing::Good => {}
            Timing::TooLongUnread => return Look::Stale(None),
            Timing::TooOld => return Look::Stale(Some(candidate)),
        }
        if self.fresh.is_fresh(&candidate.value) {
            self.shared.hit(
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
    /// For this key, with the defaults.
    #[inline]
    pub fn new(shared: &'a Arc<Shared>, key: &'a str) -> Self {
        Self {
            shared,
            key,
            options: Options::default(),
            fresh: Always,
        }
    }
}
