//! The names that stories use: callers, outcomes, lengths of time.

use oneflight_core::{Outcome, Revision, Token};
use oneflight_sim::trace::{Bounds, Freshness, Key, Nanos, NodeId};

/// The key that a story is about, unless it says otherwise.
pub(crate) const KEY: Key = Key(0);

/// Another one.
pub(crate) const OTHER: Key = Key(1);

pub(crate) const MS: Nanos = 1_000_000;
pub(crate) const SECOND: Nanos = 1000 * MS;

/// What the stories' messages and callers may take.
pub(crate) const BOUNDS: Bounds = Bounds {
    trip: MS,
    wake: MS / 10,
    detect: 10 * MS,
    drift_ppm: 0,
};

/// What the checker allows for a few messages and a waking caller.
pub(crate) const SLACK: Nanos = 5 * BOUNDS.trip + 4 * BOUNDS.wake;

/// What the checker adds to a length of time by a clock that runs right.
pub(crate) const ROUNDING: Nanos = 1000;

/// A policy's shortest pause, by default.
pub(crate) const PAUSE: Nanos = 250 * MS / 64;

/// The default lease.
pub(crate) const TTL: Nanos = 30 * SECOND;

/// A caller: its process, its call, its flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    pub(crate) node: NodeId,
    pub(crate) call: u64,
    pub(crate) flight: u64,
}

pub(crate) const fn who(node: NodeId, call: u64, flight: u64) -> Who {
    Who { node, call, flight }
}

/// Of the first process.
pub(crate) const ANN: Who = who(1, 1, 1);
/// Shares a flight with Ann.
pub(crate) const ALF: Who = who(1, 2, 1);
/// Of the first process, in its second flight.
pub(crate) const AMY: Who = who(1, 2, 2);
/// Of the first process, in its third flight.
pub(crate) const BEA: Who = who(1, 3, 3);
/// Of the second process.
pub(crate) const BOB: Who = who(2, 1, 1);
/// Of the third process.
pub(crate) const CAT: Who = who(3, 1, 1);

pub(crate) fn token(number: u64) -> Token {
    Token::new(number).unwrap()
}

pub(crate) fn revision(number: u64) -> Revision {
    Revision::new(number)
}

pub(crate) fn cached(number: u64) -> Outcome {
    let revision = revision(number);
    Outcome::Cached {
        revision,
        stale: false,
    }
}

pub(crate) fn stale(number: u64) -> Outcome {
    let revision = revision(number);
    Outcome::Cached {
        revision,
        stale: true,
    }
}

pub(crate) fn computed(number: u64) -> Outcome {
    Outcome::Computed {
        revision: Some(revision(number)),
    }
}

pub(crate) fn awaited(number: u64) -> Outcome {
    Outcome::Awaited {
        revision: Some(revision(number)),
    }
}

/// A call that a value of at most this age satisfies.
pub(crate) fn no_older_than(max_age: Nanos) -> Freshness {
    Freshness {
        max_age: Some(max_age),
        ..ANY
    }
}

/// A call that any value satisfies.
pub(crate) const ANY: Freshness = Freshness {
    max_age: None,
    predicate: false,
    malformed_as_absent: false,
};

/// A call that only its caller can judge for.
pub(crate) const CHOOSY: Freshness = Freshness {
    predicate: true,
    ..ANY
};
