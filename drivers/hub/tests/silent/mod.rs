//! A store that answers until it falls silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use oneflight_store::{
    Bytes, ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, MemoryStore, Pending,
    Profile, Publication, PutOutcome, Renewal, Revision, Store, Subscription, Watcher,
};

#[derive(Clone, Default)]
pub(crate) struct Silent {
    inner: MemoryStore,
    silent: Arc<AtomicBool>,
    unanswered: Arc<()>,
}

impl Silent {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn fall_silent(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    /// How many requests somebody still waits for.
    pub(crate) fn unanswered(&self) -> usize {
        // Beside the stores' own.
        Arc::strong_count(&self.unanswered) - Arc::strong_count(&self.silent)
    }

    fn call<T: Send + 'static>(&self, answer: impl FnOnce() -> Pending<T>) -> Pending<T> {
        if !self.silent.load(Ordering::SeqCst) {
            return answer();
        }
        let unanswered = Arc::clone(&self.unanswered);
        Box::pin(async move {
            let _unanswered = unanswered;
            std::future::pending().await
        })
    }
}

impl Store for Silent {
    fn profile(&self) -> &Profile {
        Store::profile(&self.inner)
    }

    fn claim(&self, request: ClaimRequest) -> Pending<Claim> {
        self.call(|| Store::claim(&self.inner, request))
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Pending<Renewal> {
        self.call(|| Store::renew(&self.inner, lease, ttl))
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Pending<Publication> {
        self.call(|| Store::publish(&self.inner, lease, key, value, retain))
    }

    fn release(&self, lease: LeaseId) -> Pending<()> {
        self.call(|| Store::release(&self.inner, lease))
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Pending<PutOutcome> {
        self.call(|| Store::put(&self.inner, key, value, retain, seen))
    }

    fn read(&self, key: Arc<str>) -> Pending<KeyState> {
        self.call(|| Store::read(&self.inner, key))
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Pending<Revision> {
        self.call(|| Store::forget(&self.inner, key, lock))
    }

    fn list(&self) -> Pending<Vec<KeyStatus>> {
        self.call(|| Store::list(&self.inner))
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        Store::watch(&self.inner, key, lock, watcher)
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        Store::changes(&self.inner, listener)
    }
}
