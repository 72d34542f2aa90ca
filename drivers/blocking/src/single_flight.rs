//! The entry: one per process and store.

use std::sync::Arc;

use oneflight_hub::{CLOSING_PATIENCE, Recorder, Settings, Shared};
use oneflight_store::{Holder, Store};

use crate::call::Call;
use crate::pump::Threads;
use crate::wait::wait_for;

/// Computes once across the fleet, and shares with everyone: one per process and store.
///
/// Cheap to clone; all clones are one. Nothing runs until the first call that needs the store: that
/// one starts the driver's thread. The last clone or [`Handle`](crate::Handle) to be dropped waits until
/// every lease is released and the thread has ended, a few seconds at most.
///
/// Threads do not survive a `fork`: make it in the process that uses it.
#[derive(Clone)]
pub struct SingleFlight {
    shared: Arc<Shared>,
}

/// The options of a [`SingleFlight`].
pub struct Builder {
    store: Arc<dyn Store>,
    settings: Settings,
}

impl SingleFlight {
    /// Over this store, with the defaults.
    ///
    /// Calls to the store are made on the callers' threads and on the driver's, and must return at once, as
    /// those of a [`Store`] do. A store whose calls block goes into an [`Offload`](crate::Offload), which
    /// makes them on a thread of its own: then however long they take, nobody waits beyond a time-out.
    pub fn new(store: impl Store) -> Self {
        Self::builder(store).build()
    }

    /// Over this store, with options.
    pub fn builder(store: impl Store) -> Builder {
        Builder {
            store: Arc::new(store),
            settings: Settings::default(),
        }
    }

    /// Begins a call for a key.
    #[inline]
    pub fn key<'a>(&'a self, key: &'a str) -> Call<'a> {
        Call::new(self, key)
    }

    /// Waits until every lease that calls of this process have given up is released, so that others
    /// need not wait for it to lapse; a few seconds at most. Dropping the last clone does the same: this
    /// is for a process that ends without, by `std::process::exit` say.
    pub fn close(&self) {
        // What could not be released by then lapses by itself.
        wait_for(CLOSING_PATIENCE, self.shared.idle());
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Builder {
    /// How many decoded values this process keeps for fresh hits. Default 10,000; zero keeps none.
    #[must_use]
    pub fn local_copies(mut self, copies: usize) -> Self {
        self.settings.local_copies = copies;
        self
    }

    /// How the leases of this process are labelled for people. Default: user, host and process id.
    #[must_use]
    pub fn holder(mut self, holder: Holder) -> Self {
        self.settings.holder = Some(holder);
        self
    }

    /// Writes down what happens, for `oneflight-sim check`. Default: nothing is.
    #[must_use]
    pub fn recorder(mut self, recorder: Recorder) -> Self {
        self.settings.recorder = Some(recorder);
        self
    }

    /// The [`SingleFlight`].
    #[must_use]
    pub fn build(self) -> SingleFlight {
        SingleFlight {
            shared: Arc::new(Shared::new(Threads::default(), self.store, self.settings)),
        }
    }
}

impl std::fmt::Debug for SingleFlight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SingleFlight").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}
