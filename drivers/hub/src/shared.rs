//! What all handles of one driver share.

use std::future::poll_fn;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, OnceLock};

use oneflight_store::{Holder, Store, Subscription};
use oneflight_trace::Freshness;

use crate::candidate::Candidate;
use crate::copies::Copies;
use crate::driver::Driver;
use crate::hub::{Hub, Names};
use crate::observe;
use crate::recorder::Recorder;

/// What all clones of a driver's `SingleFlight` share. When it is dropped, the pump ends as soon as
/// every lease is released, within [`CLOSING_PATIENCE`](crate::CLOSING_PATIENCE).
pub struct Shared {
    hub: Arc<Hub>,
    /// The change stream that keeps the copies true: opened before the first copy is made.
    changes: OnceLock<Subscription>,
}

/// What a process may choose: what each means is said at the methods of `Builder`.
#[derive(Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "documented once, at the methods of `Builder`")]
pub struct Settings {
    pub local_copies: usize,
    pub holder: Option<Holder>,
    pub recorder: Option<Recorder>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            local_copies: 10_000,
            holder: None,
            recorder: None,
        }
    }
}

impl Shared {
    /// Over this store. Nothing runs yet.
    #[must_use]
    pub fn new(driver: impl Driver, store: Arc<dyn Store>, settings: Settings) -> Self {
        let copies = Copies::new(settings.local_copies);
        let holder = settings.holder.unwrap_or_else(Holder::this_process);
        // The standard library seeds its hashers from the system's randomness.
        let nonce = RandomState::new().build_hasher().finish();
        let begin =
            |recorder: Recorder| recorder.begin(driver.name(), nonce, store.profile(), &holder);
        let recorder = settings.recorder.map(begin).map(Arc::new);
        let hub = Hub::new(Box::new(driver), store, copies, holder, nonce, recorder);
        Self {
            hub: Arc::new(hub),
            changes: OnceLock::new(),
        }
    }

    /// Waits until every lease that calls of this process have given up is released. The driver gives up
    /// on it after [`CLOSING_PATIENCE`](crate::CLOSING_PATIENCE). Cancel-safe.
    pub async fn idle(&self) {
        // Where no pump can be turned there is nobody to wait for.
        drop(self.hub.revive());
        poll_fn(|cx| self.hub.poll_idle(cx)).await;
    }

    #[inline]
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// A call was served by a local copy.
    #[inline]
    pub(crate) fn hit<V>(
        &self,
        names: impl FnOnce() -> Names,
        freshness: impl FnOnce() -> Freshness,
        found: &Candidate<V>,
    ) {
        self.hub.meters.hit();
        if self.hub.recorder.is_some() | observe::hits_are_told() {
            self.tell_hit(names, freshness, found);
        }
    }

    #[cold]
    #[inline(never)]
    fn tell_hit<V>(
        &self,
        names: impl FnOnce() -> Names,
        freshness: impl FnOnce() -> Freshness,
        found: &Candidate<V>,
    ) {
        let (hub, names) = (&self.hub, names());
        observe::tell_hit(&names.key, found.token);
        if let Some(recorder) = &hub.recorder {
            let passenger = hub.next_passenger();
            recorder.hit(names, passenger, freshness(), found.revision, found.digest);
        }
    }

    /// The hub, with its change stream open.
    pub(crate) fn ready(&self) -> &Arc<Hub> {
        let hub = &self.hub;
        if hub.copies.are_kept() {
            self.changes.get_or_init(|| {
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

impl Drop for Shared {
    fn drop(&mut self) {
        self.hub.close();
        self.hub.driver.closed();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
