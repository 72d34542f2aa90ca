//! The safety invariants, S1 to S17: each one function.

use oneflight_core::{
    Command, Judgement, OnAbort, OnFenced, OnUnavailable, Order, Outcome, Revision, Token,
    Unpublished,
};

use super::State;
use super::state::{CallState, FillState, FlightState, KeyState, LeaseState, Write};
use crate::coverage::is_stale;
use crate::trace::{Digest, Key, Nanos, NodeId};

/// S1 `TokenMonotonic`: a newly granted token is above all granted on its lock before.
pub(super) fn s1_token(key: &KeyState, token: Token) -> Option<String> {
    (token.get() <= key.max_token)
        .then(|| story!("token {token} was granted after token {}", key.max_token))
}

/// S1 `TokenMonotonic`: a new revision is above all revisions of its key before.
pub(super) fn s1_revision(key: &KeyState, revision: Revision) -> Option<String> {
    (revision <= key.max_revision).then(|| {
        story!(
            "revision {revision} came after revision {}",
            key.max_revision
        )
    })
}

/// S2 `OneHolder`: no lease is granted while another one on its lock lives.
pub(super) fn s2_one_holder(lease: Option<&LeaseState>, token: Token, at: Nanos) -> Option<String> {
    let held = lease.filter(|lease| !lease.ended && lease.lapses > at)?;
    Some(story!(
        "token {token} was granted while node {} held token {} until {} ns",
        held.node,
        held.token,
        held.lapses
    ))
}

/// S3 `NoStalePublish`: a publish is accepted only under the newest token of its lock, and not after
/// that lease was released or forgotten.
pub(super) fn s3_publish(lease: Option<&LeaseState>, token: Token) -> Option<String> {
    match lease {
        Some(lease) if lease.token == token && !lease.ended => None,
        Some(lease) => Some(story!(
            "a publish under token {token} was accepted; the newest is {}{}",
            lease.token,
            if lease.ended { ", and has ended" } else { "" }
        )),
        None => Some(story!(
            "a publish under token {token} was accepted, which was never granted"
        )),
    }
}

/// S3 `NoStalePublish`: an unfenced put never replaces a revision that its caller did not know.
pub(super) fn s3_put(key: &KeyState, seen: Option<Revision>) -> Option<String> {
    let seen = seen?;
    (key.max_revision > seen).then(|| {
        story!(
            "a put by a caller that knew revision {seen} replaced revision {}",
            key.max_revision
        )
    })
}

/// S4 `Provenance`: a call that lands with a value lands with one that a fill of its key returned:
/// its own if it computed, else one that was committed before, or shared within its process.
pub(super) fn s4_provenance(
    key: &KeyState,
    call: &CallState,
    node: NodeId,
    outcome: Outcome,
    digest: Option<Digest>,
    sees_store: bool,
) -> Option<String> {
    let wants = match outcome {
        Outcome::Cached { .. } | Outcome::Computed { .. } | Outcome::Awaited { .. } => true,
        Outcome::Unpublished { .. } => call.computed.is_some(),
        _ => false,
    };
    if !wants {
        return None;
    }
    let Some(digest) = digest else {
        return Some(story!("{outcome:?} without a value"));
    };
    let own = matches!(
        outcome,
        Outcome::Computed { .. } | Outcome::Unpublished { .. }
    );
    if own && call.computed != Some(digest) {
        let computed = call.computed;
        return Some(story!(
            "{outcome:?} with {digest:?}, its own fill returned {computed:?}"
        ));
    }
    // An acknowledged value was committed as it was acknowledged.
    let unacknowledged = own && outcome.revision().is_none();
    if !sees_store || key.amnesia || unacknowledged {
        return None;
    }
    let known = match outcome.revision() {
        Some(revision) => {
            key.writes.is_partial()
                || key
                    .writes
                    .iter()
                    .any(|write| write.revision == revision && write.digest == digest)
        }
        None => {
            own || key.fills.is_partial()
                || key
                    .fills
                    .iter()
                    .any(|fill| fill.node == node && fill.digest == digest)
        }
    };
    (!known).then(|| story!("{outcome:?} with {digest:?}, which was never so committed"))
}

