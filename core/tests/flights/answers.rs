//! Answers that come late, or twice.

use oneflight_core::{
    Arrival, Attempt, Event, FillResult, Judgement, Notice, Order, Outcome, Phase, Policy, Revision,
};

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

/// Grants the claim of another's making, which has seen revision 8.
fn granted_over_8(process: &mut Process) -> Vec<Order<Key>> {
    process.answer(|attempt| Event::LeaseGranted {
        attempt,
        token: token(9),
        remaining: secs(30),
        generation: Revision::new(8),
    })
}

/// The first has judged revision 8 stale, claimed and left; the second is aboard.
fn claimed_by_another(process: &mut Process) {
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.newer(8);
    assert_eq!(process.judged(1, 8, Judgement::Stale), [claim(1, 2, 8)]);
    assert_eq!(process.board(2, Policy::DEFAULT), [judge(2, 8)]);
}

#[test]
fn who_is_still_judging_is_not_granted_the_lease() {
    let mut process = Process::new();
    claimed_by_another(&mut process);
    assert_eq!(process.leave(1), []);
    assert_eq!(granted_over_8(&mut process), [release(1, 3, 9)]);
    assert_eq!(process.phase(), None);
    let orders = process.judged(2, 8, Judgement::Fresh);
    assert_eq!(landings(&orders), [(2, awaited(8))]);
    let _ = process.answer(|attempt| Event::Released { attempt });
    process.assert_quiescent();
}

#[test]
fn who_has_not_been_asked_is_not_granted_the_lease() {
    let mut process = Process::new();
    let _ = process.board_knowing(1, Policy::DEFAULT, verdict(8, Judgement::Stale));
    let _ = process.board(2, Policy::DEFAULT);
    assert_eq!(process.leave(1), []);
    // Revision 8 might satisfy the second, who knows nothing of it: the store is to show it.
    assert_eq!(
        granted_over_8(&mut process),
        [release(1, 2, 9), claim(2, 1, 0)]
    );
}

#[test]
fn who_was_not_granted_the_lease_claims_once_it_has_judged() {
    let mut process = Process::new();
    claimed_by_another(&mut process);
    let _ = process.leave(1);
    assert_eq!(granted_over_8(&mut process), [release(1, 3, 9)]);
    assert_eq!(process.judged(2, 8, Judgement::Stale), [claim(2, 1, 8)]);
}

#[test]
fn who_was_not_granted_the_lease_waits_no_longer_than_it_meant_to() {
    let mut process = Process::new();
    claimed_by_another(&mut process);
    let _ = process.board(3, patient(1));
    let _ = process.leave(1);
    let orders = process.pass_until(2_000);
    assert_eq!(landings(&orders), [(3, Outcome::TimedOut)]);
    assert_eq!(granted_over_8(&mut process), [release(1, 3, 9)]);
    let _ = process.answer(|attempt| Event::Released { attempt });
    // It never judges, and nobody flies.
    assert_eq!(process.pass_until(34_999), []);
    let orders = process.pass_until(35_000);
    assert_eq!(landings(&orders), [(2, Outcome::TimedOut)]);
    process.assert_quiescent();
}

#[test]
fn a_lease_is_granted_to_one_who_has_judged_what_is_to_be_replaced() {
    let mut process = Process::new();
    claimed_by_another(&mut process);
    assert_eq!(process.leave(1), []);
    let _ = process.board_knowing(3, Policy::DEFAULT, verdict(8, Judgement::Stale));
    let orders = granted_over_8(&mut process);
    let lease = process.flights.lease(&process.flight());
    assert_eq!(orders, [fill(1, 3, 3, lease)]);
    let orders = process.judged(2, 8, Judgement::Fresh);
    assert_eq!(landings(&orders), [(2, cached(8, false))]);
}

#[test]
fn a_value_that_is_gone_needs_nobody_to_judge_it() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    // The claim had seen nothing, so what revision 8 was is no more.
    let orders = granted_over_8(&mut process);
    let lease = process.flights.lease(&process.flight());
    assert_eq!(orders, [fill(1, 1, 2, lease)]);
}

#[test]
fn who_publishes_its_own_value_is_not_asked_to_judge() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.board(2, Policy::DEFAULT);
    let _ = process.granted(7);
    let _ = process.done(FillResult::Value);
    let first = Some(Attempt::new(1));
    assert_eq!(process.arrived(first, 8, true), [judge(2, 8)]);
    // Its successor is: it might be satisfied before the publish is acknowledged.
    let _ = process.board(3, Policy::DEFAULT);
    let _ = process.leave(1);
    assert_eq!(process.arrived(None, 9, true), [judge(2, 9), judge(3, 9)]);
}

#[test]
fn who_was_aboard_hears_what_is_answered_after_its_flight() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.newer(8);
    let _ = process.judged(1, 8, Judgement::Absent);
    let _ = process.board(2, Policy::DEFAULT);
    let _ = process.judged(2, 8, Judgement::Stale);
    let _ = process.newer(9);
    let _ = process.judged(1, 9, Judgement::Absent);
    // The second was aboard when the third claim was sent; a value lands the first, and the claim is
    // answered when the second flies by itself.
    let third = Attempt::new(process.attempt);
    let _ = process.heard(10);
    let orders = process.judged(1, 10, Judgement::Fresh);
    assert_eq!(landings(&orders), [(1, cached(10, false))]);
    assert_eq!(process.judged(2, 10, Judgement::Stale), [claim(2, 1, 10)]);
    let _ = process.tell(Notice::Answered {
        flight: flight(1),
        event: Event::Held {
            attempt: third,
            token: Some(token(10)),
            remaining: Some(secs(30)),
        },
    });
    // Lease 11 was granted after that.
    assert_eq!(process.newer(11), [judge(2, 11)]);
    let orders = process.judged(2, 11, Judgement::Stale);
    assert_eq!(landings(&orders), [(2, cached(11, false))]);
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
