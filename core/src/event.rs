//! Facts: what a [`Flight`](crate::Flight) is told.

use core::time::Duration;

use crate::{Attempt, Instant, Policy, Revision, Token};

/// How the caller judges what a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Judgement {
    /// There is no value: never written, forgotten, or to be treated so.
    Absent,
    /// There is a value, and the caller wants a newer one; it may be served at a time-out.
    Stale,
    /// There is a value that satisfies the caller.
    Fresh,
    /// There is a value that does not decode.
    Malformed,
}

/// A judgement about one revision of a key: all that the machine ever learns of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Verdict {
    /// The revision that was judged.
    pub revision: Revision,
    /// The token of the lease it was published under, if it was.
    pub token: Option<Token>,
    /// The judgement.
    pub judgement: Judgement,
}

impl Verdict {
    /// Of a caller that knows nothing of the key yet.
    pub const UNKNOWN: Self = Self {
        revision: Revision::NEVER,
        token: None,
        judgement: Judgement::Absent,
    };
}

/// How a fill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum FillResult {
    /// With a value to publish.
    Value,
    /// With an error; nothing is to be published.
    Error,
    /// With a panic.
    Panic,
}

/// Something that happened.
///
/// Events that answer a command carry its [`Attempt`]. The machine takes every event in every phase;
/// what is late, repeated or impossible changes nothing, except that a lease granted to nobody is
/// released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Event {
    /// To `Claim`: the lease is ours.
    LeaseGranted {
        /// The claim this answers.
        attempt: Attempt,
        /// The fencing token of the lease.
        token: Token,
        /// How long it lives, by the store's clock.
        remaining: Duration,
        /// The last revision of the key: what the fill replaces.
        generation: Revision,
    },
    /// To `Claim`: the lease is somebody else's.
    Held {
        /// The claim this answers.
        attempt: Attempt,
        /// The token of that lease, if known.
        token: Option<Token>,
        /// How long until it lapses, by the store's clock, if known.
        remaining: Option<Duration>,
    },
    /// To `Claim`: the key holds a value above what was seen.
    Newer {
        /// The claim this answers.
        attempt: Attempt,
        /// The highest token granted on the lock so far, if known.
        latest: Option<Token>,
        /// The judgement about that value.
        verdict: Verdict,
    },
    /// From the watch: the key is in this state.
    KeyEvent {
        /// The judgement about it.
        verdict: Verdict,
    },
    /// From the watch: the lock is free.
    LockReleased,
    /// From the watch: the lock is held (a grant or a renewal seen).
    LockHeld {
        /// How long until it lapses, by the store's clock, if known.
        remaining: Option<Duration>,
    },
    /// From the watch: it has ended, the store cannot be heard.
    WatchLost,
    /// To `Renew`: the lease lives for its ttl again.
    Renewed {
        /// The renewal this answers.
        attempt: Attempt,
    },
    /// To `Renew`: the lease was released, forgotten or granted anew.
    LeaseLost {
        /// The renewal this answers.
        attempt: Attempt,
    },
    /// To `Fill`: it has ended.
    FillDone {
        /// The fill this answers.
        attempt: Attempt,
        /// How.
        result: FillResult,
    },
    /// To `Publish`: the value stands, the lock is free.
    Published {
        /// The publish this answers.
        attempt: Attempt,
        /// The revision of the value.
        revision: Revision,
    },
    /// To `Publish`: the lease was released, forgotten or granted anew; nothing was changed.
    Fenced {
        /// The publish this answers.
        attempt: Attempt,
    },
    /// To `Release`: the lock is no longer ours.
    Released {
        /// The release this answers.
        attempt: Attempt,
    },
    /// To any command: the store could not be reached; it may or may not have been carried out.
    Unavailable {
        /// The command this answers.
        attempt: Attempt,
    },
    /// To any command: the store does not permit it.
    Refused {
        /// The command this answers.
        attempt: Attempt,
    },
    /// To any command: what the store holds is not what the contract writes.
    Malformed {
        /// The command this answers.
        attempt: Attempt,
    },
    /// From the watch: the store does not permit it.
    WatchRefused,
    /// The caller has left, and nobody takes its place.
    Abandoned,
    /// The caller has left, or may not wait any longer, and another takes its place.
    HandedOver {
        /// The rules of the new caller.
        policy: Policy,
        /// When the new caller's call began.
        started: Instant,
        /// What the new caller thinks of the last revision it knows.
        known: Verdict,
        /// The highest token that is known to have been granted before the new caller's call.
        floor: Option<Token>,
    },
    /// Time has passed.
    Tick,
}

impl Event {
    /// The attempt this event answers, if it is an answer.
    #[must_use]
    pub const fn attempt(&self) -> Option<Attempt> {
        match *self {
            Self::LeaseGranted { attempt, .. }
            | Self::Held { attempt, .. }
            | Self::Newer { attempt, .. }
            | Self::Renewed { attempt }
            | Self::LeaseLost { attempt }
            | Self::FillDone { attempt, .. }
            | Self::Published { attempt, .. }
            | Self::Fenced { attempt }
            | Self::Released { attempt }
            | Self::Unavailable { attempt }
            | Self::Refused { attempt }
            | Self::Malformed { attempt } => Some(attempt),
            Self::KeyEvent { .. }
            | Self::LockReleased
            | Self::LockHeld { .. }
            | Self::WatchLost
            | Self::WatchRefused
            | Self::Abandoned
            | Self::HandedOver { .. }
            | Self::Tick => None,
        }
    }
}
