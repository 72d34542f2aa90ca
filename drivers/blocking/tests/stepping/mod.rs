//! A store with a thread of its own, each of whose steps is taken whole.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_channel::oneshot;
use oneflight_store::{
    Bytes, ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, MemoryStore, Pending,
    Profile, Publication, PutOutcome, Renewal, Revision, Store, Subscription, WatchEvent, Watcher,
    blocking,
};
use shuttle::sync::mpsc;
use shuttle::thread::{self, JoinHandle};

type Job = Box<dyn FnOnce(&MemoryStore) + Send>;
type Note = Box<dyn FnOnce() + Send>;

/// Its thread carries out the calls and tells the watchers, outside of the inner store's lock: who is
/// told something wakes others, which they may do at once.
#[derive(Clone)]
pub(crate) struct Stepping {
    inner: MemoryStore,
    jobs: Arc<shuttle::sync::Mutex<mpsc::Sender<Job>>>,
    notes: Arc<Mutex<VecDeque<Note>>>,
}

impl Stepping {
    /// The thread ends when the last handle is gone.
    pub(crate) fn start() -> (Self, JoinHandle<()>) {
        let (sender, jobs) = mpsc::channel::<Job>();
        let store = Self {
            inner: MemoryStore::new(),
            jobs: Arc::new(shuttle::sync::Mutex::new(sender)),
            notes: Arc::default(),
        };
        let (inner, notes) = (store.inner.clone(), Arc::clone(&store.notes));
        let thread = thread::spawn(move || {
            while let Ok(job) = jobs.recv() {
                job(&inner);
                while let Some(note) = { notes.lock().unwrap().pop_front() } {
                    note();
                }
            }
        });
        (store, thread)
    }

    pub(crate) fn inner(&self) -> &MemoryStore {
        &self.inner
    }

    fn queue(&self, job: impl FnOnce(&MemoryStore) + Send + 'static) {
        self.jobs.lock().unwrap().send(Box::new(job)).unwrap();
    }

    fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&MemoryStore) -> Result<T, oneflight_store::StoreError> + Send + 'static,
    ) -> Pending<T> {
        let (answer, answered) = oneshot::channel();
        self.queue(move |store| drop(answer.send(call(store))));
        Box::pin(async move { answered.await.unwrap() })
    }
}

macro_rules! pass_on {
    ($($call:ident($($name:ident: $kind:ty),*) -> $answer:ty;)*) => {
        impl Store for Stepping {
            fn profile(&self) -> &Profile {
                Store::profile(&self.inner)
            }
            $(fn $call(&self, $($name: $kind),*) -> Pending<$answer> {
                self.call(move |store| blocking::Store::$call(store, $($name),*))
            })*
            fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
                let notes = Arc::clone(&self.notes);
                let open = Arc::new(AtomicBool::new(true));
                let is_open = Arc::clone(&open);
                let inner = Store::watch(&self.inner, key, lock, Arc::new(move |event: WatchEvent| {
                    let (watcher, is_open) = (Arc::clone(&watcher), Arc::clone(&is_open));
                    notes.lock().unwrap().push_back(Box::new(move || {
                        if is_open.load(Ordering::SeqCst) {
                            watcher.notify(event);
                        }
                    }));
                }));
                self.queue(|_| ());
                Subscription::new(move || {
                    drop(inner);
                    open.store(false, Ordering::SeqCst);
                })
            }
            fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
                Store::changes(&self.inner, listener)
            }
        }
    };
}

pass_on! {
    claim(request: ClaimRequest) -> Claim;
    renew(lease: LeaseId, ttl: Duration) -> Renewal;
    publish(lease: LeaseId, key: Arc<str>, value: Bytes, retain: Option<Duration>) -> Publication;
    release(lease: LeaseId) -> ();
    put(key: Arc<str>, value: Bytes, retain: Option<Duration>, seen: Revision) -> PutOutcome;
    read(key: Arc<str>) -> KeyState;
    forget(key: Arc<str>, lock: Arc<str>) -> Revision;
    list() -> Vec<KeyStatus>;
}
