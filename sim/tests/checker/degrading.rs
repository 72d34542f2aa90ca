//! S15 `DegradeOnlyWhenUnreachable` and L5 `DegradePrompt`.

use std::time::Duration;

use oneflight_core::{Arrival, Attempt, Command, Event, Judgement, Notice, Outcome};
use oneflight_sim::trace::{Fault, Nanos, What};

use crate::story::Story;
use crate::words::{
    ALF, AMY, ANN, BEA, BOB, BOUNDS, MS, OTHER, ROUNDING, SECOND, SLACK, revision, token,
};

const TIMEOUT: Nanos = 5 * SECOND;

#[test]
fn s15_a_store_that_says_so_is_unreachable() {
    let mut story = Story::new();
    story.calls(ANN);
    story
        .branch(|it| _ = it.orders_fill(ANN, None))
        .breaks(&["S15"]);
    story.branch(|it| _ = it.orders_fill(ANN, Some(1))).passes();
    story
        .branch(|it| _ = it.hears_unavailable(ANN).orders_fill(ANN, None))
        .passes();
}

#[test]
fn s15_it_is_the_claim_at_the_store_that_counts() {
    let mut story = Story::new();
    story.calls(ANN);
    let attempt = story.attempt(ANN);
    story
        .hears_held(ANN, 1)
        .hears(ANN, oneflight_core::Event::Unavailable { attempt });
    story.orders_fill(ANN, None).breaks(&["S15"]);
    let mut story = Story::new();
    story
        .calls(ANN)
        .hears(ANN, oneflight_core::Event::LockReleased);
    story
        .claims(ANN)
        .hears(ANN, oneflight_core::Event::Unavailable { attempt });
    story.orders_fill(ANN, None).breaks(&["S15"]);
}

#[test]
fn s15_a_store_that_answers_is_reachable() {
    let mut story = Story::new();
    story.calls(ANN).hears_unavailable(ANN);
    let other = story.branch(|it| {
        it.joins(ALF).hears_held(ANN, 1).orders_fill(ANN, None);
    });
    other.breaks(&["S15"]);
    let (flight, attempt) = (story.flight(ANN), Some(story.attempt(ANN)));
    for (attempt, broken) in [(attempt, &["S15"][..]), (None, &[])] {
        let arrival = Arrival {
            revision: revision(1),
            token: None,
            value: true,
        };
        let notice = Notice::Arrived {
            flight: flight.clone(),
            attempt,
            latest: None,
            arrival,
        };
        story
            .branch(|it| _ = it.told(ANN, notice, vec![]).orders_fill(ANN, None))
            .breaks(broken);
    }
    // What another key's claims hear says nothing.
    story.key = OTHER;
    story.calls(AMY).orders_fill(AMY, None).breaks(&["S15"]);
}

#[test]
fn s15_a_flight_that_has_degraded_stays_so() {
    let mut story = Story::new();
    story
        .calls(ANN)
        .hears_unavailable(ANN)
        .orders_fill(ANN, None);
    story
        .branch(|it| _ = it.joins(ALF).orders_fill(ALF, None))
        .passes();
    // The next one of the same process knows.
    story
        .branch(|it| _ = it.retires(ANN).joins(AMY).orders_fill(AMY, None))
        .passes();
    story
        .branch(|it| _ = it.calls(BOB).orders_fill(BOB, None))
        .breaks(&["S15"]);
}

#[test]
fn s15_a_claim_without_an_answer_in_time_is_unreachable() {
    let waited = |time| {
        let mut story = Story::new();
        story.calls(ANN);
        // By the process's own clock, whatever the world's says.
        story.local_ahead = time;
        story
    };
    waited(TIMEOUT).orders_fill(ANN, None).passes();
    waited(TIMEOUT - 1).orders_fill(ANN, None).breaks(&["S15"]);
    // It has been answered.
    waited(TIMEOUT)
        .hears_held(ANN, 1)
        .orders_fill(ANN, None)
        .breaks(&["S15"]);
    // It is about another key.
    let mut story = waited(TIMEOUT);
    story.key = OTHER;
    story.joins(AMY).orders_fill(AMY, None).breaks(&["S15"]);
    // Its process has no calls that could have waited.
    waited(TIMEOUT)
        .leaves(ANN)
        .orders_fill(ANN, None)
        .breaks(&["S15"]);
}

