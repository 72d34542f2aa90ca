//! Proof that the checker can fail: each bug is put into runs until it is caught.

use std::sync::atomic::{AtomicU64, Ordering};
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
    /// How many seeds each trial needed, in the order of the trials; `None` if the limit came first.
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
        let mut needed = self.needed.clone();
        needed.sort_unstable_by_key(|needed| needed.unwrap_or(u64::MAX));
        needed.get(needed.len() / 2).copied().flatten()
    }

    /// The most that a trial needed, if every one caught it.
    #[must_use]
    pub fn most(&self) -> Option<u64> {
        self.needed
            .iter()
            .copied()
            .max()
            .flatten()
            .filter(|_| self.is_caught())
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

/// The first seed of a trial.
const fn first_of(trial: u64) -> u64 {
    trial * 10_000_000
}

/// Runs seeds with a bug until an invariant that should catch it does, in so many trials.
#[must_use]
pub fn hunt(bug: Bug, trials: u64, limit: u64, runs: &AtomicU64) -> Catch {
    let begin = Instant::now();
    let mut needed = Vec::new();
    let mut by = std::collections::BTreeMap::new();
    let mut example = None;
    for trial in 0..trials {
        let first = first_of(trial);
        let found = (first..first + limit).find_map(|seed| {
            runs.fetch_add(1, Ordering::Relaxed);
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

/// The seeds of the hunts, without any bug: the product passes them. The seeds that it fails, if any.
#[must_use]
pub fn product(catches: &[Catch], limit: u64, runs: &AtomicU64) -> Vec<u64> {
    let trials = catches.iter().map(|catch| catch.needed.len()).max();
    let mut failed = Vec::new();
    for trial in 0..trials.unwrap_or(0) {
        let needed = catches
            .iter()
            .filter_map(|catch| catch.needed.get(trial))
            .map(|needed| needed.unwrap_or(limit))
            .max();
        let first = first_of(trial as u64);
        for seed in first..first + needed.unwrap_or(0) {
            runs.fetch_add(1, Ordering::Relaxed);
            let (violations, _) = judge(&draw(seed, Profile::Swarm, None), None);
            if !violations.is_empty() {
                failed.push(seed);
            }
        }
    }
    failed
}
