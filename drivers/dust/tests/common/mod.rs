//! A server, and stores on it.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test file takes what it needs"
)]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use oneflight_dust::{Address, Builder, DustStore, Wire};
use oneflight_store::conformance::Waited;
use oneflight_store::{
    ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, Profile, Publication,
    PutOutcome, Renewal, Revision, StoreError, Subscription, Watcher, blocking,
};
use oneflight_test_dust::{DustServer, STORE, TOKEN};
use tokio::runtime::Runtime;

/// Runs the connections of all tests, whose threads have no runtime of their own.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
});

/// Where a server's store is.
pub fn address(server: &DustServer) -> Address {
    format!("dust+ws://{}/{STORE}", server.address())
        .parse()
        .unwrap()
}

/// A store on a server, with options, and with a runtime for its connection.
pub fn builder(server: &DustServer) -> Builder {
    DustStore::builder(address(server), TOKEN).runtime(RUNTIME.handle().clone())
}

/// A store for threads which knows all that was committed before each call, as the conformance suite
/// expects of a store: this one may be a push behind.
pub struct CaughtUp {
    store: DustStore,
    waited: Waited<DustStore>,
    /// Ends after the stores of its data.
    _server: Arc<DustServer>,
}

impl CaughtUp {
    /// A fresh server, and how its store is opened.
    pub fn fresh(wire: Wire) -> impl Fn() -> Self {
        let server = Arc::new(DustServer::new());
        move || {
            let store = builder(&server).format(wire).build();
            Self {
                waited: Waited::new(store.clone()),
                store,
                _server: Arc::clone(&server),
            }
        }
    }

    fn catch_up(&self) -> Result<&Waited<DustStore>, StoreError> {
        RUNTIME.block_on(self.store.catch_up())?;
        Ok(&self.waited)
    }
}

impl blocking::Store for CaughtUp {
    fn profile(&self) -> &Profile {
        blocking::Store::profile(&self.waited)
    }

    fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        self.catch_up()?.claim(request)
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Result<Renewal, StoreError> {
        self.catch_up()?.renew(lease, ttl)
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Result<Publication, StoreError> {
        let publication = self.catch_up()?.publish(lease, key, value, retain);
        // What was sent before is answered before: the lease is given up by then.
        self.catch_up()?;
        publication
    }

    fn release(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.catch_up()?.release(lease)
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Result<PutOutcome, StoreError> {
        self.catch_up()?.put(key, value, retain, seen)
    }

    fn read(&self, key: Arc<str>) -> Result<KeyState, StoreError> {
        self.catch_up()?.read(key)
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Result<Revision, StoreError> {
        let revision = self.catch_up()?.forget(key, lock);
        self.catch_up()?;
        revision
    }

    fn list(&self) -> Result<Vec<KeyStatus>, StoreError> {
        self.catch_up()?.list()
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        drop(self.catch_up());
        self.waited.watch(key, lock, watcher)
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        drop(self.catch_up());
        self.waited.changes(listener)
    }
}
