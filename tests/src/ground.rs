//! Where fleets meet: one store each, in all the ways it is opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use oneflight_dust::DustStore;
use oneflight_redis::RedisStore;
use oneflight_sqlite::SqliteStore;
use oneflight_store::{KeyStatus, MemoryStore, Store, blocking};
use oneflight_test_dust::{DustServer, STORE, TOKEN};
use oneflight_test_servers::{Config, Proxy, RedisServer};
use tokio::runtime::Builder;

use crate::time::until;

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
    /// What is in it.
    fn list(&self) -> Vec<KeyStatus>;
    /// How many of these processes wait for somebody else's fill.
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

    fn list(&self) -> Vec<KeyStatus> {
        blocking::Store::list(&self.store()).unwrap()
    }

    /// Who waits has a thread of its own that asks the store, and another one that hears of changes.
    fn waiting(&self, pids: &[u32]) -> usize {
        let waits = |pid: &&u32| {
            let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
                return false;
            };
            let names = tasks
                .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
            names.filter(|name| name.starts_with("oneflight-")).count() >= 2
        };
        pids.iter().filter(waits).count()
    }
}

/// A server with a [`RedisStore`], and perhaps a way to it that can be troubled.
#[derive(Debug)]
pub struct Redis {
    /// The server.
    pub server: RedisServer,
    proxy: Option<Proxy>,
    url: Option<String>,
}

impl Redis {
    /// One that is configured like this.
    #[must_use]
    pub fn with(config: Config) -> Self {
        Self {
            server: config.start(),
            proxy: None,
            url: None,
        }
    }

    /// From now on whoever is given the URL is led by a proxy.
    #[must_use]
    pub fn proxied(mut self) -> Self {
        self.proxy = Some(Proxy::to(self.server.address()));
        self
    }

    /// From now on that is the URL.
    #[must_use]
    pub fn reached_by(mut self, url: String) -> Self {
        self.url = Some(url);
        self
    }

    /// The proxy.
    #[must_use]
    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("there is no proxy")
    }

    /// What clients have subscribed to, or whom they wait for: nothing if there are none.
    #[must_use]
    pub fn channels(&self) -> Vec<String> {
        let ask = |what| {
            self.server
                .command::<Vec<String>>(&["PUBSUB", what])
                .unwrap()
        };
        let mut channels = ask("CHANNELS");
        channels.extend(ask("SHARDCHANNELS"));
        channels
    }

    /// The ports from which those come who have subscribed to something.
    fn subscribers(&self) -> Vec<u16> {
        let clients = self.server.clients();
        let subscribed = clients.iter().filter_map(|line| {
            let field = |name: &str| {
                let fields = line.split(' ').filter_map(|field| field.split_once('='));
                fields.into_iter().find(|it| it.0 == name).map(|it| it.1)
            };
            let port = field("addr")?.rsplit(':').next()?.parse().ok()?;
            (field("sub")? != "0").then_some(port)
        });
        subscribed.collect()
    }
}

/// The local ports of a process's connections.
fn ports(pid: u32) -> Vec<u16> {
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    let links = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    let sockets: Vec<String> = links
        .filter_map(|link| {
            let link = link.to_str()?.strip_prefix("socket:[")?;
            Some(link.strip_suffix(']')?.to_owned())
        })
        .collect();
    let connections = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let ports = connections.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_own = sockets.iter().any(|socket| socket == fields[9]);
        let port = fields[1].rsplit(':').next().filter(|_| is_own)?;
        u16::from_str_radix(port, 16).ok()
    });
    ports.collect()
}

impl Ground for Redis {
    fn new() -> Self {
        Self::with(Config::new())
    }

    fn open(&self) -> Arc<dyn Store> {
        Arc::new(RedisStore::open(self.url()).unwrap())
    }

    fn open_for_threads(&self) -> Arc<dyn Store> {
        let store = oneflight_redis::blocking::RedisStore::open(self.url());
        Arc::new(store.unwrap())
    }
}

impl Meeting for Redis {
    fn url(&self) -> String {
        match (&self.url, &self.proxy) {
            (Some(url), _) => url.clone(),
            (None, Some(proxy)) => self.server.url_at(proxy.address()),
            (None, None) => self.server.url(),
        }
    }

    fn list(&self) -> Vec<KeyStatus> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let store = RedisStore::open(self.server.url()).unwrap();
        runtime.block_on(store.list()).unwrap()
    }

    /// Who waits has subscribed, and has claimed with the same write.
    fn waiting(&self, pids: &[u32]) -> usize {
        let subscribers = self.subscribers();
        let waits = |pid: &&u32| ports(**pid).iter().any(|port| subscribers.contains(port));
        pids.iter().filter(waits).count()
    }

    fn assert_left_alone(&self) {
        until("no client", || {
            self.server.clients().is_empty().then_some(())
        });
        assert_eq!(self.channels(), Vec::<String>::new());
    }
}

/// A server that does as Dust does.
#[derive(Debug)]
pub struct Dust(DustServer);

impl Ground for Dust {
    fn new() -> Self {
        Self(DustServer::new())
    }

    fn open(&self) -> Arc<dyn Store> {
        Arc::new(open_dust(&self.0))
    }
}

/// The same with mirrors that are behind, each by another time, and with events out of order.
#[derive(Debug)]
pub struct DustBehind(DustServer);

impl Ground for DustBehind {
    fn new() -> Self {
        let server = DustServer::new();
        server.reorder(Duration::from_millis(5), 7);
        Self(server)
    }

    fn open(&self) -> Arc<dyn Store> {
        let store = open_dust(&self.0);
        let behind = Duration::from_millis(fastrand::u64(..=40));
        self.0.delay_events(store.device(), behind);
        Arc::new(store)
    }
}

fn open_dust(server: &DustServer) -> DustStore {
    let address = format!("dust+ws://{}/{STORE}", server.address());
    DustStore::new(address.parse().unwrap(), TOKEN)
}
