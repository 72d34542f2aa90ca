//! Passing twins: the same run with one decision removed, which keeps all promises.

use oneflight_core::FillResult;

use super::times::time;
use crate::batch::judge;
use crate::bugs::Bug;
use crate::fates::{Fate, Mishap};
use crate::plan::{CallPlan, Plan, Trouble};

/// A plan that passes, but for one decision the same.
pub(super) struct Twin {
    pub(super) plan: Plan,
    pub(super) bug: Option<Bug>,
    /// The decision that was removed, in words; nothing if only the two traces can tell.
    pub(super) removed: Option<String>,
}

/// So many are shown at most.
const MOST_TWINS: usize = 4;

/// The twins of a plan that fails, the most telling first: those without a fault, a message's mishap, a
/// detail of a call, the bug, and last a whole call.
pub(super) fn twins(plan: &Plan, bug: Option<Bug>) -> Vec<Twin> {
    let mut found = Vec::new();
    let mut attempt = |plan: Plan, bug: Option<Bug>, removed: Option<String>| {
        if found.len() < MOST_TWINS && judge(&plan, bug).0.is_empty() {
            found.push(Twin { plan, bug, removed });
        }
    };
    for (index, fault) in plan.faults.iter().enumerate() {
        let mut twin = plan.clone();
        twin.faults.remove(index);
        let name = trouble(&fault.kind);
        attempt(twin, bug, Some(format!("{name} at {}", time(fault.at))));
    }
    let usual = plan.net.least + plan.net.spread / 2;
    for (index, fate) in plan.fates.iter().flatten().enumerate() {
        if fate.mishap != Mishap::None {
            let mut twin = plan.clone();
            if let Some(fate) = twin.fates.as_mut().and_then(|fates| fates.get_mut(index)) {
                let takes = match fate.mishap {
                    Mishap::Late => usual,
                    _ => fate.takes,
                };
                let mishap = Mishap::None;
                *fate = Fate { takes, mishap };
            }
            attempt(twin, bug, None);
        }
    }
    if !plan.broken.is_empty() {
        let mut twin = plan.clone();
        twin.broken.clear();
        attempt(twin, bug, Some("what stays cut off for good".to_owned()));
    }
    for index in 0..plan.calls.len() {
        for (removed, twin) in details(plan, index) {
            attempt(twin, bug, Some(removed));
        }
    }
    if let Some(bug) = bug {
        let (number, story) = bug.story();
        let name = format!("the bug {number} {bug:?} ({story})").replace("bug  ", "bug ");
        attempt(plan.clone(), None, Some(name));
    }
    for index in 0..plan.calls.len() {
        let mut twin = plan.clone();
        let call = twin.calls.remove(index);
        attempt(twin, bug, Some(named(&call)));
    }
    found
}

fn named(call: &CallPlan) -> String {
    let CallPlan { at, slot, key, .. } = call;
    format!("the call of node {} for k{key} at {}", slot + 1, time(*at))
}

/// What can be left out of a call.
fn details(plan: &Plan, index: usize) -> Vec<(String, Plan)> {
    let call = named(&plan.calls[index]);
    let changed = |what: &str, change: &dyn Fn(&mut CallPlan)| {
        let mut twin = plan.clone();
        change(&mut twin.calls[index]);
        (twin != *plan).then(|| (format!("{what} of {call}"), twin))
    };
    let all = [
        changed("the cancellation", &|call| call.cancel = None),
        changed("the failure of the fill", &|call| {
            for fill in &mut call.fills {
                fill.result = FillResult::Value;
            }
        }),
        changed("the value that does not decode, the fill's", &|call| {
            for fill in &mut call.fills {
                fill.garbled = false;
            }
        }),
    ];
    all.into_iter().flatten().collect()
}

fn trouble(kind: &Trouble) -> String {
    match kind {
        Trouble::Crash {
            slot,
            restart: None,
        } => format!("the crash of node {}", slot + 1),
        Trouble::Crash {
            slot,
            restart: Some(_),
        } => {
            format!("the crash and restart of node {}", slot + 1)
        }
        Trouble::Pause { slot, lasts } => {
            format!("the pause of node {} for {}", slot + 1, time(*lasts))
        }
        Trouble::Cut { slot, lasts, .. } => {
            format!(
                "the cut between node {} and the store for {}",
                slot + 1,
                time(*lasts)
            )
        }
        Trouble::Slow { extra, .. } => format!("the slowness of the store, {} more,", time(*extra)),
        Trouble::Restart => "the restart of the store".to_owned(),
        Trouble::FailOver { .. } => "the fail-over of the store".to_owned(),
        Trouble::Evict { key } => format!("the eviction of the lock of k{key}"),
        Trouble::Jump { by } => format!("the jump of the store's clock by {}", time(*by)),
        Trouble::Forget { slot, key } => format!("the forget of k{key} by node {}", slot + 1),
        Trouble::EndWatches { slot } => format!("the end of the watches of node {}", slot + 1),
    }
}
