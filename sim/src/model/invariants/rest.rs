//! What is judged when nothing is under way.

use oneflight_core::Phase;

use super::satisfies;
use crate::model::machine::Machines;
use crate::model::setup::Setup;
use crate::model::state::{Call, GARBLED, Node, Stage, State};

/// What must have been done when nothing is under way.
pub(in crate::model) fn quiet(
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
