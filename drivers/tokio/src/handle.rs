//! A key that is wanted often.

use std::future::Future;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::{Call, Look, Options};
use crate::freshness::{Always, Freshness};
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

/// A landing that is good for as long as no copy of the process has changed.
struct Held<V> {
    landing: Landing<V>,
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
        match self.hit() {
            Some(landing) => Ok(landing),
            None => Box::pin(self.call().run(fill)).await,
        }
    }

    /// The value, if this process has a fresh copy: never waits, never asks the store.
    pub fn hit(&self) -> Option<Landing<V>>
    where
        P: Freshness<V> + Clone,
    {
        let copies = &self.flights.hub().copies;
        let epoch = copies.epoch();
        // A value whose age matters has to be looked at each time.
        let ageless = self.options.max_age.is_none() && self.options.local_max_age.is_none();
        if ageless
            && let Some(held) = &*self.held.load()
            && held.epoch == epoch
            && self.fresh.is_fresh(&held.landing.value)
        {
            return Some(held.landing.clone());
        }
        match self.call().look_local() {
            Look::Fresh(landing) => {
                if ageless {
                    let landing = landing.clone();
                    self.held.store(Some(Arc::new(Held { landing, epoch })));
                }
                Some(landing)
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
