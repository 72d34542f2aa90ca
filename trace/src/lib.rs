//! The trace: what happened in a run, one record a line, the same for simulated and recorded runs.
//!
//! `docs/trace.md` describes the lines for those who write or read them elsewhere. The types are
//! generic in how a key is named: the simulator counts its keys ([`Key`]), a recording spells them
//! ([`Name`]), and [`Names`] turns the one into the other.

mod names;
mod read;

use oneflight_core::{
    Attempt, FillResult, Instant, Notice, Order, Outcome, PassengerId, Revision, Token,
};
use serde::{Deserialize, Serialize};

pub use names::{Key, Name, Names};
pub use read::{Trace, TraceError, read, write_line};

/// The version of the format that this crate writes and reads.
pub const VERSION: u32 = 1;

/// A moment or a length of time in nanoseconds. In a simulated run moments count from its beginning,
/// in a recording from the Unix epoch.
pub type Nanos = u64;

/// A length of time as the trace has it: more than 584 years count as that.
#[must_use]
pub fn nanos(duration: std::time::Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Names a process: never reused, so a restarted process is another node. 0 stands for the store and
/// for the world around.
pub type NodeId = u64;

/// Names a request to the store within a run.
pub type RequestId = u64;

/// What stands in a trace for a value: its digest, never itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub u64);

impl Digest {
    /// The digest of these bytes: FNV-1a with 64 bits.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let step =
            |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Self(bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
    }
}

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line<K> {
    /// The head of a run: the first line; in a recording, the first line of each process.
    Header(Header),
    /// Anything that happened.
    Record(Record<K>),
}

/// What a run was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format: [`VERSION`].
    pub oneflight: u32,
    /// Who wrote it: `sim`, or the recording driver.
    pub recorder: String,
    /// The seed of a simulated run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// What the run was drawn as: `calm`, `swarm`, `chaos`, or the name of a scenario.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub profile: String,
    /// What the store promises.
    #[serde(default)]
    pub store: StoreProfile,
    /// How long things may take when nothing disturbs them, if that is known: without it promptness
    /// is not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
    /// Everything the run used, for people and to run it again.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub config: serde_json::Value,
}

/// What a store keeps of the contract; a weaker promise weakens what the run is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoreProfile {
    /// Comparing the key's revision and granting the lease is one step.
    pub atomic_claim: bool,
    /// Writing the value and freeing the lock is one step.
    pub atomic_publish: bool,
    /// A claim repeated by its own attempt is the same claim.
    pub idempotent_claim: bool,
    /// Waiters are told of changes.
    pub push: bool,
    /// A holder whose lease lapsed, but was not taken, may still renew or publish.
    pub lapsed_holder_may_publish: bool,
    /// A fail-over may forget the last writes.
    pub may_forget_writes: bool,
    /// A fail-over may set the token counter back.
    pub may_forget_tokens: bool,
    /// A lock may be evicted while its lease is live.
    pub may_evict_locks: bool,
}

impl Default for StoreProfile {
    fn default() -> Self {
        Self::STRICT
    }
}

impl StoreProfile {
    /// A store that keeps the whole contract.
    pub const STRICT: Self = Self {
        atomic_claim: true,
        atomic_publish: true,
        idempotent_claim: true,
        push: true,
        lapsed_holder_may_publish: true,
        may_forget_writes: false,
        may_forget_tokens: false,
        may_evict_locks: false,
    };
}