/// The fill is held until its caller has judged what had come before.
#[test]
fn s15_what_was_found_out_while_it_judged_stands() {
    let found_out = |judging: bool, time| {
        let mut story = Story::new();
        story.calls(ANN).joins(ALF);
        if judging {
            story.arrives(ALF, 1).asks_to_judge(ALF, 1);
        }
        story.local_ahead = time;
        story
    };
    for (judging, time, broken) in [
        (true, TIMEOUT, &[][..]),
        (true, TIMEOUT - 1, &["S15"]),
        (false, TIMEOUT, &["S15"]),
    ] {
        let story = found_out(judging, time);
        // The claim is answered after all.
        let answered = story.branch(|it| {
            it.hears_held(ANN, 1).judges(ALF, 1, Judgement::Stale);
        });
        answered
            .branch(|it| _ = it.orders_fill(ALF, None))
            .breaks(broken);
        // But who claims again has another reason to wait for.
        answered
            .branch(|it| _ = it.claims_again(ANN).orders_fill(ALF, None))
            .breaks(&["S15"]);
        // Or its flight is over long since.
        let mut over = story.branch(|it| _ = it.retires(ANN));
        over.wait(1);
        // Who comes then may be the next whose fill it is.
        over.branch(|it| {
            it.joins(BEA).judges(ALF, 1, Judgement::Malformed);
            it.leaves(ALF).orders_fill(BEA, None);
        })
        .breaks(broken);
        over.judges(ALF, 1, Judgement::Stale);
        over.orders_fill(ALF, None).breaks(broken);
    }
}

#[test]
fn s15_a_publish_that_is_not_acknowledged_tells_as_much_as_a_claim() {
    let attempt = Attempt::new(7);
    let mut story = Story::new();
    story.wins(ANN, 1).returns(ANN, Some(1)).joins(ALF);
    let token = token(1);
    story.commands(ANN, Command::Publish { attempt, token });
    let fills = |before: &dyn Fn(&mut Story)| {
        story.branch(|it| {
            before(it);
            it.orders_fill(ALF, None);
        })
    };
    fills(&|_| {}).breaks(&["S15"]);
    for (attempt, broken) in [(attempt, &[][..]), (Attempt::new(8), &["S15"])] {
        // The other one is that of a renewal.
        fills(&|it| _ = it.hears(ANN, Event::Unavailable { attempt })).breaks(broken);
    }
    fills(&|it| it.local_ahead = TIMEOUT).passes();
    fills(&|it| it.local_ahead = TIMEOUT - 1).breaks(&["S15"]);
    let answered = |it: &mut Story| {
        it.local_ahead = TIMEOUT;
        it.hears_published(ANN, 1);
    };
    fills(&answered).breaks(&["S15"]);
}

#[test]
fn s15_the_shortest_time_out_aboard_counts() {
    let mut story = Story::new();
    story.calls(ANN);
    story.policy.store_timeout = Duration::from_secs(2);
    story.joins(ALF);
    story.local_ahead = 2 * SECOND;
    story.branch(|it| _ = it.orders_fill(ANN, None)).passes();
    story.local_ahead -= 1;
    story.orders_fill(ANN, None).breaks(&["S15"]);
}

#[test]
fn s15_a_flight_that_has_just_ended_found_it_out_for_the_next() {
    let mut story = Story::new();
    story.calls(ANN).joins(AMY);
    story.local_ahead = TIMEOUT;
    story.retires(ANN);
    story.branch(|it| _ = it.orders_fill(AMY, None)).passes();
    story
        .branch(|it| _ = it.wait(1).orders_fill(AMY, None))
        .breaks(&["S15"]);
}

/// When a caller must have noticed, from the cut-off on.
const NOTICED: Nanos = 3 * BOUNDS.detect + 2 * TIMEOUT + 250 * MS + ROUNDING + SLACK;

/// Bob listens to a lock that Ann holds; then he is cut off.
fn cut_off(fault: Fault, lasts: Nanos) -> Story {
    let mut story = Story::new();
    story.wins(ANN, 1).waits(BOB, 1).wait(SECOND);
    story.fault(2, fault, lasts);
    story
}

#[test]
fn l5_who_is_cut_off_ends_in_time() {
    for fault in [Fault::CutUp, Fault::CutDown] {
        let mut story = cut_off(fault, 60 * SECOND);
        story.wait(NOTICED);
        story
            .branch(|it| _ = it.lands(BOB, Outcome::TimedOut, None))
            .passes();
        story
            .wait(1)
            .lands(BOB, Outcome::TimedOut, None)
            .breaks(&["L5"]);
    }
    let mut story = cut_off(Fault::Delayed, 60 * SECOND);
    story
        .wait(NOTICED + 1)
        .lands(BOB, Outcome::TimedOut, None)
        .passes();
}

