//! Who lands with what, and when.

use oneflight_core::{
    Arrival, Attempt, Command, Event, FillResult, Judgement, Notice, Outcome, Policy, Revision,
    Token,
};

use crate::scenario::*;

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
