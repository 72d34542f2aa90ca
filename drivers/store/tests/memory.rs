//! What `MemoryStore` promises beyond the contract: whom it keeps alive, and whom it survives.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use oneflight_store::blocking::Store;
use oneflight_store::{Bytes, MemoryStore, Revision, Subscription, WatchEvent};

const ALL: Revision = Revision::new(u64::MAX);

fn put(store: &MemoryStore, key: &str) {
    store.put(key.into(), Bytes::new(), None, ALL).unwrap();
}

#[test]
fn a_watcher_may_drop_its_own_subscription() {
    let store = MemoryStore::new();
    let own: Arc<Mutex<Option<Subscription>>> = Arc::default();
    let heard = Arc::new(Mutex::new(0));
    let (slot, count) = (Arc::clone(&own), Arc::clone(&heard));
    let watcher = Arc::new(move |_: WatchEvent| {
        *count.lock().unwrap() += 1;
        drop(slot.lock().unwrap().take());
    });
    let alive = Arc::downgrade(&watcher);
    let subscription = store.watch("key".into(), "lock".into(), watcher);
    *own.lock().unwrap() = Some(subscription);
    for _ in 0..3 {
        put(&store, "key");
    }
    // The snapshot of key and lock, and the one put during which it left.
    assert_eq!(*heard.lock().unwrap(), 3);
    assert!(alive.upgrade().is_none(), "the store keeps the watcher");
}

#[test]
fn a_subscription_may_outlive_its_store() {
    let store = MemoryStore::new();
    let watch = store.watch("key".into(), "lock".into(), Arc::new(|_: WatchEvent| ()));
    let changes = store.changes(Arc::new(|_| ()));
    drop(store);
    drop((watch, changes));
}

#[test]
fn a_watcher_that_panics_leaves_the_store_whole() {
    let store = MemoryStore::new();
    let panics = Arc::new(|event: WatchEvent| {
        if matches!(event, WatchEvent::Key(state) if state.entry.is_some()) {
            panic!("a watcher");
        }
    });
    let subscription = store.watch("key".into(), "lock".into(), panics);
    let panic = catch_unwind(AssertUnwindSafe(|| put(&store, "key")));
    assert!(panic.is_err());
    let state = store.read("key".into()).unwrap();
    assert!(state.entry.is_some(), "what was put is there all the same");
    drop(subscription);
    put(&store, "key");
}

#[test]
fn bytes_past_their_retention_are_freed_though_nobody_asks_for_them() {
    struct Owner(#[expect(dead_code, reason = "its being there is what counts")] Arc<()>);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            b"value"
        }
    }

    let store = MemoryStore::new();
    let alive = Arc::new(());
    let value = Bytes::from_owner(Owner(Arc::clone(&alive)));
    let retain = Some(Duration::from_millis(20));
    store.put("key".into(), value, retain, ALL).unwrap();
    let start = Instant::now();
    while Arc::strong_count(&alive) > 1 {
        assert!(start.elapsed() < Duration::from_secs(10), "never freed");
        put(&store, "another");
        thread::yield_now();
    }
    assert!(start.elapsed() >= Duration::from_millis(19));
}

#[test]
fn a_retention_or_lease_beyond_the_clock_is_for_good() {
    let store = MemoryStore::new();
    let retain = Some(Duration::MAX);
    store.put("key".into(), Bytes::new(), retain, ALL).unwrap();
    assert!(store.read("key".into()).unwrap().entry.is_some());
}
