//! A store whose names all stand in one slot of a cluster, whichever lock guards whichever key.

use std::sync::Arc;
use std::time::Duration;

use oneflight_store::blocking::Store;
use oneflight_store::{
    Bytes, Change, ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, Profile,
    Publication, PutOutcome, Renewal, Revision, StoreError, Subscription, Watcher, default_lock,
};

use super::Opened;

/// As a user would do it: each name begins with a tag, and a default lock is that of its key.
pub struct Tagged {
    store: Opened,
    tag: Arc<str>,
}

impl Tagged {
    pub fn new(store: Opened, tag: &str) -> Self {
        let tag = format!("{{{tag}}}").into();
        Self { store, tag }
    }

    fn key(&self, key: &str) -> Arc<str> {
        format!("{}{key}", self.tag).into()
    }

    fn lock(&self, lock: &str) -> Arc<str> {
        match lock.strip_prefix(&default_lock("")) {
            Some(key) => default_lock(&self.key(key)).into(),
            None => self.key(lock),
        }
    }

    fn lease(&self, lease: LeaseId) -> LeaseId {
        let lock = self.lock(&lease.lock);
        LeaseId { lock, ..lease }
    }
}

fn without(tag: &str, name: &str) -> Arc<str> {
    name.replacen(tag, "", 1).into()
}

impl Store for Tagged {
    fn profile(&self) -> &Profile {
        self.store.profile()
    }

    fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        self.store.claim(ClaimRequest {
            key: self.key(&request.key),
            lock: self.lock(&request.lock),
            ..request
        })
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Result<Renewal, StoreError> {
        self.store.renew(self.lease(lease), ttl)
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Result<Publication, StoreError> {
        let lease = self.lease(lease);
        self.store.publish(lease, self.key(&key), value, retain)
    }

    fn release(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.store.release(self.lease(lease))
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Result<PutOutcome, StoreError> {
        self.store.put(self.key(&key), value, retain, seen)
    }

    fn read(&self, key: Arc<str>) -> Result<KeyState, StoreError> {
        self.store.read(self.key(&key))
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Result<Revision, StoreError> {
        self.store.forget(self.key(&key), self.lock(&lock))
    }

    fn list(&self) -> Result<Vec<KeyStatus>, StoreError> {
        let mut list = self.store.list()?;
        for line in &mut list {
            line.key = without(&self.tag, &line.key);
            let lock = line.lock.take();
            line.lock = lock.map(|lock| without(&self.tag, &lock));
        }
        Ok(list)
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        self.store.watch(self.key(&key), self.lock(&lock), watcher)
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        let tag = Arc::clone(&self.tag);
        let listener = move |change| {
            listener.notify(match change {
                Change::Moved { key, revision } => Change::Moved {
                    key: without(&tag, &key),
                    revision,
                },
                change => change,
            });
        };
        self.store.changes(Arc::new(listener))
    }
}
