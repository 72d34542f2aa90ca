//! The entry: one per process and store.

use std::sync::Arc;

use oneflight_hub::{CLOSING_PATIENCE, Recorder, Settings, Shared};
use oneflight_store::{Holder, Store};

use crate::call::Call;
use crate::pump::{Tokio, bounded};

/// Computes once across the fleet, and shares with everyone: one per process and store.
///
/// Cheap to clone; all clones are one. Nothing runs until the first call that needs the store: that
/// one starts the driver's task on its runtime. When the last clone is dropped, the task ends as soon
/// as every lease is released, within a few seconds at most: see [`SingleFlight::close`].
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
    /// need not wait for it to lapse; a few seconds at most. Call it before the process ends.
    /// Cancel-safe. Outside of a tokio runtime it does not wait.
    pub async fn close(&self) {
        // What could not be released by then lapses by itself.
        drop(bounded(CLOSING_PATIENCE, self.shared.idle()).await);
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
            shared: Arc::new(Shared::new(Tokio, self.store, self.settings)),
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
