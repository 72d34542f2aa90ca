//! A key that is wanted often.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::call::Call;
use crate::candidate::{Candidate, Look};
use crate::freshness::{Always, Freshness};
use crate::options::{Options, Timing};
use crate::shared::Shared;
use crate::value::Times;

/// A key with its options, and with its own way to the value: a fresh hit is one atomic load and one
/// reference count.
///
/// Made by [`Call::handle`]; what a driver's own `Handle` is made around.
pub struct Handle<V, P = Always> {
    shared: Arc<Shared>,
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
            shared: Arc::clone(call.shared),
            key: call.key.into(),
            options: call.options,
            fresh: call.fresh,
            held: ArcSwapOption::empty(),
        }
    }

    /// The value, if this process has a fresh copy: never waits, never asks the store.
    #[inline]
    pub fn find(&self) -> Option<Candidate<V>>
    where
        P: Freshness<V> + Clone,
    {
        let hub = self.shared.hub();
        let epoch = hub.copies.epoch();
        if let Some(held) = &*self.held.load()
            && held.epoch == epoch
            && self.options.timing(held.times, &hub.clock) == Timing::Good
            && self.fresh.is_fresh(&held.found.value)
        {
            self.shared.hit(
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
        let copy = self.shared.hub().copies.get(&self.key)?;
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
    pub fn call(&self) -> Call<'_, P>
    where
        P: Clone,
    {
        Call {
            shared: &self.shared,
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
