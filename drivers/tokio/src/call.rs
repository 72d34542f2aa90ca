//! One call.

use std::convert::Infallible;
use std::future::Future;

use oneflight_hub::{Error, Freshness, Landing, Lease, Look};
use oneflight_store::{Revision, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::handle::Handle;
use crate::{Always, SingleFlight, pump};

/// A call that is being prepared: made by [`SingleFlight::key`], ended by [`Call::run`].
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until it is run"]
pub struct Call<'a, P = Always>(pub(crate) oneflight_hub::Call<'a, P>);

impl<'a, P> Call<'a, P> {
    oneflight_hub::call_options!();

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
    /// **Panics.** A panic of the fill releases the lease and goes on in this task.
    ///
    /// **Runtime.** Needs a tokio runtime with its timer enabled. On a current-thread runtime a fill that
    /// blocks the thread blocks the renewals, too: run it in `spawn_blocking`.
    ///
    /// # Errors
    ///
    /// Each of [`Error`]'s, which say what to do. [`Error::Unavailable`] also if the call has to wait and
    /// there is no runtime to serve it, or it has ended.
    pub async fn run<V, E, F, Fut>(&self, fill: F) -> Result<Landing<V>, Error<V, E>>
    where
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
        E: Send + Sync + 'static,
        F: FnMut(Lease) -> Fut,
        Fut: Future<Output = Result<V, E>>,
        P: Freshness<V>,
    {
        match self.0.look_local() {
            Look::Fresh(found) => Ok(found.cached()),
            // Boxed, so that a hit does not carry the whole flight around.
            Look::Stale(known) => Box::pin(self.0.fly(known, pump::let_it_run, fill)).await,
        }
    }

    /// A handle for a key that is wanted often: its fresh hit costs no look-up.
    pub fn handle<V>(self) -> Handle<V, P>
    where
        V: Send + Sync + 'static,
    {
        Handle(self.0.handle())
    }

    /// The value as it stands, without filling: from this process's copies or from the store; `None`
    /// if there is none that is fresh.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`], [`Error::Refused`], [`Error::Malformed`]. Cancel-safe.
    pub async fn get<V>(&self) -> Result<Option<Landing<V>>, Error<V, Infallible>>
    where
        V: DeserializeOwned + Send + Sync + 'static,
        P: Freshness<V>,
    {
        if let Look::Fresh(found) = self.0.look_local() {
            return Ok(Some(found.cached()));
        }
        let limit = self.0.options.store_timeout();
        let read = pump::bounded(limit, self.0.read()).await;
        read.unwrap_or_else(|why| Err(Error::Unavailable(why)))
    }

    /// Removes the value and voids the fill under way, here and in every other process: what was
    /// computed from the old data cannot come back. Answers the key's revision.
    ///
    /// # Errors
    ///
    /// What the store says. Not cancel-safe in one respect: a dropped call may or may not have
    /// happened.
    pub async fn forget(&self) -> Result<Revision, StoreError> {
        let limit = self.0.options.store_timeout();
        let forgotten = pump::bounded(limit, self.0.forget()).await;
        forgotten.unwrap_or_else(Err)
    }
}

impl<'a> Call<'a> {
    #[inline]
    pub(crate) fn new(flights: &'a SingleFlight, key: &'a str) -> Self {
        Self(oneflight_hub::Call::new(flights.shared(), key))
    }
}
