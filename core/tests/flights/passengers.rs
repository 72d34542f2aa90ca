//! Who lands with what, and when.

use oneflight_core::{
    Arrival, Attempt, Command, Event, FillResult, Judgement, Notice, Outcome, Phase, Policy,
    Revision, Token, Verdict,
};

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
fn orders_go_to_the_end_of_a_list() {
    let mut process = Process::new();
    let mut orders = process.board(1, Policy::DEFAULT);
    let before = orders.clone();
    let mut other = process.flights.clone();
    let notice = Notice::Answered {
        flight: process.flight(),
        event: Event::Held {
            attempt: Attempt::new(1),
            token: None,
            remaining: None,
        },
    };
    let more = other.handle(at(0), notice.clone());
    process.flights.handle_into(at(0), &notice, &mut orders);
    assert!(!more.is_empty());
    assert_eq!(orders, [before, more].concat());
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

#[test]
fn one_claim_and_one_fill_for_all() {
    let mut process = Process::new();
    assert_eq!(process.board(1, Policy::DEFAULT), [claim(1, 1, 0)]);
    assert_eq!(process.board(2, Policy::DEFAULT), []);
    assert_eq!(process.flights.load(), (2, 0));
    let orders = process.granted(7);
    let lease = process.flights.lease(&process.flight());
    assert_eq!(orders, [fill(1, 1, 2, lease)]);
    assert_eq!(process.board(3, Policy::DEFAULT), []);
    assert_eq!(process.flights.load(), (3, 1));
    let _ = process.done(FillResult::Value);
    // The third came after the fill began: it judges for itself.
    assert_eq!(
        process.published(8),
        [
            land(1, computed(8)),
            land(2, awaited(8)),
            judge(3, 8),
            retired(1)
        ]
    );
    assert_eq!(
        process.judged(3, 8, Judgement::Fresh),
        [land(3, awaited(8))]
    );
    process.assert_quiescent();
}

#[test]
fn who_is_not_satisfied_by_what_was_published_takes_off() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.granted(7);
    let _ = process.board(2, Policy::DEFAULT);
    let _ = process.board(3, Policy::DEFAULT);
    let _ = process.done(FillResult::Value);
    let _ = process.published(8);
    assert_eq!(
        process.judged(3, 8, Judgement::Stale),
        [claim(2, 1, 8)],
        "the second is still judging"
    );
    assert_eq!(
        process.judged(2, 8, Judgement::Fresh),
        [land(2, cached(8, false))]
    );
}

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
fn a_failed_fill_is_shared_or_promotes() {
    for (result, outcome) in [
        (FillResult::Error, Outcome::Aborted),
        (FillResult::Panic, Outcome::Panicked),
    ] {
        let mut process = Process::new();
        let _ = process.board(1, Policy::DEFAULT);
        let _ = process.board(2, promoting());
        let _ = process.board(3, Policy::DEFAULT);
        let _ = process.granted(7);
        assert_eq!(
            process.done(result),
            [
                release(1, 3, 7),
                land(1, outcome),
                land(3, outcome),
                claim(2, 1, 0)
            ],
            "the second tries for itself"
        );
    }
}

#[test]
fn the_store_is_tried_once_for_all() {
    // The pilot runs without the store: who may, rides; who may not, is told.
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.board(2, strict());
    let _ = process.board(3, Policy::DEFAULT);
    assert_eq!(
        process.unavailable(),
        [fill(1, 1, 2, None), land(2, Outcome::Unavailable)]
    );
    assert_eq!(
        process.board(4, strict()),
        [land(4, Outcome::Unavailable)],
        "nor does it wait for a fill it must not have"
    );
    let put = Command::Put {
        seen: Revision::NEVER,
    };
    assert_eq!(
        process.done(FillResult::Value),
        [
            command(1, put),
            land(1, Outcome::Computed { revision: None }),
            land(3, Outcome::Awaited { revision: None }),
            retired(1)
        ]
    );
    process.assert_quiescent();

    // The pilot may not: the first who may does.
    let mut process = Process::new();
    let _ = process.board(1, strict());
    let _ = process.board(2, strict());
    let _ = process.board(3, Policy::DEFAULT);
    assert_eq!(
        process.unavailable(),
        [
            land(1, Outcome::Unavailable),
            land(2, Outcome::Unavailable),
            retired(1),
            fill(2, 3, 1, None)
        ]
    );
}

