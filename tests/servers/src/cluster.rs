//! A Redis Cluster of a test's own.

use std::time::Duration;

use redis::{FromRedisValue, ToRedisArgs};

use crate::redis::BUS;
use crate::time::until;
use crate::{Config, Proxy, RedisServer};

/// How many slots there are.
const SLOTS: usize = 16384;

/// Primaries with an equal share of the slots each, and perhaps a replica of each of them.
#[derive(Debug)]
pub struct Cluster {
    primaries: Vec<RedisServer>,
    replicas: Vec<RedisServer>,
}

impl Cluster {
    /// So many primaries, which have patience with one another.
    ///
    /// # Panics
    ///
    /// See [`Config::start`].
    #[must_use]
    pub fn new(primaries: usize) -> Self {
        Self::of(&Config::new(), primaries, 0, Duration::from_secs(20))
    }

    /// So many primaries and a replica of each, which is promoted when its primary is dead.
    #[must_use]
    pub fn with_replicas(primaries: usize) -> Self {
        Self::of(&Config::new(), primaries, primaries, Duration::from_secs(1))
    }

    /// So many primaries like that.
    #[must_use]
    pub fn like(config: &Config, primaries: usize) -> Self {
        Self::of(config, primaries, 0, Duration::from_secs(20))
    }

    fn of(config: &Config, primaries: usize, replicas: usize, timeout: Duration) -> Self {
        let start = |count| {
            let servers = (0..count).map(|_| config.clone().in_cluster(timeout).start());
            servers.collect::<Vec<_>>()
        };
        let cluster = Self {
            primaries: start(primaries),
            replicas: start(replicas),
        };
        cluster.form();
        cluster
    }