/// How long things may take as long as no `fault` record says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// A message, one way, with what the store takes to carry it out.
    pub trip: Nanos,
    /// A caller, to take notice of what it is told.
    pub wake: Nanos,
    /// A process, to hear that it is cut off.
    pub detect: Nanos,
    /// How wrong a node's clock runs at most, in parts per million.
    pub drift_ppm: u64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record<K> {
    /// When.
    pub at: Nanos,
    /// Where; 0 for the store and the world around.
    pub node: NodeId,
    /// What.
    #[serde(flatten)]
    pub what: What<K>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What<K> {
    /// A process has begun.
    Up {
        /// What people call it.
        name: String,
        /// Names the clock behind `at`: where two processes name the same one, their moments compare.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clock: Option<String>,
    },
    /// A process has ended.
    Down {
        /// It was killed, as opposed to having closed in peace.
        crashed: bool,
    },
    /// `Flights` was told a notice, and gave these orders.
    Told {
        /// The time it was told, by the process's own clock.
        now: Instant,
        /// The notice.
        notice: Notice<K>,
        /// The orders, in order.
        orders: Vec<Order<K>>,
    },
    /// A call has begun. It has no `told` before it boards, and none at all if a local copy served it.
    Began {
        /// The key.
        key: K,
        /// The call: the number it boards under.
        passenger: PassengerId,
        /// What satisfies it.
        freshness: Freshness,
    },
    /// A call has ended, from its caller's point of view.
    Landed {
        /// The key.
        key: K,
        /// The call.
        passenger: PassengerId,
        /// How.
        outcome: Outcome,
        /// The value it got.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
        /// A local copy served it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        local: bool,
    },
    /// A caller is gone before its call has landed: cancelled, its future dropped.
    Left {
        /// The key.
        key: K,
        /// The call.
        passenger: PassengerId,
    },
    /// A fill has begun.
    FillBegan {
        /// The key.
        key: K,
        /// Whose.
        passenger: PassengerId,
        /// The number of the flight.
        flight: u64,
        /// The order it carries out.
        attempt: Attempt,
        /// The lease; `None` without coordination.
        token: Option<Token>,
    },
    /// A fill has ended (or was dropped with its caller: then there is no such record).
    FillEnded {
        /// The key.
        key: K,
        /// Whose.
        passenger: PassengerId,
        /// The number of the flight.
        flight: u64,
        /// The order it carried out.
        attempt: Attempt,
        /// How.
        result: FillResult,
        /// The value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Digest>,
    },
    /// A request has left its process.
    Sent {
        /// The request; it keeps its number when it is repeated underway.
        id: RequestId,
        /// The key.
        key: K,
        /// The number of the flight; `None` for a `forget`, or a read for the local copies.
        flight: Option<u64>,
        /// What is asked.
        request: Request,
    },
    /// The store has carried a request out; the order of these lines is the store's own.
    Committed {
        /// The request.
        id: RequestId,
        /// Whether this is not the first time: a duplicate, or a replay.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
        /// The time by the store's clock.
        time: Nanos,
        /// The key.
        key: K,
        /// Who asked.
        from: NodeId,
        /// What was asked.
        request: Request,
        /// What the store answers.
        answer: Answer,
    },
    /// An answer has come back to its process.
    Answered {
        /// The request.
        id: RequestId,
        /// The answer.
        answer: Answer,
    },
    /// A watch stands at the store, from now on told of every change.
    WatchOpened {
        /// The key.
        key: K,
        /// Whose.
        watcher: NodeId,
        /// The number of the flight.
        flight: u64,
    },
    /// A watch has ended at the store.
    WatchClosed {
        /// The key.
        key: K,
        /// Whose.
        watcher: NodeId,
        /// The number of the flight.
        flight: u64,
    },
    /// The change stream of a process is up, or down: S17 is judged while it is up.
    Changes {
        /// Whether it is up.
        connected: bool,
    },
    /// Something has gone wrong in the world.
    Fault {
        /// What.
        fault: Fault,
        /// Until when it may be felt.
        until: Nanos,
    },
    /// The world has healed, but for the nodes given up for good.
    Healed {
        /// The nodes that stay broken.
        broken: Vec<NodeId>,
    },
    /// The run is over: nothing is left to happen.
    Ended {
        /// What is still pending, and why; nothing if all is well.
        pending: Vec<String>,
    },
}

/// What satisfies a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freshness {
    /// The value is no older than this when the call begins, by the store's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Nanos>,
    /// A predicate of the caller's own has its say, too: then only the caller can judge.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub predicate: bool,
    /// A value that does not decode counts as none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub malformed_as_absent: bool,
}

