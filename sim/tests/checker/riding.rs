//! S7 `RideOrFill`.

use oneflight_core::{Event, Judgement, Outcome};
use oneflight_sim::trace::Fault;

use crate::story::Story;
use crate::words::{ANN, BOB, awaited};

#[test]
fn s7_no_fill_after_a_value_that_satisfies() {
    let mut story = Story::new();
    story.calls(BOB).judges(BOB, 1, Judgement::Fresh);
    story.branch(|it| _ = it.fills(BOB, 1)).breaks(&["S7"]);
    let mut story = Story::new();
    story.calls(BOB).judges(BOB, 1, Judgement::Stale);
    story.fills(BOB, 1).passes();
}

/// A grant has come while it was judging what had come before: the fill has to wait for the verdict.
#[test]
fn s7_who_judges_is_not_told_to_fill() {
    let mut story = Story::new();
    story.calls(BOB).hears_unavailable(BOB);
    story.arrives(BOB, 1).asks_to_judge(BOB, 1);
    story
        .branch(|it| _ = it.orders_fill(BOB, None))
        .breaks(&["S7"]);
    story
        .branch(|it| {
            it.judges(BOB, 1, Judgement::Stale).orders_fill(BOB, None);
        })
        .passes();
    // What was before counts no more.
    story
        .branch(|it| _ = it.arrives(BOB, 2).orders_fill(BOB, None))
        .passes();
    story.asks_to_judge(BOB, 2).judges(BOB, 1, Judgement::Stale);
    story.orders_fill(BOB, None).breaks(&["S7"]);
}

#[test]
fn s7_what_it_judges_between_the_order_and_the_fill_counts() {
    for (judgement, broken) in [(Judgement::Fresh, &["S7"][..]), (Judgement::Stale, &[])] {
        let mut story = Story::new();
        story.calls(BOB).hears_unavailable(BOB);
        story.orders_fill(BOB, None).judges(BOB, 1, judgement);
        story.fill_began(BOB, None).breaks(broken);
    }
}

#[test]
fn s7_what_a_newer_revision_has_replaced_satisfies_nobody() {
    for (arrived, broken) in [(1, &["S7"][..]), (2, &[])] {
        let mut story = Story::new();
        story.calls(BOB).arrives(BOB, arrived);
        story.judges(BOB, 1, Judgement::Fresh).fills(BOB, 1);
        story.breaks(broken);
    }
    // The newest one that has come counts, in whatever order they came.
    let mut story = Story::new();
    story.calls(BOB).arrives(BOB, 2).arrives(BOB, 1);
    story
        .judges(BOB, 1, Judgement::Fresh)
        .fills(BOB, 1)
        .passes();
}

#[test]
fn s7_what_a_fail_over_has_perhaps_undone_satisfies_nobody() {
    for (judged, broken) in [(2, &[][..]), (3, &["S7"])] {
        let mut story = Story::new();
        story.puts(ANN, 0, 2, 1).fault(0, Fault::WritesForgotten, 0);
        story.calls(BOB).judges(BOB, judged, Judgement::Fresh);
        story.fills(BOB, 1).breaks(broken);
    }
}

#[test]
fn s7_who_is_told_to_land_is_satisfied_by_nothing_else() {
    let mut story = Story::new();
    story.calls(BOB).orders_to_land(BOB, Outcome::TimedOut);
    story.judges(BOB, 1, Judgement::Fresh);
    story.landed(BOB, Outcome::TimedOut, None).passes();
}

/// Ann has filled, and lands with Bob's value.
fn rides(ann: impl FnOnce(&mut Story)) -> Story {
    let mut story = Story::new();
    story.puts(BOB, 0, 1, 1).calls(ANN).fills(ANN, 1);
    ann(&mut story);
    story.lands(ANN, awaited(1), Some(1));
    story
}

#[test]
fn s7_nobody_rides_after_a_fill_of_its_own() {
    rides(|story| _ = story.returns(ANN, Some(2))).breaks(&["S7"]);
    // It failed, was fenced, or lost its lease.
    rides(|story| _ = story.returns(ANN, None)).passes();
    rides(|story| {
        _ = story
            .hears_grant(ANN, 1)
            .returns(ANN, Some(2))
            .hears_fenced(ANN)
    })
    .passes();
    let attempt = oneflight_core::Attempt::new(99);
    let lost = Event::LeaseLost { attempt };
    rides(|story| {
        _ = story
            .hears_grant(ANN, 1)
            .hears(ANN, lost)
            .returns(ANN, Some(2))
    })
    .passes();
    // It was handed a lease that was lost before its fill began.
    rides(|story| {
        story.hears_grant(ANN, 2).hears(ANN, lost);
        story.fills(ANN, 2).returns(ANN, Some(3));
    })
    .passes();
    // It was another lease that was lost.
    rides(|story| {
        _ = story
            .hears_grant(ANN, 7)
            .returns(ANN, Some(2))
            .hears_fenced(ANN)
    })
    .breaks(&["S7"]);
    // That was about the fill before.
    rides(|story| {
        story
            .hears_grant(ANN, 1)
            .returns(ANN, Some(2))
            .hears_fenced(ANN);
        story.fills(ANN, 2).returns(ANN, Some(3));
    })
    .breaks(&["S7"]);
}
