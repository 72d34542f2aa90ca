//! What a run is made of: everything that is decided before it begins.
//!
//! A plan is plain data. It is drawn from a seed, printed into the trace's header, shrunk by
//! `minimize`, and kept in `scenarios/` as a reproducer that does not depend on how plans are drawn.

use oneflight_core::{FillResult, OnAbort, OnFenced, OnUnavailable};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::fates::Fate;
use crate::trace::{Nanos, StoreProfile};

/// A millisecond.
pub const MS: Nanos = 1_000_000;

/// All decisions of a run but for what becomes of its messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What the messages' fates are drawn from.
    pub seed: u64,
    /// What the run was drawn as.
    pub profile: String,
    /// How fast each process's clock runs, in parts per million off; one for each process.
    pub clocks: Vec<i32>,
    /// How many keys there are.
    pub keys: u32,
    /// The network.
    pub net: Net,
    /// The store.
    pub store: StorePlan,
    /// Whether processes keep local copies.
    pub copies: bool,
    /// How long after a loss a process hears that a request of its own has failed, if it does.
    pub request_timeout: Nanos,
    /// The callers.
    pub calls: Vec<CallPlan>,
    /// What goes wrong at a given moment.
    pub faults: Vec<FaultPlan>,
    /// When the world heals.
    pub heal_at: Nanos,
    /// The processes that stay cut off after that.
    pub broken: Vec<u32>,
    /// What becomes of the messages, one after another, in place of what the seed says; the ones
    /// beyond fare well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fates: Option<Vec<Fate>>,
}

/// The network between processes and store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Net {
    /// A message takes at least this long.
    pub least: Nanos,
    /// And at most this much more, if nothing is wrong.
    pub spread: Nanos,
    /// How long a message takes that is late, at most.
    pub late: Nanos,
    /// How much later a message comes again, at most.
    pub replay: Nanos,
    /// What goes wrong, each in so many of 65536 messages.
    pub odds: Odds,
}

/// What goes wrong with messages, each in so many of 65536.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Odds {
    /// A request is lost.
    pub request_lost: u32,
    /// A request is late.
    #[serde(alias = "late")]
    pub request_late: u32,
    /// A request is carried out again later.
    #[serde(alias = "again")]
    pub request_twice: u32,
    /// The store does not permit a request.
    pub denied: u32,
    /// An answer is lost.
    pub answer_lost: u32,
    /// An answer is late.
    pub answer_late: u32,
    /// An answer comes twice.
    pub answer_twice: u32,
    /// A push is lost, and nobody is told.
    pub push_lost: u32,
    /// A push is late.
    pub push_late: u32,
    /// A push comes twice.
    pub push_twice: u32,
    /// A push is lost, and a new snapshot takes its place.
    pub push_gap: u32,
    /// A push is lost, and the watch ends.
    pub watch_ended: u32,
}

/// The store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorePlan {
    /// What it promises.
    pub profile: StoreProfile,
    /// How long a request takes.
    pub work: Nanos,
}

impl StorePlan {
    /// It leases, then reads; it publishes, then releases.
    #[must_use]
    pub const fn is_composite(&self) -> bool {
        !self.profile.atomic_claim
    }
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallPlan {
    /// When it begins.
    pub at: Nanos,
    /// In which process.
    pub slot: u32,
    /// For which key.
    pub key: u32,
    /// How long its caller takes to wake.
    pub wake: Nanos,
    /// The lease's length.
    pub ttl: Nanos,
    /// How long it waits.
    pub wait: Nanos,
    /// How long the store may take.
    pub store_timeout: Nanos,
    /// How long its fill may take.
    pub fill_timeout: Option<Nanos>,
    /// The longest pause.
    pub max_backoff: Nanos,
    /// As in the core's policy.
    pub on_unavailable: OnUnavailable,
    /// As in the core's policy.
    pub on_fenced: OnFenced,
    /// As in the core's policy.
    pub on_abort: OnAbort,
    /// The oldest value it takes.
    pub max_age: Option<Nanos>,
    /// What its predicate says.
    pub predicate: Predicate,
    /// A value that does not decode counts as none.
    pub malformed_as_absent: bool,
    /// When it is cancelled, counted from its beginning.
    pub cancel: Option<Nanos>,
    /// What its fills do, one after another; the last one again and again.
    pub fills: SmallVec<[FillPlan; 3]>,
}

/// What a caller's predicate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Predicate {
    /// There is none.
    None,
    /// It refuses every value.
    Refuses,
    /// It panics, which ends the call.
    Panics,
}

