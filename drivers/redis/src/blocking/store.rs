//! [`RedisStore`].

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use oneflight_store::{
    ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, Pending, Profile,
    Publication, PutOutcome, Renewal, Revision, Store, StoreError, Subscription, Watcher, blocking,
};
use redis::Client;

use super::bell::Bell;
use super::link::{Link, Phase};
use super::wait::wait;
use crate::call::{self, Call};
use crate::hub::Hub;
use crate::layout::Channels;
use crate::line;
use crate::list::List;
use crate::profile::PROFILE;
use crate::source::Source;

/// A store on a Redis server, which does without a runtime: given as it is to the driver for threads, or
/// asked by callers that block.
///
/// Cheap to clone; all clones are one, with one connection for everything. Nothing happens until the
/// first call or subscription: that one starts a thread which keeps the connection and writes, and each
/// connection has another one which reads; while a connection is made, another one looks at the time. All
/// end when the last clone is dropped; those that are connecting just then end within 3 s.
///
/// It keeps the contract in both flavours: the futures of [`Store`] may be waited for by anybody, with
/// any runtime or none, and the calls of [`blocking::Store`] wait for them in place.
///
/// **Cancellation.** A dropped future gives up the answer, not the call.
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
}

struct Shared {
    link: Arc<Link>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.link.end();
    }
}

impl RedisStore {
    /// On the server of this URL: `redis://user:password@host:port/database`, `rediss://…` with TLS, or
    /// `unix:///path?db=database`; or on the primary that sentinels name:
    /// `redis-sentinel://user:password@host:port/database?node=host:port&sentinelServiceName=name`,
    /// `rediss-sentinel://…` with TLS. Connects with the first call.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] if the URL is none, which does not show it.
    pub fn open(url: impl AsRef<str>) -> Result<Self, StoreError> {
        Ok(Self::on(Source::open(url.as_ref())?))
    }

    /// On the server of this client. Its connections are made by the store, which speaks RESP3 over
    /// them. A client with TLS certificates of its own is refused by the first call: name a file of
    /// those to trust in `SSL_CERT_FILE`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self::on(Source::of(client))
    }

    fn on(source: Source) -> Self {
        let bell = Arc::new(Bell::default());
        let ring = Arc::clone(&bell);
        let channels = Channels::new(source.database());
        let link = Link {
            hub: Arc::new(Hub::new(channels, move || ring.ring())),
            place: source.place(),
            source,
            bell,
            phase: Mutex::new(Phase::default()),
        };
        Self {
            shared: Arc::new(Shared {
                link: Arc::new(link),
            }),
        }
    }

    fn call<T: Send + 'static>(&self, call: Call<T>) -> Pending<T> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let answer = line::ask(&shared.link, &call).await;
            answer.map_err(|fault| fault.error)
        })
    }

    fn checked<T: Send + 'static>(&self, value: &Bytes, call: Call<T>) -> Pending<T> {
        match call::within_limit(&self.shared.link.place, value) {
            Ok(()) => self.call(call),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn channels(&self) -> &Channels {
        &self.shared.link.hub.channels
    }
}

impl Store for RedisStore {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn claim(&self, request: ClaimRequest) -> Pending<Claim> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let claim = line::claim(&shared.link, &request).await;
            claim.map_err(|fault| fault.error)
        })
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
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let mut list = List::default();
            line::list(&shared.link, &mut list).await?;
            Ok(list.into_lines())
        })
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        let watch = self.shared.link.hub.watch(key, lock, watcher);
        // Else it begins with the first call that can.
        drop(self.shared.link.start());
        watch
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        let changes = self.shared.link.hub.listen(listener);
        drop(self.shared.link.start());
        changes
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
        f.debug_tuple("RedisStore")
            .field(&format_args!("{}", self.shared.link.place))
            .finish()
    }
}
