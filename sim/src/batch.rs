//! Many runs: one after another on each thread, each judged as it goes.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use oneflight_core::{Instant, Notice, Order};

use crate::bugs::Bug;
use crate::check::{Checker, Violation};
use crate::coverage::Coverage;
use crate::draw::{Profile, draw};
use crate::plan::Plan;
use crate::stats::Stats;
use crate::trace::{Digest, Key, Line, Nanos, NodeId, Record, What, write_line};
use crate::world::{Observer, Room, Run, World, bounds, header, told};

/// What is run.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// The first seed.
    pub from: u64,
    /// The one after the last.
    pub until: u64,
    /// What kind of runs.
    pub profile: Profile,
    /// How many processes each; drawn if `None`.
    pub nodes: Option<u32>,
    /// How many threads.
    pub jobs: usize,
}

/// A seed that broke promises.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What was broken.
    pub violations: Vec<Violation>,
}

/// Progress, to be read while a batch runs.
#[derive(Debug, Default)]
pub struct Progress {
    /// Runs so far.
    pub runs: AtomicU64,
    /// Virtual time so far, in microseconds.
    pub micros: AtomicU64,
    /// Faults so far.
    pub faults: AtomicU64,
    /// Failures so far.
    pub failures: AtomicU64,
}

/// The checker and the counters, side by side.
#[derive(Debug)]
pub struct Judge<'a> {
    /// The checker.
    pub checker: Checker,
    /// The counters.
    pub stats: Option<&'a mut Stats>,
    /// The records, if they are wanted.
    pub records: Option<Vec<Record<Key>>>,
}

impl Judge<'_> {
    /// For one plan.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self::again(Checker::default(), plan)
    }

    /// For one plan, with a checker of others before.
    #[must_use]
    pub fn again(checker: Checker, plan: &Plan) -> Self {
        let checker = checker.anew(plan.store.profile, Some(bounds(plan)));
        Self {
            checker: checker.seeing_the_store(),
            stats: None,
            records: None,
        }
    }
}

impl Observer for Judge<'_> {
    fn see_told(
        &mut self,
        at: Nanos,
        node: NodeId,
        now: Instant,
        notice: &Notice<Key>,
        orders: &[Order<Key>],
    ) {
        self.checker.see_told(at, node, now, notice, orders);
        if let Some(stats) = &mut self.stats {
            stats.see_told(at, node, now, notice, orders);
        }
        if let Some(records) = &mut self.records {
            let what = told(now, notice, orders);
            records.push(Record { at, node, what });
        }
    }

    fn see(&mut self, at: Nanos, node: NodeId, what: &What<Key>) {
        self.checker.see(at, node, what);
        if let Some(stats) = &mut self.stats {
            stats.see(at, node, what);
        }
        if let Some(records) = &mut self.records {
            let what = what.clone();
            records.push(Record { at, node, what });
        }
    }
}

/// Runs one plan and judges it.
#[must_use]
pub fn judge(plan: &Plan, bug: Option<Bug>) -> (Vec<Violation>, Run) {
    let mut judge = Judge::new(plan);
    let run = World::new(plan, &mut judge).with_bug(bug).run();
    (judge.checker.finish(), run)
}

/// Runs one plan, judges it and keeps its trace.
#[must_use]
pub fn trace(plan: &Plan, bug: Option<Bug>) -> (Vec<Line<Key>>, Vec<Violation>, Run) {
    let mut judge = Judge::new(plan);
    judge.records = Some(Vec::new());
    let run = World::new(plan, &mut judge)
        .with_bug(bug)
        .keeping_fates()
        .run();
    let mut lines = vec![Line::Header(header(plan))];
    let records = judge.records.take().unwrap_or_default();
    lines.extend(records.into_iter().map(Line::Record));
    (lines, judge.checker.finish(), run)
}

/// Runs a batch.
#[must_use]
pub fn run(batch: &Batch, progress: &Progress) -> (Stats, Vec<Failure>) {
    const CHUNK: u64 = 64;
    let next = AtomicU64::new(batch.from);
    let work = || {
        let mut stats = Stats::default();
        let mut bench = Bench::default();
        let mut failures = Vec::new();
        loop {
            let from = next.fetch_add(CHUNK, Ordering::Relaxed);
            if from >= batch.until || failures.len() > 1000 {
                stats.coverage = bench.coverage;
                return (stats, failures);
            }
            let (before, faults) = (stats.time, stats.all_faults());
            for seed in from..batch.until.min(from + CHUNK) {
                let plan = draw(seed, batch.profile, batch.nodes);
                let violations = bench.run(&plan, &mut stats);
                if !violations.is_empty() {
                    failures.push(Failure { seed, violations });
                    progress.failures.fetch_add(1, Ordering::Relaxed);
                }
            }
            let micros = ((stats.time - before) / 1000) as u64;
            progress.runs.fetch_add(CHUNK, Ordering::Relaxed);
            let faults = stats.all_faults() - faults;
            progress.faults.fetch_add(faults, Ordering::Relaxed);
            progress.micros.fetch_add(micros, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..batch.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        let mut stats = Stats::default();
        let mut failures = Vec::new();
        for thread in threads {
            // A panic of a run is a bug of the simulator: it is passed on.
            let (more, failed) = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            stats.add(&more);
            failures.extend(failed);
        }
        failures.sort_by_key(|failure| failure.seed);
        (stats, failures)
    })
}

/// One number for the traces of many runs: the same for the same seeds, on any machine, in any build.
#[must_use]
pub fn digest(seeds: Range<u64>, profile: Profile, nodes: Option<u32>) -> Digest {
    let mut bytes = Vec::new();
    let mut digest = Digest::of(&bytes);
    for seed in seeds {
        let (lines, _, _) = trace(&draw(seed, profile, nodes), None);
        bytes.extend(digest.0.to_le_bytes());
        for line in &lines {
            // INVARIANT: writing to a vector does not fail.
            let _infallible = write_line(&mut bytes, line);
        }
        digest = Digest::of(&bytes);
        bytes.clear();
    }
    digest
}

/// What a thread keeps from one run to the next.
#[derive(Default)]
struct Bench {
    room: Room,
    checker: Checker,
    coverage: Coverage,
}

impl Bench {
    /// Runs a plan and judges it.
    fn run(&mut self, plan: &Plan, stats: &mut Stats) -> Vec<Violation> {
        stats.begin();
        let mut judge = Judge::again(std::mem::take(&mut self.checker), plan);
        judge.stats = Some(stats);
        let run = World::new(plan, &mut judge)
            .with_coverage(Some(&mut self.coverage))
            .run_in(&mut self.room);
        let violations = judge.checker.finish();
        self.checker = judge.checker;
        stats.runs += 1;
        stats.events += run.events;
        stats.time += u128::from(run.time);
        violations
    }
}
