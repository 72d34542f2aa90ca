//! What [`Flights`](crate::Flights) is told, and what it wants done.

use crate::{Attempt, Command, Event, Lease, Outcome, Policy, Revision, Token, Verdict};

/// Names one caller of this process. The driver hands out ever larger ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PassengerId(pub u64);

/// Names one [`Flight`](crate::Flight) of this process: the key, and a number that is never reused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FlightId<K> {
    /// The key.
    pub key: K,
    /// The number.
    pub number: u64,
}

/// Something that happened to a key or a caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Notice<K> {
    /// A caller wants a value of the key, and what it knows of it does not satisfy.
    Boarded {
        /// The key.
        key: K,
        /// The caller.
        passenger: PassengerId,
        /// Its rules.
        policy: Policy,
        /// What it thinks of the last revision it knows.
        known: Verdict,
    },
    /// A command was answered, or the watch tells of the lock. Not for what needs a judgement: that
    /// is `Arrived`.
    Answered {
        /// Whose command.
        flight: FlightId<K>,
        /// The answer.
        event: Event,
    },
    /// A revision of the key has come: from a claim (`Newer`) or from the watch.
    Arrived {
        /// The flight that claimed or watches.
        flight: FlightId<K>,
        /// The claim this answers; `None` from the watch.
        attempt: Option<Attempt>,
        /// From a claim: the highest token granted on the lock so far, if known.
        latest: Option<Token>,
        /// What came.
        arrival: Arrival,
    },
    /// A caller has judged what it was asked to judge.
    Judged {
        /// The key.
        key: K,
        /// The caller.
        passenger: PassengerId,
        /// What it thinks.
        verdict: Verdict,
    },
    /// A caller has left without landing.
    Left {
        /// The key.
        key: K,
        /// The caller.
        passenger: PassengerId,
    },
    /// Time has passed.
    Tick,
}

impl<K> Notice<K> {
    /// The key it is about; `None` for a `Tick`, which is about all.
    #[must_use]
    pub const fn key(&self) -> Option<&K> {
        match self {
            Self::Boarded { key, .. } | Self::Judged { key, .. } | Self::Left { key, .. } => {
                Some(key)
            }
            Self::Answered { flight, .. } | Self::Arrived { flight, .. } => Some(&flight.key),
            Self::Tick => None,
        }
    }
}

/// A revision of a key that nobody has judged yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Arrival {
    /// The revision.
    pub revision: Revision,
    /// The token of the lease it was published under, if it was.
    pub token: Option<Token>,
    /// There is a value, as opposed to a key that was forgotten.
    pub value: bool,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Order<K> {
    /// Carry out a command for the store (`Claim`, `Watch`, `Unwatch`, `Renew`, `Publish`, `Put`,
    /// `Release`) or for the running fill (`WarnLeaseLost`).
    Command {
        /// Whose command.
        flight: FlightId<K>,
        /// The command; never `Fill` or `Land`.
        command: Command,
    },
    /// Ask a caller to judge the last revision that arrived; answered by `Judged`.
    Judge {
        /// The key.
        key: K,
        /// The caller.
        passenger: PassengerId,
        /// The revision.
        revision: Revision,
    },
    /// Let a caller run its fill; answered by `FillDone`.
    Fill {
        /// The flight.
        flight: FlightId<K>,
        /// The caller.
        passenger: PassengerId,
        /// The number of the command.
        attempt: Attempt,
        /// The lease it runs under; `None` if the store is unreachable.
        lease: Option<Lease>,
    },
    /// Tell a caller how its call ended.
    Land {
        /// The key.
        key: K,
        /// The caller.
        passenger: PassengerId,
        /// How.
        outcome: Outcome,
    },
    /// The flight wants nothing more, ever.
    Retired {
        /// The flight.
        flight: FlightId<K>,
    },
}
