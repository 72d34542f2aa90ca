//! [`RedisStore`].

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use oneflight_store::blocking::Store;
use oneflight_store::{
    ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, LockState, Profile,
    Publication, PutOutcome, Renewal, Revision, StoreError, Subscription, Watcher,
};
use redis::Client;

use super::desk::{Bell, Desk};
use super::ear;
use crate::call::{self, Call};
use crate::hub::{Hears, Hub};
use crate::layout::Channels;
use crate::list::List;
use crate::profile::PROFILE;
use crate::source::Source;

/// A store on a Redis server, for callers that block.
///
/// Cheap to clone; all clones are one. A call takes one of a few connections for itself. With the first
/// watch or change stream two threads start, of which one reads what the server pushes over a
/// connection of its own; they end a fraction of a second after the last clone is dropped, or once a
/// silent server is given up.
///
/// Each process hears of every small value of the database that is published, whether or not it waits
/// for it: where that is much, use the async flavour, which subscribes to each key by itself.
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
}

struct Shared {
    desk: Arc<Desk>,
    /// The threads have been started.
    hears: Mutex<bool>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.desk.bell.end();
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
    /// them.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self::on(Source::of(client))
    }

    fn on(source: Source) -> Self {
        let bell = Arc::new(Bell::default());
        let ring = Arc::clone(&bell);
        let channels = Channels::new(source.database());
        let hub = Hub::new(channels, Hears::All, move || ring.ring());
        let desk = Desk::new(source, Arc::new(hub), bell);
        Self {
            shared: Arc::new(Shared {
                desk: Arc::new(desk),
                hears: Mutex::new(false),
            }),
        }
    }

    fn desk(&self) -> &Desk {
        &self.shared.desk
    }

    fn hub(&self) -> &Arc<Hub> {
        &self.shared.desk.hub
    }

    fn channels(&self) -> &Channels {
        &self.hub().channels
    }

    /// Makes a call that writes.
    fn write<T>(
        &self,
        call: &Call<T>,
        key: Option<&str>,
        lock: Option<&str>,
    ) -> Result<T, StoreError> {
        let answer = self.desk().ask(call);
        self.hub().written(key, lock);
        answer
    }

    /// Starts the threads, unless they run.
    fn hear(&self) {
        let mut hears = self
            .shared
            .hears
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // If they do not start now, they may with the next subscription.
        *hears = *hears || ear::start(&self.shared.desk).is_ok();
    }
}

impl Store for RedisStore {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        let ticket = self.hub().ticket(&request.key, &request.lock);
        let claimed = self.desk().ask(&call::claim(self.channels(), &request))?;
        match &claimed.claim {
            Claim::Held {
                token,
                remaining,
                holder,
            } => {
                let lock = LockState::Held {
                    token: *token,
                    remaining: *remaining,
                    holder: holder.clone(),
                };
                self.hub().learn(ticket, claimed.key, &lock);
            }
            Claim::Granted { .. } => self.hub().written(None, Some(&request.lock)),
            Claim::Newer { .. } => {}
        }
        Ok(claimed.claim)
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Result<Renewal, StoreError> {
        let call = call::renew(self.channels(), &lease, ttl);
        self.write(&call, None, Some(&lease.lock))
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Result<Publication, StoreError> {
        call::within_limit(&self.desk().place, &value)?;
        let call = call::publish(self.channels(), &lease, &key, &value, retain);
        self.write(&call, Some(&key), Some(&lease.lock))
    }

    fn release(&self, lease: LeaseId) -> Result<(), StoreError> {
        let call = call::release(self.channels(), &lease);
        self.write(&call, None, Some(&lease.lock))
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Result<PutOutcome, StoreError> {
        call::within_limit(&self.desk().place, &value)?;
        let call = call::put(self.channels(), &key, &value, retain, seen);
        self.write(&call, Some(&key), None)
    }

    fn read(&self, key: Arc<str>) -> Result<KeyState, StoreError> {
        self.desk().ask(&call::read(&key))
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Result<Revision, StoreError> {
        let call = call::forget(self.channels(), &key, &lock);
        self.write(&call, Some(&key), Some(&lock))
    }

    fn list(&self) -> Result<Vec<KeyStatus>, StoreError> {
        let mut list = List::default();
        while let Some(scan) = list.scan() {
            list.found(&self.desk().place, self.desk().query(&scan)?)?;
            for call in list.take_found() {
                list.add(self.desk().ask(&call))?;
            }
        }
        Ok(list.into_lines())
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        let watch = self.hub().watch(key, lock, watcher);
        self.hear();
        watch
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        let changes = self.hub().listen(listener);
        self.hear();
        changes
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisStore")
            .field(&format_args!("{}", self.desk().place))
            .finish()
    }
}
