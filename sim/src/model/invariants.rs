//! The invariants of the design, judged state by state. The names are those of the checker of traces;
//! what that one measures in time is said here without: at a moment when nothing is under way, and
//! only a timer or a choice can go on, whatever is due must have been done.
//!
//! Here is what is judged when a process does something; `at_store` judges what its store does, `rest`
//! what nothing is done about.

mod at_store;
mod rest;

use oneflight_core::{
    Command, FillResult, OnAbort, OnFenced, OnUnavailable, Outcome, Phase, Revision, Token,
};

use super::driver::Step;
use super::setup::{Setup, Wants};
use super::state::{Call, Grant};
use crate::check::is_definite;
use crate::coverage::is_stale;
use crate::trace::Answer;
pub(super) use at_store::{committed, forgotten};
pub(super) use rest::quiet;

/// L9 `Budget`: each request that is ordered is sent once.
pub(super) fn l9_budget(copies: usize) -> Option<String> {
    (copies > 1).then(|| format!("a claim that was ordered once is sent {copies} times"))
}

/// The highest token that is known to have been granted before whoever waits for this answer to a
/// claim.
pub(super) fn floor(answer: &Answer) -> Option<Option<Token>> {
    match *answer {
        Answer::Granted { token, .. } | Answer::Held { token, .. } => Some(Some(token)),
        Answer::Newer { token, latest, .. } => Some(latest.max(token)),
        Answer::Renewed
        | Answer::Lost
        | Answer::Published { .. }
        | Answer::Fenced
        | Answer::Released { .. }
        | Answer::Written { .. }
        | Answer::Kept { .. }
        | Answer::State { .. }
        | Answer::Refused
        | Answer::Malformed
        | Answer::Unavailable => None,
    }
}

/// Whether a value satisfies a call.
fn satisfies(setup: &Setup, call: &Call, value: (Revision, Option<Token>)) -> bool {
    let (revision, token) = value;
    let computed = matches!((token, call.floor), (Some(token), Some(floor)) if token > floor);
    computed
        || match setup.wants {
            Wants::Any => true,
            Wants::Newer => revision > call.began,
            Wants::Computed => false,
        }
}

/// S5 `NoRedundantFill`: when a fill starts, no value that would satisfy its caller had been committed
/// before its grant.
fn s5_redundant(setup: &Setup, call: &Call, grant: &Grant) -> Option<String> {
    let value = grant.value.filter(|value| satisfies(setup, call, *value))?;
    Some(format!(
        "a fill begins under token {}, granted when revision {} stood, which satisfies its caller",
        grant.token, value.0
    ))
}

pub(super) fn fill_begins(step: &mut Step<'_>, node: usize, index: usize, token: Option<Token>) {
    let call = step.state.nodes[node].calls[index];
    // S7 RideOrFill: no call fills after a value that satisfies it was delivered to it.
    let s7 = call
        .satisfied
        .map(|revision| format!("it fills though revision {revision} has satisfied it"));
    step.report("S7 RideOrFill", s7);
    // S7: nor while it judges the last that has come, which may satisfy it.
    let it = &step.state.nodes[node];
    let last = it.arrived.filter(|arrived| arrived.revision >= it.news);
    let s7 = last.filter(|_| call.asked).map(|arrived| {
        let revision = arrived.revision;
        format!("it fills while it judges revision {revision}")
    });
    step.report("S7 RideOrFill", s7);
    let Some(token) = token else {
        // S15 DegradeOnlyWhenUnreachable: a fill without a lease needs a store that was not reached.
        let reached = !step.state.nodes[node].disturbed;
        let s15 =
            reached.then(|| "a fill without a lease, though the store was reached".to_owned());
        return step.report("S15 DegradeOnlyWhenUnreachable", s15);
    };
    let newest = step.state.lock.newest.filter(|it| it.token == token);
    let Some(grant) = newest else { return };
    step.report(
        "S5 NoRedundantFill",
        s5_redundant(step.setup, &call, &grant),
    );
    let filled = &mut step.state.lock.filled;
    let before = if filled.0 == grant.generation {
        filled.1
    } else {
        0
    };
    *filled = (grant.generation, before + 1);
    // S6 ExcusedDuplicates: fills of one generation are at most one more than the faults.
    let spent = step.state.spent;
    let s6 = (before > spent).then(|| {
        format!(
            "fill {} of generation {} after {spent} faults",
            before + 1,
            grant.generation
        )
    });
    step.report("S6 ExcusedDuplicates", s6);
}

