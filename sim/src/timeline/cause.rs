//! Why a run failed, in three sentences: what the promise demands, what happened, and what made the
//! difference.

use std::collections::BTreeMap;

use super::{times, words};
use crate::trace::{Fault, Key, Nanos, NodeId, Record, Trace, What};

/// What an invariant of the design demands.
pub(super) fn demand(invariant: &str) -> &'static str {
    let name = invariant.split(' ').next().unwrap_or_default();
    match name {
        "S1" => "the tokens of a lock and the revisions of a key only ever grow",
        "S2" => "a lock has one holder at a time",
        "S3" => {
            "a publish is accepted only under the newest token granted on its lock, and not after a forget"
        }
        "S4" => {
            "a call that lands with a value lands with one that a fill returned, and that was committed before if it came from elsewhere"
        }
        "S5" => {
            "no fill starts if a value that satisfies its caller was committed before its lease was granted"
        }
        "S6" => "the fills of one generation are at most one more than the faults charged to it",
        "S7" => "no call fills after a value that satisfies it was delivered to it",
        "S8" => "every call lands exactly once, and the label of its landing is true",
        "S9" => "after a call has failed for certain, nothing of its fill is committed",
        "S10" => {
            "a stale landing had no satisfying value in its view, and serves none older than it has seen"
        }
        "S11" => "a value that does not decode never wedges a key",
        "S12" => "after its last caller has left, a flight does nothing but clean up",
        "S13" => "nothing that happens to one key or attempt changes another flight",
        "S14" => "no value computed by a fill that started before a forget is published after it",
        "S15" => "a fill without a lease needs a store that could not be reached",
        "S16" => "the same seed is the same run",
        "S17" => {
            "while changes are heard, no local copy is served that was replaced more than one push ago"
        }
        "L1" => "no call outlives its deadline, but for a fill of its own",
        "L2" => {
            "a waiter that listens lands with a fresh publish, and claims after a release, within one push, not at the next timer"
        }
        "L3" => {
            "a dead holder is replaced within what remains of its lease, one backoff and one trip"
        }
        "L4" => {
            "no call times out or lands stale with a satisfying value in hand, or with the lock free for the taking"
        }
        "L5" => {
            "a store that cannot be reached is noticed while waiting, too, and answered in time"
        }
        "L6" => {
            "a healthy holder keeps its lease as long as the store can be reached, and no longer than its fill may take"
        }
        "L7" => "when all calls have landed, no watch, timer, lease or request of theirs remains",
        "L8" => "the claims for one release are bounded by the number of processes, not of callers",
        "L9" => "the commands of a call stay within the cost table, plus one for each fault",
        _ => "the store answers as the contract says",
    }
}

/// The violation, as a sentence.
pub(super) fn happened(at: Nanos, node: NodeId, key: Option<&str>, story: &str) -> String {
    let key = key.map_or_else(String::new, |key| format!(", key {key}"));
    let place = place(node);
    let moment = times::time(at);
    format!("At {moment} ({place}{key}): {story}.")
}

/// The first record in which two runs differ at all.
pub(super) fn difference(failing: &Trace, passing: &Trace) -> Option<usize> {
    let (left, right) = (&failing.records, &passing.records);
    (0..left.len().max(right.len())).find(|index| left.get(*index) != right.get(*index))
}

/// The first records in which the course of two runs differs: what the store answers, what machines
/// order, how calls end; not what the removed decision itself consists of.
pub(super) fn parting(failing: &Trace, passing: &Trace) -> Option<(usize, usize)> {
    let course = |trace: &Trace| -> Vec<usize> {
        let all = 0..trace.records.len();
        all.filter(|index| is_course(&trace.records[*index].what))
            .collect()
    };
    let (left, right) = (course(failing), course(passing));
    let differs = |(index, other): &(&usize, &usize)| {
        !is_alike(&failing.records[**index], &passing.records[**other])
    };
    let found = left.iter().zip(&right).find(differs);
    found.map(|(index, other)| (*index, *other)).or_else(|| {
        // One of them goes on where the other is over.
        let shorter = left.len().min(right.len());
        let last = |trace: &Trace| trace.records.len().saturating_sub(1);
        let index = left.get(shorter).copied().unwrap_or(last(failing));
        let other = right.get(shorter).copied().unwrap_or(last(passing));
        (left.len() != right.len()).then_some((index, other))
    })
}

