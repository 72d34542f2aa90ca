//! L1 `Terminates`.

use std::time::Duration;

use oneflight_core::Outcome;
use oneflight_sim::trace::{Fault, Nanos};

use crate::story::Story;
use crate::words::{BOB, CAT, ROUNDING, SECOND, SLACK, awaited};

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
    late.wait(crate::words::SECOND)
        .lands(BOB, Outcome::TimedOut, None)
        .passes();
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
