//! S4 `Provenance`, S9 `HonestFailure`, S10 `HonestStale`, S14 `Forgotten`, S17 `LocalCopiesFollow`:
//! what becomes of values.

use oneflight_core::{Judgement, OnFenced, OnUnavailable, Outcome, Unpublished};
use oneflight_sim::trace::{Fault, What};

use crate::story::Story;
use crate::words::{ALF, ANN, BOB, BOUNDS, CAT, OTHER, SECOND, awaited, cached, computed, stale};

const NOT_COORDINATED: Outcome = Outcome::Computed { revision: None };
const LOST: Outcome = Outcome::Unpublished {
    cause: Unpublished::Unavailable,
};
const REFUSED: Outcome = Outcome::Unpublished {
    cause: Unpublished::Refused,
};

#[test]
fn s4_a_ridden_value_was_committed_before_under_its_revision() {
    let mut story = Story::new();
    story.calls(BOB).computes(ANN, 3);
    for outcome in [awaited(3), cached(3), stale(3)] {
        story
            .branch(|it| _ = it.lands(BOB, outcome, Some(3)))
            .passes();
        story
            .branch(|it| _ = it.lands(BOB, outcome, Some(4)))
            .breaks(&["S4"]);
        story
            .branch(|it| _ = it.lands(BOB, outcome, None))
            .breaks(&["S4"]);
    }
    story
        .branch(|it| _ = it.lands(BOB, awaited(2), Some(3)))
        .breaks(&["S4"]);
    story.key = OTHER;
    story
        .branch(|it| _ = it.calls(CAT).lands(CAT, awaited(3), Some(3)))
        .breaks(&["S4"]);
}

#[test]
fn s4_a_value_that_nobody_has_committed_is_served_to_nobody() {
    let mut story = Story::new();
    story.calls(BOB).wins(ANN, 1).returns(ANN, Some(1));
    story.lands(BOB, awaited(1), Some(1)).breaks(&["S4"]);
}

#[test]
fn s4_without_the_stores_commits_only_labels_are_judged() {
    let mut story = Story::new();
    story.sees_store = false;
    story.calls(BOB);
    story
        .branch(|it| _ = it.lands(BOB, awaited(1), Some(1)))
        .passes();
    story
        .branch(|it| _ = it.lands(BOB, awaited(1), None))
        .breaks(&["S4"]);
}

#[test]
fn s4_a_store_that_forgets_may_have_served_it() {
    let mut story = Story::new();
    story.calls(BOB).computes(ANN, 3);
    story.fault(0, Fault::WritesForgotten, 0);
    story.lands(BOB, awaited(2), Some(7)).passes();
}

#[test]
fn s4_what_is_shared_without_the_store_was_computed_in_the_same_process() {
    let shared = Outcome::Awaited { revision: None };
    let mut story = Story::new();
    story.computes(CAT, 9).calls(BOB).calls(ANN).joins(ALF);
    story.fill_began(ANN, None).returns(ANN, Some(1));
    story
        .branch(|it| _ = it.lands(ALF, shared, Some(1)))
        .passes();
    story
        .branch(|it| _ = it.lands(ALF, shared, Some(2)))
        .breaks(&["S4"]);
    story
        .branch(|it| _ = it.lands(BOB, shared, Some(1)))
        .breaks(&["S4"]);
}

#[test]
fn s4_what_was_shared_too_long_ago_to_be_remembered_is_not_judged() {
    let shared = Outcome::Awaited { revision: None };
    for (fills, broken) in [(255, &["S4"][..]), (256, &[])] {
        let mut story = Story::new();
        story.calls(ANN).joins(ALF).fill_began(ANN, None);
        for _ in 0..fills {
            story.returns(ANN, Some(1));
        }
        story.lands(ALF, shared, Some(2)).breaks(broken);
    }
}

#[test]
fn s4_who_computed_gets_its_own() {
    let mut story = Story::new();
    story
        .wins(ANN, 1)
        .returns(ANN, Some(1))
        .publishes(ANN, 1, 1, 1);
    let unheard = story.clone();
    for outcome in [NOT_COORDINATED, LOST] {
        unheard
            .branch(|it| _ = it.lands(ANN, outcome, Some(1)))
            .passes();
        for value in [Some(2), None] {
            unheard
                .branch(|it| _ = it.lands(ANN, outcome, value))
                .breaks(&["S4"]);
        }
    }
    story.hears_published(ANN, 1);
    story
        .branch(|it| _ = it.lands(ANN, computed(1), Some(1)))
        .passes();
    for value in [Some(2), None] {
        story
            .branch(|it| _ = it.lands(ANN, computed(1), value))
            .breaks(&["S4"]);
    }
}

#[test]
fn s4_a_passenger_of_a_fill_that_could_not_be_published_has_no_value() {
    let mut story = Story::new();
    story.wins(ANN, 1).joins(ALF).returns(ANN, Some(1));
    story.lands(ALF, LOST, None).passes();
}

