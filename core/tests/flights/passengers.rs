//! Who lands with what, and when.

use oneflight_core::{Attempt, FillResult, Judgement, Outcome, Phase, Policy};

use crate::scenario::*;

#[test]
fn riders_who_landed_early_leave_no_timer_behind() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.board(2, Policy::DEFAULT);
    let _ = process.granted(7);
    let _ = process.done(FillResult::Value);
    let orders = process.published(8);
    assert_eq!(
        orders,
        [land(1, computed(8)), land(2, awaited(8)), retired(1)]
    );
    process.assert_quiescent();
}

#[test]
fn a_late_answer_to_a_superseded_claim_does_not_stop_the_clock_of_a_fill() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    // The claim is not answered in time; the pilot fills without the store.
    let _ = process.pass_until(5_000);
    assert_eq!(process.phase(), Some(Phase::FillingLocally));
    let orders = process.arrived(Some(Attempt::new(1)), 8, true);
    assert_eq!(orders, [judge(1, 8)]);
    // The pilot's patience is over, but this is a fill of its own.
    assert_eq!(process.pass_until(60_000), []);
    let orders = process.done(FillResult::Value);
    assert_eq!(
        landings(&orders),
        [(1, Outcome::Computed { revision: None })]
    );
    process.assert_quiescent();
}

#[test]
fn a_repeated_answer_does_not_stop_the_renewals_of_a_fill() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.newer(8);
    let _ = process.judged(1, 8, Judgement::Stale);
    let _ = process.granted(9);
    assert_eq!(process.phase(), Some(Phase::Filling));
    let _ = process.arrived(Some(Attempt::new(1)), 9, true);
    let renewals = process.pass_until(10_000);
    assert_eq!(
        renewals.len(),
        1,
        "a renewal at a third of the ttl: {renewals:?}"
    );
}

#[test]
fn a_rider_who_takes_off_by_itself_waits_no_longer_than_it_meant_to() {
    let mut process = Process::new();
    let _ = process.board(1, promoting());
    let _ = process.board(2, promoting());
    let _ = process.granted(7);
    process.ms = 20_000;
    let _ = process.done(FillResult::Error);
    assert_eq!(process.phase(), Some(Phase::Claiming), "the rider's turn");
    let _ = process.held(8);
    let orders = process.pass_until(34_999);
    assert_eq!(landings(&orders), []);
    let orders = process.pass_until(35_000);
    assert_eq!(landings(&orders), [(2, Outcome::TimedOut)]);
}

#[test]
fn a_rider_who_takes_off_by_itself_has_waited() {
    let mut process = Process::new();
    let _ = process.board(1, promoting());
    let _ = process.board(2, promoting());
    let _ = process.granted(7);
    process.ms = 20_000;
    let _ = process.done(FillResult::Error);
    let _ = process.newer(9);
    let orders = process.judged(2, 9, Judgement::Fresh);
    assert_eq!(landings(&orders), [(2, awaited(9))]);
}
