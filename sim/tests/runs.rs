//! Runs are what they are said to be: the same from the same seed, clean, judged alike in memory and
//! from a file, and caught when they are tampered with.
#![expect(clippy::unwrap_used, reason = "this is a test")]

use std::sync::atomic::AtomicU64;

use oneflight_sim::batch::{Judge, judge, trace};
use oneflight_sim::bugs::Bug;
use oneflight_sim::canaries::hunt;
use oneflight_sim::check::Checker;
use oneflight_sim::draw::{Profile, draw};
use oneflight_sim::minimize::minimize_bug;
use oneflight_sim::plan::{Plan, Trouble};
use oneflight_sim::replay::replay;
use oneflight_sim::steps::story;
use oneflight_sim::trace::{Digest, Line, StoreProfile, Trace, read, write_line};
use oneflight_sim::world::{Room, World};

fn written(seed: u64) -> Vec<u8> {
    written_as(Profile::Swarm, seed)
}

fn written_as(profile: Profile, seed: u64) -> Vec<u8> {
    let (lines, _, _) = trace(&draw(seed, profile, None), None);
    let mut bytes = Vec::new();
    for line in &lines {
        write_line(&mut bytes, line).unwrap();
    }
    bytes
}

fn reread(bytes: &[u8]) -> Trace {
    read(bytes).unwrap()
}

/// What a recording of the Redis store says that it promises.
const REDIS: StoreProfile = StoreProfile {
    may_forget_writes: true,
    may_evict_locks: true,
    ..StoreProfile::STRICT
};

#[test]
fn runs_on_a_store_like_redis_are_drawn_and_clean() {
    let like_redis = |plan: &Plan| plan.store.profile == REDIS;
    let plans = (0..4000).map(|seed| (seed, draw(seed, Profile::Swarm, None)));
    let plans: Vec<_> = plans.filter(|(_, plan)| like_redis(plan)).collect();
    assert!(plans.len() >= 5, "only {} of them", plans.len());
    let troubled = plans.iter().filter(|(_, plan)| {
        let is_loss =
            |trouble: &Trouble| matches!(trouble, Trouble::FailOver { .. } | Trouble::Evict { .. });
        plan.faults.iter().any(|fault| is_loss(&fault.kind))
    });
    assert!(troubled.count() > 0);
    for (seed, plan) in &plans {
        assert_eq!(judge(plan, None).0, vec![], "seed {seed}");
    }
}

#[test]
fn the_same_seed_is_the_same_run_byte_for_byte() {
    for seed in 0..200 {
        let (first, second) = (Digest::of(&written(seed)), Digest::of(&written(seed)));
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn a_run_in_the_room_of_others_is_the_same_run_and_judged_alike() {
    let (mut room, mut checker) = (Room::default(), Checker::default());
    for seed in 0..200 {
        let plan = draw(seed, Profile::Chaos, None);
        for bug in [None, Some(Bug::StaleClobber)] {
            let (lines, violations, _) = trace(&plan, bug);
            let mut judge = Judge::again(checker, &plan);
            judge.records = Some(Vec::new());
            let _ = World::new(&plan, &mut judge)
                .with_bug(bug)
                .run_in(&mut room);
            let records = judge.records.take().unwrap();
            let records = records.into_iter().map(Line::Record);
            assert!(lines.into_iter().skip(1).eq(records), "seed {seed}");
            assert_eq!(judge.checker.finish(), violations, "seed {seed}");
            checker = judge.checker;
        }
    }
}

#[test]
fn seeds_keep_all_promises() {
    for profile in [Profile::Swarm, Profile::Calm, Profile::Chaos] {
        for seed in 0..1000 {
            let (violations, _) = judge(&draw(seed, profile, None), None);
            assert!(violations.is_empty(), "{profile:?} {seed}: {violations:?}");
        }
    }
}

#[test]
fn a_trace_is_judged_and_replayed_from_its_file() {
    for seed in 0..200 {
        let trace = reread(&written(seed));
        assert_eq!(Checker::check(&trace), [], "seed {seed}");
        let (_, differences) = replay(&trace);
        assert!(differences.is_empty(), "seed {seed}: {differences:?}");
    }
}

#[test]
fn a_schedule_that_is_written_down_is_the_same_run() {
    for seed in 0..100 {
        let mut plan = draw(seed, Profile::Chaos, None);
        let (lines, _, run) = trace(&plan, None);
        plan.fates = run.fates;
        let (again, _, _) = trace(&plan, None);
        assert_eq!(lines[1..], again[1..], "seed {seed}");
    }
}

#[test]
fn an_edited_trace_fails() {
    let text = String::from_utf8(written_as(Profile::Calm, 3)).unwrap();
    let edits = [
        ("\"token\":1}", "\"token\":2}"),
        (
            "\"answer\":{\"published\":{\"revision\":2}}",
            "\"answer\":{\"published\":{\"revision\":1}}",
        ),
        (
            "\"digest\":\"0000000000000001\"",
            "\"digest\":\"0000000000000009\"",
        ),
    ];
    let mut edited = 0;
    for (from, to) in edits {
        let Some(at) = text.find(from) else { continue };
        let mut changed = text.clone();
        changed.replace_range(at..at + from.len(), to);
        let trace = reread(changed.as_bytes());
        let caught = !Checker::check(&trace).is_empty() || !replay(&trace).1.is_empty();
        assert!(caught, "{from} made {to} is not noticed");
        edited += 1;
    }
    assert!(edited > 0);
}

#[test]
fn the_bugs_that_show_at_once_are_caught() {
    for bug in [
        Bug::RedundantFill,
        Bug::VainTimeout,
        Bug::DirtyRead,
        Bug::NoNotifications,
        Bug::PublishNotFenced,
        Bug::TokenReused,
        Bug::ForgottenComesBack,
    ] {
        let catch = hunt(bug, 2, 2000, &AtomicU64::new(0));
        assert!(catch.is_caught(), "{catch:?}");
    }
}

#[test]
fn a_violation_is_made_small() {
    // By the numbers of the flaws: the three that a person should see at a glance.
    for bug in [Bug::RedundantFill, Bug::LostRelease, Bug::GhostLease] {
        let minimal = minimize_bug(0, bug).unwrap();
        assert!(minimal.steps.1 <= 12, "{bug:?}: {:?}", minimal.steps);
        // The reproducer is written down and read again, and tells its story to the end.
        let text = serde_json::to_string(&minimal.plan).unwrap();
        let plan: Plan = serde_json::from_str(&text).unwrap();
        let (lines, violations, _) = trace(&plan, Some(bug));
        assert!(
            violations
                .iter()
                .any(|it| it.invariant == minimal.invariant && it.at == minimal.at),
            "{bug:?}: {violations:?}"
        );
        let numbered = format!("{:>3}. ", minimal.steps.1);
        let told = story(&lines, minimal.at);
        assert!(
            told.iter().any(|line| line.starts_with(&numbered)),
            "{told:#?}"
        );
    }
}

#[test]
fn the_scenarios_that_once_failed_are_clean() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let plan: Plan = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let (violations, _) = judge(&plan, None);
            assert!(violations.is_empty(), "{}: {violations:?}", path.display());
            count += 1;
        }
    }
    assert!(count >= 5);
}
