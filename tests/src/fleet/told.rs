//! A store that tells when it is watched, and that can be cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oneflight_store::{
    Bytes, ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, Pending, Profile,
    Publication, PutOutcome, Renewal, Revision, Store, Subscription, WatchEvent, Watcher,
};
use tokio::sync::Notify;

/// Another handle on a store.
pub(super) struct Told {
    inner: Arc<dyn Store>,
    /// A watch has begun.
    pub(super) watched: Notify,
    cut: Arc<AtomicBool>,
}

impl Told {
    pub(super) fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            watched: Notify::new(),
            cut: Arc::default(),
        }
    }

    /// From now on no call is answered, and nothing is told.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    pub(super) fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }

    fn unless_cut<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Store) -> Pending<T>,
    ) -> Pending<T> {
        if self.cut.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        call(&*self.inner)
    }
}

macro_rules! pass_on {
    ($($call:ident($($name:ident: $kind:ty),*) -> $answer:ty;)*) => {
        impl Store for Told {
            fn profile(&self) -> &Profile {
                self.inner.profile()
            }
            $(fn $call(&self, $($name: $kind),*) -> Pending<$answer> {
                self.unless_cut(|store| store.$call($($name),*))
            })*
            fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
                let cut = Arc::clone(&self.cut);
                let watch = self.inner.watch(key, lock, Arc::new(move |event: WatchEvent| {
                    if !cut.load(Ordering::SeqCst) {
                        watcher.notify(event);
                    }
                }));
                self.watched.notify_one();
                watch
            }
            fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
                self.inner.changes(listener)
            }
        }
    };
}

pass_on! {
    claim(request: ClaimRequest) -> Claim;
    renew(lease: LeaseId, ttl: Duration) -> Renewal;
    publish(lease: LeaseId, key: Arc<str>, value: Bytes, retain: Option<Duration>) -> Publication;
    release(lease: LeaseId) -> ();
    put(key: Arc<str>, value: Bytes, retain: Option<Duration>, seen: Revision) -> PutOutcome;
    read(key: Arc<str>) -> KeyState;
    forget(key: Arc<str>, lock: Arc<str>) -> Revision;
    list() -> Vec<KeyStatus>;
}