/// S5 `NoRedundantFill`: when a fill starts, no value that would satisfy its caller had been committed
/// before its grant.
pub(super) fn s5_redundant(
    call: &CallState,
    lease: &LeaseState,
    garbled: Revision,
    margin: Nanos,
) -> Option<String> {
    let value = lease.value?;
    let freshness = call.freshness?;
    if garbled == value.revision {
        return None;
    }
    let mut verdicts = call.judged.iter().chain(&call.judged_before);
    let verdict = verdicts.find(|judged| judged.revision == value.revision);
    if verdict.is_some_and(|judged| judged.judgement != Judgement::Stale) {
        return None;
    }
    // Whoever has judged it did so by the floor known then: a verdict stands, even if the answer to the
    // call's first claim comes so late that only then it tells that the value is newer than the call.
    let floor = verdict.map_or(call.floor, |judged| judged.floor);
    let newer = matches!((value.token, floor), (Some(token), Some(floor)) if token > floor);
    let young = !freshness.predicate
        && freshness
            .max_age
            .is_none_or(|limit| call.began.saturating_sub(value.at) + margin <= limit);
    (newer || young).then(|| {
        story!(
            "a fill began under token {}, granted at {} ns, though revision {} of {} ns satisfies its \
             call of {} ns",
            lease.token, lease.granted, value.revision, value.at, call.began
        )
    })
}

/// S6 `ExcusedDuplicates`: the fills of one generation are at most one more than the faults charged to
/// it.
pub(super) fn s6_excused(key: &KeyState) -> Option<String> {
    (key.filled > 1 + key.charged).then(|| {
        story!(
            "fill {} of generation {:?}, with {} faults charged to it",
            key.filled,
            key.generation,
            key.charged
        )
    })
}

/// S6 `ExcusedDuplicates`: a failed fill ends the calls of those who share it; they do not fill
/// again.
pub(super) fn s6_shared(call: &CallState, passenger: u64) -> Option<String> {
    let shares = call
        .policy
        .is_some_and(|policy| policy.on_abort == OnAbort::Share);
    (shares && !call.ordered_to_land && call.is_open())
        .then(|| story!("call {passenger} shares failures, but did not land with its pilot's"))
}

/// S7 `RideOrFill`: no call fills after a value that satisfies it was delivered to it.
pub(super) fn s7_fill(call: &CallState) -> Option<String> {
    let revision = call.satisfied?;
    Some(story!(
        "it fills though revision {revision} was delivered to it and satisfied it"
    ))
}

/// S7 `RideOrFill`: no call is told to fill while it judges the last revision that has come, which may
/// satisfy it.
pub(super) fn s7_judging(call: &CallState, last: Revision) -> Option<String> {
    let judging = call.judging;
    (judging > Revision::NEVER && judging >= last)
        .then(|| story!("it is told to fill while it judges revision {judging}"))
}

/// S7 `RideOrFill`: no call lands `Awaited` after its own fill, unless that fill was fenced.
pub(super) fn s7_awaited(call: &CallState, outcome: Outcome) -> Option<String> {
    let own = !call.fenced && call.computed.is_some();
    (own && matches!(outcome, Outcome::Awaited { .. }))
        .then(|| story!("{outcome:?} after {} fills of its own", call.fills))
}

/// S8 `OneLanding`: every call lands exactly once.
pub(super) fn s8_once(call: &CallState) -> Option<String> {
    (call.landed || call.left || !call.known).then(|| {
        let (known, landed, left) = (call.known, call.landed, call.left);
        story!("it ended again, or had not begun (known {known}, landed {landed}, left {left})")
    })
}

/// S8 `OneLanding`: the label is true: `Computed` is one fill of its own, acknowledged; `Cached` is no
/// write.
pub(super) fn s8_label(call: &CallState, outcome: Outcome) -> Option<String> {
    let wrong = match outcome {
        Outcome::Computed {
            revision: Some(revision),
        } => call.fills == 0 || call.acknowledged != Some(revision),
        Outcome::Computed { revision: None } => call.fills == 0,
        Outcome::Cached { .. } => call.acknowledged.is_some(),
        Outcome::Awaited { .. }
        | Outcome::Aborted
        | Outcome::Panicked
        | Outcome::TimedOut
        | Outcome::Fenced
        | Outcome::Unavailable
        | Outcome::Refused
        | Outcome::Malformed
        | Outcome::Unpublished { .. }
        | _ => false,
    };
    wrong.then(|| {
        story!(
            "{outcome:?} after {} fills, acknowledged {:?}",
            call.fills,
            call.acknowledged
        )
    })
}

/// Whether an outcome says that nothing of the call's fill was or will be written.
pub(crate) fn is_definite(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Aborted
        | Outcome::Panicked
        | Outcome::TimedOut
        | Outcome::Fenced
        | Outcome::Unavailable
        | Outcome::Refused
        | Outcome::Malformed
        | Outcome::Unpublished {
            cause: Unpublished::Refused | Unpublished::Malformed,
        } => true,
        Outcome::Cached { .. }
        | Outcome::Computed { .. }
        | Outcome::Awaited { .. }
        | Outcome::Unpublished { .. }
        | _ => false,
    }
}

/// S9 `HonestFailure`: a definite failure does not come with the fill's value standing in the store.
pub(super) fn s9_committed(key: &KeyState, call: &CallState, outcome: Outcome) -> Option<String> {
    let digest = call
        .computed
        .filter(|_| is_definite(outcome) && !key.amnesia)?;
    let stands = key.value.is_some_and(|value| value.digest == digest);
    stands.then(|| story!("{outcome:?} though the value of its fill was committed, and stands"))
}

