//! L2 `Prompt` and L4 `NoVainTimeout`: a lock that is free is claimed.

use std::time::Duration;

use oneflight_core::{Command, Event, Judgement, Outcome};
use oneflight_sim::trace::{Fault, Nanos};

use crate::story::Story;
use crate::words::{
    ALF, AMY, ANN, BOB, BOUNDS, CAT, MS, OTHER, PAUSE, ROUNDING, SECOND, SLACK, stale,
};

/// When somebody must have claimed a lock that was freed.
const CLAIMED: Nanos = BOUNDS.trip + PAUSE + ROUNDING + SLACK;

/// Bob listens while Ann gives the lock back.
fn freed() -> Story {
    freed_after(|_| {})
}

fn freed_after(before: impl FnOnce(&mut Story)) -> Story {
    let mut story = Story::new();
    story.calls(ANN).grants(ANN, 1).waits(BOB, 1).wait(SECOND);
    before(&mut story);
    story.frees(ANN, 1).leaves(ANN);
    story
}

fn claimed_late(story: &Story) -> Story {
    story.branch(|it| _ = it.wait(CLAIMED + 1).calls(AMY))
}

#[test]
fn l2_a_freed_lock_is_claimed() {
    freed()
        .hears(BOB, Event::LockReleased)
        .wait(CLAIMED)
        .claims(BOB)
        .passes();
    claimed_late(&freed()).breaks(&["L2"]);
    // Anybody will do, once.
    freed()
        .calls(CAT)
        .hears(BOB, Event::LockReleased)
        .wait(CLAIMED + 1)
        .claims(BOB)
        .passes();
}

#[test]
fn l2_the_longest_short_pause_of_all_who_wait_counts() {
    let patient = |max_backoff| {
        freed_after(|story| {
            story.policy.max_backoff = max_backoff;
            story.calls(CAT);
        })
    };
    let mut story = patient(Duration::from_millis(640));
    let claimed = CLAIMED - PAUSE + 10 * MS;
    story.hears(BOB, Event::LockReleased).wait(claimed);
    story.branch(|it| _ = it.claims(BOB)).passes();
    story.wait(1).claims(BOB).breaks(&["L2"]);
    claimed_late(&patient(Duration::from_millis(10))).breaks(&["L2"]);
    // It is never less than a millisecond.
    let mut story = Story::new();
    story.policy.max_backoff = Duration::ZERO;
    story
        .calls(ANN)
        .grants(ANN, 1)
        .waits(BOB, 1)
        .frees(ANN, 1)
        .leaves(ANN);
    let claimed = CLAIMED - PAUSE + MS;
    story.hears(BOB, Event::LockReleased).wait(claimed);
    story.branch(|it| _ = it.claims(BOB)).passes();
    story.wait(1).claims(BOB).breaks(&["L2"]);
}

#[test]
fn l2_a_forget_frees_the_lock_too() {
    let mut story = Story::new();
    story
        .calls(ANN)
        .grants(ANN, 1)
        .waits(BOB, 1)
        .wait(SECOND)
        .forgets(1);
    claimed_late(&story).breaks(&["L2"]);
}

#[test]
fn l2_a_lock_freed_by_a_publish_need_not_be_claimed() {
    let mut story = Story::new();
    story.profile.atomic_publish = false;
    story
        .wins(ANN, 1)
        .returns(ANN, Some(1))
        .waits(BOB, 1)
        .publishes(ANN, 1, 1, 1);
    let at_once = story.branch(|it| _ = it.frees(ANN, 1));
    claimed_late(&at_once).passes();
    claimed_late(&story.branch(|it| _ = it.wait(1).frees(ANN, 1))).breaks(&["L2"]);
}

#[test]
fn l2_a_lock_that_nobody_listens_to_is_claimed_by_nobody() {
    claimed_late(&freed_after(|story| _ = story.unwatches(BOB))).passes();
    claimed_late(&freed_after(|story| {
        _ = story.commands(BOB, Command::Unwatch)
    }))
    .passes();
    claimed_late(&freed_after(|story| _ = story.down(2))).passes();
    claimed_late(&freed_after(|story| {
        _ = story.fault(0, Fault::LockEvicted, 0)
    }))
    .passes();
    // Somebody else listens, or no longer does.
    claimed_late(&freed_after(|story| _ = story.unwatches(BOB).waits(CAT, 1))).breaks(&["L2"]);
    claimed_late(&freed_after(|story| _ = story.down(3))).breaks(&["L2"]);
    let mut story = freed();
    story.unwatches(BOB);
    claimed_late(&story).passes();
    let mut story = freed();
    story.unwatches(CAT);
    claimed_late(&story).breaks(&["L2"]);
    let mut story = freed();
    story.down(2);
    claimed_late(&story).passes();
    let mut story = freed();
    story.down(3);
    claimed_late(&story).breaks(&["L2"]);
    let mut story = freed();
    story.bounds = None;
    claimed_late(&story).passes();
}

