//! A Redis server of a test's own.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{FromRedisValue, RedisResult, ToRedisArgs};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::Config;
use crate::config::OPERATOR;
use crate::time::{BOUND, until};
use crate::watchdog::Watchdog;

const PROGRAM: &str = "redis-server";
const INSTALL: &str = "apt-get install --yes --no-install-recommends redis-server";

/// Ports from which no client's end of a connection is taken, where Linux has its usual range. Else a
/// client that looks for a dead server could find itself there, and the server could not come back.
const PORTS: std::ops::Range<u16> = 10_000..32_768;

/// A `redis-server` of version 7.0 or newer on a free port, in a temporary directory of its own. It is
/// killed when it is dropped, or when this process dies, and its directory is removed.
#[derive(Debug)]
pub struct RedisServer {
    config: Config,
    port: u16,
    directory: TempDir,
    running: Option<Running>,
}

/// Dropped in this order.
#[derive(Debug)]
struct Running {
    _watchdog: Watchdog,
    child: Child,
}

impl Running {
    fn kill(mut self) {
        // Nobody else waits for it, so the number is still its own.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Default for RedisServer {
    fn default() -> Self {
        Self::new()
    }
}

impl RedisServer {
    /// One that keeps nothing on disk and lets everybody in.
    ///
    /// # Panics
    ///
    /// See [`Config::start`].
    #[must_use]
    pub fn new() -> Self {
        Config::new().start()
    }

    pub(crate) fn start(config: Config) -> Self {
        let mut server = Self {
            port: free_port(config.is_in_cluster()),
            config,
            directory: tempfile::tempdir().unwrap(),
            running: None,
        };
        loop {
            match server.spawn(PROGRAM.as_ref()) {
                Ok(()) => return server,
                // Somebody else was quicker.
                Err(said) if said.contains("Address already in use") => {
                    server.port = free_port(server.config.is_in_cluster());
                }
                Err(said) => panic!("{said}"),
            }
        }
    }

