//! [`Offload`]: a blocking store for async callers.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use futures_channel::oneshot;
use oneflight_core::Revision;

use crate::{
    ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, Pending, Profile,
    Publication, PutOutcome, Renewal, Store, StoreError, Subscription, Watcher, blocking,
};

/// Serves async callers from a [`blocking::Store`], on one thread of its own and with any runtime.
///
/// The calls are queued when they are made and carried out one after another in that order, whether
/// or not their futures are still there. The thread starts with the first call; once the last clone
/// is dropped it finishes what is queued and ends by itself, and nobody waits for it. A call during
/// which the inner store panics is answered [`StoreError::Unavailable`], since it may or may not have
/// happened; the ones after it go on.
///
/// `profile`, `watch` and `changes` are passed straight through to the inner store, on the caller's
/// thread.
///
/// ```
/// use oneflight_store::{Bytes, MemoryStore, Offload, PutOutcome, Revision, Store};
///
/// async fn note(store: impl Store) -> Result<Bytes, oneflight_store::StoreError> {
///     store.put("key".into(), Bytes::from("value"), None, Revision::NEVER).await?;
///     let state = store.read("key".into()).await?;
///     Ok(state.entry.map(|entry| entry.value).unwrap_or_default())
/// }
///
/// # block_on(async {
/// assert_eq!(note(Offload::new(MemoryStore::new())).await, Ok(Bytes::from("value")));
/// # });
/// # fn block_on(future: impl Future) {
/// #     let mut future = std::pin::pin!(future);
/// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// #     while future.as_mut().poll(&mut context).is_pending() { std::thread::yield_now(); }
/// # }
/// ```
pub struct Offload<S> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    store: Arc<S>,
    /// To the thread, once there is one. The thread ends when this is dropped.
    queue: Mutex<Option<mpsc::Sender<Job<S>>>>,
}

type Job<S> = Box<dyn FnOnce(&S) + Send>;

impl<S: blocking::Store> Offload<S> {
    /// Offloads the calls to `store`.
    pub fn new(store: S) -> Self {
        Self {
            shared: Arc::new(Shared {
                store: Arc::new(store),
                queue: Mutex::new(None),
            }),
        }
    }

    /// The inner store.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.shared.store
    }

    /// Queues `call` and answers the future of its outcome.
    fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&S) -> Result<T, StoreError> + Send + 'static,
    ) -> Pending<T> {
        let (answer, answered) = oneshot::channel();
        let queued = self.shared.queue(Box::new(move |store| {
            // The store's own locks are its own affair: a store that cannot go on after a panic
            // says so itself at the next call.
            let outcome = catch_unwind(AssertUnwindSafe(|| call(store)));
            let outcome = outcome.unwrap_or_else(|panic| Err(panicked(&*panic)));
            // An error only says that the caller has given up.
            drop(answer.send(outcome));
        }));
        Box::pin(async move {
            queued.map_err(|error| {
                StoreError::unavailable(format_args!("the store's thread did not start: {error}"))
            })?;
            answered.await.unwrap_or_else(|oneshot::Canceled| {
                Err(StoreError::unavailable("the store's thread is gone"))
            })
        })
    }
}

impl<S: blocking::Store> Shared<S> {
    fn queue(&self, job: Job<S>) -> io::Result<()> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = match &*queue {
            Some(sender) => sender,
            None => queue.insert(start(Arc::clone(&self.store))?),
        };
        // INVARIANT: the thread receives for as long as there is a sender.
        sender
            .send(job)
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

fn start<S: blocking::Store>(store: Arc<S>) -> io::Result<mpsc::Sender<Job<S>>> {
    let (sender, jobs) = mpsc::channel::<Job<S>>();
    thread::Builder::new()
        .name(format!("oneflight-{}", store.profile().name))
        .spawn(move || {
            // What is queued when the last sender goes is still received.
            for job in jobs {
                // A waker that panics is no reason to leave the other callers without a thread.
                drop(catch_unwind(AssertUnwindSafe(|| job(&store))));
            }
        })?;
    Ok(sender)
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> StoreError {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    StoreError::unavailable(format_args!("the store panicked: {message}"))
}

impl<S: blocking::Store> Store for Offload<S> {
    fn profile(&self) -> &Profile {
        self.shared.store.profile()
    }

    fn claim(&self, request: ClaimRequest) -> Pending<Claim> {
        self.call(move |store| store.claim(request))
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Pending<Renewal> {
        self.call(move |store| store.renew(lease, ttl))
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Pending<Publication> {
        self.call(move |store| store.publish(lease, key, value, retain))
    }

    fn release(&self, lease: LeaseId) -> Pending<()> {
        self.call(move |store| store.release(lease))
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Pending<PutOutcome> {
        self.call(move |store| store.put(key, value, retain, seen))
    }

    fn read(&self, key: Arc<str>) -> Pending<KeyState> {
        self.call(move |store| store.read(key))
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Pending<Revision> {
        self.call(move |store| store.forget(key, lock))
    }

    fn list(&self) -> Pending<Vec<KeyStatus>> {
        self.call(|store| store.list())
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        self.shared.store.watch(key, lock, watcher)
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        self.shared.store.changes(listener)
    }
}

impl<S> Clone for Offload<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S> fmt::Debug for Offload<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offload").finish_non_exhaustive()
    }
}
