//! L1 `Terminates`, L2 `Prompt`, L4 `NoVainTimeout`.

use std::time::Duration;

use oneflight_core::{Command, Event, Judgement, Outcome};
use oneflight_sim::trace::{Fault, Nanos};

use crate::story::{
    ALF, AMY, ANN, BOB, BOUNDS, CAT, CHOOSY, MS, OTHER, PAUSE, ROUNDING, SECOND, SLACK, Story,
    awaited, cached, no_older_than, stale,
};

/// When a call must have ended, from its beginning on.
const DEADLINE: Nanos = 35 * SECOND + ROUNDING + SLACK;

#[test]
fn l1_a_call_ends_by_its_deadline() {
    let mut story = Story::new();
    story.calls(BOB).wait(DEADLINE);
    story
        .branch(|it| _ = it.lands(BOB, Outcome::TimedOut, None))
        .passes();
    let mut late = story.branch(|it| _ = it.wait(1));
    late.branch(|it| _ = it.lands(BOB, Outcome::TimedOut, None))
        .breaks(&["L1"]);
    late.bounds = None;
    late.lands(BOB, Outcome::TimedOut, None).passes();
}

#[test]
fn l1_a_deadline_is_kept_by_a_clock_that_may_be_wrong() {
    let mut story = Story::new();
    story.bounds.as_mut().unwrap().drift_ppm = 100;
    // 110 ppm of 35 s.
    story.calls(BOB).wait(DEADLINE + 3_850_000);
    story
        .branch(|it| _ = it.lands(BOB, Outcome::TimedOut, None))
        .passes();
    story
        .wait(1)
        .lands(BOB, Outcome::TimedOut, None)
        .breaks(&["L1"]);
}

#[test]
fn l1_a_fill_takes_what_it_takes() {
    let mut story = Story::new();
    story
        .calls(BOB)
        .fill_began(BOB, None)
        .wait(2 * DEADLINE)
        .returns(BOB, None);
    story.lands(BOB, Outcome::Aborted, None).passes();
}

#[test]
fn l1_who_does_not_wait_has_no_deadline() {
    let mut story = Story::new();
    story.policy.wait_timeout = Duration::ZERO;
    story
        .calls(BOB)
        .wait(DEADLINE)
        .lands(BOB, Outcome::TimedOut, None);
    story.passes();
}

#[test]
fn l1_a_process_that_stands_still_ends_nothing() {
    let late = |fault, node, begins: Nanos, ends: Nanos| {
        let mut story = Story::new();
        story.at(begins).fault(node, fault, ends - begins);
        story.at(2 * SECOND).calls(BOB).wait(DEADLINE + 1);
        story.lands(BOB, Outcome::TimedOut, None);
        story
    };
    late(Fault::Paused, 2, SECOND, 2 * SECOND).passes();
    late(Fault::Paused, 2, SECOND, 2 * SECOND - 1).breaks(&["L1"]);
    late(Fault::Paused, 3, SECOND, 2 * SECOND).breaks(&["L1"]);
    late(Fault::Delayed, 2, SECOND, 2 * SECOND).breaks(&["L1"]);
    let mut story = Story::new();
    story
        .calls(BOB)
        .wait(DEADLINE + 1)
        .fault(2, Fault::Paused, 0);
    story.lands(BOB, Outcome::TimedOut, None).passes();
}

#[test]
fn l1_nothing_is_open_at_the_end() {
    let mut story = Story::new();
    story.branch(|it| _ = it.ends()).passes();
    story
        .branch(|it| _ = it.ends_with(&["call 1 is open"]))
        .breaks(&["L1"]);
    story
        .branch(|it| _ = it.ends_with(&["it goes in circles"]))
        .breaks(&["L1"]);
    story.ends_with(&["call 1 is open", "node 1 still watches"]);
    story.breaks(&["L1", "L7"]);
}

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
        story.joins(crate::story::Who { call: 2, ..BOB });
    }))
    .breaks(&["L2"]);
}

#[test]
fn l2_everybody_aboard_lands() {
    let bill = crate::story::Who { call: 2, ..BOB };
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
        story.unwatches(crate::story::Who { flight: 2, ..BOB });
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
    story.key = crate::story::KEY;
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
    let any = crate::story::ANY;
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

#[test]
fn l1_no_call_is_open_at_the_end() {
    let mut story = Story::new();
    story.puts(CAT, 0, 1, 1).calls(BOB);
    story.branch(|it| _ = it.ends()).breaks(&["L1"]);
    story
        .branch(|it| _ = it.lands(BOB, awaited(1), Some(1)).ends())
        .passes();
    story.branch(|it| _ = it.leaves(BOB).ends()).passes();
    story.branch(|it| _ = it.down(2).ends()).passes();
    story.down(1).ends().breaks(&["L1"]);
}
