//! [`RedisStore`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oneflight_store::{
    ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, Pending, Profile,
    Publication, PutOutcome, Renewal, Revision, Store, StoreError, Subscription, Watcher, blocking,
};
use redis::{Client, IntoConnectionInfo};

use super::threads::Threads;
use super::wait::wait;
use crate::call;
use crate::cluster::Seeds;
use crate::home::Home;
use crate::profile::PROFILE;
use crate::source::Source;

/// A store on a Redis server or a Redis Cluster, which does without a runtime: given as it is to the driver
/// for threads, or asked by callers that block.
///
/// Cheap to clone; all clones are one, with one connection for everything, or one to each server of a
/// cluster that is in use. Nothing happens until the first call or subscription: that one starts a thread
/// which keeps the connection and writes, and each connection has another one which reads; while a connection
/// is made, another one looks at the time, and for a cluster there is one that asks who keeps what. All end when
/// the last clone is dropped; those that are connecting just then end within 3 s (behind sentinels 6 s).
///
/// It keeps the contract in both flavours: the futures of [`Store`] may be waited for by anybody, with
/// any runtime or none, and the calls of [`blocking::Store`] wait for them in place.
///
/// **Cancellation.** A dropped future gives up the answer, not the call.
#[derive(Clone)]
pub struct RedisStore {
    home: Home<Threads>,
}

impl RedisStore {
    /// On the server of this URL: `redis://user:password@host:port/database`, `rediss://…` with TLS, or
    /// `unix:///path?db=database`; on the primary that sentinels name:
    /// `redis-sentinel://user:password@host:port/database?node=host:port&sentinelServiceName=name`; or
    /// on the cluster of these servers: `redis-cluster://user:password@host:port?node=host:port`. Also
    /// `rediss-sentinel://…` and `rediss-cluster://…`, with TLS. Connects with the first call.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] if the URL is none, which does not show it.
    pub fn open(url: impl AsRef<str>) -> Result<Self, StoreError> {
        let home = Home::open(url.as_ref(), Threads::default())?;
        Ok(Self { home })
    }

    /// On the server of this client. Its connections are made by the store, which speaks RESP3 over
    /// them. A client with TLS certificates of its own is refused by the first call: name a file of
    /// those to trust in `SSL_CERT_FILE`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let home = Home::on(Source::of(client), &Threads::default());
        Self { home }
    }

    /// On the cluster of these servers: a few of them are enough for the others to be found. The user,
    /// the password and TLS are those of the first.
    ///
    /// ```
    /// # use oneflight_redis::blocking::RedisStore;
    /// let store = RedisStore::cluster(["redis://user:password@host1:6379", "redis://host2:6379"])?;
    /// # Ok::<(), oneflight_store::StoreError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] if there is none, if one is no address of a server, or if a database
    /// other than 0 is asked for.
    pub fn cluster<T: IntoConnectionInfo>(
        servers: impl IntoIterator<Item = T>,
    ) -> Result<Self, StoreError> {
        let home = Home::across(Seeds::of(servers)?, Threads::default());
        Ok(Self { home })
    }
}

impl Store for RedisStore {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn claim(&self, request: ClaimRequest) -> Pending<Claim> {
        self.home.claim(request)
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Pending<Renewal> {
        self.home
            .call(call::renew(self.home.channels(), &lease, ttl))
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Pending<Publication> {
        let call = call::publish(self.home.channels(), &lease, &key, &value, retain);
        self.home.checked(&value, call)
    }

    fn release(&self, lease: LeaseId) -> Pending<()> {
        self.home.call(call::release(self.home.channels(), &lease))
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Pending<PutOutcome> {
        let call = call::put(self.home.channels(), &key, &value, retain, seen);
        self.home.checked(&value, call)
    }

    fn read(&self, key: Arc<str>) -> Pending<KeyState> {
        self.home.call(call::read(&key))
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Pending<Revision> {
        self.home
            .call(call::forget(self.home.channels(), &key, &lock))
    }

    fn list(&self) -> Pending<Vec<KeyStatus>> {
        self.home.list()
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        self.home.watch(key, lock, watcher)
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        self.home.listen(listener)
    }
}

impl blocking::Store for RedisStore {
    fn profile(&self) -> &Profile {
        Store::profile(self)
    }

    fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        wait(Store::claim(self, request))
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Result<Renewal, StoreError> {
        wait(Store::renew(self, lease, ttl))
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Result<Publication, StoreError> {
        wait(Store::publish(self, lease, key, value, retain))
    }

    fn release(&self, lease: LeaseId) -> Result<(), StoreError> {
        wait(Store::release(self, lease))
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Result<PutOutcome, StoreError> {
        wait(Store::put(self, key, value, retain, seen))
    }

    fn read(&self, key: Arc<str>) -> Result<KeyState, StoreError> {
        wait(Store::read(self, key))
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Result<Revision, StoreError> {
        wait(Store::forget(self, key, lock))
    }

    fn list(&self) -> Result<Vec<KeyStatus>, StoreError> {
        wait(Store::list(self))
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        Store::watch(self, key, lock, watcher)
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        Store::changes(self, listener)
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.home.place();
        f.debug_tuple("RedisStore")
            .field(&format_args!("{place}"))
            .finish()
    }
}
