//! S8 `OneLanding`, S11 `NoPoison`, S13 `Isolation`.

use oneflight_core::{
    Attempt, Command, FlightId, Notice, Order, Outcome, PassengerId, Revision, Verdict,
};

use crate::story::Story;
use crate::words::{ALF, ANN, BOB, KEY, OTHER, awaited, cached, computed, revision};

/// Bob has called; revision 1 stands.
fn called() -> Story {
    let mut story = Story::new();
    story.puts(ANN, 0, 1, 1).calls(BOB);
    story
}

#[test]
fn s8_a_call_ends_once() {
    called().lands(BOB, awaited(1), Some(1)).passes();
    called().leaves(BOB).passes();
    called()
        .lands(BOB, awaited(1), Some(1))
        .landed(BOB, awaited(1), Some(1))
        .breaks(&["S8"]);
    called()
        .lands(BOB, awaited(1), Some(1))
        .leaves(BOB)
        .breaks(&["S8"]);
    called().leaves(BOB).leaves(BOB).breaks(&["S8"]);
    called()
        .leaves(BOB)
        .landed(BOB, awaited(1), Some(1))
        .breaks(&["S8"]);
}

#[test]
fn s8_a_call_ends_that_has_begun() {
    called()
        .landed(ALF, Outcome::TimedOut, None)
        .breaks(&["S8"]);
    called().leaves(ALF).breaks(&["S8"]);
    called()
        .began(ALF)
        .landed(ALF, Outcome::TimedOut, None)
        .passes();
}

#[test]
fn s8_nobody_of_a_dead_process_lands() {
    called()
        .down(2)
        .landed(BOB, awaited(1), Some(1))
        .breaks(&["S8"]);
    called().down(1).landed(BOB, awaited(1), Some(1)).passes();
    // Who had landed before is not concerned.
    called().lands(BOB, awaited(1), Some(1)).down(2).passes();
}

#[test]
fn s8_a_call_is_told_to_land_once() {
    let mut story = called();
    story
        .orders_to_land(BOB, awaited(1))
        .orders_to_land(BOB, awaited(1));
    story.landed(BOB, awaited(1), Some(1)).breaks(&["S8"]);
}

#[test]
fn s8_computed_is_a_fill_of_its_own() {
    let local = Outcome::Computed { revision: None };
    // Without a fill there is no value of its own either.
    called().lands(BOB, local, Some(1)).breaks(&["S4", "S8"]);
    called()
        .lands(BOB, computed(1), Some(1))
        .breaks(&["S4", "S8"]);
    let mut story = called();
    story.fill_began(BOB, None).returns(BOB, Some(1));
    story
        .branch(|it| _ = it.lands(BOB, local, Some(1)))
        .passes();
    // It was not acknowledged.
    story.lands(BOB, computed(1), Some(1)).breaks(&["S8"]);
}

#[test]
fn s8_computed_was_acknowledged_with_its_revision() {
    let mut story = Story::new();
    story
        .wins(ANN, 1)
        .returns(ANN, Some(1))
        .publishes(ANN, 1, 5, 1);
    story.hears_published(ANN, 5);
    story
        .branch(|it| _ = it.lands(ANN, computed(4), Some(1)))
        .breaks(&["S4", "S8"]);
    story
        .branch(|it| _ = it.lands(ANN, computed(5), Some(1)))
        .passes();
    // It is no hit then.
    story
        .branch(|it| _ = it.lands(ANN, cached(5), Some(1)))
        .breaks(&["S8"]);
}

#[test]
fn s8_an_acknowledgement_is_of_the_last_fill() {
    let mut story = Story::new();
    story
        .wins(ANN, 1)
        .returns(ANN, Some(1))
        .publishes(ANN, 1, 5, 1);
    story
        .branch(|it| {
            it.joins(ALF).hears_published(ANN, 5);
            it.lands(ALF, computed(5), Some(1));
        })
        .breaks(&["S4", "S8"]);
    // The answer came before the fill had a value: it is about something else.
    let mut story = Story::new();
    story
        .wins(ANN, 1)
        .hears_published(ANN, 5)
        .returns(ANN, Some(1));
    story.lands(ANN, computed(5), Some(1)).breaks(&["S4", "S8"]);
    // A second fill has not been published yet.
    let mut story = Story::new();
    story
        .calls(ANN)
        .fill_began(ANN, None)
        .returns(ANN, Some(1))
        .hears_published(ANN, 5);
    story.fill_began(ANN, None).returns(ANN, Some(1));
    story.lands(ANN, computed(5), Some(1)).breaks(&["S4", "S8"]);
}

#[test]
fn s11_a_value_that_does_not_decode_ends_only_who_cares() {
    let mut story = called();
    story.lands(BOB, Outcome::Malformed, None).passes();
    let mut story = Story::new();
    story.freshness.malformed_as_absent = true;
    story.calls(BOB);
    story
        .branch(|it| _ = it.lands(BOB, Outcome::Malformed, None))
        .breaks(&["S11"]);
    story.lands(BOB, Outcome::Aborted, None).passes();
}

#[test]
fn s13_a_notice_orders_nothing_for_another_key() {
    let orders = |key| {
        let flight = FlightId { key, number: 1 };
        let (passenger, attempt) = (PassengerId(1), Attempt::new(1));
        [
            Order::Command {
                flight: flight.clone(),
                command: Command::Watch,
            },
            Order::Judge {
                key,
                passenger,
                revision: Revision::NEVER,
            },
            Order::Fill {
                flight: flight.clone(),
                passenger,
                attempt,
                lease: Some(oneflight_core::Lease {
                    token: crate::words::token(1),
                    expires: oneflight_core::Instant::NEVER,
                    generation: Revision::NEVER,
                }),
            },
            Order::Land {
                key,
                passenger,
                outcome: Outcome::TimedOut,
            },
            Order::Retired { flight },
        ]
    };
    let mut story = Story::new();
    story.calls(ANN);
    story.key = OTHER;
    story.joins(ALF);
    for (index, order) in orders(OTHER).into_iter().enumerate() {
        story
            .branch(|it| _ = it.orders(ALF, order.clone()))
            .passes();
        story.key = KEY;
        story
            .branch(|it| _ = it.orders(ANN, order.clone()))
            .breaks(&["S13"]);
        // Time passes for all keys.
        story
            .branch(|it| _ = it.told(ANN, Notice::Tick, vec![order.clone()]))
            .passes();
        let verdict = Verdict {
            revision: revision(index as u64),
            ..Verdict::UNKNOWN
        };
        let judged = Notice::Judged {
            key: KEY,
            passenger: PassengerId(1),
            verdict,
        };
        story
            .branch(|it| _ = it.told(ANN, judged, vec![order]))
            .breaks(&["S13"]);
        story.key = OTHER;
    }
}