fn is_course(what: &What<Key>) -> bool {
    match what {
        What::Sent { .. } | What::Fault { .. } | What::Up { .. } | What::Changes { .. } => false,
        What::Down { .. }
        | What::Told { .. }
        | What::Began { .. }
        | What::Landed { .. }
        | What::Left { .. }
        | What::FillBegan { .. }
        | What::FillEnded { .. }
        | What::Committed { .. }
        | What::Answered { .. }
        | What::WatchOpened { .. }
        | What::WatchClosed { .. }
        | What::Healed { .. }
        | What::Ended { .. } => true,
    }
}

fn is_alike(left: &Record<Key>, right: &Record<Key>) -> bool {
    let same = (left.at, left.node) == (right.at, right.node);
    match (&left.what, &right.what) {
        (
            What::Committed { answer, from, .. },
            What::Committed {
                answer: other,
                from: who,
                ..
            },
        ) => same && (answer, from) == (other, who),
        (what, other) => same && what == other,
    }
}

/// Those records, in words: what both have at the same moment, or what only the twin has, or how a
/// call lands otherwise: that the twin lacks what was removed goes without saying.
pub(super) fn apart(
    failing: &Trace,
    passing: &Trace,
    (index, other): (usize, usize),
) -> Option<String> {
    let (here, there) = (failing.records.get(index)?, passing.records.get(other)?);
    let whose = |record: &Record<Key>| {
        let (place, moment) = (place(record.node), times::time(record.at));
        format!("“{}” ({place}, {moment})", words::what(&record.what))
    };
    if (here.at, here.node) == (there.at, there.node) {
        let (here, there) = (whose(here), words::what(&there.what));
        Some(format!(
            "the failing run has {here} where the twin has “{there}”"
        ))
    } else if there.at < here.at {
        Some(format!("the failing run does not have {}", whose(there)))
    } else {
        landing(failing, passing)
    }
}

/// The last call that lands otherwise.
fn landing(failing: &Trace, passing: &Trace) -> Option<String> {
    let landed = |record: &Record<Key>| match &record.what {
        What::Landed {
            passenger, outcome, ..
        } => Some(((record.node, *passenger), *outcome)),
        _ => None,
    };
    let other: BTreeMap<_, _> = passing.records.iter().filter_map(landed).collect();
    let mut ends = failing.records.iter().rev().filter_map(landed);
    ends.find_map(|(call, here)| {
        let there = *other.get(&call)?;
        let (here, there) = (words::outcome(here), words::outcome(there));
        (here != there).then(|| {
            let (node, passenger) = (place(call.0), call.1.0);
            format!("there call {passenger} of {node} lands “{there}”, not “{here}”")
        })
    })
}

fn place(node: NodeId) -> String {
    if node == 0 {
        "store".to_owned()
    } else {
        format!("node {node}")
    }
}

/// The mishap of a message that one of two runs has and the other has not: it is the first difference.
pub(super) fn mishap(failing: &Trace, index: usize) -> String {
    let before = failing.records.get(..index).unwrap_or_default();
    let Some(record) = failing.records.get(index) else {
        return "one message's mishap".to_owned();
    };
    let What::Fault { fault, .. } = &record.what else {
        return format!("the mishap of one message by {}", times::time(record.at));
    };
    let is_message = |other: &&Record<Key>| {
        other.at == record.at
            && matches!(
                other.what,
                What::Sent { .. } | What::Committed { .. } | What::WatchOpened { .. }
            )
    };
    let (node, at) = (record.node, times::time(record.at));
    let message = match before
        .iter()
        .rev()
        .find(is_message)
        .map(|other| &other.what)
    {
        Some(What::Sent { request, .. }) => format!("the {} of node {node}", words::verb(request)),
        Some(What::Committed { request, .. })
            if !matches!(fault, Fault::PushLost | Fault::PushLate | Fault::WatchEnded) =>
        {
            format!("the answer to the {} of node {node}", words::verb(request))
        }
        _ => format!("a push to node {node}"),
    };
    let name = match fault {
        Fault::RequestLost | Fault::AnswerLost | Fault::PushLost => "loss",
        Fault::Delayed | Fault::PushLate => "lateness",
        Fault::Duplicated => "repetition",
        Fault::Denied => "denial",
        _ => "mishap",
    };
    format!("the {name} of {message} at {at}")
}
