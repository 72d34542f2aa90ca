//! L2 `Prompt`: who listens, lands.

use oneflight_core::{Command, Judgement, Outcome};
use oneflight_sim::trace::{Fault, Nanos};

use crate::story::Story;
use crate::words::{
    ANN, BOB, BOUNDS, CAT, CHOOSY, OTHER, SECOND, SLACK, awaited, cached, no_older_than,
};

/// When a publish must have landed whoever listens.
const HEARD: Nanos = BOUNDS.trip + 2 * BOUNDS.wake + SLACK;

/// Bob listens while Ann publishes revision 1.
fn published() -> Story {
    published_after(|_| {})
}

fn published_after(before: impl FnOnce(&mut Story)) -> Story {
    let mut story = Story::new();
    story.wins(ANN, 1).returns(ANN, Some(1)).waits(BOB, 1);
    before(&mut story);
    story.wait(SECOND).publishes(ANN, 1, 1, 1);
    story
}

fn late(story: &Story) -> Story {
    story.branch(|it| _ = it.wait(HEARD + 1).lands(BOB, awaited(1), Some(1)))
}

#[test]
fn l2_a_publish_lands_who_listens() {
    published()
        .wait(HEARD)
        .lands(BOB, awaited(1), Some(1))
        .passes();
    late(&published()).breaks(&["L2"]);
    // It is the same for one whose view may not be older than so much: it is new.
    late(&published_after(|story| {
        story.freshness = no_older_than(1);
        story.joins(crate::words::Who { call: 2, ..BOB });
    }))
    .breaks(&["L2"]);
}

#[test]
fn l2_everybody_aboard_lands() {
    let bill = crate::words::Who { call: 2, ..BOB };
    let mut story = published_after(|story| _ = story.joins(bill));
    story.wait(HEARD).lands(BOB, awaited(1), Some(1));
    story
        .branch(|it| _ = it.lands(bill, awaited(1), Some(1)))
        .passes();
    story
        .wait(1)
        .lands(bill, awaited(1), Some(1))
        .breaks(&["L2"]);
}

#[test]
fn l2_who_cannot_be_judged_for_is_not_concerned() {
    let choosy = |freshness| {
        let mut story = Story::new();
        story.wins(ANN, 1).returns(ANN, Some(1));
        story.freshness = freshness;
        story.waits(BOB, 1).wait(SECOND).publishes(ANN, 1, 1, 1);
        story
    };
    late(&choosy(CHOOSY)).passes();
    late(&choosy(no_older_than(1))).breaks(&["L2"]);
}

#[test]
fn l2_who_does_not_listen_is_not_concerned() {
    let mut story = Story::new();
    story.wins(ANN, 1).returns(ANN, Some(1)).calls(BOB);
    story.wait(SECOND).publishes(ANN, 1, 1, 1);
    late(&story).passes();
    late(&published_after(|story| _ = story.unwatches(BOB))).passes();
    // Somebody else's watch, or another flight's, has ended.
    late(&published_after(|story| {
        _ = story.waits(CAT, 1).unwatches(CAT)
    }))
    .breaks(&["L2"]);
    late(&published_after(|story| {
        story.unwatches(crate::words::Who { flight: 2, ..BOB });
    }))
    .breaks(&["L2"]);
    // It stops listening: it has something better to do.
    let mut story = published();
    story.commands(BOB, Command::Unwatch);
    late(&story).passes();
    // A call that has not boarded has no policy.
    let mut story = Story::new();
    story
        .wins(ANN, 1)
        .returns(ANN, Some(1))
        .began(BOB)
        .watches(BOB);
    story.publishes(ANN, 1, 1, 1);
    late(&story).passes();
}

#[test]
fn l2_who_stops_listening_has_landed_its_callers() {
    let unwatch = oneflight_core::Command::Unwatch;
    let mut story = published();
    story.wait(HEARD);
    story.branch(|it| _ = it.commands(BOB, unwatch)).passes();
    story.wait(1);
    story
        .branch(|it| _ = it.commands(BOB, unwatch))
        .breaks(&["L2"]);
    // What the store has forgotten it need not have heard.
    story
        .fault(0, Fault::WritesForgotten, 0)
        .commands(BOB, unwatch)
        .passes();
    // They have been told to land.
    let mut story = published();
    story.orders_to_land(BOB, awaited(1)).wait(HEARD + 1);
    story.commands(BOB, unwatch).passes();
}

#[test]
fn l2_who_fills_or_is_landing_is_not_concerned() {
    late(&published_after(|story| _ = story.fill_began(BOB, None))).passes();
    let mut story = published();
    story.fill_began(BOB, None);
    late(&story).passes();
    // Told to land before the publish: it wakes late, which is another matter.
    let mut story = published_after(|story| _ = story.orders_to_land(BOB, Outcome::TimedOut));
    story.wait(HEARD + 1).landed(BOB, Outcome::TimedOut, None);
    story.breaks(&["L2"]);
    assert!(story.judge()[0].story.contains("told to land"));
}

