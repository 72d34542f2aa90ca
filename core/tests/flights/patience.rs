//! Each waits for as long as it meant to, and no longer.

use oneflight_core::{Attempt, Event, FillResult, Judgement, Notice, Outcome, Phase, Policy};

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
    // Who fills is not asked to judge.
    assert_eq!(process.arrived(Some(Attempt::new(1)), 8, true), []);
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
fn who_rides_with_one_who_takes_off_waits_no_longer_than_it_meant_to() {
    let mut process = Process::new();
    let hurried = Policy {
        on_abort: promoting().on_abort,
        ..patient(10)
    };
    let _ = process.board(1, promoting());
    let _ = process.board(2, promoting());
    let _ = process.board(3, hurried);
    let _ = process.granted(7);
    let _ = process.done(FillResult::Error);
    let _ = process.held(8);
    assert_eq!(landings(&process.pass_until(9_999)), []);
    let orders = process.pass_until(10_000);
    assert_eq!(landings(&orders), [(3, Outcome::TimedOut)]);
}

#[test]
fn each_lands_at_its_own_time() {
    let mut process = Process::new();
    let _ = process.board(1, patient(20));
    let _ = process.board(2, patient(10));
    let _ = process.board_knowing(3, patient(30), verdict(3, Judgement::Stale));
    let _ = process.held(9);
    let mut landed = Vec::new();
    for second in 1..=40 {
        let orders = process.pass_until(second * 1_000);
        landed.extend(landings(&orders).into_iter().map(|it| (second, it)));
        if process.phase() == Some(Phase::Claiming) {
            let _ = process.held(9);
        }
    }
    assert_eq!(
        landed,
        [
            (10, (2, Outcome::TimedOut)),
            (20, (1, Outcome::TimedOut)),
            (30, (3, cached(3, true)))
        ]
    );
    process.assert_quiescent();
}

#[test]
fn a_pilot_who_never_judges_holds_up_nobody() {
    let mut process = Process::new();
    let _ = process.board(1, patient(5));
    let _ = process.board(2, patient(60));
    let _ = process.board(3, patient(2));
    assert_eq!(process.newer(8), [judge(1, 8), judge(2, 8), judge(3, 8)]);
    assert_eq!(process.judged(2, 8, Judgement::Stale), []);
    assert_eq!(
        landings(&process.pass_until(2_000)),
        [(3, Outcome::TimedOut)]
    );
    // The flight waits for the pilot's word, but no longer than the pilot would.
    let orders = process.pass_until(5_000);
    assert_eq!(
        orders,
        [land(1, Outcome::TimedOut), claim(1, 2, 8)],
        "the second has judged"
    );
}

#[test]
fn a_lone_pilot_who_never_judges_leaves_nothing() {
    let mut process = Process::new();
    let _ = process.board(1, patient(5));
    let _ = process.newer(8);
    assert_eq!(
        process.pass_until(5_000),
        [land(1, Outcome::TimedOut), retired(1)]
    );
    process.assert_quiescent();
}

#[test]
fn who_does_not_wait_lands_with_the_answer_of_the_store() {
    let mut process = Process::new();
    let _ = process.board(1, patient(0));
    assert_eq!(process.board(2, patient(0)), [], "the store is being asked");
    // The first lands, and the second asks for itself: the answer was perhaps to what it did not want.
    assert_eq!(
        process.held(9),
        [land(1, Outcome::TimedOut), retired(1), claim(2, 1, 0)]
    );
    assert_eq!(process.held(9), [land(2, Outcome::TimedOut), retired(2)]);
    process.assert_quiescent();
}

#[test]
fn who_does_not_wait_shares_what_the_store_has() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.board(2, patient(0));
    let _ = process.board(3, patient(0));
    let _ = process.newer(5);
    assert_eq!(
        process.judged(2, 5, Judgement::Fresh),
        [land(2, cached(5, false))]
    );
    // The pilot wants a newer one and claims anew; the third, too, until nobody has it.
    assert_eq!(process.judged(1, 5, Judgement::Stale), [claim(1, 2, 5)]);
    assert_eq!(process.judged(3, 5, Judgement::Stale), []);
    let orders = process.granted(7);
    assert_eq!(landings(&orders), [(3, cached(5, true))]);
    // Now somebody fills: that is not waited for.
    assert_eq!(process.board(4, patient(0)), [land(4, Outcome::TimedOut)]);
}

#[test]
fn who_does_not_wait_and_has_nothing_left_to_judge_lands() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.board(2, patient(0));
    assert_eq!(process.newer(5), [judge(1, 5), judge(2, 5)]);
    assert_eq!(process.judged(1, 5, Judgement::Stale), [claim(1, 2, 5)]);
    assert_eq!(landings(&process.held(7)), [], "the second is judging");
    // What it judges is gone.
    assert_eq!(
        process.arrived(None, 6, false),
        [land(2, Outcome::TimedOut)]
    );
    assert_eq!(process.phase(), Some(Phase::Waiting));
}

#[test]
fn a_lone_pilot_whose_tick_comes_late_claims_before_it_times_out() {
    let mut process = Process::new();
    let _ = process.board(1, patient(40));
    let _ = process.held(7);
    let _ = process.event(Event::LockReleased);
    assert_eq!(process.phase(), Some(Phase::BackingOff));
    // The lock may be free for the taking.
    process.ms = 40_000;
    assert_eq!(process.tell(Notice::Tick), [claim(1, 2, 0)]);
}

#[test]
fn a_pilot_who_does_not_wait_and_never_judges_lands() {
    let mut process = Process::new();
    let _ = process.board(1, patient(0));
    let _ = process.newer(8);
    assert_eq!(
        process.pass_until(5_000),
        [land(1, Outcome::TimedOut), retired(1)]
    );
    process.assert_quiescent();
}