#[test]
fn l2_who_listens_no_more_has_claimed() {
    let mut story = freed();
    story.wait(CLAIMED);
    story.branch(|it| _ = it.unwatches(BOB)).passes();
    story.wait(1);
    story.branch(|it| _ = it.unwatches(CAT)).passes();
    story.branch(|it| _ = it.unwatches(BOB)).breaks(&["L2"]);
    story
        .fault(0, Fault::LockEvicted, 0)
        .unwatches(BOB)
        .passes();
}

#[test]
fn l2_a_watch_begins_with_how_the_lock_stands() {
    let free = |before: fn(&mut Story)| {
        let mut story = Story::new();
        story
            .calls(ANN)
            .grants(ANN, 1)
            .calls(BOB)
            .hears_held(BOB, 1)
            .wait(MS);
        before(&mut story);
        story.watches(BOB).wait(MS);
        claimed_late(&story)
    };
    free(|_| {}).passes();
    free(|story| _ = story.frees(ANN, 1).wait(SECOND)).breaks(&["L2"]);
    // Not again, if it is due already.
    let mut story = freed();
    story
        .hears(BOB, Event::LockReleased)
        .wait(CLAIMED)
        .waits(CAT, 1)
        .passes();
    let mut story = freed();
    story.wait(CLAIMED / 2).watches(BOB).wait(CLAIMED / 2 + 1);
    story.calls(AMY).breaks(&["L2"]);
}

#[test]
fn l2_the_claim_is_suspended_by_faults() {
    for (node, broken) in [(0, &[][..]), (2, &[]), (1, &["L2"])] {
        let mut story = freed();
        story
            .hears(BOB, Event::LockReleased)
            .fault(node, Fault::PushLost, 0);
        claimed_late(&story).breaks(broken);
        // Before, while it listened: it may not have heard who holds the lock.
        let story = freed_after(|story| _ = story.fault(node, Fault::PushLost, 0).wait(MS));
        claimed_late(&story).breaks(broken);
    }
}

#[test]
fn l4_no_time_out_with_a_satisfying_value() {
    let mut story = Story::new();
    story.puts(ANN, 0, 1, 1).calls(BOB);
    story
        .branch(|it| _ = it.lands(BOB, Outcome::TimedOut, None))
        .passes();
    story
        .branch(|it| _ = it.lands(BOB, stale(1), Some(1)))
        .passes();
    story.judges(BOB, 1, Judgement::Fresh);
    story
        .branch(|it| _ = it.lands(BOB, Outcome::TimedOut, None))
        .breaks(&["L4"]);
    story
        .branch(|it| _ = it.lands(BOB, Outcome::Aborted, None))
        .passes();
}

fn times_out(story: &Story) -> Story {
    story.branch(|it| _ = it.wait(CLAIMED + 1).lands(BOB, Outcome::TimedOut, None))
}

#[test]
fn l4_no_time_out_with_the_lock_free() {
    times_out(&freed()).breaks(&["L4"]);
    freed()
        .wait(CLAIMED)
        .lands(BOB, Outcome::TimedOut, None)
        .passes();
    freed()
        .wait(CLAIMED + 1)
        .lands(BOB, Outcome::Aborted, None)
        .passes();
    // Somebody claimed; nobody was told; he does not wait.
    times_out(&freed().branch(|it| _ = it.calls(CAT))).passes();
    times_out(&freed_after(|story| _ = story.unwatches(BOB))).passes();
    times_out(&freed().branch(|it| _ = it.waits(CAT, 1).unwatches(BOB))).passes();
    times_out(&freed().branch(|it| _ = it.fault(2, Fault::PushLost, 0))).passes();
    times_out(&freed().branch(|it| _ = it.fault(1, Fault::PushLost, 0))).breaks(&["L4"]);
    let mut story = Story::new();
    story.policy.wait_timeout = Duration::ZERO;
    story.calls(ANN).grants(ANN, 1).waits(BOB, 1).frees(ANN, 1);
    times_out(&story).passes();
}

#[test]
fn l4_who_listens_for_another_key_is_not_concerned() {
    let mut story = freed();
    story.key = OTHER;
    story
        .joins(ALF)
        .wait(CLAIMED + 1)
        .lands(ALF, Outcome::TimedOut, None);
    story.passes();
    let mut story = freed();
    story
        .joins(ALF)
        .wait(CLAIMED + 1)
        .lands(ALF, Outcome::TimedOut, None);
    // Ann's process does not listen; Bob's does.
    story.passes();
}