#[test]
fn l2_a_value_that_is_no_value_or_has_gone_lands_nobody() {
    for (judgement, broken) in [
        (Judgement::Absent, &[][..]),
        (Judgement::Malformed, &[]),
        (Judgement::Stale, &["L2"]),
    ] {
        let mut story = published();
        story.judges(BOB, 1, judgement);
        late(&story).breaks(broken);
    }
    let mut story = published();
    story.forgets(2);
    late(&story).passes();
    let mut story = published();
    story.key = OTHER;
    story.forgets(2);
    story.key = crate::words::KEY;
    late(&story).breaks(&["L2"]);
}

#[test]
fn l2_who_has_judged_a_newer_revision_has_moved_on() {
    for (judged, broken) in [(1, &["L2"][..]), (2, &[])] {
        let mut story = published();
        story.judges(BOB, judged, Judgement::Stale);
        late(&story).breaks(broken);
    }
}

#[test]
fn l2_is_suspended_by_faults() {
    for (node, broken) in [(0, &[][..]), (2, &[]), (1, &["L2"])] {
        let mut story = published();
        story.wait(HEARD).fault(node, Fault::PushLate, 0).wait(1);
        story.lands(BOB, awaited(1), Some(1)).breaks(broken);
        let before = published_after(|story| {
            story.fault(node, Fault::PushLate, SECOND);
        });
        late(&before).breaks(broken);
    }
    // Too early, or too late.
    late(&published_after(|story| {
        _ = story.fault(2, Fault::PushLate, SECOND - 1)
    }))
    .breaks(&["L2"]);
    let mut story = published();
    story.wait(HEARD + 1).fault(2, Fault::PushLate, 0);
    story.lands(BOB, awaited(1), Some(1)).breaks(&["L2"]);
    // Nothing excuses a store's clock that jumps.
    let mut story = published();
    story.fault(0, Fault::ClockJumped, SECOND);
    late(&story).breaks(&["L2"]);
    // These are ordinary life.
    for fault in [
        Fault::Cancelled,
        Fault::FillFailed,
        Fault::Forgotten,
        Fault::Garbled,
    ] {
        let mut story = published();
        story.fault(2, fault, SECOND);
        late(&story).breaks(&["L2"]);
    }
    let mut story = published();
    story.bounds = None;
    late(&story).passes();
}

/// Revision 1 stands when Bob begins to listen, after he was told that the lease is held.
fn stands(freshness: oneflight_sim::trace::Freshness, before: impl FnOnce(&mut Story)) -> Story {
    let mut story = Story::new();
    story
        .computes(CAT, 1)
        .wait(SECOND)
        .calls(ANN)
        .grants(ANN, 2);
    story.freshness = freshness;
    story.calls(BOB).hears_held(BOB, 2);
    before(&mut story);
    story.watches(BOB);
    story
}

#[test]
fn l2_a_watch_begins_with_what_stands() {
    let any = crate::words::ANY;
    let mut story = stands(any, |_| {});
    story.wait(HEARD).lands(BOB, cached(1), Some(1)).passes();
    late(&stands(any, |_| {})).breaks(&["L2"]);
    late(&stands(CHOOSY, |_| {})).passes();
    late(&stands(no_older_than(SECOND), |_| {})).passes();
    late(&stands(any, |story| {
        _ = story.judges(BOB, 1, Judgement::Stale)
    }))
    .passes();
    late(&stands(any, |story| {
        _ = story.judges(BOB, 0, Judgement::Absent)
    }))
    .breaks(&["L2"]);
    late(&stands(any, |story| {
        _ = story.fault(0, Fault::WritesForgotten, 0)
    }))
    .passes();
    late(&stands(any, |story| _ = story.fill_began(BOB, None))).passes();
    let mut story = stands(any, |_| {});
    story.bounds = None;
    late(&story).passes();
    // It was told to land before.
    let mut story = stands(any, |story| _ = story.orders_to_land(BOB, cached(1)));
    story.landed(BOB, cached(1), Some(1)).passes();
    // The promise of the publish is older than that of the watch.
    let mut story = published();
    story.wait(HEARD / 2).watches(BOB).wait(HEARD / 2 + 1);
    story.lands(BOB, awaited(1), Some(1)).breaks(&["L2"]);
}

#[test]
fn l2_who_is_told_to_land_wakes() {
    let wakes = 2 * BOUNDS.wake;
    let mut story = published();
    story.orders_to_land(BOB, awaited(1)).wait(wakes);
    story
        .branch(|it| _ = it.landed(BOB, awaited(1), Some(1)))
        .passes();
    story.wait(1);
    story
        .branch(|it| _ = it.landed(BOB, awaited(1), Some(1)))
        .breaks(&["L2"]);
    story
        .branch(|it| {
            _ = it
                .fault(2, Fault::Paused, 0)
                .landed(BOB, awaited(1), Some(1))
        })
        .passes();
    story.bounds = None;
    story.landed(BOB, awaited(1), Some(1)).passes();
}
