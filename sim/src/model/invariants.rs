//! The invariants of the design, judged state by state. The names are those of the checker of traces;
//! what that one measures in time is said here without: at a moment when nothing is under way, and
//! only a timer or a choice can go on, whatever is due must have been done.

use oneflight_core::{
    Command, FillResult, OnAbort, OnFenced, OnUnavailable, Outcome, Phase, Revision, Token,
};

use super::driver::Step;
use super::machine::Machines;
use super::setup::{Setup, Wants};
use super::state::{Call, GARBLED, Grant, Message, Node, Stage, State};
use crate::check::is_definite;
use crate::coverage::{is_stale, revision_of};
use crate::trace::{Answer, Digest, Request};
use crate::world::store::{Changed, Row};

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
    let s4 = revision_of(outcome)
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
    let newer = call
        .judged
        .filter(|judged| revision_of(outcome).is_some_and(|revision| judged.0 > revision));
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

pub(super) fn committed(
    step: &mut Step<'_>,
    node: usize,
    message: Message,
    before: &Row,
    answer: Answer,
    changed: Changed,
) {
    let time = step.state.time();
    let newest = step.state.lock.newest;
    match (message.request, answer) {
        (
            Request::Claim { ttl, .. },
            Answer::Granted {
                token, generation, ..
            },
        ) => {
            let again = before.lease.is_some_and(|lease| lease.token == token);
            if !again {
                granted(step, node, message, before, (token, generation), ttl);
            }
        }
        (Request::Claim { .. }, Answer::Held { .. }) => {
            // The store keeps its contract: a claim repeated by its own attempt is the same claim.
            let attempt = (node as u64 + 1, message.flight, message.attempt);
            let own = before
                .lease
                .filter(|lease| lease.attempt == attempt && lease.lapses > time);
            let store =
                own.map(|lease| format!("token {} is held by this very claim", lease.token));
            step.report("Store", store);
        }
        (Request::Renew { token, ttl }, Answer::Renewed) => match &mut step.state.lock.newest {
            Some(grant) if grant.token == token && !grant.ended => {
                grant.lapses = step.state.now + ttl;
            }
            // S2 OneHolder: a lease that is overtaken is not prolonged.
            _ => {
                let newest = newest.map(|grant| grant.token.get());
                let s2 =
                    format!("a renewal of token {token} is accepted; the newest is {newest:?}");
                step.report("S2 OneHolder", Some(s2));
            }
        },
        (Request::Publish { token, digest }, Answer::Published { revision }) if changed.key => {
            written(step, node, revision, Some(digest));
            // S3 NoStalePublish: a publish is accepted only under the newest token of its lock.
            let newest = newest.filter(|grant| grant.token == token && !grant.ended);
            let s3 = newest
                .is_none()
                .then(|| format!("a publish under token {token} is accepted, which is overtaken"));
            step.report("S3 NoStalePublish", s3);
            if let Some(grant) = &mut step.state.lock.newest {
                grant.ended = true;
            }
        }
        (Request::Put { digest, .. }, Answer::Written { revision }) => {
            // S3: an unfenced put never replaces a revision above what its caller had seen.
            let seen = message.known;
            let s3 = (before.revision > seen).then(|| {
                format!(
                    "a put by a caller that knew revision {seen} replaces revision {}",
                    before.revision
                )
            });
            step.report("S3 NoStalePublish", s3);
            written(step, node, revision, Some(digest));
        }
        (Request::Release { token }, Answer::Released { freed: true }) => {
            if let Some(grant) = &mut step.state.lock.newest
                && grant.token == token
            {
                grant.ended = true;
            }
        }
        _ => {}
    }
}

