//! Each bug of the simulator, in the smallest run that shows it: caught, by an invariant that should.
//! And runs without bugs, in which nobody may be accused.
//!
//! The runs carry their own schedules (`oneflight-sim minimize --seed 0 --bug B --out B.json` made
//! them), so they stay the same when the generator changes.

use oneflight_sim::batch::judge;
use oneflight_sim::bugs::Bug;
use oneflight_sim::draw::{Profile, draw};
use oneflight_sim::plan::Plan;

fn plan(bug: Bug) -> Plan {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/checker/plans");
    let plan = std::fs::read(format!("{folder}/{bug:?}.json")).unwrap();
    serde_json::from_slice(&plan).unwrap()
}

#[test]
fn each_bug_is_caught_by_its_invariant() {
    for bug in Bug::ALL {
        let (violations, _) = judge(&plan(bug), Some(bug));
        let expected = bug.expected();
        let caught = violations.iter().any(|it| expected.contains(&it.invariant));
        assert!(caught, "{bug:?}: {violations:?}");
    }
}

#[test]
fn without_its_bug_each_of_these_runs_is_clean() {
    // A clock that jumps is the bug itself.
    for bug in Bug::ALL
        .into_iter()
        .filter(|bug| *bug != Bug::ClockAtRestart)
    {
        let (violations, _) = judge(&plan(bug), None);
        assert!(violations.is_empty(), "{bug:?}: {violations:?}");
    }
}

#[test]
fn nobody_is_accused_without_a_bug() {
    for profile in [Profile::Swarm, Profile::Calm, Profile::Chaos] {
        for seed in 5000..5300 {
            let (violations, _) = judge(&draw(seed, profile, None), None);
            assert!(violations.is_empty(), "{profile:?} {seed}: {violations:?}");
        }
    }
}
