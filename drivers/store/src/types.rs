//! What goes into a store and what comes out of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oneflight_core::{Attempt, Revision, Token};
use serde::{Deserialize, Serialize};

/// A published value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The bytes as published.
    pub value: Bytes,
    /// Which version of the key this is.
    pub revision: Revision,
    /// The token of the lease it was published under; `None` if it was `put` unfenced.
    pub token: Option<Token>,
    /// How long ago it was published, by the store's clock, when the store answered.
    pub age: Duration,
}

/// What a key holds now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyState {
    /// The last revision of the key: the entry's, or that of the `forget` which removed it, or
    /// [`Revision::NEVER`].
    pub revision: Revision,
    /// The value, unless there was never one, it was forgotten, or its retention is over.
    pub entry: Option<Entry>,
}

/// Who holds a lease: for people, never for decisions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// The name of the host.
    pub host: Arc<str>,
    /// The process on that host.
    pub pid: u32,
    /// The user the process runs as.
    pub user: Arc<str>,
}

impl Holder {
    /// This process: its host's name, its id, and the user it runs as (by `USER`, else the user's
    /// number).
    #[must_use]
    pub fn this_process() -> Self {
        let host = rustix::system::uname();
        let user = std::env::var("USER")
            .or_else(|_| std::env::var("LOGNAME"))
            .unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw()));
        Self {
            host: host.nodename().to_string_lossy().into(),
            pid: std::process::id(),
            user: user.into(),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} (pid {})", self.user, self.host, self.pid)
    }
}

/// What a lock holds now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockState {
    /// Nobody holds a live lease: released, forgotten, published, lapsed, or never taken.
    Free,
    /// Somebody holds a live lease.
    Held {
        /// The token of the lease.
        token: Token,
        /// How long until it lapses unless renewed, by the store's clock; `None` if unknown.
        remaining: Option<Duration>,
        /// Who holds it, if the store knows.
        holder: Option<Holder>,
    },
}

/// Names one attempt to claim, unique across all processes, so that a claim which is repeated
/// (an answer lost on the way, a request replayed after a reconnect) is the same claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttemptId(pub u128);

impl AttemptId {
    /// The id of a machine's claim: of the process, which a random number tells from all others, past
    /// and present; of the flight; and of the claim's attempt.
    #[must_use]
    pub const fn new(process: u64, flight: u64, attempt: Attempt) -> Self {
        // INVARIANT: the parts do not overlap: a process flies fewer than 2^40 times, and a flight gives
        // fewer than 2^24 orders.
        let (flight, attempt) = (flight << 24, attempt.get() & 0xff_ffff);
        Self((process as u128) << 64 | flight as u128 | attempt as u128)
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Names one lease: the lock and the token granted on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaseId {
    /// The lock key.
    pub lock: Arc<str>,
    /// The fencing token of the grant.
    pub token: Token,
}

/// The request of [`Store::claim`](crate::Store::claim).
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// The key whose value is wanted.
    pub key: Arc<str>,
    /// The lock key that guards its fill.
    pub lock: Arc<str>,
    /// How long the lease lives unless renewed.
    pub ttl: Duration,
    /// The last revision of the key that the caller knows and judged not fresh.
    pub seen: Revision,
    /// Who asks.
    pub holder: Holder,
    /// Which attempt this is.
    pub attempt: AttemptId,
}

/// The answer to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The key holds a value above what the caller has seen; no lease was granted.
    Newer {
        /// That value.
        entry: Entry,
        /// The highest token granted on the lock so far, live or not; `None` if none is known.
        latest: Option<Token>,
    },
    /// The caller holds the lease.
    Granted {
        /// Its token, above all granted on this lock before.
        token: Token,
        /// How long it lives from now unless renewed: the ttl, or what is left of it when this
        /// very attempt had been granted before.
        remaining: Duration,
        /// The last revision of the key at the grant: what the fill replaces.
        generation: Revision,
    },
    /// Somebody else holds the lease.
    Held {
        /// The token of that lease.
        token: Token,
        /// How long until it lapses unless renewed, by the store's clock; `None` if unknown.
        remaining: Option<Duration>,
        /// Who holds it, if the store knows.
        holder: Option<Holder>,
    },
}

/// The answer to a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The lease lives for the full ttl again.
    Renewed,
    /// The lease was published under, released, forgotten or granted anew: it will never live again.
    Lost,
}

/// The answer to a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// The value stands under this revision and the lock is free. A repeated publish of the same
    /// lease gets the same answer.
    Published(Revision),
    /// Nothing was changed: the lease was released, forgotten or granted anew.
    Fenced,
}

/// The answer to an unfenced put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// The value stands under this revision.
    Written(Revision),
    /// Nothing was changed: the key had moved on to this revision.
    Newer(Revision),
}

/// One line of [`Store::list`](crate::Store::list): a key, its value's measures, its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// The key.
    pub key: Arc<str>,
    /// The lock key of the lease, if one is live.
    pub lock: Option<Arc<str>>,
    /// The live lease, or [`LockState::Free`].
    pub state: LockState,
    /// The last revision of the key.
    pub revision: Revision,
    /// The age of the published value, if there is one.
    pub age: Option<Duration>,
    /// The size of the published value in bytes, if there is one.
    pub size: Option<u64>,
}
