//! A store in all kinds of trouble. The tests of all drivers use it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use oneflight_store::{
    Bytes, Change, ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, LockState,
    MemoryStore, Pending, Profile, Publication, PutOutcome, Renewal, Revision, Store, StoreError,
    Subscription, WatchEvent, Watcher,
};

/// A store that counts, and that fails or falls silent when told to.
#[derive(Clone, Default)]
pub(crate) struct Flaky {
    inner: MemoryStore,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    down: AtomicBool,
    silent: AtomicBool,
    refusing: AtomicBool,
    /// Answers are held back.
    holding: AtomicBool,
    /// Who waits for them.
    held_back: Mutex<Vec<Waker>>,
    claims: AtomicUsize,
    renewals: AtomicUsize,
    publishes: AtomicUsize,
    releases: AtomicUsize,
    puts: AtomicUsize,
    reads: AtomicUsize,
    watches: AtomicUsize,
    open_watches: Arc<AtomicUsize>,
    /// Renewals that are to panic.
    panics: AtomicUsize,
    /// Publishes whose answer is lost after they are committed.
    lost_answers: AtomicUsize,
    deaf: AtomicBool,
    listeners: Mutex<Vec<Arc<dyn ChangeListener>>>,
    watchers: Mutex<Vec<Arc<dyn Watcher>>>,
}

impl Flaky {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Every call fails at once.
    pub(crate) fn set_down(&self, down: bool) {
        self.state.down.store(down, Ordering::SeqCst);
    }

    /// No call is answered.
    pub(crate) fn set_silent(&self, silent: bool) {
        self.state.silent.store(silent, Ordering::SeqCst);
    }

    /// Every call is refused.
    pub(crate) fn set_refusing(&self, refusing: bool) {
        self.state.refusing.store(refusing, Ordering::SeqCst);
    }

    /// The answers of this many publishes are lost.
    pub(crate) fn lose_publish_answers(&self, count: usize) {
        self.state.lost_answers.store(count, Ordering::SeqCst);
    }

    /// This many renewals panic.
    pub(crate) fn panic_in_renewals(&self, count: usize) {
        self.state.panics.store(count, Ordering::SeqCst);
    }

    /// The change stream breaks off, or is not up yet: what changes is not told.
    pub(crate) fn set_deaf(&self, deaf: bool) {
        self.state.deaf.store(deaf, Ordering::SeqCst);
        let change = if deaf {
            Change::Gap(StoreError::unavailable("the stream broke off"))
        } else {
            Change::Connected
        };
        for listener in self.state.listeners.lock().unwrap().iter() {
            listener.notify(change.clone());
        }
    }

    /// All watches break off.
    pub(crate) fn end_watches(&self) {
        let watchers = std::mem::take(&mut *self.state.watchers.lock().unwrap());
        for watcher in watchers {
            let error = StoreError::unavailable("the watch broke off");
            watcher.notify(WatchEvent::Ended(error));
        }
    }