/// One fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillPlan {
    /// How long it takes.
    pub takes: Nanos,
    /// How it ends.
    pub result: FillResult,
    /// Its value does not decode.
    pub garbled: bool,
    /// It gives up when it is warned.
    pub heeds: bool,
}

/// Something that goes wrong at a given moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultPlan {
    /// When.
    pub at: Nanos,
    /// What.
    pub kind: Trouble,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trouble {
    /// A process is killed, and perhaps another takes its place.
    Crash {
        /// Which.
        slot: u32,
        /// How long after.
        restart: Option<Nanos>,
    },
    /// A process stands still.
    Pause {
        /// Which.
        slot: u32,
        /// How long.
        lasts: Nanos,
    },
    /// A process is cut off.
    Cut {
        /// Which.
        slot: u32,
        /// Nothing goes to the store.
        up: bool,
        /// Nothing comes from the store.
        down: bool,
        /// How long.
        lasts: Nanos,
    },
    /// The store takes its time.
    Slow {
        /// How much longer for each request.
        extra: Nanos,
        /// How long.
        lasts: Nanos,
    },
    /// The store is restarted and keeps all it knew; its watches end.
    Restart,
    /// The store fails over and forgets.
    FailOver {
        /// What was written during this time before.
        writes: Nanos,
        /// The token counter too.
        tokens: bool,
    },
    /// A lock is evicted.
    Evict {
        /// Whose.
        key: u32,
    },
    /// The store's clock jumps ahead.
    Jump {
        /// By this much.
        by: Nanos,
    },
    /// A key is forgotten, by a process.
    Forget {
        /// Which process.
        slot: u32,
        /// Which key.
        key: u32,
    },
    /// All watches of a process end.
    EndWatches {
        /// Which.
        slot: u32,
    },
}

impl Trouble {
    /// The process it is about.
    pub const fn slot(&mut self) -> Option<&mut u32> {
        match self {
            Self::Crash { slot, .. }
            | Self::Pause { slot, .. }
            | Self::Cut { slot, .. }
            | Self::Forget { slot, .. }
            | Self::EndWatches { slot } => Some(slot),
            Self::Slow { .. }
            | Self::Restart
            | Self::FailOver { .. }
            | Self::Evict { .. }
            | Self::Jump { .. } => None,
        }
    }

    /// The key it is about.
    pub const fn key(&mut self) -> Option<&mut u32> {
        match self {
            Self::Forget { key, .. } | Self::Evict { key } => Some(key),
            Self::Crash { .. }
            | Self::Pause { .. }
            | Self::Cut { .. }
            | Self::EndWatches { .. }
            | Self::Slow { .. }
            | Self::Restart
            | Self::FailOver { .. }
            | Self::Jump { .. } => None,
        }
    }

    /// How long it lasts.
    pub const fn lasts(&mut self) -> Option<&mut Nanos> {
        match self {
            Self::Pause { lasts, .. } | Self::Cut { lasts, .. } | Self::Slow { lasts, .. } => {
                Some(lasts)
            }
            Self::Crash { restart, .. } => restart.as_mut(),
            Self::Jump { by } => Some(by),
            Self::FailOver { writes, .. } => Some(writes),
            Self::Restart | Self::Evict { .. } | Self::Forget { .. } | Self::EndWatches { .. } => {
                None
            }
        }
    }
}
