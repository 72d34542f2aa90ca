//! A store whose claims are overheard: who is told that somebody else holds the lease.

use std::sync::Arc;
use std::time::Duration;

use oneflight_store::{
    Bytes, ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, Pending, Profile,
    Publication, PutOutcome, Renewal, Revision, Store, Subscription, Watcher,
};

/// Another handle on a store.
pub(super) struct Overheard<F> {
    pub(super) inner: Arc<dyn Store>,
    /// Is given the key of each claim that was answered so.
    pub(super) held: F,
}

impl<F: Fn(&str) + Clone + Send + Sync + 'static> Store for Overheard<F> {
    fn profile(&self) -> &Profile {
        self.inner.profile()
    }

    fn claim(&self, request: ClaimRequest) -> Pending<Claim> {
        let (key, held) = (Arc::clone(&request.key), self.held.clone());
        let claim = self.inner.claim(request);
        Box::pin(async move {
            let answer = claim.await;
            if let Ok(Claim::Held { .. }) = answer {
                held(&key);
            }
            answer
        })
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Pending<Renewal> {
        self.inner.renew(lease, ttl)
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Pending<Publication> {
        self.inner.publish(lease, key, value, retain)
    }

    fn release(&self, lease: LeaseId) -> Pending<()> {
        self.inner.release(lease)
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Pending<PutOutcome> {
        self.inner.put(key, value, retain, seen)
    }

    fn read(&self, key: Arc<str>) -> Pending<KeyState> {
        self.inner.read(key)
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Pending<Revision> {
        self.inner.forget(key, lock)
    }

    fn list(&self) -> Pending<Vec<KeyStatus>> {
        self.inner.list()
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        self.inner.watch(key, lock, watcher)
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        self.inner.changes(listener)
    }
}
