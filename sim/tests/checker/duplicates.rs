//! S6 `ExcusedDuplicates`.

use oneflight_core::{OnAbort, Outcome, Unpublished};
use oneflight_sim::trace::Fault;

use crate::story::Story;
use crate::words::{ALF, AMY, ANN, BOB, CAT, CHOOSY, TTL};

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