fn granted(
    step: &mut Step<'_>,
    node: usize,
    message: Message,
    before: &Row,
    (token, generation): (Token, Revision),
    ttl: u64,
) {
    let state = &step.state;
    let lock = state.lock;
    // S1 TokenMonotonic: tokens only grow.
    let s1 = (Some(token) <= lock.most_token).then(|| {
        let most = lock.most_token.map_or(0, Token::get);
        format!("token {token} is granted after token {most}")
    });
    // S2 OneHolder: no lease is granted while another one on its lock lives.
    let s2 = lock
        .newest
        .filter(|grant| !grant.ended && grant.lapses > state.now)
        .map(|grant| format!("token {token} is granted while token {} lives", grant.token));
    let value = before
        .value
        .filter(|value| value.digest.0 & GARBLED == 0)
        .map(|value| (before.revision, value.token));
    let grant = Grant {
        token,
        node: node as u8,
        lapses: state.now + ttl,
        generation,
        ended: false,
        told: false,
        value,
    };
    // S5, as soon as it is certain: whoever is aboard has no use for a fill.
    let it = &state.nodes[node];
    let asks = it.claim.is_some_and(|(flight, attempt, _)| {
        (flight, attempt) == (message.flight, message.attempt)
            && state_phase(step.machines, it) == Some(Phase::Claiming)
    });
    let mut aboard = it
        .calls
        .iter()
        .filter(|call| call.is_open() && asks)
        .peekable();
    let s5 = aboard.peek().is_some().then(|| {
        let stories = aboard.map(|call| s5_redundant(step.setup, call, &grant));
        stories.reduce(|all, one| all.and(one)).flatten()
    });
    step.report("S1 TokenMonotonic", s1);
    step.report("S2 OneHolder", s2);
    step.report("S5 NoRedundantFill", s5.flatten());
    let lock = &mut step.state.lock;
    lock.newest = Some(grant);
    lock.most_token = lock.most_token.max(Some(token));
}

fn state_phase(machines: &Machines, node: &Node) -> Option<Phase> {
    machines.phase(node.machine)
}

fn written(step: &mut Step<'_>, node: usize, revision: Revision, digest: Option<Digest>) {
    let lock = step.state.lock;
    // S1 TokenMonotonic: revisions only grow.
    let s1 = (revision <= lock.most_revision).then(|| {
        format!(
            "revision {revision} comes after revision {}",
            lock.most_revision
        )
    });
    step.report("S1 TokenMonotonic", s1);
    let calls = &step.state.nodes[node].calls;
    let maker = calls
        .iter()
        .find(|call| digest.is_some() && call.computed == digest)
        .copied();
    if let Some(maker) = maker {
        // S14 Forgotten: no value computed by a fill that started before a forget is written after it.
        let s14 = maker
            .voided
            .then(|| "a value is written whose fill began before the key was forgotten".to_owned());
        let s9 = maker
            .failed
            .then(|| "a value is written whose caller was told that it failed".to_owned());
        step.report("S14 Forgotten", s14);
        step.report("S9 HonestFailure", s9);
    }
    step.state.lock.most_revision = lock.most_revision.max(revision);
}

/// The key was forgotten.
pub(super) fn forgotten(step: &mut Step<'_>, answer: Answer) {
    if let Answer::Written { revision } = answer {
        written(step, 0, revision, None);
    }
    if let Some(grant) = &mut step.state.lock.newest {
        grant.ended = true;
    }
    for node in 0..step.state.nodes.len() {
        let it = &step.state.nodes[node];
        if !it.calls.iter().any(|call| call.fills > 0) {
            continue;
        }
        for call in &mut step.state.node(node).calls {
            call.voided |= call.filling.is_some() || call.computed.is_some();
        }
    }
}

