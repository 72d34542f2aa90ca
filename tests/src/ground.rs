//! Where fleets meet: one store each, in all the ways it is opened.

use std::path::PathBuf;
use std::sync::Arc;

use oneflight_redis::RedisStore;
use oneflight_sqlite::SqliteStore;
use oneflight_store::{MemoryStore, Store, blocking};
use oneflight_test_servers::{Config, RedisServer};

/// Where a fleet meets: one store, which any number of processes open.
pub trait Ground: Send + Sync + 'static {
    /// A fresh one, with nothing in it.
    fn new() -> Self;
    /// Opens it, as one more process does.
    fn open(&self) -> Arc<dyn Store>;
    /// Opens it, as one more process does that has threads and no runtime.
    fn open_for_threads(&self) -> Arc<dyn Store> {
        self.open()
    }
}

/// A ground for processes of the system, which name it by a URL.
pub trait Meeting: Ground {
    /// What they are given.
    fn url(&self) -> String;
    /// Opens it, to be asked in place.
    fn asked(&self) -> Box<dyn blocking::Store>;
    /// How many of these processes wait for somebody else's fill. It may count others, too, if they wait.
    fn waiting(&self, pids: &[u32]) -> usize;
    /// All who opened it have gone: nothing of them is left at the store.
    fn assert_left_alone(&self) {}
}

/// A [`MemoryStore`].
#[derive(Debug)]
pub struct Memory(MemoryStore);

impl Ground for Memory {
    fn new() -> Self {
        Self(MemoryStore::new())
    }

    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

/// A file with a [`SqliteStore`].
#[derive(Debug)]
pub struct Sqlite(tempfile::TempDir);

impl Sqlite {
    /// The file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.0.path().join("store.db")
    }

    /// Opens it, as itself.
    #[must_use]
    pub fn store(&self) -> SqliteStore {
        SqliteStore::open(self.path()).unwrap()
    }
}

impl Ground for Sqlite {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store())
    }
}

impl Meeting for Sqlite {
    fn url(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    fn asked(&self) -> Box<dyn blocking::Store> {
        Box::new(self.store())
    }

    /// Who waits has a thread of its own that asks the store, and another one that hears of changes.
    fn waiting(&self, pids: &[u32]) -> usize {
        let waits = |pid: &&u32| {
            let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
                return false;
            };
            let names = tasks.filter_map(|task| {
                std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
            });
            names.filter(|name| name.starts_with("oneflight-")).count() >= 2
        };
        pids.iter().filter(waits).count()
    }
}

/// A server with a [`RedisStore`].
#[derive(Debug)]
pub struct Redis(RedisServer);

impl Redis {
    /// One that is configured like this.
    #[must_use]
    pub fn with(config: Config) -> Self {
        Self(config.start())
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &RedisServer {
        &self.0
    }

    /// The server, to be killed and restarted.
    pub fn server_mut(&mut self) -> &mut RedisServer {
        &mut self.0
    }
}

impl Ground for Redis {
    fn new() -> Self {
        Self::with(Config::new())
    }

    fn open(&self) -> Arc<dyn Store> {
        Arc::new(RedisStore::open(self.0.url()).unwrap())
    }
}
