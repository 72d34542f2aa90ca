//! S5 `NoRedundantFill`, S6 `ExcusedDuplicates`, S7 `RideOrFill`.

use oneflight_core::{Event, Judgement, OnAbort, Outcome, Unpublished};
use oneflight_sim::trace::{Fault, Nanos};

use crate::story::Story;
use crate::words::{
    ALF, AMY, ANN, BOB, BOUNDS, CAT, CHOOSY, MS, ROUNDING, SECOND, SLACK, TTL, awaited,
    no_older_than,
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

/// Ann has filled a generation that nobody published, in some way; Bob was granted the next lease.
fn next(ann: impl FnOnce(&mut Story)) -> Story {
    let mut story = Story::new();
    story.wins(ANN, 1);
    ann(&mut story);
    story.calls(BOB).grants(BOB, 2);
    story
}

#[test]
fn s6_two_fills_of_a_generation_need_an_excuse() {
    let mut story = next(|story| _ = story.frees(ANN, 1));
    story.passes();
    story.fills(BOB, 2).breaks(&["S6"]);
}

#[test]
fn s6_an_excuse_is_good_for_one_fill() {
    let excuses: [fn(&mut Story); 6] = [
        // It failed.
        |story| _ = story.returns(ANN, None).frees(ANN, 1),
        // It was abandoned underway, or before its publish was acknowledged.
        |story| _ = story.leaves(ANN).frees(ANN, 1),
        |story| _ = story.returns(ANN, Some(1)).leaves(ANN).frees(ANN, 1),
        // It could not be published.
        |story| {
            story.returns(ANN, Some(1)).orders_to_land(
                ANN,
                Outcome::Unpublished {
                    cause: Unpublished::Unavailable,
                },
            );
            story.frees(ANN, 1);
        },
        |story| {
            let local = Outcome::Computed { revision: None };
            story.returns(ANN, Some(1)).orders_to_land(ANN, local);
            story.frees(ANN, 1);
        },
        // It lapsed.
        |story| {
            story.bounds = None;
            story.wait(TTL);
        },
    ];
    for excuse in excuses {
        let mut story = next(excuse);
        story.fills(BOB, 2).passes();
        story.frees(BOB, 2).calls(CAT).grants(CAT, 3);
        story.passes();
        story.fills(CAT, 3).breaks(&["S6"]);
    }
}

#[test]
fn s6_what_is_no_fault_is_no_excuse() {
    let none: [fn(&mut Story); 4] = [
        // It ended otherwise.
        |story| {
            _ = story
                .returns(ANN, Some(1))
                .frees(ANN, 1)
                .orders_to_land(ANN, Outcome::TimedOut)
        },
        // Somebody else left, or was abandoned without a fill.
        |story| _ = story.joins(ALF).leaves(ALF).frees(ANN, 1),
        // A fill without a lease is none of this generation; nor is its landing.
        |story| {
            story.frees(ANN, 1).calls(CAT).fill_began(CAT, None);
            story.returns(CAT, Some(3));
            story.orders_to_land(CAT, Outcome::Computed { revision: None });
        },
        // A value that was acknowledged: its caller may go.
        |story| {
            story.returns(ANN, Some(1)).hears_published(ANN, 5);
            story.leaves(ANN).frees(ANN, 1);
        },
    ];
    for story in none {
        next(story).fills(BOB, 2).breaks(&["S6"]);
    }
}

#[test]
fn s6_a_fill_without_a_lease_excuses_none_under_one() {
    let none: [fn(&mut Story); 2] = [
        |story| _ = story.returns(CAT, None),
        |story| _ = story.leaves(CAT),
    ];
    for ending in none {
        let mut story = next(|story| {
            story.frees(ANN, 1).calls(CAT).fill_began(CAT, None);
            ending(story);
        });
        story.fills(BOB, 2).breaks(&["S6"]);
    }
}

#[test]
fn s6_a_new_generation_has_no_past() {
    let mut story = Story::new();
    story.freshness = CHOOSY;
    story.wins(ANN, 1).returns(ANN, None).frees(ANN, 1);
    story.calls(BOB).grants(BOB, 2).fills(BOB, 2);
    story.returns(BOB, Some(2)).publishes(BOB, 2, 1, 2);
    story.calls(AMY).grants(AMY, 3).fills(AMY, 3).passes();
    // The excuse was for the last one.
    story.frees(AMY, 3).calls(CAT).grants(CAT, 4).fills(CAT, 4);
    story.breaks(&["S6"]);
}

#[test]
fn s6_a_lapse_is_charged_to_its_own_generation() {
    let mut story = Story::new();
    story.bounds = None;
    story.freshness = CHOOSY;
    // Cat's lease lapses without a fill; what was written meanwhile is another generation.
    story.wins(ANN, 1).returns(ANN, Some(1)).frees(ANN, 1);
    story.puts(ANN, 0, 1, 1);
    story.calls(CAT).grants(CAT, 2).wait(TTL);
    story
        .claims_again(CAT)
        .grants(CAT, 3)
        .fills(CAT, 3)
        .frees(CAT, 3);
    story.calls(BOB).grants(BOB, 4).fills(BOB, 4);
    story.breaks(&["S6"]);
}

#[test]
fn s6_is_suspended_by_a_store_that_forgets() {
    let mut story = next(|story| _ = story.frees(ANN, 1));
    story.fault(0, Fault::LockEvicted, 0).fills(BOB, 2).passes();
}

#[test]
fn s6_a_shared_failure_ends_the_calls_that_share_it() {
    let failed = |outcome, also_alf, on_abort| {
        let mut story = Story::new();
        story.policy.on_abort = on_abort;
        story.wins(ANN, 1).joins(ALF);
        let mut orders = vec![story.land_order(ANN, outcome)];
        if also_alf {
            orders.push(story.land_order(ALF, outcome));
        }
        story.returns_with(ANN, None, orders);
        story
    };
    for outcome in [Outcome::Aborted, Outcome::Panicked] {
        failed(outcome, true, OnAbort::Share).passes();
        failed(outcome, false, OnAbort::Share).breaks(&["S6"]);
        failed(outcome, false, OnAbort::Promote).passes();
    }
    // Its pilot did not land with it.
    failed(Outcome::TimedOut, false, OnAbort::Share).passes();
    // It was no failure.
    let mut story = Story::new();
    story.wins(ANN, 1).joins(ALF);
    let orders = vec![story.land_order(ANN, Outcome::Aborted)];
    story.returns_with(ANN, Some(1), orders).passes();
    // Whoever has gone shares nothing.
    let mut story = Story::new();
    story.wins(ANN, 1).joins(ALF).leaves(ALF);
    let orders = vec![story.land_order(ANN, Outcome::Aborted)];
    story.returns_with(ANN, None, orders).passes();
}

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
