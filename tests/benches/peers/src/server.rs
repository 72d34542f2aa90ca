//! A Redis server of this run.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Result;

/// A server on a free port, without persistence; gone when dropped.
pub(crate) struct Server {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl Server {
    /// Starts it and waits until it answers.
    pub(crate) fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(directory.path())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("redis-server: {error}"))?;
        let server = Self {
            child,
            port,
            _directory: directory,
        };
        let since = Instant::now();
        let client = redis::Client::open(server.url())?;
        while let Err(error) = client.get_connection() {
            if since.elapsed() > Duration::from_secs(10) {
                return Err(error.into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    /// Where it is, as a URL.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Deletes all keys. Scripts stay: on a server that has been running they are there.
    pub(crate) fn empty(&self) -> Result<()> {
        let mut connection = redis::Client::open(self.url())?.get_connection()?;
        Ok(redis::cmd("FLUSHALL").exec(&mut connection)?)
    }

    /// Where it is, as an address.
    pub(crate) fn address(&self) -> (&'static str, u16) {
        ("127.0.0.1", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error says that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