#[test]
fn who_came_after_a_fill_without_the_store_began_is_not_landed_with_it() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.unavailable();
    let _ = process.board(2, Policy::DEFAULT);
    let orders = process.done(FillResult::Value);
    assert_eq!(
        landings(&orders),
        [(1, Outcome::Computed { revision: None })]
    );
    assert_eq!(orders.last(), Some(&claim(2, 1, 0)), "its own way");
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
fn a_newer_revision_outdates_a_question() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.newer(8);
    assert_eq!(process.heard(9), [judge(1, 9)]);
    assert_eq!(process.judged(1, 8, Judgement::Fresh), []);
    assert_eq!(
        process.judged(1, 9, Judgement::Fresh),
        [land(1, cached(9, false)), retired(1)]
    );
    process.assert_quiescent();
}

#[test]
fn a_forgotten_value_is_not_served() {
    let mut process = Process::new();
    let _ = process.board(1, patient(5));
    let _ = process.board_knowing(2, patient(9), verdict(3, Judgement::Stale));
    let _ = process.held(9);
    assert_eq!(process.arrived(None, 4, false), []);
    let mut landed = landings(&process.pass_until(5_000));
    landed.extend(landings(&process.pass_until(9_000)));
    assert_eq!(landed, [(1, Outcome::TimedOut), (2, Outcome::TimedOut)]);
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
fn fenced_the_pilot_rides_and_so_do_the_others() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.board(2, Policy::DEFAULT);
    let _ = process.granted(7);
    let _ = process.done(FillResult::Value);
    let orders = process.answer(|attempt| Event::Fenced { attempt });
    assert_eq!(orders, [claim(1, 4, 0)]);
    assert_eq!(process.newer(9), [judge(1, 9), judge(2, 9)]);
    // The second came after the first claim was sent, so that lease 9 may be older than its call. The
    // first did not: what was published is fresh, whatever the predicate says.
    assert_eq!(process.judged(2, 9, Judgement::Stale), []);
    assert_eq!(
        process.judged(1, 9, Judgement::Stale),
        [land(1, awaited(9)), retired(1), claim(2, 1, 9)]
    );
}

#[test]
fn an_unpublished_value_lands_the_others_as_their_policies_say() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.board(2, strict());
    let _ = process.board(3, Policy::DEFAULT);
    let _ = process.granted(7);
    let _ = process.done(FillResult::Value);
    let orders = process.pass_until(10_000);
    assert_eq!(
        landings(&orders),
        [
            (1, Outcome::Computed { revision: None }),
            (2, Outcome::Unavailable),
            (3, Outcome::Awaited { revision: None })
        ]
    );
    let _ = process.answer(|attempt| Event::Released { attempt });
    process.assert_quiescent();
}

#[test]
fn a_refusal_lands_all_aboard() {
    let refused = |attempt| Event::Refused { attempt };
    let malformed = |attempt| Event::Malformed { attempt };
    for (outcome, answer) in [
        (Outcome::Refused, refused as fn(Attempt) -> Event),
        (Outcome::Malformed, malformed),
    ] {
        let mut process = Process::new();
        let _ = process.board(1, Policy::DEFAULT);
        let _ = process.board(2, strict());
        let mut landed = landings(&process.answer(answer));
        landed.sort_unstable_by_key(|(id, _)| *id);
        assert_eq!(landed, [(1, outcome), (2, outcome)]);
        process.assert_quiescent();
    }
}