    /// Starts it, and waits until it answers.
    fn spawn(&mut self, program: &OsStr) -> Result<(), String> {
        let path = self.directory.path();
        std::fs::write(path.join("redis.conf"), self.config.text(self.port)).unwrap();
        let child = Command::new(program)
            .arg("redis.conf")
            .args(self.config.is_sentinel().then_some("--sentinel"))
            .current_dir(path)
            // What a terminal sends to the test is not for the server.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|error| match error.kind() {
            ErrorKind::NotFound => format!(
                "there is no {}; to install it: {INSTALL}",
                program.display()
            ),
            _ => format!("{}: {error}", program.display()),
        })?;
        let watchdog = Watchdog::over(child.id());
        let since = Instant::now();
        while !self.answers(child.id()) {
            if child.try_wait().unwrap().is_some() {
                let output = child.wait_with_output().unwrap();
                let log = self.log();
                let said = [&output.stdout[..], &output.stderr, log.as_bytes()].concat();
                return Err(String::from_utf8_lossy(&said).into_owned());
            }
            if since.elapsed() > BOUND {
                child.kill().unwrap();
                child.wait().unwrap();
                return Err(format!("it does not answer: {}", self.log()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.running = Some(Running {
            _watchdog: watchdog,
            child,
        });
        Ok(())
    }

    /// It does not while it loads what was on disk; and it must be this one, not another one that was
    /// quicker to take the port.
    fn answers(&self, pid: u32) -> bool {
        let answer = |command: &[&str]| self.command::<String>(command).unwrap_or_default();
        let is_this = |info: String| info.contains(&format!("process_id:{pid}\r\n"));
        answer(&["PING"]) == "PONG" && is_this(answer(&["INFO", "server"]))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("redis.log")).unwrap_or_default()
    }

    /// Where it listens, and will listen again when it is restarted.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// For clients, with the password of the default user if it has one.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// The same by another way, such as a [`Proxy`](crate::Proxy).
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        format!("redis://{}{address}/", self.config.credentials())
    }

    /// Kills it, as if its machine had lost power: it tells nobody. Nothing if it is dead.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.kill();
        }
    }

    /// Starts it again with what it has on disk, killing it first if it lives. Returns when it answers.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        if let Err(said) = self.spawn(PROGRAM.as_ref()) {
            panic!("{said}");
        }
    }

    /// Starts it again with nothing, killing it first if it lives: as if its disk were another one.
    #[track_caller]
    pub fn restart_with_nothing(&mut self) {
        self.kill();
        let files = std::fs::read_dir(self.directory.path()).unwrap();
        for file in files.map(|file| file.unwrap().path()) {
            match file.is_dir() {
                true => std::fs::remove_dir_all(file).unwrap(),
                false => std::fs::remove_file(file).unwrap(),
            }
        }
        self.restart();
    }

    /// Stops it where it stands: connections stay open, and nothing is answered. Returns when it has
    /// stopped.
    #[track_caller]
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.child().id());
        until("a server that is stopped", || {
            let stat = std::fs::read_to_string(&stat).unwrap();
            let state = stat.rsplit(')').next().unwrap();
            state.starts_with(" T").then_some(())
        });
    }

    /// Lets it go on.
    #[track_caller]
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    #[track_caller]
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child()), signal).unwrap();
    }

    #[track_caller]
    fn child(&self) -> &Child {
        &self.running.as_ref().expect("it is dead").child
    }

    /// Sends one command over a connection of its own, as a user who may do everything, and waits for
    /// the answer.
    ///
    /// # Errors
    ///
    /// What the server says, or that it is not there.
    pub fn command<T: FromRedisValue>(&self, command: &[impl ToRedisArgs]) -> RedisResult<T> {
        let address = self.address();
        let client = redis::Client::open(format!("redis://{OPERATOR}:{OPERATOR}@{address}/"))?;
        let mut connection = client.get_connection_with_timeout(BOUND)?;
        connection.set_read_timeout(Some(BOUND))?;
        let mut packed = redis::Cmd::new();
        for word in command {
            packed.arg(word);
        }
        packed.query(&mut connection)
    }

    /// How often each command was called, by its name in small letters, within scripts as well:
    /// `evalsha`, `config|get`.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, u64> {
        let info: String = self.command(&["INFO", "commandstats"]).unwrap();
        let lines = info.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let calls = rest.split(',').next()?.parse().ok()?;
            Some((name.to_owned(), calls))
        });
        lines.collect()
    }

    /// The connections of clients, a line of `CLIENT LIST` each: not those of [`command`](Self::command),
    /// nor of replicas and primaries.
    #[must_use]
    pub fn clients(&self) -> Vec<String> {
        let list: String = self.command(&["CLIENT", "LIST"]).unwrap();
        let own = format!(" user={OPERATOR} ");
        // A replica counts its primary as a client.
        let is_other = |line: &&str| !line.contains(&own) && !line.contains(" flags=M ");
        list.lines().filter(is_other).map(str::to_owned).collect()
    }

    /// Cuts the connections of all clients, those that only listen as well.
    pub fn kill_clients(&self) {
        for kind in ["normal", "pubsub"] {
            let kill = ["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"];
            self.command::<u64>(&kill).unwrap();
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The servers of a cluster listen to one another at a second port, so much higher.
pub(crate) const BUS: u16 = 10_000;

fn free_port(with_bus: bool) -> u16 {
    let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let mut ports = PORTS;
    if with_bus {
        ports.end -= BUS;
    }
    loop {
        let port = fastrand::u16(ports.clone());
        if is_free(port) && (!with_bus || is_free(port + BUS)) {
            return port;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_server_says_how_to_install_it() {
        let mut server = RedisServer::new();
        server.kill();
        let said = server.spawn("no-such-server".as_ref()).unwrap_err();
        assert_eq!(
            said,
            "there is no no-such-server; to install it: \
             apt-get install --yes --no-install-recommends redis-server"
        );
    }

    #[test]
    fn a_server_that_does_not_start_says_why() {
        let mut server = RedisServer::new();
        server.kill();
        server.config = Config::new().line("no-such-option yes");
        let said = server.spawn(PROGRAM.as_ref()).unwrap_err();
        assert!(said.contains("no-such-option"), "{said}");
    }
}
