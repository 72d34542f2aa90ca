//! [`RedisStore`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oneflight_store::{
    ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, Pending, Profile,
    Publication, PutOutcome, Renewal, Revision, Store, StoreError, Subscription, Watcher,
};
use redis::{Client, IntoConnectionInfo};

use super::cluster::Cluster;
use super::node::{Node, Runtime};
use crate::call::{self, Call};
use crate::cluster::{Member, Seeds};
use crate::fault::Place;
use crate::layout::Channels;
use crate::line;
use crate::list::List;
use crate::profile::PROFILE;
use crate::source::Source;

/// A store on a Redis server or a Redis Cluster, for async callers on a tokio runtime.
///
/// Cheap to clone; all clones are one, with one connection for everything, or one to each server of a
/// cluster that is in use. Nothing happens until the first call: that one starts tasks on its runtime
/// which keep the connections, and which end when the last clone is dropped. A call may be made from
/// anywhere once the tasks are there.
///
/// **Cancellation.** A dropped future gives up the answer, not the call.
#[derive(Clone)]
pub struct RedisStore {
    home: Home,
}

#[derive(Clone)]
enum Home {
    Server(Arc<Node>),
    Cluster(Arc<Cluster>),
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
        if let Some(seeds) = Seeds::of_url(url.as_ref()) {
            return Ok(Self::across(seeds?));
        }
        Ok(Self::on(Source::open(url.as_ref())?))
    }

    /// On the server of this client. Its connections are made by the store, which speaks RESP3 over
    /// them.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self::on(Source::of(client))
    }

    /// On the cluster of these servers: a few of them are enough for the others to be found. The user,
    /// the password and TLS are those of the first.
    ///
    /// ```
    /// # use oneflight_redis::RedisStore;
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
        Ok(Self::across(Seeds::of(servers)?))
    }

    fn on(source: Source) -> Self {
        Self {
            home: Home::Server(Arc::new(Node::new(source, Runtime::default()))),
        }
    }

    fn across(seeds: Seeds) -> Self {
        Self {
            home: Home::Cluster(Arc::new(Cluster::new(seeds))),
        }
    }

    fn place(&self) -> &Place {
        match &self.home {
            Home::Server(node) => &node.link.place,
            Home::Cluster(cluster) => cluster.place(),
        }
    }

    fn call<T: Send + 'static>(&self, call: Call<T>) -> Pending<T> {
        match self.home.clone() {
            Home::Server(node) => Box::pin(async move {
                let answer = line::ask(&*node, &call).await;
                answer.map_err(|fault| fault.error)
            }),
            Home::Cluster(cluster) => Box::pin(async move { cluster.ask(&call).await }),
        }
    }

    fn checked<T: Send + 'static>(&self, value: &Bytes, call: Call<T>) -> Pending<T> {
        match call::within_limit(self.place(), value) {
            Ok(()) => self.call(call),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn channels(&self) -> &Channels {
        match &self.home {
            Home::Server(node) => &node.link.hub.channels,
            Home::Cluster(cluster) => cluster.channels(),
        }
    }
}

impl Store for RedisStore {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn claim(&self, request: ClaimRequest) -> Pending<Claim> {
        match self.home.clone() {
            Home::Server(node) => Box::pin(async move {
                let claim = line::claim(&*node, &request).await;
                claim.map_err(|fault| fault.error)
            }),
            Home::Cluster(cluster) => Box::pin(async move { cluster.claim(&request).await }),
        }
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Pending<Renewal> {
        self.call(call::renew(self.channels(), &lease, ttl))
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Pending<Publication> {
        let call = call::publish(self.channels(), &lease, &key, &value, retain);
        self.checked(&value, call)
    }

    fn release(&self, lease: LeaseId) -> Pending<()> {
        self.call(call::release(self.channels(), &lease))
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Pending<PutOutcome> {
        let call = call::put(self.channels(), &key, &value, retain, seen);
        self.checked(&value, call)
    }

    fn read(&self, key: Arc<str>) -> Pending<KeyState> {
        self.call(call::read(&key))
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Pending<Revision> {
        self.call(call::forget(self.channels(), &key, &lock))
    }

    fn list(&self) -> Pending<Vec<KeyStatus>> {
        match self.home.clone() {
            Home::Server(node) => Box::pin(async move {
                let mut list = List::default();
                line::list(&*node, &mut list).await?;
                Ok(list.into_lines())
            }),
            Home::Cluster(cluster) => Box::pin(async move { cluster.list().await }),
        }
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        match &self.home {
            Home::Server(node) => node.watch(key, lock, watcher),
            Home::Cluster(cluster) => cluster.watch(key, lock, watcher),
        }
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        match &self.home {
            Home::Server(node) => node.listen(listener),
            Home::Cluster(cluster) => cluster.listen(listener),
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place();
        f.debug_tuple("RedisStore")
            .field(&format_args!("{place}"))
            .finish()
    }
}
