//! A key that is wanted often.

use std::future::Future;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::candidate::{Candidate, Look};
use crate::freshness::{Always, Freshness};
use crate::options::{Options, Timing};
use crate::value::Times;
use crate::{Error, Landing, Lease, SingleFlight};

/// A key with its options, and with its own way to the value: a fresh hit is one atomic load and one
/// reference count.
///
/// Made by [`Call::handle`]; share it by reference or in an `Arc`.
pub struct Handle<V, P = Always> {
    flights: SingleFlight,
    key: Arc<str>,
    options: Options,
    fresh: P,
    held: ArcSwapOption<Held<V>>,
}

/// A value that is fresh for as long as no copy of the process has changed.
struct Held<V> {
    found: Candidate<V>,
    times: Times,
    epoch: u64,
}

impl<V: Send + Sync + 'static, P> Handle<V, P> {
    pub(crate) fn new(call: Call<'_, P>) -> Self {
        Self {
            flights: call.flights.clone(),
            key: call.key.into(),
            options: call.options,
            fresh: call.fresh,
            held: ArcSwapOption::empty(),
        }
    }

    /// Gets a fresh value: see [`Call::run`].
    ///
    /// # Errors
    ///
    /// Those of [`Call::run`].
    pub async fn run<E, F, Fut>(&self, fill: F) -> Result<Landing<V>, Error<V, E>>
    where
        V: Serialize + DeserializeOwned,
        E: Send + Sync + 'static,
        F: FnMut(Lease) -> Fut,
        Fut: Future<Output = Result<V, E>>,
        P: Freshness<V> + Clone,
    {
        match self.find() {
            Some(found) => Ok(found.cached()),
            // Boxed with its call, so that a hit does not carry them around.
            None => Box::pin(async { self.call().run(fill).await }).await,
        }
    }

    /// The value, if this process has a fresh copy: never waits, never asks the store.
    #[inline]
    pub fn hit(&self) -> Option<Landing<V>>
    where
        P: Freshness<V> + Clone,
    {
        self.find().map(Candidate::cached)
    }

    #[inline]
    fn find(&self) -> Option<Candidate<V>>
    where
        P: Freshness<V> + Clone,
    {
        let epoch = self.flights.hub().copies.epoch();
        if let Some(held) = &*self.held.load()
            && held.epoch == epoch
            && self.options.timing(held.times) == Timing::Good
            && self.fresh.is_fresh(&held.found.value)
        {
            self.flights.hit(
                || self.call().names(),
                || self.options.freshness(!self.fresh.takes_any()),
                &held.found,
            );
            return Some(held.found.clone());
        }
        self.look(epoch)
    }

    /// Looks at the copies, and holds on to what is fresh until the epoch moves.
    #[cold]
    fn look(&self, epoch: u64) -> Option<Candidate<V>>
    where
        P: Freshness<V> + Clone,
    {
        let copy = self.flights.hub().copies.get(&self.key)?;
        let times = copy.times;
        match self.call().look_at(copy) {
            Look::Fresh(found) => {
                let held = Held {
                    found: found.clone(),
                    times,
                    epoch,
                };
                self.held.store(Some(Arc::new(held)));
                Some(found)
            }
            Look::Stale(_) => None,
        }
    }

    /// The same as a call.
    fn call(&self) -> Call<'_, P>
    where
        P: Clone,
    {
        Call {
            flights: &self.flights,
            key: &self.key,
            options: self.options.clone(),
            fresh: self.fresh.clone(),
        }
    }
}

impl<V, P> std::fmt::Debug for Handle<V, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
