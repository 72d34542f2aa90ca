//! The search through all states: clean without a bug, and each bug found by the shortest way.

use oneflight_sim::batch::{Batch, Progress, run};
use oneflight_sim::bugs::Bug;
use oneflight_sim::draw::Profile;
use oneflight_sim::model::{Found, Kind, Setup, Start, Wants, canary, explore};
use oneflight_sim::stats::{ENOUGH, MARKS};

fn search(setup: &Setup) -> Found {
    explore(setup, |_, _, _| {})
}

fn is_clean(setup: &Setup) -> Found {
    let found = search(setup);
    let words = found.broken.as_ref().map(|broken| broken.words(setup));
    assert!(found.exhausted, "{:#?}", words.unwrap_or_default());
    assert_eq!(found.coverage.contradictions(), []);
    found
}

#[test]
fn nothing_goes_wrong_when_nothing_goes_wrong() {
    for callers in 1..=3 {
        is_clean(&Setup::new(callers));
        let mut shared = Setup::new(callers);
        shared.nodes = 1;
        is_clean(&shared);
    }
    assert_eq!(is_clean(&Setup::new(1)).states, 7);
}

#[test]
fn one_fault_of_each_kind_breaks_nothing() {
    for kind in Kind::ALL {
        is_clean(&Setup::new(2).faults(1, &[kind]));
    }
    let mut any = Setup::new(2).faults(1, &Kind::ALL);
    any.start = Start::Old;
    any.wants = Wants::Newer;
    is_clean(&any);
    any.wants = Wants::Computed;
    any.nodes = 1;
    is_clean(&any);
}

#[test]
fn two_faults_of_a_caller_break_nothing() {
    is_clean(&Setup::new(1).faults(2, &Kind::ALL));
}

/// A bug of what a search does without changes nothing, but that no order of things is left out.
#[test]
fn what_is_left_out_reaches_nothing_new() {
    let setup = Setup::new(2).faults(1, &Kind::ALL);
    let all = Setup {
        bug: Some(Bug::DirtyRead),
        ..setup.clone()
    };
    let (some, all) = (is_clean(&setup), is_clean(&all));
    assert!(some.states < all.states, "{} {}", some.states, all.states);
    let (some, all) = (some.coverage.triples(), all.coverage.triples());
    assert!(some.keys().eq(all.keys()));
}

/// What each bug breaks, and in how many steps: no way is shorter.
const CANARIES: [(Bug, &str, usize); 27] = [
    (Bug::RedundantFill, "S5 NoRedundantFill", 7),
    (Bug::LostRelease, "L2 Prompt", 11),
    (Bug::LateTakeover, "L3 Takeover", 13),
    (Bug::VainTimeout, "L4 NoVainTimeout", 12),
    (Bug::HeartbeatQuits, "L6 Heartbeat", 12),
    (Bug::ZombieHeartbeat, "S12 CancelSafe", 6),
    (Bug::GhostLease, "Store", 4),
    (Bug::LostPublishAnswer, "S9 HonestFailure", 7),
    (Bug::StaleClobber, "S3 NoStalePublish", 10),
    (Bug::FencedDeadEnd, "S9 HonestFailure", 11),
    (Bug::SlowDegrade, "L5 DegradePrompt", 8),
    (Bug::Overshoot, "L1 Terminates", 3),
    (Bug::NoGeneration, "S5 NoRedundantFill", 21),
    (Bug::Poison, "S11 NoPoison", 4),
    (Bug::HungFill, "L6 Heartbeat", 10),
    (Bug::ClockAtRestart, "S2 OneHolder", 5),
    (Bug::WatchGap, "L2 Prompt", 10),
    (Bug::Herd, "L9 Budget", 1),
    (Bug::PublishNotFenced, "S3 NoStalePublish", 10),
    (Bug::TokenReused, "S1 TokenMonotonic", 5),
    (Bug::OvertakenRenewal, "S2 OneHolder", 8),
    (Bug::FirstWaiterOnly, "L2 Prompt", 20),
    (Bug::NoNotifications, "L2 Prompt", 12),
    (Bug::AbortAllFill, "S6 ExcusedDuplicates", 5),
    (Bug::ForgottenComesBack, "S14 Forgotten", 6),
    (Bug::LateGrantLeaks, "L7 Quiescent", 10),
    (Bug::BusyLoop, "L1 Terminates", 6),
];

#[test]
fn each_bug_that_fits_is_found_by_the_shortest_way() {
    for bug in Bug::ALL {
        let known = CANARIES.iter().find(|(known, _, _)| *known == bug);
        let Ok(setup) = canary(bug) else {
            assert!(known.is_none(), "{bug:?}");
            continue;
        };
        let broken = search(&setup).broken.unwrap();
        let found = (bug, broken.violation.invariant, broken.steps());
        assert_eq!(Some(&found), known, "{:#?}", broken.words(&setup));
        let without = Setup { bug: None, ..setup };
        is_clean(&without);
    }
}

#[test]
fn a_way_is_told_in_words() {
    let setup = canary(Bug::RedundantFill).unwrap();
    let words = search(&setup).broken.unwrap().words(&setup);
    assert_eq!(words.len(), 8);
    assert!(words[0].contains("begins its call"), "{words:#?}");
    assert!(words[7].contains("S5 NoRedundantFill"), "{words:#?}");
}

#[test]
fn a_batch_that_never_saw_a_mark_says_so() {
    let batch = Batch {
        from: 0,
        until: 256,
        profile: Profile::Calm,
        nodes: None,
        jobs: 1,
    };
    let (mut stats, _) = run(&batch, &Progress::default());
    assert!(stats.unseen().is_empty(), "too few runs to say");
    stats.runs = ENOUGH;
    // Without faults no lease lapses.
    assert!(stats.unseen().contains(&"taken over after a lapse"));
    stats.marks = [1; MARKS.len()];
    assert!(stats.unseen().is_empty());
}
