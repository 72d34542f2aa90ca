//! How a server is configured.

use std::time::Duration;

use crate::RedisServer;

/// What a [`RedisServer`] is to be like: by default one that keeps nothing on disk and lets everybody
/// in. Each call adds to `redis.conf`.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Config {
    lines: Vec<String>,
    password: Option<String>,
    is_in_cluster: bool,
    is_sentinel: bool,
}

impl Config {
    /// Nothing asked for.
    pub fn new() -> Self {
        Self::default()
    }

    /// Any line of `redis.conf`, such as `maxmemory-policy allkeys-lru`. A later line wins.
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Every write is on disk before it is answered.
    pub fn append_only(self) -> Self {
        self.line("appendonly yes").line("appendfsync always")
    }

    /// The password of the default user, which is then in [`RedisServer::url`].
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.line(format!("requirepass {password}"))
    }

    /// A line of the access list, such as `limited on >secret ~* &* +@all -evalsha`.
    pub fn user(self, rules: &str) -> Self {
        self.line(format!("user {rules}"))
    }

    /// Refuses writes (`noeviction`) beyond this many bytes. An empty server uses about one million.
    pub fn max_memory(self, bytes: u64) -> Self {
        self.line(format!("maxmemory {bytes}"))
    }

    /// A read-only copy of `primary`.
    pub fn replica_of(self, primary: &RedisServer) -> Self {
        let address = primary.address();
        self.line(format!("replicaof {} {}", address.ip(), address.port()))
            .line(format!("masteruser {OPERATOR}"))
            .line(format!("masterauth {OPERATOR}"))
    }

    /// A sentinel that watches over `primary`, which it knows as `service`: it is alone, and promotes a
    /// replica when the primary has been silent for 300 ms.
    pub fn sentinel_of(mut self, primary: &RedisServer, service: &str) -> Self {
        self.is_sentinel = true;
        let address = primary.address();
        let (host, port) = (address.ip(), address.port());
        self.line(format!("sentinel monitor {service} {host} {port} 1"))
            .line(format!("sentinel down-after-milliseconds {service} 300"))
            .line(format!("sentinel failover-timeout {service} 3000"))
            .line(format!("sentinel auth-user {service} {OPERATOR}"))
            .line(format!("sentinel auth-pass {service} {OPERATOR}"))
    }

    pub(crate) fn is_sentinel(&self) -> bool {
        self.is_sentinel
    }

    /// A server of a cluster, which takes others for gone when they are silent for so long.
    pub(crate) fn in_cluster(mut self, timeout: Duration) -> Self {
        self.is_in_cluster = true;
        self.line("cluster-enabled yes")
            .line("cluster-replica-validity-factor 0")
            .line(format!("cluster-node-timeout {}", timeout.as_millis()))
    }

    pub(crate) fn is_in_cluster(&self) -> bool {
        self.is_in_cluster
    }

    /// Starts a server like that, and returns when it answers.
    ///
    /// # Panics
    ///
    /// If it cannot be started, with what it said; if there is no `redis-server`, with how to get it.
    #[must_use]
    pub fn start(self) -> RedisServer {
        RedisServer::start(self)
    }

    /// For the URL of clients.
    pub(crate) fn credentials(&self) -> String {
        let password = self.password.as_ref();
        password.map_or_else(String::new, |password| format!(":{password}@"))
    }

    pub(crate) fn text(&self, port: u16) -> String {
        let mut text = format!(
            "bind 127.0.0.1\nport {port}\nlogfile redis.log\nuser {OPERATOR} on >{OPERATOR} ~* &* +@all\n"
        );
        if !self.is_sentinel {
            // A replica that asks for everything gets it at once, and DEBUG SLEEP may be told.
            text.push_str(
                "save \"\"\nappendonly no\nrepl-diskless-sync-delay 0\nenable-debug-command local\n",
            );
        }
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// The user as which tests ask and order: there whatever is configured for others.
pub(crate) const OPERATOR: &str = "operator";
