//! Answers that come late, or twice.

use oneflight_core::{Arrival, Attempt, Judgement, Notice, Phase, Policy, Revision};

use crate::scenario::*;

#[test]
fn a_value_that_answers_a_superseded_claim_is_news_and_no_more() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.held(7);
    assert_eq!(process.phase(), Some(Phase::Waiting));
    let first = Some(Attempt::new(1));
    assert_eq!(process.arrived(first, 8, true), [judge(1, 8)]);
    // The flight still comes back when the other's lease lapses, not when its pilot loses patience.
    assert_eq!(process.flights.deadline(), Some(at(30_000)));
    let orders = process.judged(1, 8, Judgement::Fresh);
    assert_eq!(landings(&orders), [(1, awaited(8))]);
    process.assert_quiescent();
}

#[test]
fn a_value_that_answers_a_claim_repeated_since_is_news_and_no_more() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.newer(8);
    assert_eq!(process.judged(1, 8, Judgement::Stale), [claim(1, 2, 8)]);
    let first = Some(Attempt::new(1));
    assert_eq!(process.arrived(first, 9, true), [judge(1, 9)]);
    // The second claim is still to be answered in time.
    assert_eq!(process.flights.deadline(), Some(at(5_000)));
    let orders = process.judged(1, 9, Judgement::Fresh);
    assert_eq!(landings(&orders), [(1, cached(9, false))]);
}

#[test]
fn who_is_still_judging_is_not_handed_the_lease() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.newer(8);
    let _ = process.judged(1, 8, Judgement::Stale);
    let _ = process.granted(9);
    assert_eq!(process.board(2, Policy::DEFAULT), [judge(2, 8)]);
    // What stands may satisfy it: the lease is freed, not filled under.
    assert_eq!(process.leave(1), [release(1, 4, 9)]);
    let orders = process.judged(2, 8, Judgement::Fresh);
    assert_eq!(landings(&orders), [(2, awaited(8))]);
}

#[test]
fn a_value_that_comes_for_a_flight_of_before_is_nobody_elses() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let late = process.flight();
    let _ = process.leave(1);
    let _ = process.board(2, Policy::DEFAULT);
    assert_ne!(process.flight(), late);
    let number = late.number;
    let orders = process.tell(Notice::Arrived {
        flight: late,
        attempt: Some(Attempt::new(1)),
        latest: None,
        arrival: Arrival {
            revision: Revision::new(8),
            token: None,
            value: true,
        },
    });
    assert_eq!(orders, [retired(number)]);
    assert_eq!(process.phase(), Some(Phase::Claiming));
}

#[test]
fn a_verdict_about_a_value_that_was_replaced_lands_nobody() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.board(2, Policy::DEFAULT);
    let _ = process.held(7);
    assert_eq!(process.heard(8), [judge(1, 8), judge(2, 8)]);
    assert_eq!(process.heard(9), [judge(1, 9), judge(2, 9)]);
    assert_eq!(process.judged(2, 8, Judgement::Fresh), []);
    let orders = process.judged(2, 9, Judgement::Fresh);
    assert_eq!(landings(&orders), [(2, awaited(9))]);
}
