//! How `Offload` treats its callers, its thread and its store.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use oneflight_store::{
    Bytes, ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, MemoryStore, Offload,
    Pending, Profile, Publication, PutOutcome, Renewal, Revision, Store, StoreError, Subscription,
    Watcher, blocking,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// A store whose `release` runs what the test says, and whose end is told.
struct Scripted {
    inner: MemoryStore,
    release: Box<dyn Fn() + Send + Sync>,
    ended: Mutex<Sender<Option<String>>>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let thread = thread::current().name().map(String::from);
        drop(self.ended.lock().unwrap().send(thread));
    }
}

type Ended = Receiver<Option<String>>;

fn scripted(release: impl Fn() + Send + Sync + 'static) -> (Offload<Scripted>, MemoryStore, Ended) {
    let (ended, end) = channel();
    let inner = MemoryStore::new();
    let store = Scripted {
        inner: inner.clone(),
        release: Box::new(release),
        ended: Mutex::new(ended),
    };
    (Offload::new(store), inner, end)
}

fn lease() -> LeaseId {
    LeaseId {
        lock: "lock".into(),
        token: oneflight_store::Token::new(1).unwrap(),
    }
}

fn put(store: &impl Store) -> Pending<PutOutcome> {
    store.put("key".into(), Bytes::new(), None, Revision::NEVER)
}

#[track_caller]
fn wait<T>(mut future: Pending<T>) -> Result<T, StoreError> {
    let start = Instant::now();
    loop {
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "a caller hangs");
        thread::yield_now();
    }
}

#[test]
fn a_panic_in_the_store_is_an_answer_and_the_next_call_goes_on() {
    let (offload, _, _end) = scripted(|| panic!("scripted"));
    for _ in 0..2 {
        let answer = wait(offload.release(lease()));
        let expected = StoreError::unavailable("the store panicked: scripted");
        assert_eq!(answer, Err(expected));
        assert!(wait(put(&offload)).is_ok());
    }
}

#[test]
fn a_call_is_carried_out_though_nobody_waits_for_it() {
    let (offload, inner, end) = scripted(|| ());
    drop(put(&offload));
    drop(offload);
    end.recv_timeout(PATIENCE).unwrap();
    let state = blocking::Store::read(&inner, "key".into()).unwrap();
    assert!(state.entry.is_some());
}

#[test]
fn dropping_it_waits_for_nothing_and_what_is_queued_is_finished() {
    let (open, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let (offload, _, end) = scripted(move || gate.lock().unwrap().recv().unwrap());
    let stuck = offload.release(lease());
    let queued = put(&offload);
    // Returns though the thread is in the middle of a call.
    drop(offload);
    open.send(()).unwrap();
    assert_eq!(wait(stuck), Ok(()));
    assert!(wait(queued).is_ok());
    // And then the thread ends, the store with it.
    let thread = end.recv_timeout(PATIENCE).unwrap();
    assert_eq!(thread.as_deref(), Some("oneflight-memory"));
}

#[test]
fn there_is_one_thread_and_only_once_it_is_needed() {
    let (offload, _, end) = scripted(|| ());
    drop((offload.clone(), offload));
    let here = thread::current().name().map(String::from);
    // The store ends where it was dropped: there was no thread to drop it.
    assert_eq!(end.recv_timeout(PATIENCE).unwrap(), here);

    let names = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&names);
    let (offload, _, _end) = scripted(move || seen.lock().unwrap().push(thread::current().id()));
    for _ in 0..3 {
        wait(offload.clone().release(lease())).unwrap();
    }
    let mut threads = names.lock().unwrap().clone();
    threads.dedup();
    assert_eq!(threads.len(), 1);
}

#[test]
fn a_waker_that_panics_leaves_the_thread_to_the_others() {
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker");
        }
    }

    let (open, gate) = channel::<()>();
    let gate = Mutex::new(gate);
    let (offload, _, _end) = scripted(move || gate.lock().unwrap().recv().unwrap());
    let mut stuck = offload.release(lease());
    let waker = Waker::from(Arc::new(Panics));
    let poll = stuck.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(poll.is_pending());
    open.send(()).unwrap();
    assert!(wait(put(&offload)).is_ok());
    drop(catch_unwind(AssertUnwindSafe(|| drop(stuck))));
}

impl blocking::Store for Scripted {
    fn profile(&self) -> &Profile {
        blocking::Store::profile(&self.inner)
    }

    fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        blocking::Store::claim(&self.inner, request)
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Result<Renewal, StoreError> {
        blocking::Store::renew(&self.inner, lease, ttl)
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Result<Publication, StoreError> {
        blocking::Store::publish(&self.inner, lease, key, value, retain)
    }

    fn release(&self, _: LeaseId) -> Result<(), StoreError> {
        (self.release)();
        Ok(())
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Result<PutOutcome, StoreError> {
        blocking::Store::put(&self.inner, key, value, retain, seen)
    }

    fn read(&self, key: Arc<str>) -> Result<KeyState, StoreError> {
        blocking::Store::read(&self.inner, key)
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Result<Revision, StoreError> {
        blocking::Store::forget(&self.inner, key, lock)
    }

    fn list(&self) -> Result<Vec<KeyStatus>, StoreError> {
        blocking::Store::list(&self.inner)
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        blocking::Store::watch(&self.inner, key, lock, watcher)
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        blocking::Store::changes(&self.inner, listener)
    }
}
