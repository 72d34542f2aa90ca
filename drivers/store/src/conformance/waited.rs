//! [`Waited`]: an async store for callers that block.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use bytes::Bytes;
use oneflight_core::Revision;

use crate::{
    ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, Profile, Publication,
    PutOutcome, Renewal, Store, StoreError, Subscription, Watcher, blocking,
};

/// Serves blocking callers from an async [`Store`], by parking the caller's thread until the answer
/// is there: with it the suite checks async stores.
///
/// It drives the call's own future and nothing else. A store that needs a runtime keeps one running.
#[derive(Clone, Debug, Default)]
pub struct Waited<S>(S);

impl<S: Store> Waited<S> {
    /// Waits for the calls to `store`.
    pub fn new(store: S) -> Self {
        Self(store)
    }

    /// The inner store.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.0
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

impl<S: Store> blocking::Store for Waited<S> {
    fn profile(&self) -> &Profile {
        self.0.profile()
    }

    fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        block_on(self.0.claim(request))
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Result<Renewal, StoreError> {
        block_on(self.0.renew(lease, ttl))
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Result<Publication, StoreError> {
        block_on(self.0.publish(lease, key, value, retain))
    }

    fn release(&self, lease: LeaseId) -> Result<(), StoreError> {
        block_on(self.0.release(lease))
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Result<PutOutcome, StoreError> {
        block_on(self.0.put(key, value, retain, seen))
    }

    fn read(&self, key: Arc<str>) -> Result<KeyState, StoreError> {
        block_on(self.0.read(key))
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Result<Revision, StoreError> {
        block_on(self.0.forget(key, lock))
    }

    fn list(&self) -> Result<Vec<KeyStatus>, StoreError> {
        block_on(self.0.list())
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        self.0.watch(key, lock, watcher)
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        self.0.changes(listener)
    }
}
