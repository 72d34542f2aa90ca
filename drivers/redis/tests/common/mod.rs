//! Both flavours, asked alike.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test file takes what it needs"
)]

pub mod tagged;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use oneflight_redis::RedisStore;
use oneflight_store::blocking::Store;
use oneflight_store::conformance::Waited;
use oneflight_store::{
    AttemptId, Bytes, Change, Claim, ClaimRequest, Holder, LeaseId, Publication, Revision,
    StoreError, Subscription, Token, WatchEvent, Watcher,
};
use oneflight_test_servers::time::until;
use tokio::runtime::Runtime;

pub type Opened = Arc<dyn Store>;

pub const LONG: Duration = Duration::from_secs(600);

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
});

/// The async flavour, its connection kept by a runtime that lasts.
pub fn waited(url: &str) -> Opened {
    let store = RedisStore::open(url).unwrap();
    // What it answers is for the test to see; the task runs from here.
    let read = oneflight_store::Store::read(&store, "".into());
    drop(RUNTIME.block_on(read));
    Arc::new(Waited::new(store))
}

pub fn blocking(url: &str) -> Opened {
    Arc::new(oneflight_redis::blocking::RedisStore::open(url).unwrap())
}

/// A test of each flavour.
#[macro_export]
macro_rules! both {
    ($($test:ident)*) => {
        mod waited { $(#[test] fn $test() { super::$test($crate::common::waited); })* }
        mod blocking { $(#[test] fn $test() { super::$test($crate::common::blocking); })* }
    };
}

pub fn request(key: &str, ttl: Duration, seen: Revision) -> ClaimRequest {
    static LAST: AtomicU64 = AtomicU64::new(0);
    ClaimRequest {
        key: key.into(),
        lock: oneflight_store::default_lock(key).into(),
        ttl,
        seen,
        holder: Holder {
            host: "here".into(),
            pid: 1,
            user: "me".into(),
        },
        attempt: AttemptId(u128::from(LAST.fetch_add(1, Ordering::Relaxed) + 1)),
    }
}

pub fn lease(key: &str, token: Token) -> LeaseId {
    let lock = oneflight_store::default_lock(key).into();
    LeaseId { lock, token }
}

#[track_caller]
pub fn granted(claim: Result<Claim, StoreError>) -> Token {
    match claim {
        Ok(Claim::Granted { token, .. }) => token,
        other => panic!("not granted: {other:?}"),
    }
}

#[track_caller]
pub fn published(publication: Result<Publication, StoreError>) -> Revision {
    match publication {
        Ok(Publication::Published(revision)) => revision,
        other => panic!("not published: {other:?}"),
    }
}

/// Claims and publishes.
#[track_caller]
pub fn fill(store: &Opened, key: &str, seen: Revision, value: &'static str) -> Revision {
    let token = granted(store.claim(request(key, LONG, seen)));
    published(store.publish(lease(key, token), key.into(), Bytes::from(value), None))
}

/// What came over a subscription.
pub struct Heard<E> {
    events: Arc<Mutex<Vec<E>>>,
    _subscription: Subscription,
}

impl<E: Clone> Heard<E> {
    pub fn events(&self) -> Vec<E> {
        self.events.lock().unwrap().clone()
    }

    #[track_caller]
    pub fn until<T>(&self, what: &str, find: impl Fn(&[E]) -> Option<T>) -> T {
        until(what, || find(&self.events.lock().unwrap()))
    }
}

pub fn watch(store: &Opened, key: &str) -> Heard<WatchEvent> {
    let events = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&events);
    let watcher = Arc::new(move |event| told.lock().unwrap().push(event));
    let lock = oneflight_store::default_lock(key).into();
    Heard {
        events,
        _subscription: store.watch(key.into(), lock, watcher),
    }
}

/// The same with this patience.
pub fn watch_for(store: &Opened, key: &str, patience: Duration) -> Heard<WatchEvent> {
    struct Watching(Arc<Mutex<Vec<WatchEvent>>>, Duration);
    impl Watcher for Watching {
        fn notify(&self, event: WatchEvent) {
            self.0.lock().unwrap().push(event);
        }
        fn patience(&self) -> Duration {
            self.1
        }
    }
    let events = Arc::new(Mutex::new(Vec::new()));
    let watcher = Arc::new(Watching(Arc::clone(&events), patience));
    let lock = oneflight_store::default_lock(key).into();
    Heard {
        events,
        _subscription: store.watch(key.into(), lock, watcher),
    }
}

pub fn listen(store: &Opened) -> Heard<Change> {
    let events = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&events);
    let listener = Arc::new(move |event| told.lock().unwrap().push(event));
    Heard {
        events,
        _subscription: store.changes(listener),
    }
}

/// Waits until the key is last told to be at this revision.
#[track_caller]
pub fn hears(heard: &Heard<WatchEvent>, revision: Revision) {
    heard.until("a revision", |events| {
        let last = events.iter().rev().find_map(|event| match event {
            WatchEvent::Key(state) => Some(state.revision),
            _ => None,
        });
        (last? == revision).then_some(())
    });
}
