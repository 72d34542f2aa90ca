//! The seed's algorithm breaks what it is known to break, in worlds where ours breaks nothing.
#![expect(clippy::unwrap_used, reason = "this is a test")]

use oneflight_sim::batch::judge;
use oneflight_sim::check::{Checker, Violation};
use oneflight_sim::draw::{Profile, draw};
use oneflight_sim::plan::Plan;
use oneflight_sim::seed::flaws::{Finding, classify};
use oneflight_sim::seed::{self, SeedRun};
use oneflight_sim::trace::{Digest, read, write_line};

/// The flaws that random worlds show.
const FOUND: [u8; 15] = [1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18];

fn plan(flaw: u8) -> Plan {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/seed");
    let bytes = std::fs::read(format!("{folder}/F{flaw}.json")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn findings(run: &SeedRun) -> Vec<Finding> {
    let violations = run.violations.iter();
    violations.map(|it| classify(it, &run.records)).collect()
}

fn written(plan: &Plan, run: &SeedRun) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in &seed::lines(plan, run) {
        write_line(&mut bytes, line).unwrap();
    }
    bytes
}

#[test]
fn each_flaw_shows_there_and_nothing_here() {
    for flaw in FOUND {
        let plan = plan(flaw);
        let found = findings(&seed::run(&plan));
        assert!(found.contains(&Finding::Flaw(flaw)), "F{flaw}: {found:?}");
        let (violations, _) = judge(&plan, None);
        assert!(violations.is_empty(), "F{flaw}: {violations:?}");
    }
}

#[test]
fn two_calls_without_a_fault_are_enough_for_a_redundant_fill() {
    let plan = plan(1);
    assert_eq!(plan.calls.len(), 2);
    assert!(plan.faults.is_empty());
    let mishaps = plan.fates.iter().flatten();
    assert!(
        mishaps
            .into_iter()
            .all(|fate| fate.mishap == Default::default())
    );
    assert_eq!(findings(&seed::run(&plan)), [Finding::Flaw(1)]);
}

#[test]
fn without_faults_it_breaks_only_what_needs_none() {
    let mut found = Vec::new();
    for seed in 0..2000 {
        found.extend(findings(&seed::run(&draw(seed, Profile::Calm, None))));
    }
    found.sort_unstable();
    found.dedup();
    assert!(found.contains(&Finding::Flaw(1)), "{found:?}");
    let needs_faults = |finding: &Finding| !matches!(finding, Finding::Flaw(1 | 2 | 4 | 14 | 19));
    assert!(!found.iter().any(needs_faults), "{found:?}");
}

#[test]
fn the_same_seed_is_the_same_trace() {
    for seed in 0..200 {
        let plan = draw(seed, Profile::Swarm, None);
        let [first, second] = [(); 2].map(|()| Digest::of(&written(&plan, &seed::run(&plan))));
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn a_trace_is_judged_alike_from_its_file() {
    for seed in 0..200 {
        let plan = draw(seed, Profile::Swarm, None);
        let run = seed::run(&plan);
        let trace = read(written(&plan, &run).as_slice()).unwrap();
        let mut again = Checker::check(&trace);
        again.retain(|violation| !seed::flaws::is_exempt(violation.invariant));
        // A file names its keys in the order in which they come.
        let told = |violations: &[Violation]| -> Vec<String> {
            let told = violations.iter();
            told.map(|it| format!("{} {} {} {}", it.invariant, it.at, it.node, it.story))
                .collect()
        };
        assert_eq!(told(&again), told(&run.violations), "seed {seed}");
    }
}

#[test]
fn every_call_ends_and_nothing_goes_in_circles() {
    for seed in 0..500 {
        let run = seed::run(&draw(seed, Profile::Chaos, None));
        let open = run.violations.iter().find(|it| it.story.contains("open"));
        assert!(open.is_none(), "seed {seed}: {open:?}");
        assert!(run.run.events < 100_000, "seed {seed}");
    }
}
