//! [`MemoryStore`]: the contract in one process.

mod hub;
mod state;

use std::fmt;
use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use oneflight_core::Revision;

use self::hub::Slot;
use self::state::State;
use crate::{
    ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, Loss, Pending, Profile,
    Publication, PutOutcome, Renewal, Store, StoreError, Subscription, Watcher, blocking,
};

/// The largest value a [`MemoryStore`] takes.
const MAX_VALUE: u64 = 64 << 20;

static PROFILE: Profile = Profile {
    name: "memory",
    atomic_claim: true,
    atomic_publish: true,
    idempotent_claim: true,
    push: true,
    store_side_lapse: true,
    lapsed_holder_may_publish: true,
    any_key: true,
    any_bytes: true,
    retains: true,
    max_value: MAX_VALUE,
    loses: Loss::DiesWithItsCallers,
};

/// A store in this process's memory: the reference of the contract, for tests and for programs of
/// one process. A clone is another handle on the same data.
///
/// Both flavours of the contract are here. The async one takes effect when a method is called, and
/// its future is ready at once; the blocking one never waits longer than another call takes.
///
/// Watchers and listeners are called under the store's lock, from whichever thread made the change
/// and before its call returns (a watch's snapshot: before `watch` returns). So they must not call
/// the store, not even when they are dropped, and whoever calls the store must not hold a lock that
/// a watcher takes. Dropping a [`Subscription`] never waits, and may be done anywhere.
///
/// The bytes of a value are freed when it is replaced, forgotten, or past its retention. Of every
/// key ever written its last revision is kept, about a hundred bytes: revisions grow for ever.
///
/// ```
/// use std::time::Duration;
/// use oneflight_store::blocking::Store;
/// use oneflight_store::{
///     AttemptId, Bytes, Claim, ClaimRequest, Holder, LeaseId, MemoryStore, Publication, Revision,
/// };
///
/// let store = MemoryStore::new();
/// let request = |attempt, seen| ClaimRequest {
///     key: "report".into(),
///     lock: "lock/report".into(),
///     ttl: Duration::from_secs(30),
///     seen,
///     holder: Holder { host: "here".into(), pid: 1, user: "me".into() },
///     attempt: AttemptId(attempt),
/// };
///
/// // One caller gets the lease, the others are told that it is held.
/// let Claim::Granted { token, .. } = store.claim(request(1, Revision::NEVER))? else { panic!() };
/// assert!(matches!(store.claim(request(2, Revision::NEVER))?, Claim::Held { .. }));
///
/// // Publishing writes the value and frees the lock; who saw nothing yet is given the value.
/// let lease = LeaseId { lock: "lock/report".into(), token };
/// let publication = store.publish(lease, "report".into(), Bytes::from("42"), None)?;
/// let Publication::Published(revision) = publication else { panic!() };
/// let Claim::Newer { entry, .. } = store.claim(request(3, Revision::NEVER))? else { panic!() };
/// assert_eq!((entry.value, entry.revision), (Bytes::from("42"), revision));
/// # Ok::<(), oneflight_store::StoreError>(())
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// A subscription was dropped while the state was locked: its place is still to be cleared.
    untidy: AtomicBool,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One atomic step: `call` sees the state as it is at this moment of the store's clock.
    fn step<T>(&self, call: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.shared.lock();
        // Read under the lock, so that the clock never goes back from one step to the next.
        let now = Instant::now();
        state.expire(now);
        call(&mut state, now)
    }

    /// A subscription that closes `slot`, then clears its place.
    fn subscription<W: ?Sized + Send + Sync + 'static>(&self, slot: Arc<Slot<W>>) -> Subscription {
        let shared = Arc::downgrade(&self.shared);
        Subscription::new(move || {
            slot.close();
            // Waiting for the lock here would deadlock a watcher that drops a subscription.
            if let Some(shared) = shared.upgrade() {
                shared.untidy.store(true, Ordering::Release);
                shared.tidy_unless_locked();
            }
        })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panicking watcher poisons the lock, but is only called once the state is complete.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.tidy(&mut state);
        state
    }

    fn tidy(&self, state: &mut State) {
        if self.untidy.swap(false, Ordering::Acquire) {
            state.hub.clear_closed();
        }
    }

    fn tidy_unless_locked(&self) {
        match self.state.try_lock() {
            Ok(mut state) => self.tidy(&mut state),
            Err(TryLockError::Poisoned(poisoned)) => self.tidy(&mut poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {} // The next call does it.
        }
    }
}

impl blocking::Store for MemoryStore {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        Ok(self.step(|state, now| state.claim(now, request)))
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Result<Renewal, StoreError> {
        Ok(self.step(|state, now| state.renew(now, &lease, ttl)))
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Result<Publication, StoreError> {
        check_size(&value)?;
        Ok(self.step(|state, now| state.publish(now, &lease, &key, value, retain)))
    }

    fn release(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.step(|state, now| state.release(now, &lease));
        Ok(())
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Result<PutOutcome, StoreError> {
        check_size(&value)?;
        Ok(self.step(|state, now| state.put(now, &key, value, retain, seen)))
    }

    fn read(&self, key: Arc<str>) -> Result<KeyState, StoreError> {
        Ok(self.step(|state, now| state.key(now, &key)))
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Result<Revision, StoreError> {
        Ok(self.step(|state, now| state.forget(now, &key, &lock)))
    }

    fn list(&self) -> Result<Vec<KeyStatus>, StoreError> {
        Ok(self.step(|state, now| state.list(now)))
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        let slot = Arc::new(Slot::new(watcher));
        self.step(|state, now| state.watch(now, key, lock, Arc::clone(&slot)));
        self.subscription(slot)
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        let slot = Arc::new(Slot::new(listener));
        self.step(|state, _| state.hub.listen(Arc::clone(&slot)));
        self.subscription(slot)
    }
}

impl Store for MemoryStore {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn claim(&self, request: ClaimRequest) -> Pending<Claim> {
        Box::pin(ready(blocking::Store::claim(self, request)))
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Pending<Renewal> {
        Box::pin(ready(blocking::Store::renew(self, lease, ttl)))
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Pending<Publication> {
        Box::pin(ready(blocking::Store::publish(
            self, lease, key, value, retain,
        )))
    }

    fn release(&self, lease: LeaseId) -> Pending<()> {
        Box::pin(ready(blocking::Store::release(self, lease)))
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Pending<PutOutcome> {
        Box::pin(ready(blocking::Store::put(self, key, value, retain, seen)))
    }

    fn read(&self, key: Arc<str>) -> Pending<KeyState> {
        Box::pin(ready(blocking::Store::read(self, key)))
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Pending<Revision> {
        Box::pin(ready(blocking::Store::forget(self, key, lock)))
    }

    fn list(&self) -> Pending<Vec<KeyStatus>> {
        Box::pin(ready(blocking::Store::list(self)))
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        blocking::Store::watch(self, key, lock, watcher)
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        blocking::Store::changes(self, listener)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

fn check_size(value: &Bytes) -> Result<(), StoreError> {
    let size = value.len() as u64;
    if size > MAX_VALUE {
        return Err(StoreError::refused(format_args!(
            "the value has {size} bytes, and at most {MAX_VALUE} are taken"
        )));
    }
    Ok(())
}
