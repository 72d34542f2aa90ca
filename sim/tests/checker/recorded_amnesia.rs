//! A recording in which whoever troubled the store tells when it forgot.

use oneflight_core::Revision;
use oneflight_sim::trace::{Fault, Request};

use crate::recording::{recording, state, written};
use crate::store::granted;
use crate::story::Story;
use crate::words::{ANN, BOB, CAT, KEY, MS, TTL, who};

/// Whether the profile permits it, and whether it is told.
const CASES: [(bool, bool); 4] = [(true, true), (true, false), (false, true), (false, false)];

/// Tells that a store with this profile forgot its writes, or not; it took a while.
fn forgets(story: &mut Story, (permitted, told): (bool, bool)) {
    story.profile.may_forget_writes = permitted;
    story.wait(MS);
    if told {
        story.fault(0, Fault::WritesForgotten, 2 * MS);
    }
    story.wait(3 * MS);
}

/// Passes if the forgetting is permitted and told; else this is wrong.
#[track_caller]
fn is_excused(story: impl Fn(&mut Story, (bool, bool)), wrong: &[(&str, &str)]) {
    for case in CASES {
        let mut told = recording();
        story(&mut told, case);
        if case == (true, true) {
            told.passes();
        } else {
            told.breaks_as(wrong);
        }
    }
}

#[test]
fn s2_a_lease_may_be_forgotten() {
    is_excused(
        |story, case| {
            story.leases(ANN, 1);
            forgets(story, case);
            story.leases(BOB, 2);
        },
        &[("S2", "token 2 was granted by")],
    );
}

#[test]
fn s2_a_lease_granted_since_is_not_forgotten() {
    let mut story = recording();
    forgets(&mut story, (true, true));
    story.leases(ANN, 1).leases(BOB, 2);
    story.breaks_as(&[("S2", "token 2 was granted by")]);
}

#[test]
fn s1_a_revision_may_be_forgotten() {
    let wrong = ("S1", "sent after revision 3 was known");
    is_excused(
        |story, case| {
            story.writes(ANN, 1, 3);
            forgets(story, case);
            story.reads(BOB.node, state(0, None));
        },
        &[wrong],
    );
    // What is told only now may stand no more either; what is written now does.
    let mut story = recording();
    story.fills_and_sends(ANN, 1, 3);
    forgets(&mut story, (true, true));
    story.lands_with(ANN, 3).reads(BOB.node, state(0, None));
    story.passes();
    story.writes(CAT, 5, 5).reads(BOB.node, state(0, None));
    story.breaks_as(&[("S1", "sent after revision 5 was known")]);
}

#[test]
fn s1_an_answer_from_before_may_come_after() {
    let mut story = recording();
    story.writes(ANN, 1, 3);
    story.sends_aside(BOB.node, Request::Read);
    forgets(&mut story, (true, true));
    let bob = who(BOB.node, 0, 0);
    story.answered(bob, state(0, None)).passes();
}

#[test]
fn s6_a_generation_that_was_forgotten_is_filled_again() {
    is_excused(
        |story, case| {
            story.writes(ANN, 1, 3).closes(ANN.node);
            forgets(story, case);
            story.revisions.insert(KEY, Revision::NEVER);
            story.writes(BOB, 5, 5);
        },
        &[
            ("S6", "generation 0 was filled under token 5"),
            ("S3", "revision 5 was published under token 5, after"),
            ("S1", "sent after revision 3 was known"),
        ],
    );
}

#[test]
fn s14_a_forget_may_be_forgotten() {
    is_excused(
        |story, case| {
            story.asks_aside(CAT.node, Request::Forget, written(2));
            story.asks(BOB);
            forgets(story, case);
            story.revisions.insert(KEY, Revision::NEVER);
            story.answered(BOB, granted(5, 0, TTL)).hears_grant(BOB, 5);
            story.publishes_soon(BOB, 5, 5);
            story.sends(BOB, crate::recording::publish(5, 5));
            story.lands_with(BOB, 5);
        },
        &[
            ("S14", "granted before the forget of revision 2"),
            ("S1", "sent after revision 2 was known"),
        ],
    );
}