/// What must have been done when nothing is under way.
pub(super) fn quiet(
    setup: &Setup,
    machines: &Machines,
    state: &State,
) -> Option<(&'static str, String)> {
    let time = state.time();
    let row = &state.store.rows[0];
    let running = || {
        let nodes = state.nodes.iter().enumerate();
        nodes.filter(|(_, node)| node.is_running())
    };
    let phase = |node: &Node| machines.phase(node.machine);
    let seeking =
        running().any(|(_, node)| matches!(phase(node), Some(Phase::Claiming | Phase::BackingOff)));
    for (index, node) in running() {
        if machines
            .deadline(node.machine)
            .is_some_and(|at| at <= state.now)
            && node.calls.iter().any(Call::is_open)
        {
            let story = format!("the timer of process {} does not fire", index + 1);
            return Some(("L1 Terminates", story));
        }
        let waits = phase(node) == Some(Phase::Waiting);
        let listens = node.watches.iter().any(|watch| watch.at_store);
        let open = || node.calls.iter().filter(|call| call.is_open());
        if (waits || phase(node) == Some(Phase::BackingOff)) && listens {
            let value = row
                .value
                .filter(|value| value.digest.0 & GARBLED == 0)
                .map(|value| (row.revision, value.token));
            let served = value.filter(|value| {
                open().any(|call| call.satisfied.is_none() && satisfies(setup, call, *value))
            });
            if let Some((revision, _)) = served {
                let story = format!(
                    "revision {revision} satisfies a caller of process {}, which listens; only a timer \
                     can tell it",
                    index + 1
                );
                return Some(("L2 Prompt", story));
            }
        }
        if !waits || open().next().is_none() {
            continue;
        }
        if !listens {
            let story = format!(
                "process {} waits, hears nothing, and only a timer can tell it",
                index + 1
            );
            return Some(("L5 DegradePrompt", story));
        }
        if seeking {
            continue;
        }
        match row.lease {
            None => {
                let story = format!(
                    "the lock is free while process {} waits; only a timer can tell it",
                    index + 1
                );
                return Some(("L2 Prompt", story));
            }
            Some(lease) if lease.lapses <= time && !node.disturbed && !node.was_paused => {
                let story = format!(
                    "token {} has lapsed while process {} waits, which does not take over",
                    lease.token,
                    index + 1
                );
                return Some(("L3 Takeover", story));
            }
            Some(_) => {}
        }
    }
    l6_heartbeat(setup, machines, state).or_else(|| at_rest(machines, state))
}

/// L6 `Heartbeat`: a healthy holder's lease does not lapse.
fn l6_heartbeat(
    setup: &Setup,
    machines: &Machines,
    state: &State,
) -> Option<(&'static str, String)> {
    let grant = state.lock.newest.filter(|grant| !grant.ended)?;
    let node = &state.nodes[usize::from(grant.node)];
    let holds = machines.phase(node.machine) == Some(Phase::Filling)
        && machines.lease(node.machine, node.filled) == Some(grant.token);
    let limit = setup
        .policy
        .fill_timeout
        .map(|limit| limit.as_nanos() as u64);
    let overdue = node
        .calls
        .iter()
        .filter_map(|call| call.filling)
        .any(|fill| {
            let limit = fill.began.zip(limit);
            limit.is_some_and(|(began, limit)| began + limit <= state.now)
        });
    let lapsed = grant.lapses <= state.now;
    let well = node.is_running() && !node.was_paused && !node.denied;
    if well && lapsed && holds && !overdue {
        let story = format!("token {} lapses though its holder is well", grant.token);
        return Some(("L6 Heartbeat", story));
    }
    // L7: nor is a lease left to lapse by a flight that does not hold it.
    let over = !matches!(
        machines.phase(node.machine),
        Some(Phase::Filling | Phase::Publishing)
    );
    (well && lapsed && over && grant.told && !node.disturbed).then(|| {
        let story = format!("the lease of token {} is left to lapse", grant.token);
        ("L7 Quiescent", story)
    })
}

/// L1 `Terminates` and L7 `Quiescent`: when nothing is left to happen, no call is open, and nothing
/// of theirs is left.
fn at_rest(machines: &Machines, state: &State) -> Option<(&'static str, String)> {
    let busy = state.nodes.iter().any(|node| {
        node.alive
            && (node.paused
                || machines.deadline(node.machine).is_some()
                || node.calls.iter().any(|call| call.filling.is_some()))
    });
    if busy {
        return None;
    }
    for (index, node) in state
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| node.alive)
    {
        let number = index + 1;
        if node.calls.iter().any(Call::is_open) {
            let story =
                format!("a call of process {number} is open, and nothing is left to happen");
            return Some(("L1 Terminates", story));
        }
        if node.calls.iter().any(|call| call.stage == Stage::Ghost) {
            continue;
        }
        let left = if !machines.is_idle(node.machine) {
            "a flight"
        } else if !node.watches.is_empty() {
            "a watch"
        } else {
            continue;
        };
        return Some((
            "L7 Quiescent",
            format!("{left} of process {number} is left behind"),
        ));
    }
    let grant = state.lock.newest?;
    let node = &state.nodes[usize::from(grant.node)];
    let left = !grant.ended
        && grant.told
        && grant.lapses > state.now
        && node.alive
        && !node.denied
        && node.messages.iter().all(|message| !message.late);
    left.then(|| {
        let story = format!("the lease of token {} is left to lapse", grant.token);
        ("L7 Quiescent", story)
    })
}
