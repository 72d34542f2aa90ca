//! S5 `NoRedundantFill`.

use oneflight_core::{Event, Judgement, Outcome};
use oneflight_sim::trace::{Fault, Nanos};

use crate::story::Story;
use crate::words::{
    ALF, AMY, ANN, BOB, BOUNDS, CAT, CHOOSY, MS, ROUNDING, SECOND, SLACK, no_older_than,
};

/// The clock's margin and the messages'.
const MARGIN: Nanos = ROUNDING + SLACK;

/// Ann has published revision 1 at one second; Bob calls a second later, and is granted a lease.
fn granted(bob: impl FnOnce(&mut Story)) -> Story {
    let mut story = Story::new();
    story.computes(ANN, 1).wait(SECOND);
    bob(&mut story);
    story.calls(BOB).grants(BOB, 2);
    story
}

#[test]
fn s5_no_fill_when_a_value_stood_at_the_grant() {
    granted(|_| {}).fills(BOB, 2).breaks(&["S5"]);
    let mut story = Story::new();
    story.computes(ANN, 1).wait(SECOND).forgets(2);
    story.calls(BOB).grants(BOB, 3).fills(BOB, 3).passes();
}

#[test]
fn s5_a_value_that_came_after_the_grant_is_no_reason() {
    let mut story = Story::new();
    story.calls(BOB).grants(BOB, 1).puts(ANN, 0, 1, 1);
    story.fills(BOB, 1).passes();
}

#[test]
fn s5_an_old_value_does_not_satisfy() {
    let old = |max_age| granted(|story| story.freshness = no_older_than(max_age));
    old(SECOND + MARGIN).fills(BOB, 2).breaks(&["S5"]);
    old(SECOND + MARGIN - 1).fills(BOB, 2).passes();
}

#[test]
fn s5_no_age_is_judged_where_nobody_knows_how_long_a_message_takes() {
    let bounded = |bounds| {
        granted(|story| {
            story.bounds = bounds;
            story.freshness = no_older_than(2 * SECOND);
        })
    };
    bounded(Some(BOUNDS)).fills(BOB, 2).breaks(&["S5"]);
    bounded(None).fills(BOB, 2).passes();
}

#[test]
fn s5_a_copy_ages_by_a_clock_that_may_be_wrong() {
    let mut old = granted(|story| {
        story.bounds.as_mut().unwrap().drift_ppm = 1000;
        story.freshness = no_older_than(SECOND + MARGIN + 11 * MS / 10);
    });
    old.branch(|it| _ = it.fills(BOB, 2)).breaks(&["S5"]);
    old.wait(MS).fills(BOB, 2).passes();
}

#[test]
fn s5_only_its_caller_can_judge_by_a_predicate() {
    granted(|story| story.freshness = CHOOSY)
        .fills(BOB, 2)
        .passes();
}

/// Bob, who is choosy, knows that a token was granted when he called; the value has token 5.
fn published_under_five(known: u64) -> Story {
    let mut story = Story::new();
    story.freshness = CHOOSY;
    story.calls(BOB).hears_held(BOB, known);
    story.computes(ANN, 5).claims_again(BOB).grants(BOB, 6);
    story
}

#[test]
fn s5_a_value_computed_since_the_call_began_satisfies_it() {
    published_under_five(4).fills(BOB, 6).breaks(&["S5"]);
    published_under_five(5).fills(BOB, 6).passes();
    // Only the first answer tells what was granted before the call.
    let mut story = Story::new();
    story.freshness = CHOOSY;
    story.calls(BOB).hears_held(BOB, 4);
    story.claims_again(BOB).hears_held(BOB, 5);
    story.computes(ANN, 5).claims_again(BOB).grants(BOB, 6);
    story.fills(BOB, 6).breaks(&["S5"]);
}

#[test]
fn s5_a_verdict_stands_though_the_claim_is_answered_after_it() {
    for (judged, broken) in [(5, &[][..]), (4, &["S5"])] {
        let mut story = Story::new();
        story.freshness = CHOOSY;
        story.calls(BOB).computes(ANN, 5);
        story.judges(BOB, judged, Judgement::Stale);
        // Only now does Bob learn that token 5 was granted after his call began.
        story.hears_held(BOB, 4).claims_again(BOB).grants(BOB, 6);
        story.fills(BOB, 6).breaks(broken);
    }
}

