//! What is to be done, and for what.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oneflight_core::{Command, FlightId, Instant};
use oneflight_store::default_lock;

use crate::request::Underway;

/// What callers of one process fly for: a key, and the lock that guards it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Names {
    pub(crate) key: Arc<str>,
    /// `None` for the default.
    pub(crate) lock: Option<Arc<str>>,
}

impl Names {
    /// The lock key.
    pub(crate) fn lock(&self) -> Arc<str> {
        match &self.lock {
            Some(lock) => Arc::clone(lock),
            None => default_lock(&self.key).into(),
        }
    }
}

/// Something for the pump to do.
pub(crate) enum Work {
    /// Carry out a command, or send it to the store.
    Errand(Errand),
    /// Wait for the answer to a request.
    Request(Underway),
    /// Look again at these keys: changes may have been missed.
    Revalidate(Vec<Arc<str>>),
}

/// A command, and what the driver knows beside it.
pub(crate) struct Errand {
    pub(crate) flight: FlightId<Names>,
    pub(crate) command: Command,
    /// How long a lease is to live, for a claim or a renewal.
    pub(crate) ttl: Duration,
    /// How long the store may be out of reach before a watch is to end.
    pub(crate) patience: Duration,
    /// The value, for a publish or a put, which stays on its desk until the flight retires.
    pub(crate) value: Option<(Bytes, Option<Duration>)>,
}

impl Errand {
    pub(super) fn is_for_the_store(&self) -> bool {
        matches!(
            self.command,
            Command::Claim { .. }
                | Command::Renew { .. }
                | Command::Publish { .. }
                | Command::Put { .. }
                | Command::Release { .. }
        )
    }
}

/// What the pump is to do now.
pub(crate) enum Todo {
    Work(Vec<Work>),
    /// Tell the machine the time.
    Tick,
    /// Nothing, until it is woken or a moment has come.
    Rest {
        due: Option<Instant>,
        closing: bool,
    },
    /// The last handle is gone, and all is cleaned up.
    End,
}
