//! Who is measured.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use oneflight_test_servers::RedisServer;

use crate::Result;
use crate::{amalgam, oneflight, raw};

/// How a participant is started: its number in the round, and the lease (none: as the peer comes).
type Start = fn(&RedisServer, usize, Duration) -> Result<Command>;

/// A way to compute once, in some configuration.
pub(crate) struct Peer {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What it is called in the tables.
    pub(crate) title: &'static str,
    /// What it takes part in.
    pub(crate) part: Part,
    start: Start,
}

/// What a peer takes part in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything.
    Full,
    /// All but the death of the holder: it has no lease.
    Stampedes,
    /// Nothing but the death of the holder.
    Takeover,
}

/// All of them, the floor first.
pub(crate) const PEERS: [Peer; 7] = [
    Peer {
        name: "raw",
        title: "floor: one `PUBLISH`, all others subscribed",
        part: Part::Stampedes,
        start: |server, number, lease| rust("raw", server, number, lease),
    },
    Peer {
        name: "oneflight",
        title: "oneflight",
        part: Part::Full,
        start: |server, number, lease| rust("oneflight", server, number, lease),
    },
    Peer {
        name: "amalgam",
        title: "amalgam-cache, as in its example",
        part: Part::Full,
        start: |server, number, lease| rust("amalgam", server, number, lease),
    },
    Peer {
        name: "amalgam-strict",
        title: "amalgam-cache, `strict()`",
        part: Part::Full,
        start: |server, number, lease| rust("amalgam-strict", server, number, lease),
    },
    Peer {
        name: "dogpile",
        title: "dogpile.cache, `lock_timeout`",
        part: Part::Full,
        start: |server, _, lease| dogpile(server, &lease.as_millis().to_string(), "100"),
    },
    Peer {
        name: "dogpile-10ms",
        title: "dogpile.cache, `lock_timeout`, `lock_sleep` 10 ms",
        part: Part::Full,
        start: |server, _, lease| dogpile(server, &lease.as_millis().to_string(), "10"),
    },
    Peer {
        name: "dogpile-default",
        title: "dogpile.cache, no `lock_timeout` (default)",
        part: Part::Takeover,
        start: |server, _, _| dogpile(server, "never", "100"),
    },
];

impl Peer {
    /// The command of a participant.
    pub(crate) fn command(
        &self,
        server: &RedisServer,
        number: usize,
        lease: Duration,
    ) -> Result<Command> {
        (self.start)(server, number, lease)
    }
}

/// This program in another role, see [`run`].
fn rust(kind: &str, server: &RedisServer, number: usize, lease: Duration) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["participant", kind, &server.url(), &number.to_string()]);
    command.arg(lease.as_millis().to_string());
    Ok(command)
}

fn dogpile(server: &RedisServer, lease: &str, sleep: &str) -> Result<Command> {
    let python = std::env::var_os("PYTHON").ok_or("start this by its script `run`")?;
    let mut command = Command::new(python);
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("dogpile_participant.py"))
        .args([&server.url(), lease, sleep]);
    Ok(command)
}

/// The role of a participant.
pub(crate) fn run(kind: &str, url: &str, number: &str, lease: &str) -> Result<()> {
    let lease = Duration::from_millis(lease.parse()?);
    // One call needs no more than one thread, and many such processes share few processors.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match kind {
        "raw" => raw::run(url, number.parse()?),
        "oneflight" => runtime.block_on(oneflight::run(url, lease)),
        "amalgam" => runtime.block_on(amalgam::run(url, lease, false)),
        "amalgam-strict" => runtime.block_on(amalgam::run(url, lease, true)),
        _ => Err(format!("no such peer: {kind}").into()),
    }
}