    /// Every call is carried out, but its answer is held back until this is over.
    pub(crate) fn hold_answers(&self, holding: bool) {
        self.state.holding.store(holding, Ordering::SeqCst);
        let waiting = std::mem::take(&mut *self.state.held_back.lock().unwrap());
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn claims(&self) -> usize {
        self.state.claims.load(Ordering::SeqCst)
    }

    pub(crate) fn renewals(&self) -> usize {
        self.state.renewals.load(Ordering::SeqCst)
    }

    pub(crate) fn publishes(&self) -> usize {
        self.state.publishes.load(Ordering::SeqCst)
    }

    pub(crate) fn releases(&self) -> usize {
        self.state.releases.load(Ordering::SeqCst)
    }

    pub(crate) fn puts(&self) -> usize {
        self.state.puts.load(Ordering::SeqCst)
    }

    pub(crate) fn reads(&self) -> usize {
        self.state.reads.load(Ordering::SeqCst)
    }

    pub(crate) fn open_watches(&self) -> usize {
        self.state.open_watches.load(Ordering::SeqCst)
    }

    pub(crate) fn watches(&self) -> usize {
        self.state.watches.load(Ordering::SeqCst)
    }

    /// Somebody else releases this lease, as a lapse would.
    pub(crate) fn take_away(&self, lease: LeaseId) {
        oneflight_store::blocking::Store::release(&self.inner, lease).unwrap();
    }

    /// Nobody else holds on to this store.
    pub(crate) fn is_last(&self) -> bool {
        Arc::strong_count(&self.state) == 1
    }

    /// The keys whose lock is held.
    pub(crate) fn held(&self) -> Vec<KeyStatus> {
        oneflight_store::blocking::Store::list(&self.inner)
            .unwrap()
            .into_iter()
            .filter(|key| key.state != LockState::Free)
            .collect()
    }

    /// Runs a call, or does not.
    fn call<T: Send + 'static>(&self, call: impl FnOnce(&MemoryStore) -> Pending<T>) -> Pending<T> {
        if self.state.silent.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        if self.state.down.load(Ordering::SeqCst) {
            return Box::pin(std::future::ready(Err(StoreError::unavailable(
                "it is down",
            ))));
        }
        if self.state.refusing.load(Ordering::SeqCst) {
            return Box::pin(std::future::ready(Err(StoreError::refused("not for you"))));
        }
        let answer = call(&self.inner);
        if !self.state.holding.load(Ordering::SeqCst) {
            return answer;
        }
        let state = Arc::clone(&self.state);
        Box::pin(async move {
            std::future::poll_fn(|cx| {
                state.held_back.lock().unwrap().push(cx.waker().clone());
                match state.holding.load(Ordering::SeqCst) {
                    true => Poll::Pending,
                    false => Poll::Ready(()),
                }
            })
            .await;
            answer.await
        })
    }
}

/// Counts down.
fn is_next(left: &AtomicUsize) -> bool {
    let next = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
        left.checked_sub(1)
    });
    next.is_ok()
}

impl Store for Flaky {
    fn profile(&self) -> &Profile {
        Store::profile(&self.inner)
    }

    fn claim(&self, request: ClaimRequest) -> Pending<Claim> {
        self.state.claims.fetch_add(1, Ordering::SeqCst);
        self.call(|store| Store::claim(store, request))
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Pending<Renewal> {
        self.state.renewals.fetch_add(1, Ordering::SeqCst);
        assert!(!is_next(&self.state.panics), "on purpose");
        self.call(|store| Store::renew(store, lease, ttl))
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Pending<Publication> {
        self.state.publishes.fetch_add(1, Ordering::SeqCst);
        let answer = self.call(|store| Store::publish(store, lease, key, value, retain));
        if is_next(&self.state.lost_answers) {
            return Box::pin(async move {
                drop(answer.await);
                Err(StoreError::unavailable("the answer was lost"))
            });
        }
        answer
    }

    fn release(&self, lease: LeaseId) -> Pending<()> {
        self.state.releases.fetch_add(1, Ordering::SeqCst);
        self.call(|store| Store::release(store, lease))
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Pending<PutOutcome> {
        self.state.puts.fetch_add(1, Ordering::SeqCst);
        self.call(|store| Store::put(store, key, value, retain, seen))
    }

    fn read(&self, key: Arc<str>) -> Pending<KeyState> {
        self.state.reads.fetch_add(1, Ordering::SeqCst);
        self.call(|store| Store::read(store, key))
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Pending<Revision> {
        self.call(|store| Store::forget(store, key, lock))
    }

    fn list(&self) -> Pending<Vec<KeyStatus>> {
        self.call(Store::list)
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        self.state.watches.fetch_add(1, Ordering::SeqCst);
        let open = Arc::clone(&self.state.open_watches);
        open.fetch_add(1, Ordering::SeqCst);
        let mut watchers = self.state.watchers.lock().unwrap();
        watchers.push(Arc::clone(&watcher));
        drop(watchers);
        let inner = Store::watch(&self.inner, key, lock, watcher);
        Subscription::new(move || {
            drop(inner);
            open.fetch_sub(1, Ordering::SeqCst);
        })
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        self.state
            .listeners
            .lock()
            .unwrap()
            .push(Arc::clone(&listener));
        let state = Arc::clone(&self.state);
        let hears = move |change| {
            if !state.deaf.load(Ordering::SeqCst) {
                listener.notify(change);
            }
        };
        Store::changes(&self.inner, Arc::new(hears))
    }
}
