//! Many processes at once.

use std::env;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use oneflight_sqlite::SqliteStore;
use oneflight_store::blocking::Store;
use oneflight_store::{
    AttemptId, Bytes, Claim, ClaimRequest, Holder, LeaseId, Publication, Revision, WatchEvent,
};

const ROLE: &str = "ONEFLIGHT_TEST_ROLE";
const FILE: &str = "ONEFLIGHT_TEST_DB";

fn claim(store: &SqliteStore, key: &str, attempt: u128) -> Claim {
    let request = ClaimRequest {
        key: key.into(),
        lock: format!("lock of {key}").into(),
        ttl: Duration::from_secs(60),
        seen: Revision::NEVER,
        holder: Holder {
            host: "here".into(),
            pid: std::process::id(),
            user: "me".into(),
        },
        attempt: AttemptId(attempt),
    };
    store.claim(request).unwrap()
}

fn start(role: &str, path: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "as_another_process", "--nocapture"])
        .env(ROLE, role)
        .env(FILE, path)
        .spawn()
        .unwrap()
}

/// What the other processes do; nothing where no test has started it as one.
#[test]
fn as_another_process() {
    let Some(path) = env::var_os(FILE) else {
        return;
    };
    match env::var(ROLE).unwrap().as_str() {
        "open" => {
            let store = SqliteStore::open(path).unwrap();
            let attempt = u128::from(std::process::id());
            // One of all is granted; the value it publishes is the others'.
            let token = match claim(&store, "of all", attempt) {
                Claim::Granted { token, .. } => Some(token),
                Claim::Held { .. } | Claim::Newer { .. } => None,
            };
            let own = format!("of {attempt}");
            assert!(matches!(
                claim(&store, &own, attempt),
                Claim::Granted { .. }
            ));
            if let Some(token) = token {
                let lock = "lock of of all".into();
                let value = Bytes::from(attempt.to_be_bytes().to_vec());
                let published = store
                    .publish(LeaseId { lock, token }, "of all".into(), value, None)
                    .unwrap();
                assert!(matches!(published, Publication::Published(_)));
            }
        }
        "come and go" => {
            for round in 0..30_u128 {
                let store = SqliteStore::open(&path).unwrap();
                let attempt = u128::from(std::process::id()) << 32 | round;
                let key = format!("{attempt}");
                assert!(matches!(
                    claim(&store, &key, attempt),
                    Claim::Granted { .. }
                ));
            }
        }
        "hold and die" => {
            let store = SqliteStore::open(path).unwrap();
            assert!(matches!(claim(&store, "key", 7), Claim::Granted { .. }));
            std::process::abort();
        }
        other => panic!("no role {other}"),
    }
}

#[test]
fn forty_processes_make_one_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/store.db");
    let children: Vec<_> = (0..40).map(|_| start("open", &path)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let listed = SqliteStore::open(&path).unwrap().list().unwrap();
    assert_eq!(listed.len(), 41);
    let mut tokens: Vec<_> = listed
        .iter()
        .filter_map(|status| match status.state {
            oneflight_store::LockState::Held { token, .. } => Some(token.get()),
            oneflight_store::LockState::Free => None,
        })
        .collect();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 40);
    // 41 grants and one publish: nothing was drawn twice, nothing was lost.
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.forget("x".into(), "x".into()).unwrap().get(), 43);
}

#[test]
fn forty_threads_make_one_store() {
    for _ in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let barrier = Barrier::new(40);
        let granted = Mutex::new(0);
        thread::scope(|scope| {
            for number in 0..40 {
                let (barrier, path, granted) = (&barrier, &path, &granted);
                scope.spawn(move || {
                    barrier.wait();
                    let store = SqliteStore::open(path).unwrap();
                    if matches!(claim(&store, "key", number), Claim::Granted { .. }) {
                        *granted.lock().unwrap() += 1;
                    }
                });
            }
        });
        assert_eq!(granted.into_inner().unwrap(), 1);
    }
}

#[test]
fn processes_that_come_and_go_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let children: Vec<_> = (0..6).map(|_| start("come and go", &path)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.list().unwrap().len(), 180);
    assert_eq!(store.forget("x".into(), "x".into()).unwrap().get(), 181);
}

#[test]
fn what_a_dead_process_held_is_held_until_it_lapses() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let mut child = start("hold and die", &path);
    assert!(!child.wait().unwrap().success());
    let store = SqliteStore::open(&path).unwrap();
    assert!(matches!(claim(&store, "key", 8), Claim::Held { .. }));
    assert!(matches!(claim(&store, "key", 7), Claim::Granted { .. }));
}

#[test]
fn a_watch_hears_of_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let watcher = Arc::new(move |event| tell.send(event).unwrap());
    let watch = store.watch("of all".into(), "lock of of all".into(), watcher);
    let mut child = start("open", &path);
    let value = loop {
        match told.recv_timeout(Duration::from_secs(20)).unwrap() {
            WatchEvent::Key(state) => {
                if let Some(entry) = state.entry {
                    break entry.value;
                }
            }
            WatchEvent::Lock(_) => {}
            WatchEvent::Ended(error) => panic!("{error}"),
        }
    };
    assert_eq!(value.len(), 16);
    drop(watch);
    assert!(child.wait().unwrap().success());
}