#[test]
fn s5_an_answer_to_a_flight_that_is_over_tells_nothing() {
    let next = crate::words::Who { flight: 2, ..BOB };
    let answered = |before: fn(&mut Story), after: fn(&mut Story)| {
        let mut story = Story::new();
        story.freshness = CHOOSY;
        story.calls(BOB);
        before(&mut story);
        story.hears_held(BOB, 4);
        after(&mut story);
        story.computes(ANN, 5).sends_claim(next).grants(next, 6);
        story.fills(next, 6);
        story
    };
    let claims = |it: &mut Story| {
        let next = crate::words::Who { flight: 2, ..BOB };
        _ = it.orders_claim(next);
    };
    answered(|_| (), claims).breaks(&["S5"]);
    answered(|it| _ = it.retires(BOB), claims).passes();
    // Until it is retired, whoever was aboard hears of it.
    answered(claims, |_| ()).breaks(&["S5"]);
}

#[test]
fn s5_an_answer_to_an_earlier_claim_tells_nothing_of_who_came_later() {
    // Alf boards after Ann's claim was ordered: its answer is not about him.
    let mut story = Story::new();
    story.freshness = CHOOSY;
    story.calls(ANN).joins(ALF).hears_held(ANN, 4);
    story.computes(BOB, 5).claims_again(ANN).grants(ANN, 6);
    story.branch(|it| _ = it.fills(ALF, 6)).passes();
    story.branch(|it| _ = it.fills(ANN, 6)).breaks(&["S5"]);
    // Nor does the answer to a claim that the flight has given up.
    let mut story = Story::new();
    story.freshness = CHOOSY;
    story.calls(BOB);
    let attempt = story.attempt(BOB);
    story.hears(BOB, Event::LockReleased).orders_claim(BOB);
    story.hears(
        BOB,
        Event::Held {
            attempt,
            token: Some(crate::words::token(4)),
            remaining: None,
        },
    );
    story.computes(ANN, 5).sends_claim(BOB).grants(BOB, 6);
    story.fills(BOB, 6).passes();
}

#[test]
fn s5_an_answer_to_a_flight_that_has_landed_is_heard_by_who_was_aboard() {
    // Ann's flight lands before its claim is answered; the second caller of her process flies on.
    let mut landed = Story::new();
    landed.freshness = CHOOSY;
    landed.calls(ANN).joins(AMY).claims_again(ANN);
    landed.lands(ANN, Outcome::TimedOut, None).claims(AMY);
    let mut story = landed.branch(|it| _ = it.hears_held(ANN, 4));
    story.computes(BOB, 5).grants(AMY, 6);
    story.fills(AMY, 6).breaks(&["S5"]);
    // Nobody keeps the flight for ever: what comes after its end is heard by nobody.
    landed.retires(ANN).hears_held(ANN, 4);
    landed.computes(BOB, 5).grants(AMY, 6);
    landed.fills(AMY, 6).passes();
}

#[test]
fn s5_a_value_that_is_no_value_to_somebody_is_no_reason() {
    for judgement in [Judgement::Absent, Judgement::Malformed] {
        granted(|_| {})
            .judges(BOB, 1, judgement)
            .fills(BOB, 2)
            .passes();
        // Somebody else found that out.
        let mut story = granted(|_| {});
        story.calls(CAT).judges(CAT, 1, judgement);
        story.fills(BOB, 2).passes();
        // Since then it has judged a newer one, which came after its grant.
        granted(|_| {})
            .judges(BOB, 1, judgement)
            .judges(BOB, 7, judgement)
            .fills(BOB, 2)
            .passes();
        // That was about another revision.
        granted(|_| {})
            .judges(BOB, 7, judgement)
            .fills(BOB, 2)
            .breaks(&["S5"]);
    }
    granted(|_| {})
        .judges(BOB, 1, Judgement::Stale)
        .fills(BOB, 2)
        .breaks(&["S5"]);
    granted(|_| {})
        .judges(BOB, 1, Judgement::Fresh)
        .fills(BOB, 2)
        .breaks(&["S7"]);
}

#[test]
fn s5_a_value_forgotten_since_the_grant_is_no_reason() {
    for (waits, broken) in [(0, &[][..]), (1, &[])] {
        granted(|_| {})
            .wait(waits)
            .forgets(2)
            .fills(BOB, 2)
            .breaks(broken);
    }
    // It was forgotten before, and written anew.
    let mut story = Story::new();
    story.forgets(1).wait(1).puts(ANN, 1, 2, 1);
    story.calls(BOB).grants(BOB, 1).fills(BOB, 1);
    story.breaks(&["S5"]);
}

#[test]
fn s5_is_about_fills_under_the_newest_lease_of_a_store_that_is_seen() {
    granted(|_| {}).fill_began(BOB, None).passes();
    granted(|_| {}).fills(BOB, 1).passes();
    let mut story = granted(|_| {});
    story.fault(0, Fault::WritesForgotten, 0);
    story.fills(BOB, 2).passes();
}