#[test]
fn a_view_tells_how_far_a_key_is() {
    let mut process = Process::new();
    assert!(process.flights.view(&KEY).is_none());
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.board(2, Policy::DEFAULT);
    let (phase, deadline, aboard) = process.flights.view(&KEY).unwrap();
    assert_eq!((phase, aboard), (Some(Phase::Claiming), 2));
    assert_eq!(deadline.unwrap().at, process.flights.deadline().unwrap());
    assert!(process.flights.view(&"other").is_none());
}

#[test]
fn a_notice_tells_its_key() {
    let (passenger, flight) = (id(1), flight(1));
    let (policy, known) = (Policy::DEFAULT, Verdict::UNKNOWN);
    let arrival = Arrival {
        revision: Revision::new(1),
        token: None,
        value: true,
    };
    for notice in [
        Notice::Boarded {
            key: KEY,
            passenger,
            policy,
            known,
        },
        Notice::Judged {
            key: KEY,
            passenger,
            verdict: known,
        },
        Notice::Left {
            key: KEY,
            passenger,
        },
        Notice::Answered {
            flight: flight.clone(),
            event: Event::LockReleased,
        },
        Notice::Arrived {
            flight,
            attempt: None,
            latest: None,
            arrival,
        },
    ] {
        assert_eq!(notice.key(), Some(&KEY), "{notice:?}");
    }
    assert_eq!(Notice::<Key>::Tick.key(), None);
}

#[test]
fn keys_do_not_meet() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let before = format!("{:?}", process.flights.view(&KEY));
    let orders = process.tell(oneflight_core::Notice::Boarded {
        key: "other",
        passenger: id(2),
        policy: Policy::DEFAULT,
        known: oneflight_core::Verdict::UNKNOWN,
    });
    assert_eq!(orders.len(), 1);
    assert_eq!(process.flight, 2);
    assert_eq!(format!("{:?}", process.flights.view(&KEY)), before);
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
fn who_comes_and_goes_is_told_by_its_own_notice() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let before = format!("{:?}", process.flights);
    assert_eq!(process.event(Event::Abandoned), []);
    assert_eq!(process.event(Event::Tick), []);
    assert_eq!(format!("{:?}", process.flights), before);
    // Strangers change nothing.
    assert_eq!(process.leave(9), []);
    assert_eq!(process.judged(9, 9, Judgement::Fresh), []);
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

#[test]
fn a_rider_who_was_aboard_when_the_claim_was_sent_takes_any_later_lease() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.board(2, Policy::DEFAULT);
    let _ = process.newer(8);
    let _ = process.judged(2, 8, Judgement::Stale);
    assert_eq!(process.judged(1, 8, Judgement::Stale), [claim(1, 2, 8)]);
    let _ = process.board(3, Policy::DEFAULT);
    let _ = process.judged(3, 8, Judgement::Stale);
    let _ = process.held(9);
    assert_eq!(
        process.heard(10),
        [judge(1, 10), judge(2, 10), judge(3, 10)]
    );
    // Lease 10 was granted after the calls of the first two began; of the third nobody knows.
    assert_eq!(process.judged(3, 10, Judgement::Stale), []);
    assert_eq!(
        process.judged(2, 10, Judgement::Stale),
        [land(2, awaited(10))]
    );
}

#[test]
fn a_value_of_another_lock_is_not_taken_for_one_whose_fill_began_later() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    // Published under a lease of another lock than the one asked for, of which the store knows less.
    let orders = process.tell(Notice::Arrived {
        flight: process.flight(),
        attempt: Some(Attempt::new(1)),
        latest: Token::new(5),
        arrival: Arrival {
            revision: Revision::new(9),
            token: Token::new(9),
            value: true,
        },
    });
    assert_eq!(orders, [judge(1, 9)]);
    assert_eq!(process.judged(1, 9, Judgement::Stale), [claim(1, 2, 9)]);
}
