//! What a participant is told, and what it tells.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Which driver a participant uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// `oneflight-tokio`, on a runtime of one thread.
    Tokio,
    /// `oneflight-blocking`, with a thread for each call.
    Blocking,
}

impl Driver {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Tokio, Self::Blocking];

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Tokio => Self::Blocking,
            Self::Blocking => Self::Tokio,
        }
    }
}

/// Something to do, under a number of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The number.
    pub id: u64,
    /// The key.
    pub key: String,
    /// What to do.
    pub deed: Deed,
}

/// What to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Call for the key.
    Call(Call),
    /// Look at it.
    Get,
    /// Forget it.
    Forget,
    /// Give up the call with this number. A call of the blocking driver cannot be given up.
    Leave,
}

/// A call's options, and its fill.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    /// `lease_ttl`.
    pub ttl: Duration,
    /// `wait_timeout`.
    pub wait: Duration,
    /// `store_timeout`.
    pub store: Duration,
    /// `fresh_for`.
    pub fresh: Option<Duration>,
    /// `on_unavailable`: an error, else a fill without the store.
    pub unavailable_is_error: bool,
    /// `on_abort`: an own try, else the error is shared.
    pub promote: bool,
    /// How long the fill takes.
    pub takes: Duration,
    /// The fill waits for this file before it takes its time.
    pub until: Option<PathBuf>,
    /// How the fill ends.
    pub ends: Ends,
}

impl Default for Call {
    /// One that waits for long and fills at once.
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(3600),
            wait: Duration::from_secs(1800),
            store: Duration::from_secs(60),
            fresh: None,
            unavailable_is_error: false,
            promote: false,
            takes: Duration::ZERO,
            until: None,
            ends: Ends::Well,
        }
    }
}

/// How a fill ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ends {
    /// With a value that no other fill returns.
    Well,
    /// With an error.
    Badly,
    /// With a panic.
    InPanic,
}

/// Something that has happened in a participant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The number of the order it came of; 0 if of none.
    pub id: u64,
    /// The key; empty if it is about none.
    pub key: String,
    /// When, on the clock that all processes of the machine share: see [`now`](crate::time::now).
    pub at: i64,
    /// What.
    pub event: Event,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The store is open, and orders are taken.
    Ready,
    /// A claim was answered: somebody else holds the lease.
    Held,
    /// A fill has begun, under this token if under any.
    Filling(Option<u64>),
    /// A fill has ended.
    Filled,
    /// The order is done.
    Landed(Landed),
    /// No more orders came, all are done, and the driver and the store are gone: what is left of them.
    Rested(Remains),
}

/// How an order has ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Landed {
    /// In a word: `computed`, `awaited`, `cached`; `none`, `forgotten`, `left`; or an error: `aborted`,
    /// `panicked`, `timed-out`, `fenced`, `unavailable`, `refused`, `malformed`, `unpublished`.
    pub how: String,
    /// The value.
    pub value: Option<String>,
    /// It was older than what was asked for.
    pub stale: bool,
    /// It is what the fleet shares.
    pub coordinated: bool,
    /// The token of the lease it was published under.
    pub token: Option<u64>,
    /// The error, in words.
    pub error: Option<String>,
}

impl Landed {
    /// Just a word.
    #[must_use]
    pub fn just(how: &str) -> Self {
        Self {
            how: how.to_owned(),
            ..Self::default()
        }
    }

    /// With a value that the fleet shares, as fresh as it was asked for.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.value.is_some() && self.coordinated && !self.stale
    }
}

/// What a participant has of its own: compared with what it had before it opened the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remains {
    /// Its threads, by name.
    pub threads: Vec<String>,
    /// Its sockets, as many.
    pub sockets: usize,
}
