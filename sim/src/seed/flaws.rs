//! Which of the seed's known flaws a broken promise shows: by the invariant and the circumstances.
//!
//! Where the invariant does not tell which flaw it was, and the trace does not either, the finding is
//! the invariant alone.

use std::fmt;

use super::case::Case;
use crate::check::Violation;
use crate::trace::{Key, Record};

/// A flaw, or an invariant that was broken in a way that is none of the known flaws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// One of F1 to F20.
    Flaw(u8),
    /// Only what was broken is known.
    Only(&'static str),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flaw(number) => write!(f, "F{number}"),
            Self::Only(_) => f.write_str("-"),
        }
    }
}

/// The flaws, as they show in a run of this algorithm.
#[must_use]
pub const fn story(flaw: u8) -> &'static str {
    match flaw {
        1 => "redundant fill: it never looks again at the value after it has won",
        2 => "lost release: it subscribes to a lock that is free already, and sleeps",
        3 => "late takeover: it counts a lease's length from its own subscribing",
        4 => "vain time-out: it times out with a value in hand",
        5 => "heartbeat quits: one failed renewal ends the renewals",
        6 => "zombie heartbeat: renewals outlive the fill",
        7 => "ghost lease: a repeated claim is granted to nobody",
        8 => "lost publish answer: an error, and the value stands",
        9 => "stale clobber: an unfenced put lands over a newer value",
        10 => "dirty read: a value is served that was never committed",
        11 => "fenced dead end: an error though the newer value exists",
        12 => "slow degrade: a disconnect while waiting goes unseen",
        13 => "overshoot: a store call longer than the wait",
        14 => "no generation: a value that is younger than the call is not fresh enough",
        15 => "poison: a value that does not decode crashes its readers",
        16 => "hung fill: it is renewed for ever",
        17 => "clock at restart: the store judges lapses by a clock that jumped",
        18 => "watch gap: a reconnect by snapshot wakes nobody",
        19 => "herd: all waiters claim for one release",
        20 => "slow winner: it returns only after the release is answered",
        _ => "",
    }
}

/// Whether an invariant says nothing about this algorithm: it is about the orders of our machine.
#[must_use]
pub fn is_exempt(invariant: &str) -> bool {
    matches!(invariant, "S12 CancelSafe" | "S13 Isolation" | "L9 Budget")
}

/// What a violation shows.
#[must_use]
pub fn classify(violation: &Violation, records: &[Record<Key>]) -> Finding {
    let until = records.partition_point(|record| record.at <= violation.at);
    let Some(key) = violation.key else {
        return Finding::Only(violation.invariant);
    };
    let case = Case {
        violation,
        key,
        past: &records[..until],
    };
    let flaw = match violation.invariant {
        "S5 NoRedundantFill" => Some(if case.had_judged_it_stale() { 14 } else { 1 }),
        "S3 NoStalePublish" => case.is_clobbered().then_some(9),
        "S4 Provenance" => case.is_uncommitted().then_some(10),
        "S9 HonestFailure" => case.failure(),
        "S11 NoPoison" => Some(15),
        "L1 Terminates" => case.is_blocked_too_long().then_some(13),
        "L2 Prompt" => case
            .slept_on_a_free_lock()
            .or_else(|| case.slept_on_a_gap()),
        "L3 Takeover" => Some(3),
        // It serves as stale what it would have found fresh, had it asked.
        "L4 NoVainTimeout" | "S10 HonestStale" => Some(4),
        "L5 DegradePrompt" => Some(12),
        "L6 Heartbeat" => case.heartbeat(),
        "L7 Quiescent" => case.is_held_by_itself().then_some(7),
        "L8 Herd" => Some(19),
        _ => None,
    };
    flaw.map_or(Finding::Only(violation.invariant), Finding::Flaw)
}
