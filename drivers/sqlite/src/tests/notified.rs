//! The notifier, when things are not well.

use std::sync::mpsc::{Receiver, channel};

use oneflight_store::{Change, KeyState, LockState, StoreError, Subscription, WatchEvent};

use super::*;

const SOON: Duration = Duration::from_secs(10);

fn watch(store: &SqliteStore, key: &str) -> (Subscription, Receiver<WatchEvent>) {
    let (tell, told) = channel();
    let lock = format!("{key}/lock").into();
    let watcher = Arc::new(move |event| drop(tell.send(event)));
    (store.watch(key.into(), lock, watcher), told)
}

fn changes(store: &SqliteStore) -> (Subscription, Receiver<Change>) {
    let (tell, told) = channel();
    (
        store.changes(Arc::new(move |change| drop(tell.send(change)))),
        told,
    )
}

#[track_caller]
fn snapshot(told: &Receiver<WatchEvent>) -> (KeyState, LockState) {
    let first = told.recv_timeout(SOON).unwrap();
    let second = told.recv_timeout(SOON).unwrap();
    match (first, second) {
        (WatchEvent::Key(key), WatchEvent::Lock(lock)) => (key, lock),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn ended(told: &Receiver<WatchEvent>) -> StoreError {
    loop {
        match told.recv_timeout(SOON).unwrap() {
            WatchEvent::Ended(error) => return error,
            WatchEvent::Key(_) | WatchEvent::Lock(_) => {}
        }
    }
}

fn threads() -> usize {
    let own = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    own.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.trim() == "oneflight-sqlit")
        .count()
}

#[test]
fn a_deleted_file_ends_watches_and_gaps_streams() {
    let scene = Scene::new();
    let store = scene.open();
    let (_watch, told) = watch(&store, "key");
    let (_changes, stream) = changes(&store);
    snapshot(&told);
    assert_eq!(stream.recv_timeout(SOON), Ok(Change::Connected));
    let away = scene.directory.path().join("away");
    std::fs::rename(scene.path(), &away).unwrap();
    assert!(matches!(ended(&told), StoreError::Unavailable(_)));
    assert!(matches!(stream.recv_timeout(SOON), Ok(Change::Gap(_))));
    // A watch begun meanwhile is told at once, and all is well again once the file is.
    let (_late, late) = watch(&store, "key");
    assert!(matches!(ended(&late), StoreError::Unavailable(_)));
    std::fs::rename(&away, scene.path()).unwrap();
    assert_eq!(stream.recv_timeout(SOON), Ok(Change::Connected));
    let revision = put(&store, "key", "value");
    let key = "key".into();
    assert_eq!(
        stream.recv_timeout(SOON),
        Ok(Change::Moved { key, revision })
    );
    let (_again, again) = watch(&store, "key");
    assert!(snapshot(&again).0.entry.is_some());
    assert!(
        told.try_recv().is_err(),
        "a watch that has ended is told no more"
    );
}

#[test]
fn a_row_that_does_not_decode_ends_its_own_watch_only() {
    let scene = Scene::new();
    let store = scene.open();
    put(&store, "bad", "value");
    let (_bad, bad) = watch(&store, "bad");
    let (_good, good) = watch(&store, "good");
    snapshot(&bad);
    snapshot(&good);
    scene.sql("UPDATE entries SET revision = 50, token = -1; UPDATE meta SET seq = 50");
    let error = ended(&bad);
    assert!(
        matches!(&error, StoreError::Malformed { key, .. } if &**key == "bad"),
        "{error:?}"
    );
    put(&store, "good", "value");
    assert!(matches!(good.recv_timeout(SOON), Ok(WatchEvent::Key(_))));
    let (_late, late) = watch(&store, "bad");
    assert!(matches!(ended(&late), StoreError::Malformed { .. }));
}

#[test]
fn a_key_that_is_no_string_is_a_gap() {
    let scene = Scene::new();
    let store = scene.open();
    put(&store, "key", "value");
    let (_changes, stream) = changes(&store);
    assert_eq!(stream.recv_timeout(SOON), Ok(Change::Connected));
    scene.sql("UPDATE entries SET key = x'ff', revision = 9; UPDATE meta SET seq = 9");
    assert!(matches!(
        stream.recv_timeout(SOON),
        Ok(Change::Gap(StoreError::Malformed { .. }))
    ));
    assert_eq!(stream.recv_timeout(SOON), Ok(Change::Connected));
}

/// Once nobody rings here, as after the pipe was replaced, the backstop still tells.
#[cfg(target_os = "linux")]
#[test]
fn a_change_that_nobody_rings_for_is_told_all_the_same() {
    let scene = Scene::new();
    let store = scene.open();
    let (_watch, told) = watch(&store, "key");
    snapshot(&told);
    std::fs::remove_file(scene.directory.path().join("store.db-signal")).unwrap();
    let other = scene.open();
    put(&other, "key", "value");
    assert!(matches!(told.recv_timeout(SOON), Ok(WatchEvent::Key(_))));
}

#[test]
fn a_callback_that_panics_is_not_called_again_and_harms_nobody() {
    let scene = Scene::new();
    let store = scene.open();
    let _bad = store.watch(
        "key".into(),
        "key/lock".into(),
        Arc::new(|_| panic!("as it must not")),
    );
    let (_good, told) = watch(&store, "key");
    snapshot(&told);
    put(&store, "key", "value");
    assert!(matches!(told.recv_timeout(SOON), Ok(WatchEvent::Key(_))));
}

#[test]
fn a_closed_store_ends_its_watches() {
    let scene = Scene::new();
    let store = scene.open();
    let (_watch, told) = watch(&store, "key");
    snapshot(&told);
    drop(store);
    assert!(matches!(ended(&told), StoreError::Unavailable(_)));
}

#[test]
fn a_value_is_not_read_again_for_its_lock() {
    let scene = Scene::new();
    let store = scene.open();
    put(&store, "key", "value");
    let (_watch, told) = watch(&store, "key");
    snapshot(&told);
    let token = granted(claim(&store, "key", 1, SECOND, 99));
    store.release(lease("key", token)).unwrap();
    let released = Ok(WatchEvent::Lock(LockState::Free));
    loop {
        let event = told.recv_timeout(SOON);
        assert!(matches!(event, Ok(WatchEvent::Lock(_))), "{event:?}");
        if event == released {
            break;
        }
    }
}

/// Alone in its process, for it counts threads.
#[cfg(target_os = "linux")]
#[test]
fn the_thread_runs_while_somebody_listens() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::notified::count_threads"])
        .env("ONEFLIGHT_TEST_ALONE", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The other process of the test above; nothing where it has not been started as one.
#[test]
fn count_threads() {
    if std::env::var_os("ONEFLIGHT_TEST_ALONE").is_none() {
        return;
    }
    let scene = Scene::new();
    let store = scene.open();
    let until = |count| {
        for _ in 0..1000 {
            if threads() == count {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{} threads, not {count}", threads());
    };
    put(&store, "key", "value");
    assert_eq!(threads(), 0);
    for _ in 0..3 {
        let first = watch(&store, "key");
        let second = changes(&store);
        until(1);
        snapshot(&first.1);
        drop(first);
        drop(second);
        until(0);
    }
    let left = watch(&store, "key");
    until(1);
    drop(store);
    until(0);
    drop(left);
}

#[test]
fn many_come_and_go_and_each_is_told() {
    let scene = Scene::new();
    let store = scene.open();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let store = &store;
            scope.spawn(move || {
                let key = format!("key {number}");
                for _ in 0..100 {
                    let (subscription, told) = watch(store, &key);
                    let before = snapshot(&told).0.revision;
                    let revision = put(store, &key, "value");
                    assert!(revision > before);
                    loop {
                        if let WatchEvent::Key(state) = told.recv_timeout(SOON).unwrap()
                            && state.revision == revision
                        {
                            break;
                        }
                    }
                    drop(subscription);
                }
            });
        }
    });
}

/// With the backstop alone every change would take up to a fifth of a second.
#[cfg(target_os = "linux")]
#[test]
fn a_change_is_told_at_once() {
    let scene = Scene::new();
    let (store, other) = (scene.open(), scene.open());
    let (_watch, told) = watch(&store, "key");
    snapshot(&told);
    let since = std::time::Instant::now();
    for _ in 0..40 {
        put(&other, "key", "value");
        assert!(matches!(told.recv_timeout(SOON), Ok(WatchEvent::Key(_))));
    }
    assert!(since.elapsed() < 3 * SECOND, "{:?}", since.elapsed());
}
