//! [`RedisStore`].

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use oneflight_store::{
    ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, Pending, Profile,
    Publication, PutOutcome, Renewal, Revision, Store, StoreError, Subscription, Watcher,
};
use redis::Client;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::link::{Link, Phase, keep};
use super::up::Up;
use crate::call::{self, Call};
use crate::fault::Place;
use crate::hub::{Hears, Hub};
use crate::layout::Channels;
use crate::line::{self, Way};
use crate::profile::PROFILE;
use crate::source::Source;

/// A store on a Redis server, for async callers on a tokio runtime.
///
/// Cheap to clone; all clones are one, with one connection for everything. Nothing happens until the
/// first call: that one starts a task on its runtime which keeps the connection, and which ends when
/// the last clone is dropped. A call may be made from anywhere once the task is there.
///
/// **Cancellation.** A dropped future gives up the answer, not the call.
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
}

struct Shared {
    link: Arc<Link>,
    /// Ends the task.
    task: Mutex<Option<AbortHandle>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task.take() {
            task.abort();
        }
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
        let bell = Arc::new(Notify::new());
        let ring = Arc::clone(&bell);
        let channels = Channels::new(source.database());
        let link = Link {
            hub: Arc::new(Hub::new(channels, Hears::Each, move || ring.notify_one())),
            place: source.place(),
            source,
            bell,
            phase: watch::Sender::new(Phase::default()),
            waiting: AtomicUsize::new(0),
        };
        Self {
            shared: Arc::new(Shared {
                link: Arc::new(link),
                task: Mutex::new(None),
            }),
        }
    }

    fn call<T: Send + 'static>(&self, call: Call<T>) -> Pending<T> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { line::ask(&*shared, &call).await })
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

/// A call that waits for a connection.
struct Waiting<'a>(&'a Link);

impl<'a> Waiting<'a> {
    fn new(link: &'a Link) -> Self {
        link.waiting.fetch_add(1, Ordering::SeqCst);
        link.bell.notify_one();
        Self(link)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    /// Starts the task, unless there is one.
    fn start(&self) -> Result<(), StoreError> {
        if self.link.phase.borrow().is_kept {
            return Ok(());
        }
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if self.link.phase.borrow().is_kept {
            return Ok(());
        }
        let Ok(runtime) = Handle::try_current() else {
            return Err(StoreError::unavailable(format_args!(
                "{}: the first call must be made on a tokio runtime, to keep the connection",
                self.link.place
            )));
        };
        self.link.phase.send_modify(|phase| phase.is_kept = true);
        *task = Some(runtime.spawn(keep(Arc::clone(&self.link))).abort_handle());
        Ok(())
    }
}

impl Way for Shared {
    type Line = Up;

    fn hub(&self) -> &Hub {
        &self.link.hub
    }

    async fn line(&self) -> Result<Up, StoreError> {
        self.start()?;
        let mut phases = self.link.phase.subscribe();
        let before = phases.borrow_and_update().failed;
        let _waiting = match phases.borrow().connection() {
            Some(up) => return Ok(up.clone()),
            None => Waiting::new(&self.link),
        };
        let phase = phases
            .wait_for(|phase| phase.connection().is_some() || phase.failed > before)
            .await;
        // INVARIANT: `self` holds the sender.
        let gone = || StoreError::unavailable("the store is closed");
        let phase = phase.map_err(|_| gone())?;
        match phase.connection() {
            Some(up) => Ok(up.clone()),
            None => Err(phase.error.clone().unwrap_or_else(gone)),
        }
    }
}

impl Store for RedisStore {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn claim(&self, request: ClaimRequest) -> Pending<Claim> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { line::claim(&*shared, request).await })
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
        Box::pin(async move { line::list(&*shared).await })
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        let watch = self.shared.link.hub.watch(key, lock, watcher);
        // Else it begins with the first call that can.
        drop(self.shared.start());
        watch
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        let changes = self.shared.link.hub.listen(listener);
        drop(self.shared.start());
        changes
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place: &Place = &self.shared.link.place;
        f.debug_tuple("RedisStore")
            .field(&format_args!("{place}"))
            .finish()
    }
}
