//! L8 `Herd` and L9 `Budget`: how much is asked of a store.

use oneflight_core::{Event, Notice};
use oneflight_sim::trace::{Fault, Request};

use crate::story::Story;
use crate::words::{ANN, BOB, OTHER, SECOND};

/// Ann and Bob claim in turn, so often.
fn claims(count: u32) -> Story {
    let mut story = Story::new();
    story.calls(ANN).calls(BOB);
    for number in 2..count {
        let who = if number % 2 == 0 { ANN } else { BOB };
        story.hears(who, Event::LockReleased).claims(who);
    }
    story
}

/// Two processes and the world; as many claims each, and some more. What a flight claims first is not
/// counted.
const HERD: u32 = (3 + 1) * 4 + 8 + 2;

#[test]
fn l8_claims_for_one_release_are_bounded() {
    claims(HERD).passes();
    claims(HERD + 1).breaks(&["L8"]);
    claims(HERD + 2).breaks(&["L8"; 2]);
}

#[test]
fn l8_counts_anew_after_each_grant() {
    let mut story = claims(HERD);
    story
        .grants(ANN, 1)
        .hears(ANN, Event::LockReleased)
        .claims(ANN);
    story.passes();
}

#[test]
fn l8_counts_each_key_alone() {
    let mut story = claims(HERD);
    story.hears(ANN, Event::LockReleased).orders_claim(ANN);
    story.key = OTHER;
    story.sends_claim(ANN).passes();
}

#[test]
fn l8_counts_processes() {
    let mut story = claims(HERD);
    // A third process: as many claims more.
    story.calls(crate::words::CAT);
    for _ in 0..4 {
        story.hears(ANN, Event::LockReleased).claims(ANN);
    }
    story.passes();
    story.hears(ANN, Event::LockReleased).claims(ANN);
    story.breaks(&["L8"]);
}

#[test]
fn l8_is_judged_while_nothing_ever_went_wrong() {
    for node in [0, 1, 2] {
        let mut story = Story::new();
        story.fault(node, Fault::RequestLost, 0);
        story.calls(ANN).calls(BOB);
        for _ in 2..=HERD {
            story.hears(ANN, Event::LockReleased).claims(ANN);
        }
        story.passes();
    }
}

#[test]
fn l9_a_flight_claims_once() {
    let mut story = Story::new();
    story.calls(ANN).claims(ANN).breaks(&["L9"]);
}

#[test]
fn l9_once_more_for_each_reason() {
    let attempt = oneflight_core::Attempt::new(99);
    for event in [Event::LockReleased, Event::WatchLost] {
        let mut story = Story::new();
        story.calls(ANN).hears(ANN, event).claims(ANN);
        story.branch(|it| _ = it.claims(ANN)).breaks(&["L9"]);
        story.hears(ANN, event).claims(ANN).passes();
    }
    for event in [Event::Fenced { attempt }, Event::LeaseLost { attempt }] {
        let mut story = Story::new();
        story.calls(ANN).hears(ANN, event).claims(ANN).claims(ANN);
        story.branch(|it| _ = it.claims(ANN)).breaks(&["L9"]);
        story.hears(ANN, event).claims(ANN).claims(ANN).passes();
    }
    let mut story = Story::new();
    story.calls(ANN).arrives(ANN, 1).claims(ANN);
    story.branch(|it| _ = it.claims(ANN)).breaks(&["L9"]);
    story.arrives(ANN, 2).claims(ANN).passes();
    let mut story = Story::new();
    story.calls(ANN).told(ANN, Notice::Tick, vec![]).claims(ANN);
    story.branch(|it| _ = it.claims(ANN)).breaks(&["L9"]);
    story.told(ANN, Notice::Tick, vec![]).claims(ANN).passes();
    // Another process's, or another flight's.
    let mut story = Story::new();
    story.calls(ANN).told(BOB, Notice::Tick, vec![]);
    story.hears(BOB, Event::LockReleased).claims(ANN);
    story.breaks(&["L9"]);
    // Nothing of this is a reason.
    let mut story = Story::new();
    story
        .calls(ANN)
        .hears_held(ANN, 1)
        .claims(ANN)
        .breaks(&["L9"]);
}

#[test]
fn l9_what_is_ordered_is_sent_once() {
    let mut story = Story::new();
    story.calls(ANN);
    story.branch(|it| _ = it.sends_claim(ANN)).breaks(&["L9"]);
    story.wait(SECOND).sends(ANN, Request::Read).passes();
}
