//! Many seeds, each run twice: with the seed's algorithm, and with ours.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::flaws::{Finding, classify};
use crate::batch::{Batch, Progress, judge};
use crate::draw::draw;
use crate::trace::What;

/// In how many seeds something was found.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// The invariants that showed it.
    pub invariants: Vec<&'static str>,
    /// With the seed's algorithm.
    pub seeds: u64,
    /// Of these, how many have no fault at all.
    pub calm: u64,
    /// The first.
    pub first: u64,
    /// In how many of all seeds ours breaks one of these invariants.
    pub ours: u64,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The seeds that were run.
    pub seeds: u64,
    /// Of these, how many have no fault at all.
    pub calm: u64,
    /// In how many the seed's algorithm breaks a promise.
    pub broken: u64,
    /// In how many ours does.
    pub ours: u64,
    /// By flaw or invariant.
    pub rows: BTreeMap<Finding, Row>,
    /// By invariant, with ours.
    broken_here: BTreeMap<&'static str, u64>,
}

impl Findings {
    fn run(&mut self, batch: &Batch, seed: u64, progress: &Progress) {
        let plan = draw(seed, batch.profile, batch.nodes);
        let calm = u64::from(plan.profile == "calm");
        let theirs = super::run(&plan);
        let (ours, _) = judge(&plan, None);
        let mut found: Vec<(Finding, &'static str)> = theirs
            .violations
            .iter()
            .map(|it| (classify(it, &theirs.records), it.invariant))
            .collect();
        found.sort_unstable();
        found.dedup();
        for (finding, invariant) in &found {
            let row = self.rows.entry(*finding).or_default();
            if !row.invariants.contains(invariant) {
                row.invariants.push(invariant);
            }
        }
        found.dedup_by_key(|(finding, _)| *finding);
        for (finding, _) in &found {
            let row = self.rows.entry(*finding).or_default();
            row.first = if row.seeds == 0 {
                seed
            } else {
                row.first.min(seed)
            };
            row.seeds += 1;
            row.calm += calm;
        }
        let mut here: Vec<&'static str> = ours.iter().map(|it| it.invariant).collect();
        here.sort_unstable();
        here.dedup();
        for invariant in here {
            *self.broken_here.entry(invariant).or_default() += 1;
        }
        self.seeds += 1;
        self.calm += calm;
        self.broken += u64::from(!found.is_empty());
        self.ours += u64::from(!ours.is_empty());
        let faults = theirs
            .records
            .iter()
            .filter(|record| matches!(record.what, What::Fault { .. }));
        progress.runs.fetch_add(1, Ordering::Relaxed);
        progress
            .faults
            .fetch_add(faults.count() as u64, Ordering::Relaxed);
        progress
            .micros
            .fetch_add(theirs.run.time / 1000, Ordering::Relaxed);
        progress
            .failures
            .fetch_add(u64::from(!found.is_empty()), Ordering::Relaxed);
    }

    fn add(&mut self, more: Self) {
        self.seeds += more.seeds;
        self.calm += more.calm;
        self.broken += more.broken;
        self.ours += more.ours;
        for (finding, row) in more.rows {
            let sum = self.rows.entry(finding).or_default();
            sum.first = if sum.seeds == 0 {
                row.first
            } else {
                sum.first.min(row.first)
            };
            sum.seeds += row.seeds;
            sum.calm += row.calm;
            sum.invariants.extend(row.invariants);
            sum.invariants.sort_unstable();
            sum.invariants.dedup();
        }
        for (invariant, count) in more.broken_here {
            *self.broken_here.entry(invariant).or_default() += count;
        }
    }
}

/// Runs the seeds of a batch both ways.
#[must_use]
pub fn run(batch: &Batch, progress: &Progress) -> Findings {
    let next = AtomicU64::new(batch.from);
    let work = || {
        let mut findings = Findings::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= batch.until {
                return findings;
            }
            findings.run(batch, seed, progress);
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..batch.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        let mut findings = Findings::default();
        for thread in threads {
            // A panic of a run is a bug of the simulator: it is passed on.
            let more = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            findings.add(more);
        }
        for row in findings.rows.values_mut() {
            let here = row.invariants.iter();
            row.ours = here
                .map(|name| findings.broken_here.get(name).copied().unwrap_or(0))
                .sum();
        }
        findings
    })
}