#[test]
fn l5_who_is_cut_off_fills_in_time() {
    let mut story = cut_off(Fault::CutUp, 60 * SECOND);
    story.hears_unavailable(BOB).wait(NOTICED);
    story.branch(|it| _ = it.fill_began(BOB, None)).passes();
    story
        .branch(|it| _ = it.wait(1).fill_began(BOB, None))
        .breaks(&["L5"]);
    // The fill ends whenever it ends.
    let mut began = story.branch(|it| _ = it.fill_began(BOB, None));
    began.wait(1).lands(BOB, Outcome::TimedOut, None).passes();
}

#[test]
fn l5_an_order_to_fill_is_soon_enough() {
    let mut story = cut_off(Fault::CutUp, 60 * SECOND);
    story.wait(NOTICED).claims_again(BOB).hears_unavailable(BOB);
    story.orders_fill(BOB, None);
    story.wait(1).lands(BOB, Outcome::TimedOut, None).passes();
}

#[test]
fn l5_a_short_cut_need_not_be_noticed() {
    let lasts = NOTICED + 2 * BOUNDS.detect;
    for (lasts, broken) in [(lasts, &[][..]), (lasts + 1, &["L5"])] {
        let mut story = cut_off(Fault::CutUp, lasts);
        story
            .wait(NOTICED + 1)
            .lands(BOB, Outcome::TimedOut, None)
            .breaks(broken);
    }
}

#[test]
fn l5_the_first_cut_counts() {
    let mut story = cut_off(Fault::CutUp, 60 * SECOND);
    story.wait(SECOND).fault(2, Fault::CutDown, 60 * SECOND);
    story
        .wait(NOTICED - SECOND + 1)
        .lands(BOB, Outcome::TimedOut, None)
        .breaks(&["L5"]);
}

#[test]
fn l5_healing_ends_it_but_not_for_the_broken() {
    for (broken, found) in [(vec![], &[][..]), (vec![2], &["L5"]), (vec![1], &[])] {
        let mut story = cut_off(Fault::CutUp, 60 * SECOND);
        story.record(0, What::Healed { broken });
        story
            .wait(NOTICED + 1)
            .lands(BOB, Outcome::TimedOut, None)
            .breaks(found);
    }
}

#[test]
fn l5_a_process_that_stands_still_notices_nothing() {
    let mut story = cut_off(Fault::CutUp, 60 * SECOND);
    story.fault(2, Fault::Paused, 0).wait(NOTICED + 1);
    story.lands(BOB, Outcome::TimedOut, None).passes();
    // It stood still before, or another did.
    let mut story = Story::new();
    story
        .wins(ANN, 1)
        .waits(BOB, 1)
        .fault(2, Fault::Paused, SECOND - 1);
    story
        .wait(SECOND)
        .fault(2, Fault::CutUp, 60 * SECOND)
        .fault(3, Fault::Paused, SECOND);
    story
        .wait(NOTICED + 1)
        .lands(BOB, Outcome::TimedOut, None)
        .breaks(&["L5"]);
    let mut story = Story::new();
    story
        .wins(ANN, 1)
        .waits(BOB, 1)
        .fault(2, Fault::Paused, SECOND);
    story.wait(SECOND).fault(2, Fault::CutUp, 60 * SECOND);
    story
        .wait(NOTICED + 1)
        .lands(BOB, Outcome::TimedOut, None)
        .passes();
}

#[test]
fn l5_who_fills_or_publishes_is_not_concerned() {
    let cut = |story: &mut Story| {
        story.fault(1, Fault::CutUp, 60 * SECOND).wait(NOTICED + 1);
        story.lands(ALF, Outcome::TimedOut, None);
    };
    let mut story = Story::new();
    story.wins(ANN, 1).joins(ALF);
    story.branch(cut).passes();
    story.returns(ANN, Some(1));
    story.branch(cut).passes();
    // That flight is over, and so is the fill.
    story.retires(ANN);
    story.branch(cut).breaks(&["L5"]);
    // A fill for another key is another matter.
    let mut story = Story::new();
    story.wins(AMY, 1);
    story.key = OTHER;
    story.calls(BEA);
    story.fault(1, Fault::CutUp, 60 * SECOND).wait(NOTICED + 1);
    story.lands(BEA, Outcome::TimedOut, None).breaks(&["L5"]);
}

#[test]
fn l5_is_judged_by_bounds() {
    let mut story = Story::new();
    story.bounds = None;
    story.waits(BOB, 1).fault(2, Fault::CutUp, 600 * SECOND);
    story
        .wait(NOTICED + 1)
        .lands(BOB, Outcome::TimedOut, None)
        .passes();
    // A call that has not boarded has no policy yet.
    let mut story = Story::new();
    story.began(BOB).fault(2, Fault::CutUp, 600 * SECOND);
    story
        .wait(NOTICED + 1)
        .lands(BOB, Outcome::TimedOut, None)
        .passes();
}