/// What is asked of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// `claim`.
    Claim {
        /// The number of the command in its flight: with the node and the flight, the attempt.
        attempt: Attempt,
        /// The last revision the caller has judged.
        seen: Revision,
        /// How long the lease is to live.
        ttl: Nanos,
    },
    /// `renew`.
    Renew {
        /// The lease.
        token: Token,
        /// How long it is to live from now.
        ttl: Nanos,
    },
    /// `publish`.
    Publish {
        /// The lease.
        token: Token,
        /// The value.
        digest: Digest,
    },
    /// `release`.
    Release {
        /// The lease.
        token: Token,
    },
    /// `put`.
    Put {
        /// The last revision the caller knows.
        seen: Revision,
        /// The value.
        digest: Digest,
    },
    /// `read`.
    Read,
    /// `forget`.
    Forget,
}

/// What a store answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To `claim`: the lease is the caller's.
    Granted {
        /// Its token.
        token: Token,
        /// How long it lives.
        remaining: Nanos,
        /// The last revision of the key.
        generation: Revision,
    },
    /// To `claim`: it is somebody else's.
    Held {
        /// Whose.
        token: Token,
        /// How long until it lapses.
        remaining: Option<Nanos>,
    },
    /// To `claim`: the key has moved on.
    Newer {
        /// To this revision.
        revision: Revision,
        /// Published under this lease.
        token: Option<Token>,
        /// The value.
        digest: Digest,
        /// The highest token granted so far, if known.
        latest: Option<Token>,
    },
    /// To `renew`.
    Renewed,
    /// To `renew`: the lease is gone.
    Lost,
    /// To `publish`: the value stands.
    Published {
        /// Under this revision.
        revision: Revision,
    },
    /// To `publish`: the lease is gone; nothing was changed.
    Fenced,
    /// To `release`: whatever was to be freed is free.
    Released {
        /// The lease stood until now.
        freed: bool,
    },
    /// To `put` and `forget`: done.
    Written {
        /// The new revision of the key.
        revision: Revision,
    },
    /// To `put`: the key has moved on; nothing was changed.
    Kept {
        /// Its revision.
        revision: Revision,
    },
    /// To `read`.
    State {
        /// The last revision of the key.
        revision: Revision,
        /// The value, if there is one.
        digest: Option<Digest>,
    },
    /// The store does not permit it.
    Refused,
    /// What is stored is not what the contract writes.
    Malformed,
    /// The caller's side could not reach the store: whether it happened is unknown.
    Unavailable,
}

/// What may go wrong in the world. A fault is told where it is felt: its record's node is the process
/// concerned, or 0 for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// A request was lost on its way to the store.
    RequestLost,
    /// An answer was lost on its way back: the store has done it.
    AnswerLost,
    /// A request or an answer took longer than the bounds say.
    Delayed,
    /// A request was carried out twice.
    Duplicated,
    /// Nothing goes from the process to the store.
    CutUp,
    /// Nothing comes from the store to the process.
    CutDown,
    /// The process was killed.
    Crashed,
    /// The process stood still.
    Paused,
    /// The store was slow, or down.
    StoreSlow,
    /// The store was restarted with all it knew; watches have ended.
    StoreRestarted,
    /// The store has forgotten its last writes.
    WritesForgotten,
    /// The store's token counter was set back.
    TokensForgotten,
    /// A live lock was evicted.
    LockEvicted,
    /// The store's clock has jumped.
    ClockJumped,
    /// A push was lost, and nobody was told.
    PushLost,
    /// A push came late, or again.
    PushLate,
    /// A watch has ended.
    WatchEnded,
    /// A caller was cancelled.
    Cancelled,
    /// A fill has failed or panicked.
    FillFailed,
    /// A key was forgotten.
    Forgotten,
    /// The value of a fill does not decode.
    Garbled,
    /// The store did not permit a request.
    Denied,
}