#[test]
fn s4_of_the_oldest_writes_nothing_is_known() {
    let written = |count: u64| {
        let mut story = Story::new();
        story.calls(BOB).calls(ANN).grants(ANN, 1);
        for revision in 1..=count {
            story.puts(ANN, revision - 1, revision, revision);
        }
        story
    };
    for count in [2, 255] {
        let mut story = written(count);
        story
            .branch(|it| _ = it.lands(BOB, awaited(1), Some(1)))
            .passes();
        story.lands(BOB, awaited(1), Some(999)).breaks(&["S4"]);
    }
    for count in [511, 512, 513, 600, 1000] {
        written(count).lands(BOB, awaited(1), Some(1)).passes();
    }
}

#[test]
fn s9_a_definite_failure_does_not_leave_its_value() {
    let mut story = Story::new();
    story.policy.on_fenced = OnFenced::Error;
    story.policy.on_unavailable = OnUnavailable::Error;
    story.wins(ANN, 1).returns(ANN, Some(1));
    let failures = [
        Outcome::Aborted,
        Outcome::Panicked,
        Outcome::TimedOut,
        Outcome::Fenced,
        Outcome::Unavailable,
        Outcome::Refused,
        Outcome::Malformed,
        REFUSED,
        Outcome::Unpublished {
            cause: Unpublished::Malformed,
        },
    ];
    for outcome in failures {
        let value = matches!(outcome, Outcome::Unpublished { .. }).then_some(1);
        story
            .branch(|it| _ = it.lands(ANN, outcome, value))
            .passes();
        // It stands already.
        story
            .branch(|it| _ = it.publishes(ANN, 1, 1, 1).lands(ANN, outcome, value))
            .breaks(&["S9"]);
        // It is written only then.
        story
            .branch(|it| _ = it.lands(ANN, outcome, value).publishes(ANN, 1, 1, 1))
            .breaks(&["S9"]);
        // It was replaced meanwhile: nobody will see it.
        story
            .branch(|it| {
                it.publishes(ANN, 1, 1, 1).forgets(2);
                it.lands(ANN, outcome, value);
            })
            .passes();
        story
            .branch(|it| {
                it.publishes(ANN, 1, 1, 1)
                    .fault(0, Fault::WritesForgotten, 0);
                it.lands(ANN, outcome, value);
            })
            .passes();
        story
            .branch(|it| {
                it.lands(ANN, outcome, value)
                    .fault(0, Fault::WritesForgotten, 0);
                it.publishes(ANN, 1, 1, 1);
            })
            .passes();
    }
}

#[test]
fn s9_what_is_uncertain_may_be_committed() {
    for outcome in [NOT_COORDINATED, LOST] {
        let mut story = Story::new();
        story.wins(ANN, 1).returns(ANN, Some(1));
        story
            .branch(|it| _ = it.publishes(ANN, 1, 1, 1).lands(ANN, outcome, Some(1)))
            .passes();
        story.lands(ANN, outcome, Some(1)).publishes(ANN, 1, 1, 1);
        story.passes();
    }
}

#[test]
fn s9_what_a_failed_call_computed_earlier_is_not_its_failure() {
    let mut story = Story::new();
    story.wins(ANN, 1).returns(ANN, Some(1)).forgets(1);
    story.claims_again(ANN).grants(ANN, 2).fills(ANN, 2);
    story
        .returns(ANN, Some(2))
        .lands(ANN, Outcome::TimedOut, None);
    story.branch(|it| _ = it.publishes(ANN, 2, 2, 1)).passes();
    story
        .branch(|it| _ = it.publishes(ANN, 2, 2, 2))
        .breaks(&["S9"]);
}

#[test]
fn s9_a_failure_is_one_that_the_policy_allows() {
    let mut story = Story::new();
    story.calls(ANN);
    story
        .branch(|it| _ = it.lands(ANN, Outcome::Unavailable, None))
        .breaks(&["S9"]);
    story
        .branch(|it| _ = it.lands(ANN, Outcome::Fenced, None))
        .breaks(&["S9"]);
    story.fills(ANN, 1);
    story
        .branch(|it| _ = it.lands(ANN, Outcome::Fenced, None))
        .breaks(&["S9"]);
    // Whoever is overtaken twice may give up.
    story
        .fills(ANN, 2)
        .lands(ANN, Outcome::Fenced, None)
        .passes();
    let mut story = Story::new();
    story.policy.on_fenced = OnFenced::Error;
    story.policy.on_unavailable = OnUnavailable::Error;
    story.calls(ANN);
    for outcome in [Outcome::Unavailable, Outcome::Fenced] {
        story.branch(|it| _ = it.lands(ANN, outcome, None)).passes();
    }
}

#[test]
fn s10_a_stale_landing_serves_the_newest_that_it_has_seen() {
    let mut story = Story::new();
    story.computes(BOB, 1).computes(CAT, 2).calls(ANN);
    story
        .judges(ANN, 1, Judgement::Stale)
        .judges(ANN, 2, Judgement::Stale);
    let story = story;
    story
        .branch(|it| _ = it.lands(ANN, stale(2), Some(2)))
        .breaks(&["S5"]);
    story
        .branch(|it| _ = it.lands(ANN, stale(1), Some(1)))
        .breaks(&["S5", "S10"]);
    story
        .branch(|it| _ = it.lands(ANN, cached(1), Some(1)))
        .breaks(&["S5"]);
    // An older one that comes late is not what it has seen last.
    story
        .branch(|it| {
            _ = it
                .judges(ANN, 1, Judgement::Stale)
                .lands(ANN, stale(1), Some(1))
        })
        .breaks(&["S5", "S10"]);
}

