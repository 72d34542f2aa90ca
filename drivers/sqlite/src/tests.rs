//! What needs a hand on the clock, or in the file.

#[cfg(target_os = "linux")]
mod bell;
mod file;
mod notified;
mod time;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oneflight_store::blocking::Store;
use oneflight_store::{AttemptId, Bytes, Claim, ClaimRequest, Holder, LeaseId, Revision, Token};
use tempfile::TempDir;

use crate::SqliteStore;
use crate::clock::{Clock, Now};

const SECOND: Duration = Duration::from_secs(1);

/// A machine whose clocks and boots are the test's to set.
struct Fake {
    boot: AtomicI64,
    wall: AtomicI64,
    id: Mutex<String>,
}

impl Fake {
    fn pass(&self, time: Duration) {
        let nanos = crate::clock::nanos(time);
        self.boot.fetch_add(nanos, Ordering::SeqCst);
        self.wall.fetch_add(nanos, Ordering::SeqCst);
    }

    /// Somebody sets the time of day, by so many seconds.
    fn set_wall(&self, seconds: i64) {
        self.wall
            .fetch_add(seconds * 1_000_000_000, Ordering::SeqCst);
    }

    /// The machine goes down, for so long, and is up for a second.
    fn reboot(&self, down: Duration) {
        self.wall
            .fetch_add(crate::clock::nanos(down + SECOND), Ordering::SeqCst);
        self.boot.store(1_000_000_000, Ordering::SeqCst);
        let mut id = self.id.lock().unwrap();
        *id = format!("{id}'");
    }
}

impl Clock for Fake {
    fn boot_id(&self) -> io::Result<String> {
        Ok(self.id.lock().unwrap().clone())
    }

    fn now(&self) -> Now {
        Now {
            boot: self.boot.load(Ordering::SeqCst),
            wall: self.wall.load(Ordering::SeqCst),
        }
    }
}

struct Scene {
    directory: TempDir,
    clock: Arc<Fake>,
}

impl Scene {
    fn new() -> Self {
        let clock = Arc::new(Fake {
            boot: AtomicI64::new(5_000_000_000),
            wall: AtomicI64::new(1_700_000_000_000_000_000),
            id: Mutex::new("boot".to_owned()),
        });
        let directory = tempfile::tempdir().unwrap();
        Self { directory, clock }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("store.db")
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open_with(&self.path(), Arc::clone(&self.clock) as Arc<dyn Clock>).unwrap()
    }

    /// Another program's hand in the file.
    fn sql(&self, sql: &str) {
        let conn = rusqlite::Connection::open(self.path()).unwrap();
        conn.busy_timeout(SECOND).unwrap();
        conn.execute_batch(sql).unwrap();
    }
}

fn claim(store: &SqliteStore, key: &str, attempt: u128, ttl: Duration, seen: u64) -> Claim {
    let request = ClaimRequest {
        key: key.into(),
        lock: format!("{key}/lock").into(),
        ttl,
        seen: Revision::new(seen),
        holder: Holder {
            host: "here".into(),
            pid: 1,
            user: "me".into(),
        },
        attempt: AttemptId(attempt),
    };
    store.claim(request).unwrap()
}

#[track_caller]
fn granted(claim: Claim) -> Token {
    match claim {
        Claim::Granted { token, .. } => token,
        other @ (Claim::Newer { .. } | Claim::Held { .. }) => panic!("{other:?}"),
    }
}

fn lease(key: &str, token: Token) -> LeaseId {
    LeaseId {
        lock: format!("{key}/lock").into(),
        token,
    }
}

fn put(store: &SqliteStore, key: &str, value: &'static str) -> Revision {
    let all = Revision::new(u64::MAX);
    match store
        .put(key.into(), Bytes::from(value), None, all)
        .unwrap()
    {
        oneflight_store::PutOutcome::Written(revision) => revision,
        oneflight_store::PutOutcome::Newer(last) => panic!("{last}"),
    }
}