    fn form(&self) {
        let share = SLOTS.div_ceil(self.primaries.len());
        for (number, server) in self.primaries.iter().enumerate() {
            let (first, end) = (number * share, SLOTS.min((number + 1) * share));
            let (first, last) = (first.to_string(), (end - 1).to_string());
            order(server, &["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
        }
        for (number, server) in self.servers().enumerate() {
            // Else they would have to find out by themselves which of them is right.
            let epoch = (number + 1).to_string();
            order(server, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
            let (host, port) = (server.address().ip().to_string(), server.address().port());
            order(
                &self.primaries[0],
                &["CLUSTER", "MEET", &host, &port.to_string()],
            );
        }
        for (replica, primary) in self.replicas.iter().zip(&self.primaries) {
            let primary = id(primary);
            until("a replica that knows its primary", || {
                let replicate = ["CLUSTER", "REPLICATE", &primary];
                replica.command::<()>(&replicate).ok()
            });
        }
        let count = self.servers().count();
        let known = format!("cluster_known_nodes:{count}\r\n");
        for server in self.servers() {
            until("a server that knows the cluster", || {
                let info: String = server.command(&["CLUSTER", "INFO"]).unwrap();
                let is_ready = info.contains("cluster_state:ok") && info.contains(&known);
                is_ready.then_some(())
            });
        }
        for primary in self.primaries.iter().take(self.replicas.len()) {
            until("a replica that follows", || {
                let info: String = primary.command(&["INFO", "replication"]).unwrap();
                info.contains("state=online").then_some(())
            });
        }
    }

    fn servers(&self) -> impl Iterator<Item = &RedisServer> {
        self.primaries.iter().chain(&self.replicas)
    }

    /// The servers that kept the slots at first.
    #[must_use]
    pub fn primaries(&self) -> &[RedisServer] {
        &self.primaries
    }

    /// One of those that kept the slots at first, to be killed.
    pub fn primary(&mut self, number: usize) -> &mut RedisServer {
        &mut self.primaries[number]
    }

    /// The replica of that one.
    #[must_use]
    pub fn replica(&self, number: usize) -> &RedisServer {
        &self.replicas[number]
    }

    /// For clients, with all primaries.
    #[must_use]
    pub fn url(&self) -> String {
        let mut urls = self.primaries.iter().map(RedisServer::url);
        let first = urls.next().unwrap().replace("redis://", "redis-cluster://");
        let nodes = self.primaries[1..].iter().map(|it| it.address());
        let nodes: Vec<String> = nodes.map(|address| format!("node={address}")).collect();
        format!("{first}?{}", nodes.join("&"))
    }

    /// In which slot a name is.
    #[must_use]
    pub fn slot(&self, name: &str) -> u16 {
        self.primaries[0]
            .command(&["CLUSTER", "KEYSLOT", name])
            .unwrap()
    }

    /// Which primary kept this slot at first.
    #[must_use]
    pub fn share(&self, slot: u16) -> usize {
        usize::from(slot) / SLOTS.div_ceil(self.primaries.len())
    }

    /// A slot is on its way from one primary to another; none of its keys has gone yet.
    pub fn begin_move(&self, slot: u16, from: usize, to: usize) {
        let (from, to) = (&self.primaries[from], &self.primaries[to]);
        let slot = slot.to_string();
        order(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
        order(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
    }

    /// All keys of the slot go.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize) {
        let (from, to) = (&self.primaries[from], self.primaries[to].address());
        let (host, port) = (to.ip().to_string(), to.port().to_string());
        loop {
            let get = ["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), "100"];
            let keys: Vec<String> = from.command(&get).unwrap();
            if keys.is_empty() {
                return;
            }
            let mut migrate = vec!["MIGRATE", &host, &port, "", "0", "5000", "KEYS"];
            migrate.extend(keys.iter().map(String::as_str));
            order(from, &migrate);
        }
    }

    /// The slot has arrived, and all primaries know that.
    pub fn end_move(&self, slot: u16, from: usize, to: usize) {
        let owner = id(&self.primaries[to]);
        let end = ["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &owner];
        // First who has it, so that there is always somebody.
        order(&self.primaries[to], &end);
        order(&self.primaries[from], &end);
        for server in &self.primaries {
            order(server, &end);
        }
        self.agree();
    }

    /// All primaries know who keeps what, and since when. A slot that moved on before that could be claimed
    /// by who kept it last: then two of them name each other, for ever, and its keys are lost.
    fn agree(&self) {
        until("servers that agree", || {
            let mut views = self.primaries.iter().map(view);
            let first = views.next();
            views.all(|view| Some(view) == first).then_some(())
        });
    }

    /// The slot goes from one primary to another, with all its keys.
    pub fn move_slot(&self, slot: u16, from: usize, to: usize) {
        self.begin_move(slot, from, to);
        self.move_keys(slot, from, to);
        self.end_move(slot, from, to);
    }

    /// Has the primaries name proxies in place of themselves, and returns those, in their order.
    #[must_use]
    pub fn behind_proxies(&self) -> Vec<Proxy> {
        let proxies: Vec<_> = self
            .primaries
            .iter()
            .map(|it| Proxy::to(it.address()))
            .collect();
        for (server, proxy) in self.primaries.iter().zip(&proxies) {
            let bus = (server.address().port() + BUS).to_string();
            order(
                server,
                &["CONFIG", "SET", "cluster-announce-bus-port", &bus],
            );
            let port = proxy.address().port().to_string();
            order(server, &["CONFIG", "SET", "cluster-announce-port", &port]);
        }
        for server in &self.primaries {
            until("a server that has heard of the proxies", || {
                let nodes: String = server.command(&["CLUSTER", "NODES"]).unwrap();
                let names =
                    |proxy: &Proxy| nodes.contains(&format!(":{}@", proxy.address().port()));
                proxies.iter().all(names).then_some(())
            });
        }
        proxies
    }

    /// Removes all keys.
    pub fn flush(&self) {
        for server in &self.primaries {
            order(server, &["FLUSHALL"]);
        }
    }
}

fn order(server: &RedisServer, words: &[impl ToRedisArgs]) {
    ask::<redis::Value>(server, words);
}

fn ask<T: FromRedisValue>(server: &RedisServer, words: &[impl ToRedisArgs]) -> T {
    server.command(words).unwrap()
}

/// Who keeps what since which epoch, as this server sees it.
fn view(server: &RedisServer) -> Vec<String> {
    let nodes: String = ask(server, &["CLUSTER", "NODES"]);
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        // Which slots are on their way is known to two of them only.
        let slots = words.iter().skip(8).filter(|word| !word.starts_with('['));
        let slots: Vec<&str> = slots.copied().collect();
        format!("{} {} {slots:?}", words[0], words[6])
    };
    let mut view: Vec<String> = nodes.lines().map(line).collect();
    view.sort();
    view
}

fn id(server: &RedisServer) -> String {
    ask(server, &["CLUSTER", "MYID"])
}