/// S9 `HonestFailure`: a failure is one that the call's policy allows.
pub(super) fn s9_allowed(call: &CallState, outcome: Outcome) -> Option<String> {
    let policy = call.policy?;
    let wrong = match outcome {
        // Whoever rides gives up when it is overtaken again and again.
        Outcome::Fenced => policy.on_fenced != OnFenced::Error && call.fills < 2,
        Outcome::Unavailable => policy.on_unavailable != OnUnavailable::Error,
        _ => false,
    };
    wrong.then(|| story!("{outcome:?}, which its policy does not want"))
}

/// S10 `HonestStale`: a stale landing had no satisfying value in its view, and serves none older than
/// it has seen.
pub(super) fn s10_stale(call: &CallState, outcome: Outcome) -> Option<String> {
    let revision = outcome.revision().filter(|_| is_stale(outcome))?;
    let newer = call.judged.filter(|judged| judged.revision > revision);
    if newer.is_none() && call.satisfied.is_none() {
        return None;
    }
    Some(story!(
        "stale revision {revision}, though it judged {:?} and was satisfied by {:?}",
        call.judged
            .map(|judged| (judged.revision, judged.judgement)),
        call.satisfied
    ))
}

/// S11 `NoPoison`: a value that does not decode never ends a call that treats it as absent.
pub(super) fn s11_poison(call: &CallState, outcome: Outcome) -> Option<String> {
    let tolerant = call
        .freshness
        .is_some_and(|freshness| freshness.malformed_as_absent);
    (tolerant && outcome == Outcome::Malformed)
        .then(|| "it landed malformed, but treats such values as absent".to_owned())
}

/// S12 `CancelSafe`: after the last caller has left, a flight issues nothing but its clean-up.
pub(super) fn s12_clean_up(
    flight: &FlightState,
    callers: usize,
    command: &Command,
) -> Option<String> {
    if callers > 0 {
        return None;
    }
    let clean = match command {
        Command::Release { .. } | Command::Unwatch | Command::WarnLeaseLost { .. } => true,
        Command::Publish { .. } | Command::Renew { .. } | Command::Put { .. } => flight.publishing,
        Command::Claim { .. } | Command::Watch | Command::Fill { .. } | Command::Land(_) => false,
    };
    (!clean).then(|| story!("{command:?} after the last caller has left"))
}

/// S13 `Isolation`: what is told about one key orders nothing for another.
pub(super) fn s13_isolation(told: Key, order: &Order<Key>) -> Option<String> {
    let key = match order {
        Order::Command { flight, .. } | Order::Fill { flight, .. } | Order::Retired { flight } => {
            flight.key
        }
        Order::Judge { key, .. } | Order::Land { key, .. } => *key,
    };
    (key != told).then(|| story!("{order:?} upon a notice about k{}", told.0))
}

/// S14 `Forgotten`: no value computed by a fill that started before a `forget` is written after it.
pub(super) fn s14_forgotten(key: &KeyState, fill: Option<&FillState>) -> Option<String> {
    let (fill, forgotten) = (fill?, key.forgotten?);
    (fill.began < forgotten).then(|| {
        story!(
            "a value was written whose fill began at {} ns, before the forget of {forgotten} ns",
            fill.began
        )
    })
}

/// S15 `DegradeOnlyWhenUnreachable`: an uncoordinated fill needs an unavailable store before it.
pub(super) fn s15_degrade(unreachable: bool) -> Option<String> {
    (!unreachable).then(|| {
        "a fill without a lease was ordered, with no unavailable answer and no store time-out before \
         it"
        .to_owned()
    })
}

impl State {
    /// S17 `LocalCopiesFollow`: with the change stream connected, no hit returns a value replaced or
    /// forgotten more than one push ago.
    pub(super) fn s17_copies(&self, key: Key, node: NodeId, revision: Revision) -> Option<String> {
        let bounds = self.bounds?;
        let state = self.keys.get(key.index())?;
        let connected = self.nodes.get(node as usize)?.connected?;
        let replaced = state
            .writes
            .iter()
            .take_while(|write| write.revision > revision)
            .last()?;
        let due = replaced.at + bounds.trip + bounds.wake;
        let late = self.at > due
            && connected < replaced.at
            && !self.is_disturbed(node, replaced.at, self.at)
            && !state.amnesia;
        late.then(|| {
            story!(
                "a local hit with revision {revision}, replaced by {} at {} ns",
                replaced.revision,
                replaced.at
            )
        })
    }
}

/// A write as remembered, for a forget.
pub(super) fn forgotten(revision: Revision, at: Nanos) -> Write {
    Write {
        revision,
        digest: Digest(0),
        token: None,
        at,
    }
}