/// A fill has ended.
pub(super) fn fill_ended(step: &mut Step<'_>, node: usize, index: usize, result: FillResult) {
    // S6: a failed fill ends the calls of those who share it; they do not fill again.
    let calls = &step.state.nodes[node].calls;
    let failed = result != FillResult::Value && !calls[index].is_open();
    let shares = step.setup.policy.on_abort == OnAbort::Share;
    let s6 = (failed && shares && calls.iter().any(Call::is_open))
        .then(|| "a call shares failures, but does not land with its pilot's".to_owned());
    step.report("S6 ExcusedDuplicates", s6);
}

pub(super) fn lands(step: &mut Step<'_>, node: usize, index: usize, outcome: Outcome) {
    let it = &step.state.nodes[node];
    let call = it.calls[index];
    let own = call.fills > 0 && call.computed.is_some();
    let s8 = (!call.is_open()).then(|| format!("it lands again: {outcome:?}"));
    let label = match outcome {
        Outcome::Computed {
            revision: Some(revision),
        } => call.acknowledged == Some(revision),
        Outcome::Computed { revision: None } => own,
        Outcome::Cached { .. } => call.acknowledged.is_none(),
        _ => true,
    };
    let s8 = s8.or_else(|| (!label).then(|| format!("{outcome:?} is not what happened")));
    let arrived = it.arrived.map(|arrived| arrived.revision);
    let known = |revision| {
        arrived.is_some_and(|last| last >= revision) || call.acknowledged == Some(revision)
    };
    let s4 = outcome
        .revision()
        .filter(|revision| !known(*revision) || *revision > step.state.lock.most_revision)
        .map(|_| format!("{outcome:?} with a value that no store told of"));
    let s7 = (own && !call.fenced && matches!(outcome, Outcome::Awaited { .. }))
        .then(|| format!("{outcome:?} after a fill of its own, which was not fenced"));
    let stands = step.state.store.rows[0].value.map(|value| value.digest);
    let s9 = (is_definite(outcome) && call.computed.is_some() && stands == call.computed)
        .then(|| format!("{outcome:?} though the value of its fill was committed, and stands"));
    let policy = &step.setup.policy;
    let unwanted = match outcome {
        Outcome::Fenced => policy.on_fenced != OnFenced::Error && call.fills < 2,
        Outcome::Unavailable => policy.on_unavailable != OnUnavailable::Error,
        _ => false,
    };
    let s9 =
        s9.or_else(|| unwanted.then(|| format!("{outcome:?}, which its policy does not want")));
    let late = outcome == Outcome::TimedOut || is_stale(outcome);
    let newer = call.judged.filter(|judged| {
        outcome
            .revision()
            .is_some_and(|revision| judged.0 > revision)
    });
    let s10 = newer
        .filter(|_| is_stale(outcome))
        .map(|(revision, _)| format!("{outcome:?} though it has judged revision {revision}"));
    let s11 = (outcome == Outcome::Malformed)
        .then(|| "it lands malformed, but treats such values as absent".to_owned());
    let l4 = call
        .satisfied
        .filter(|_| late)
        .map(|revision| format!("{outcome:?} though revision {revision} has satisfied it"));
    step.report("S8 OneLanding", s8);
    step.report("S4 Provenance", s4);
    step.report("S7 RideOrFill", s7);
    step.report("S9 HonestFailure", s9);
    step.report("S10 HonestStale", s10);
    step.report("S11 NoPoison", s11);
    step.report("L4 NoVainTimeout", l4);
}

pub(super) fn commanded(step: &mut Step<'_>, node: usize, flight: u64, command: Command) {
    let it = &step.state.nodes[node];
    let phase = step.machines.phase(it.machine);
    // S12 CancelSafe: after the last caller has left, its flight issues nothing but its clean-up.
    if it.calls.iter().all(|call| !call.is_open()) {
        let clean = match command {
            Command::Release { .. } | Command::Unwatch | Command::WarnLeaseLost { .. } => true,
            Command::Publish { .. } | Command::Renew { .. } => phase == Some(Phase::Publishing),
            Command::Claim { .. }
            | Command::Watch
            | Command::Put { .. }
            | Command::Fill { .. }
            | Command::Land(_) => false,
        };
        let s12 = (!clean).then(|| format!("{command:?} after the last caller has left"));
        return step.report("S12 CancelSafe", s12);
    }
    // L6 Heartbeat: no renewal after a fill's fill_timeout.
    if let (Command::Renew { token, .. }, Some(limit)) = (command, step.setup.policy.fill_timeout) {
        let limit = limit.as_nanos() as u64;
        let overdue = it.calls.iter().filter_map(|call| call.filling).any(|fill| {
            fill.flight == flight
                && fill.token == Some(token)
                && fill
                    .began
                    .is_some_and(|began| began + limit < step.state.now)
        });
        let l6 = overdue.then(|| format!("token {token} is renewed though its fill is overdue"));
        step.report("L6 Heartbeat", l6);
    }
}
