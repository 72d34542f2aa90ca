//! A key that is wanted often.

use oneflight_hub::{Candidate, Error, Freshness, Landing};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Always, Call, Lease};

/// A key with its options, and with its own way to the value: a fresh hit is one atomic load and one
/// reference count.
///
/// Made by [`Call::handle`]; share it by reference or in an `Arc`.
pub struct Handle<V, P = Always>(pub(crate) oneflight_hub::Handle<V, P>);

impl<V: Send + Sync + 'static, P> Handle<V, P> {
    /// Gets a fresh value: see [`Call::run`].
    ///
    /// # Errors
    ///
    /// Those of [`Call::run`].
    pub fn run<E, F>(&self, fill: F) -> Result<Landing<V>, Error<V, E>>
    where
        V: Serialize + DeserializeOwned,
        E: Send + Sync + 'static,
        F: FnMut(Lease) -> Result<V, E>,
        P: Freshness<V> + Clone,
    {
        match self.0.find() {
            Some(found) => Ok(found.cached()),
            None => Call(self.0.call()).run(fill),
        }
    }

    /// The value, if this process has a fresh copy: never waits, never asks the store.
    #[inline]
    pub fn hit(&self) -> Option<Landing<V>>
    where
        P: Freshness<V> + Clone,
    {
        self.0.find().map(Candidate::cached)
    }
}

impl<V, P> std::fmt::Debug for Handle<V, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
