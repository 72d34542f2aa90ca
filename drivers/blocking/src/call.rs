//! One call.

use std::convert::Infallible;
use std::future::ready;

use oneflight_hub::{Candidate, Error, Freshness, Landing, Look, no_answer};
use oneflight_store::{Revision, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::handle::Handle;
use crate::wait::{wait, wait_for};
use crate::{Always, Lease, SingleFlight};

/// A call that is being prepared: made by [`SingleFlight::key`], ended by [`Call::run`].
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is run"]
pub struct Call<'a, P = Always>(pub(crate) oneflight_hub::Call<'a, P>);

impl<'a, P> Call<'a, P> {
    oneflight_hub::call_options!();

    /// Gets a fresh value: from this process's copies, from the store, from somebody else's fill that
    /// is under way, or by running `fill`.
    ///
    /// The fill runs on this thread, under a lease that is renewed meanwhile by the driver's thread. `Ok`
    /// publishes the value to all, `Err` publishes nothing. It may be called again after it was
    /// overtaken, so it is to be idempotent, and what it returns is to be small: a pointer to the
    /// bytes rather than the bytes.
    ///
    /// **Time.** Blocks this thread for no longer than its time-outs say, whatever the store does, save
    /// for a fill of its own: nobody can stop that. When `fill_timeout` is over, the lease is no longer
    /// renewed and the fill is warned, which it has to look for: see [`Lease`].
    ///
    /// **Panics.** A panic of the fill releases the lease and goes on in this thread.
    ///
    /// # Errors
    ///
    /// Each of [`Error`]'s, which say what to do. [`Error::Unavailable`] also if the system has no thread
    /// left for the driver.
    pub fn run<V, E, F>(&self, fill: F) -> Result<Landing<V>, Error<V, E>>
    where
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
        E: Send + Sync + 'static,
        F: FnMut(Lease) -> Result<V, E>,
        P: Freshness<V>,
    {
        match self.0.look_local() {
            Look::Fresh(found) => Ok(found.cached()),
            Look::Stale(known) => self.fly(known, fill),
        }
    }

    // Apart, so that a hit does not carry the whole flight around.
    #[cold]
    #[inline(never)]
    fn fly<V, E, F>(
        &self,
        known: Option<Candidate<V>>,
        mut fill: F,
    ) -> Result<Landing<V>, Error<V, E>>
    where
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
        E: Send + Sync + 'static,
        F: FnMut(Lease) -> Result<V, E>,
        P: Freshness<V>,
    {
        let fill = |lease| {
            let filled = fill(Lease(lease));
            ready(filled)
        };
        let flight = self.0.fly(known, || ready(()), fill);
        wait(flight)
    }

    /// A handle for a key that is wanted often: its fresh hit costs no look-up.
    pub fn handle<V>(self) -> Handle<V, P>
    where
        V: Send + Sync + 'static,
    {
        Handle(self.0.handle())
    }

    /// The value as it stands, without filling: from this process's copies or from the store; `None`
    /// if there is none that is fresh. Blocks for no longer than `store_timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`], [`Error::Refused`], [`Error::Malformed`].
    pub fn get<V>(&self) -> Result<Option<Landing<V>>, Error<V, Infallible>>
    where
        V: DeserializeOwned + Send + Sync + 'static,
        P: Freshness<V>,
    {
        if let Look::Fresh(found) = self.0.look_local() {
            return Ok(Some(found.cached()));
        }
        let limit = self.0.options.store_timeout();
        let read = wait_for(limit, self.0.read());
        read.unwrap_or_else(|| Err(Error::Unavailable(no_answer(limit))))
    }

    /// Removes the value and voids the fill under way, here and in every other process: what was
    /// computed from the old data cannot come back. Answers the key's revision. Blocks for no longer
    /// than `store_timeout`.
    ///
    /// # Errors
    ///
    /// What the store says. After [`StoreError::Unavailable`] it may or may not have happened.
    pub fn forget(&self) -> Result<Revision, StoreError> {
        let limit = self.0.options.store_timeout();
        let forgotten = wait_for(limit, self.0.forget());
        forgotten.unwrap_or_else(|| Err(no_answer(limit)))
    }
}

impl<'a> Call<'a> {
    #[inline]
    pub(crate) fn new(flights: &'a SingleFlight, key: &'a str) -> Self {
        Self(oneflight_hub::Call::new(flights.shared(), key))
    }
}
