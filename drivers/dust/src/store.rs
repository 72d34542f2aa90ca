//! [`DustStore`]: the handle, and how it is made.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oneflight_store::{
    Change, ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, Loss, Pending,
    Profile, Publication, PutOutcome, Renewal, Revision, Store, StoreError, Subscription,
    WatchEvent, Watcher,
};
use tokio::runtime::Handle;

use crate::address::Address;
use crate::calls::{Desk, MAX_VALUE};
use crate::mirror::Scope;
use crate::secret::Secret;
use crate::session::{Patience, Settings, device_id};
use crate::shared::Shared;
use crate::wire::Wire;

const PROFILE: Profile = Profile {
    name: "dust",
    atomic_claim: false,
    atomic_publish: false,
    idempotent_claim: true,
    push: true,
    store_side_lapse: true,
    lapsed_holder_may_publish: false,
    any_key: false,
    any_bytes: false,
    retains: false,
    max_value: MAX_VALUE,
    loses: Loss::LastWrites,
};

/// A store on a Dust server. See the [crate] for what it promises.
///
/// A handle: clones are the same store. The first call that needs the server connects to it, in a task of
/// its own on that call's tokio runtime; when the last clone is dropped, the connection is closed and the
/// task ends.
#[derive(Clone)]
pub struct DustStore(Arc<Owner>);

/// Ends the task when the last handle is gone.
struct Owner(Desk);

impl Drop for Owner {
    fn drop(&mut self) {
        let shared = &self.0.0;
        shared.with(|state, _| {
            state.closing = true;
            state.close();
        });
        shared.wake.notify_one();
    }
}

/// The options of a [`DustStore`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    address: Address,
    secret: Secret,
    room: usize,
    patience: Patience,
    runtime: Option<Handle>,
}

impl DustStore {
    /// The store at this address, for who has this token, with the defaults.
    #[must_use]
    pub fn new(address: Address, token: &str) -> Self {
        Self::builder(address, token).build()
    }

    /// The store at this address, with the token that is in the file which the address names, else in
    /// the environment as `ONEFLIGHT_DUST_TOKEN`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] if there is no token.
    pub fn from_env(address: Address) -> Result<Builder, StoreError> {
        let secret = match &address.token_file {
            Some(file) => Secret::read(file)?,
            None => Secret::from_env()?,
        };
        Ok(Builder {
            secret,
            ..Self::builder(address, "")
        })
    }

    /// The store at this address, for who has this token, with options.
    pub fn builder(address: Address, token: &str) -> Builder {
        Builder {
            address,
            secret: Secret::new(token),
            room: 64 << 20,
            patience: Patience::DEFAULT,
            runtime: None,
        }
    }

    /// What this client calls itself: `device_id` in the server's words.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.0.0.0.device
    }

    /// Waits until this process knows all that was committed before the call: one round trip, and more if
    /// something was written over HTTP. A [`read`](Store::read) alone may be one push behind.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Refused`]. Cancel-safe.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        self.0.0.0.run()?;
        self.0.0.catch_up().await
    }
}

impl Builder {
    /// Mirrors only the keys that are this path or below it; may be called more than once, and adds to
    /// what the address says. Default: all keys of the store. Lock keys other than the default one have to
    /// be among the paths, too.
    pub fn mirror(mut self, prefix: &str) -> Self {
        self.address.prefixes.push(prefix.trim_matches('/').into());
        self
    }

    /// How many bytes of values the mirror keeps. Default 64 MiB. What does not fit is
    /// [`Refused`](StoreError::Refused) by name; the names of keys are kept in any case.
    pub fn mirror_room(mut self, bytes: usize) -> Self {
        self.room = bytes;
        self
    }

    /// How frames are written. Default: as the address says, else JSON.
    pub fn format(mut self, format: Wire) -> Self {
        self.address.wire = format;
        self
    }

    /// How long calls wait for a server that cannot be reached before they fail; while it stays so, they
    /// fail at once. Default 2 s; the first connection may take 5 s all the same, for nothing is known to be
    /// wrong by then.
    pub fn outage_patience(mut self, patience: Duration) -> Self {
        self.patience.outage = patience;
        self
    }

    /// How long a write waits for the end of a rate limit before it fails with the time that is left.
    /// Default 2 s.
    pub fn rate_limit_patience(mut self, patience: Duration) -> Self {
        self.patience.rate_limit = patience;
        self
    }

    /// How long a missing operation may be missed before it is asked for. Default 200 ms: events of other
    /// clients come out of order by less.
    pub fn gap_patience(mut self, patience: Duration) -> Self {
        self.patience.gap = patience;
        self
    }

    /// The runtime on which the connection's task is to run. Default: that of the first call.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// The store. Nothing is connected yet.
    #[must_use]
    pub fn build(self) -> DustStore {
        let process = RandomState::new().build_hasher().finish();
        let device = device_id(process);
        let settings = Settings {
            topic: format!("store:{}", self.address.store),
            wire: self.address.wire,
            scope: Scope {
                prefixes: self.address.prefixes.clone(),
                room: self.room,
            },
            process,
            patience: self.patience,
        };
        let shared = Shared::new(self.address, self.secret, settings, device, self.runtime);
        DustStore(Arc::new(Owner(Desk(Arc::new(shared)))))
    }
}

impl fmt::Debug for DustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DustStore")
            .field("address", &format_args!("{}", self.0.0.0.address))
            .finish_non_exhaustive()
    }
}

/// Makes a call of the desk, once there is a task.
macro_rules! call {
    ($self:ident.$call:ident($($argument:expr),*)) => {{
        let desk = $self.0.0.clone();
        match desk.0.run() {
            Ok(()) => Box::pin(desk.$call($($argument),*)),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }};
}

impl Store for DustStore {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn claim(&self, request: ClaimRequest) -> Pending<Claim> {
        call!(self.claim(request))
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Pending<Renewal> {
        call!(self.renew(lease, ttl))
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Pending<Publication> {
        call!(self.publish(lease, key, value, retain))
    }

    fn release(&self, lease: LeaseId) -> Pending<()> {
        call!(self.release(lease))
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Pending<PutOutcome> {
        call!(self.put(key, value, retain, seen))
    }

    fn read(&self, key: Arc<str>) -> Pending<KeyState> {
        call!(self.read(key))
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Pending<Revision> {
        call!(self.forget(key, lock))
    }

    fn list(&self) -> Pending<Vec<KeyStatus>> {
        call!(self.list())
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        let desk = &self.0.0;
        let paths = desk
            .0
            .run()
            .and_then(|()| Ok((desk.path(&key)?, desk.path(&lock)?)));
        let (key, lock) = match paths {
            Ok(paths) => paths,
            Err(error) => {
                watcher.notify(WatchEvent::Ended(error));
                return Subscription::new(|| ());
            }
        };
        let number = desk.0.with(|state, now| {
            state.session.wanted(now);
            state
                .audience
                .watch(&state.session, now, key, lock, watcher)
        });
        desk.subscription(number)
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        let desk = &self.0.0;
        if let Err(error) = desk.0.run() {
            listener.notify(Change::Gap(error));
        }
        let number = desk.0.with(|state, now| {
            state.session.wanted(now);
            state.audience.listen(&state.session, now, listener)
        });
        desk.subscription(number)
    }
}

impl Desk {
    fn subscription(&self, number: u64) -> Subscription {
        // Whoever subscribes does not keep the store open.
        let shared = Arc::downgrade(&self.0);
        Subscription::new(move || {
            if let Some(shared) = shared.upgrade() {
                shared.with(|state, _| state.audience.leave(number));
            }
        })
    }
}