#[test]
fn s10_a_satisfied_call_does_not_land_stale() {
    let mut story = Story::new();
    story
        .computes(BOB, 1)
        .calls(ANN)
        .judges(ANN, 1, Judgement::Fresh);
    story
        .branch(|it| _ = it.lands(ANN, stale(1), Some(1)))
        .breaks(&["S10", "L4"]);
    story.lands(ANN, cached(1), Some(1)).passes();
}

#[test]
fn s14_a_fill_that_began_before_a_forget_is_not_written_after_it() {
    for (waits, broken) in [(1, &["S14"][..]), (0, &[])] {
        let mut story = Story::new();
        story
            .calls(ANN)
            .fill_began(ANN, None)
            .wait(waits)
            .forgets(1);
        story.wait(1).returns(ANN, Some(1));
        story.branch(|it| _ = it.puts(ANN, 1, 2, 1)).breaks(broken);
        // A value that is none of this fill's.
        story.branch(|it| _ = it.puts(ANN, 1, 2, 7)).passes();
        story.fault(0, Fault::WritesForgotten, 0).puts(ANN, 1, 2, 1);
        story.passes();
    }
}

#[test]
fn s14_a_later_fill_may_be_written() {
    let mut story = Story::new();
    story.calls(ANN).forgets(1).wait(1).fill_began(ANN, None);
    story.returns(ANN, Some(1)).puts(ANN, 1, 2, 1).passes();
}

/// Ann's process hears of changes since some time; Bob has replaced revision 1 by 2.
fn replaced() -> Story {
    let mut story = Story::new();
    story.record(1, What::Changes { connected: true });
    story.wait(1).computes(BOB, 1).wait(SECOND).forgets(2);
    story
}

/// A push and a moment.
const PUSH: u64 = BOUNDS.trip + BOUNDS.wake;

#[test]
fn s17_a_local_copy_is_gone_one_push_after_its_change() {
    replaced().wait(PUSH).hits(ANN, 1, 1).passes();
    replaced().wait(PUSH + 1).hits(ANN, 1, 1).breaks(&["S17"]);
    // It is the first change that counts.
    replaced()
        .wait(PUSH)
        .forgets(3)
        .wait(1)
        .hits(ANN, 1, 1)
        .breaks(&["S17"]);
    // What is not a local copy is judged otherwise.
    let mut story = replaced();
    story
        .wait(PUSH + 1)
        .began(ANN)
        .lands(ANN, cached(1), Some(1));
    story.passes();
}

#[test]
fn s17_the_newest_copy_may_be_served() {
    let mut story = replaced();
    story.computes(CAT, 3).wait(SECOND).hits(ANN, 3, 3).passes();
}

#[test]
fn s17_is_not_judged_while_the_change_stream_is_down() {
    let mut story = replaced();
    story.record(1, What::Changes { connected: false });
    story.wait(PUSH + 1).hits(ANN, 1, 1).passes();
    let mut story = replaced();
    story.record(1, What::Changes { connected: true });
    story.wait(PUSH + 1).hits(ANN, 1, 1).passes();
    // Nobody else's stream counts.
    let mut story = replaced();
    story.record(2, What::Changes { connected: false });
    story.wait(PUSH + 1).hits(ANN, 1, 1).breaks(&["S17"]);
}

#[test]
fn s17_is_suspended_by_faults() {
    for (node, broken) in [(0, &[][..]), (1, &[]), (2, &["S17"])] {
        let mut story = replaced();
        story.fault(node, Fault::PushLost, 0);
        story.wait(PUSH + 1).hits(ANN, 1, 1).breaks(broken);
    }
    let mut story = replaced();
    story.fault(0, Fault::WritesForgotten, 0);
    story.wait(PUSH + 1).hits(ANN, 1, 1).passes();
    let mut story = replaced();
    story.bounds = None;
    story.wait(PUSH + 1).hits(ANN, 1, 1).passes();
}

#[test]
fn s10_what_is_judged_after_the_order_to_land_comes_too_late() {
    for (ordered_first, broken) in [(true, &[][..]), (false, &["S10"])] {
        let stale = stale(1);
        let mut story = Story::new();
        story.puts(ANN, 0, 1, 1).calls(BOB);
        story.judges(BOB, 1, Judgement::Stale);
        if ordered_first {
            story.orders_to_land(BOB, stale);
            story.judges(BOB, 2, Judgement::Fresh);
        } else {
            story.judges(BOB, 2, Judgement::Fresh);
            story.orders_to_land(BOB, stale);
        }
        let found = story.landed(BOB, stale, Some(1)).judge();
        let s10 = found.iter().filter(|it| it.invariant.starts_with("S10"));
        assert_eq!(s10.count(), broken.len(), "{found:?}");
    }
}
