//! Proof that the checker can fail: each bug is put into runs until it is caught.

use std::time::{Duration, Instant};

use crate::batch::judge;
use crate::bugs::Bug;
use crate::draw::{Profile, draw};
use crate::plan::{FaultPlan, Plan, Trouble};

/// What became of one bug.
#[derive(Clone, Debug)]
pub struct Catch {
    /// The bug.
    pub bug: Bug,
    /// How many seeds each trial needed, least first; `None` if the limit came first.
    pub needed: Vec<Option<u64>>,
    /// The invariant that caught it, in most trials.
    pub by: Option<&'static str>,
    /// A seed that shows it.
    pub seed: Option<u64>,
    /// How long it took.
    pub took: Duration,
}

impl Catch {
    /// The median of the trials.
    #[must_use]
    pub fn median(&self) -> Option<u64> {
        self.needed.get(self.needed.len() / 2).copied().flatten()
    }

    /// Every trial caught it.
    #[must_use]
    pub fn is_caught(&self) -> bool {
        self.needed.iter().all(Option::is_some)
    }
}

/// A plan for a bug: as drawn, and with what the bug is about.
#[must_use]
pub fn plan(bug: Bug, seed: u64) -> Plan {
    let mut plan = draw(seed, Profile::Swarm, None);
    if bug == Bug::ClockAtRestart {
        let by = plan.calls.first().map_or(0, |call| call.ttl);
        let at = plan.heal_at / 2;
        let kind = Trouble::Jump { by };
        plan.faults.push(FaultPlan { at, kind });
    }
    plan
}

/// Runs seeds with a bug until an invariant that should catch it does, in so many trials.
#[must_use]
pub fn hunt(bug: Bug, trials: u64, limit: u64) -> Catch {
    let begin = Instant::now();
    let mut needed = Vec::new();
    let mut by = std::collections::BTreeMap::new();
    let mut example = None;
    for trial in 0..trials {
        let first = trial * 10_000_000;
        let found = (first..first + limit).find_map(|seed| {
            let (violations, _) = judge(&plan(bug, seed), Some(bug));
            let expected = bug.expected();
            let violation = violations
                .iter()
                .find(|violation| expected.contains(&violation.invariant))?;
            Some((seed, violation.invariant))
        });
        if let Some((seed, invariant)) = found {
            *by.entry(invariant).or_insert(0) += 1;
            example = example.or(Some(seed));
        }
        needed.push(found.map(|(seed, _)| seed - first + 1));
    }
    needed.sort_by_key(|needed| needed.unwrap_or(u64::MAX));
    Catch {
        bug,
        needed,
        by: by
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(invariant, _)| invariant),
        seed: example,
        took: begin.elapsed(),
    }
}
