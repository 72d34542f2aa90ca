//! The algorithm that oneflight was made to replace, as a machine of its own, with all its flaws.
//!
//! `docs/seed-algorithm.md` tells how it works and what breaks. `Caller` is one
//! call, `Heartbeat` what renews its lease meanwhile; neither is mended in
//! anything. `world::seed` runs them in the worlds that oneflight runs in, and [`flaws`] says which
//! flaw a broken promise shows.
//!
//! **Architecture invariant**: nothing here is used by oneflight, and nothing of oneflight's machine
//! is used here.

pub mod batch;
pub(crate) mod caller;
mod case;
pub mod flaws;
pub(crate) mod heartbeat;

use crate::check::{Checker, Violation};
use crate::plan::Plan;
use crate::trace::{Header, Key, Line, Nanos, NodeId, Record, StoreProfile, What};
use crate::world::{Observer, Run, bounds, header, run_seed_algorithm};

/// What the store promises this algorithm: a lease says nothing about the value, a publish leaves the
/// lock to a release, a repeated request is another request.
#[must_use]
pub fn profile(plan: &Plan) -> StoreProfile {
    StoreProfile {
        atomic_claim: false,
        atomic_publish: false,
        idempotent_claim: false,
        ..plan.store.profile
    }
}

/// A run of the algorithm: its records, what they break, how it went.
#[derive(Clone, Debug)]
pub struct SeedRun {
    /// What happened.
    pub records: Vec<Record<Key>>,
    /// What was broken.
    pub violations: Vec<Violation>,
    /// How it went.
    pub run: Run,
}

struct Judge {
    checker: Checker,
    records: Vec<Record<Key>>,
}

impl Observer for Judge {
    fn see(&mut self, at: Nanos, node: NodeId, what: &What<Key>) {
        self.checker.see(at, node, what);
        let what = what.clone();
        self.records.push(Record { at, node, what });
    }
}

/// Runs the algorithm in the world of a plan and judges it by the invariants that apply to it.
#[must_use]
pub fn run(plan: &Plan) -> SeedRun {
    let checker = Checker::new(profile(plan), Some(bounds(plan))).seeing_the_store();
    let mut judge = Judge {
        checker,
        records: Vec::new(),
    };
    let run = run_seed_algorithm(plan, &mut judge);
    let mut violations = judge.checker.finish();
    violations.retain(|violation| !flaws::is_exempt(violation.invariant));
    SeedRun {
        records: judge.records,
        violations,
        run,
    }
}

/// The lines of a run's trace.
#[must_use]
pub fn lines(plan: &Plan, run: &SeedRun) -> Vec<Line<Key>> {
    let mut lines = vec![Line::Header(Header {
        recorder: "seed-algorithm".to_owned(),
        store: profile(plan),
        ..header(plan)
    })];
    lines.extend(run.records.iter().cloned().map(Line::Record));
    lines
}
