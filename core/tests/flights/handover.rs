//! A pilot that is gone hands over what it had.

use oneflight_core::{Event, FillResult, Judgement, Outcome, Phase, Policy};

use crate::scenario::*;

#[test]
fn a_pilot_who_leaves_hands_on_the_very_lease() {
    let mut process = Process::new();
    for passenger in 1..=10 {
        let _ = process.board(passenger, Policy::DEFAULT);
    }
    let _ = process.granted(7);
    for pilot in 1..10 {
        let lease = process.flights.lease(&process.flight());
        assert_eq!(lease.unwrap().token, token(7));
        let attempt = process.attempt + 1;
        assert_eq!(
            process.leave(pilot),
            [fill(1, pilot + 1, attempt, lease)],
            "no trip to the store"
        );
    }
    assert_eq!(process.leave(10), [release(1, 12, 7)]);
    assert_eq!(
        process.answer(|attempt| Event::Released { attempt }),
        [retired(1)]
    );
    process.assert_quiescent();
}

#[test]
fn who_takes_over_a_publish_lands_at_its_own_time() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.board(2, patient(1));
    let _ = process.board(3, patient(60));
    let _ = process.granted(7);
    let _ = process.done(FillResult::Value);
    let _ = process.leave(1);
    assert_eq!(landings(&process.pass_until(999)), []);
    assert_eq!(
        landings(&process.pass_until(1_000)),
        [(2, Outcome::TimedOut)]
    );
    assert_eq!(process.phase(), Some(Phase::Publishing));
    assert_eq!(process.published(8), [land(3, awaited(8)), retired(1)]);
    process.assert_quiescent();
}

#[test]
fn the_last_to_take_over_a_publish_leaves_it_to_those_who_come() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.board(2, patient(1));
    let _ = process.granted(7);
    let _ = process.done(FillResult::Value);
    let _ = process.leave(1);
    assert_eq!(
        landings(&process.pass_until(1_000)),
        [(2, Outcome::TimedOut)]
    );
    assert_eq!(process.board(3, Policy::DEFAULT), [], "no second flight");
    assert_eq!(process.published(8), [judge(3, 8), retired(1)]);
    assert_eq!(
        landings(&process.judged(3, 8, Judgement::Fresh)),
        [(3, awaited(8))]
    );
    process.assert_quiescent();
}

#[test]
fn a_publish_goes_on_when_all_have_left() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.granted(7);
    let _ = process.done(FillResult::Value);
    assert_eq!(process.leave(1), []);
    assert!(!process.flights.is_idle());
    assert_eq!(process.published(8), [retired(1)]);
    process.assert_quiescent();
}

#[test]
fn a_grant_to_a_flight_of_long_ago_is_released() {
    let mut process = Process::new();
    let _ = process.board(1, strict());
    let _ = process.pass_until(5_000);
    process.assert_quiescent();
    assert_eq!(process.granted(7), [release(1, 0, 7)]);
    process.assert_quiescent();
}

#[test]
fn a_claim_outlives_its_callers_but_not_its_answer() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    assert_eq!(process.leave(1), []);
    assert!(!process.flights.is_idle());
    // A new caller does not wait for that.
    assert_eq!(process.board(2, Policy::DEFAULT), [claim(2, 1, 0)]);
    process.flight = 1;
    let _ = process.granted(7);
    let orders = process.answer(|attempt| Event::Released { attempt });
    assert_eq!(orders, [retired(1)]);
}

#[test]
fn nobody_waits_for_a_newer_answer_whose_asker_has_left() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.newer(8);
    assert_eq!(process.leave(1), [retired(1)], "no lease was granted");
    process.assert_quiescent();

    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.leave(1);
    assert_eq!(process.newer(8), [retired(1)]);
    process.assert_quiescent();
}

#[test]
fn a_flight_goes_by_its_pilots_rules() {
    let mut process = Process::new();
    let _ = process.board(1, patient(20));
    let _ = process.board(2, patient(30));
    let policy = |process: &Process| process.flights.policy(&process.flight());
    assert_eq!(policy(&process), Some(patient(20)));
    let _ = process.leave(1);
    assert_eq!(policy(&process), Some(patient(30)));
    let _ = process.leave(2);
    assert_eq!(policy(&process), None);
}

#[test]
fn a_lost_lease_is_not_handed_on() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.board(2, Policy::DEFAULT);
    let _ = process.granted(7);
    let _ = process.pass_until(10_000);
    let _ = process.answer(|attempt| Event::LeaseLost { attempt });
    assert_eq!(process.leave(1), [claim(1, 4, 0)]);
}

#[test]
fn the_next_pilot_claims_with_what_it_has_judged_itself() {
    let mut process = Process::new();
    let _ = process.board_knowing(1, Policy::DEFAULT, verdict(5, Judgement::Stale));
    let _ = process.board(2, Policy::DEFAULT);
    let _ = process.held(9);
    let _ = process.leave(1);
    let _ = process.event(Event::LockReleased);
    // Revision 5 might satisfy the second; the store is to show it, not to grant a fill.
    assert_eq!(process.pass_until(100), [claim(1, 2, 0)]);
}

#[test]
fn a_lease_is_handed_on_only_to_one_who_knows_what_is_to_be_replaced() {
    let mut process = Process::new();
    let _ = process.board_knowing(1, Policy::DEFAULT, verdict(5, Judgement::Stale));
    let _ = process.granted(7);
    let _ = process.board(2, Policy::DEFAULT);
    // Revision 5 might satisfy the second, who has not seen it: the store is to show it.
    assert_eq!(process.leave(1), [release(1, 3, 7), claim(2, 1, 0)]);

    let mut process = Process::new();
    let _ = process.board_knowing(1, Policy::DEFAULT, verdict(5, Judgement::Stale));
    let _ = process.granted(7);
    let _ = process.board(2, Policy::DEFAULT);
    let _ = process.board_knowing(3, Policy::DEFAULT, verdict(5, Judgement::Stale));
    let lease = process.flights.lease(&process.flight());
    assert_eq!(process.leave(1), [fill(1, 3, 3, lease)]);
}
