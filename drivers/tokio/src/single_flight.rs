//! The entry: one per process and store.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, OnceLock};

use oneflight_store::{Holder, Store, Subscription};

use oneflight_trace::Freshness;

use crate::call::Call;
use crate::candidate::Candidate;
use crate::copies::Copies;
use crate::hub::{Hub, Names};
use crate::pump::CLOSING_PATIENCE;
use crate::recorder::Recorder;

/// Computes once across the fleet, and shares with everyone: one per process and store.
///
/// Cheap to clone; all clones are one. Nothing runs until the first call that needs the store: that
/// one starts the driver's task on its runtime. When the last clone is dropped, the task ends as soon
/// as every lease is released, within a few seconds at most: see [`SingleFlight::close`].
#[derive(Clone)]
pub struct SingleFlight {
    inner: Arc<Inner>,
}

struct Inner {
    hub: Arc<Hub>,
    /// The change stream that keeps the copies true: opened before the first copy is made.
    changes: OnceLock<Subscription>,
}

/// The options of a [`SingleFlight`].
pub struct Builder {
    store: Arc<dyn Store>,
    local_copies: usize,
    holder: Option<Holder>,
    recorder: Option<Recorder>,
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
            local_copies: 10_000,
            holder: None,
            recorder: None,
        }
    }

    /// Begins a call for a key.
    #[inline]
    pub fn key<'a>(&'a self, key: &'a str) -> Call<'a> {
        Call::new(self, key)
    }

    /// Waits until every lease that calls of this process have given up is released, so that others
    /// need not wait for it to lapse; a few seconds at most. Call it before the process ends.
    /// Cancel-safe.
    pub async fn close(&self) {
        let hub = &self.inner.hub;
        hub.revive();
        let idle = async {
            loop {
                let idle = hub.idle.notified();
                if hub.is_idle() {
                    break;
                }
                idle.await;
            }
        };
        // What could not be released by then lapses by itself.
        drop(tokio::time::timeout(CLOSING_PATIENCE, idle).await);
    }

    #[inline]
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.inner.hub
    }

    /// A call was served by a local copy.
    #[inline]
    pub(crate) fn hit<V>(
        &self,
        names: impl FnOnce() -> Names,
        freshness: impl FnOnce() -> Freshness,
        found: &Candidate<V>,
    ) {
        if let Some(recorder) = &self.hub().recorder {
            let passenger = self.hub().next_passenger();
            recorder.hit(
                names(),
                passenger,
                freshness(),
                found.revision,
                found.digest,
            );
        }
    }

    /// The hub, with its change stream open.
    pub(crate) fn ready(&self) -> &Arc<Hub> {
        let hub = &self.inner.hub;
        if hub.copies.are_kept() {
            self.inner.changes.get_or_init(|| {
                let listener = Arc::downgrade(hub);
                hub.store.changes(Arc::new(move |change| {
                    if let Some(hub) = listener.upgrade() {
                        hub.changed(change);
                    }
                }))
            });
        }
        hub
    }
}

impl Builder {
    /// How many decoded values this process keeps for fresh hits. Default 10,000; zero keeps none.
    #[must_use]
    pub fn local_copies(mut self, copies: usize) -> Self {
        self.local_copies = copies;
        self
    }

    /// How the leases of this process are labelled for people. Default: user, host and process id.
    #[must_use]
    pub fn holder(mut self, holder: Holder) -> Self {
        self.holder = Some(holder);
        self
    }

    /// Writes down what happens, for `oneflight-sim check`. Default: nothing is.
    #[must_use]
    pub fn recorder(mut self, recorder: Recorder) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// The [`SingleFlight`].
    #[must_use]
    pub fn build(self) -> SingleFlight {
        let copies = Copies::new(self.local_copies);
        let holder = self.holder.unwrap_or_else(Holder::this_process);
        // The standard library seeds its hashers from the system's randomness.
        let nonce = RandomState::new().build_hasher().finish();
        let begin = |recorder: Recorder| recorder.begin(nonce, self.store.profile(), &holder);
        let recorder = self.recorder.map(begin).map(Arc::new);
        SingleFlight {
            inner: Arc::new(Inner {
                hub: Arc::new(Hub::new(self.store, copies, holder, nonce, recorder)),
                changes: OnceLock::new(),
            }),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.hub.close();
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
