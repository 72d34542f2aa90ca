//! S1 `TokenMonotonic`, S2 `OneHolder`, S3 `NoStalePublish`.

use oneflight_core::Command;
use oneflight_sim::trace::{Answer, Digest, Fault, Request};

use crate::story::Story;
use crate::words::{ANN, BOB, CAT, SECOND, TTL, revision, token};

/// Ann was granted a token, and gave it back; Bob has called.
fn freed(first: u64) -> Story {
    let mut story = Story::new();
    story.calls(ANN).grants(ANN, first).frees(ANN, first);
    story.wait(SECOND).calls(BOB);
    story
}

#[test]
fn s1_a_token_is_above_all_before() {
    freed(5).grants(BOB, 6).passes();
    freed(5).grants(BOB, 4).breaks(&["S1"]);
    freed(5).grants(BOB, 5).breaks(&["S1"]);
}

#[test]
fn s1_remembers_more_than_the_last_token() {
    let mut story = freed(5);
    story.grants(BOB, 4).frees(BOB, 4).calls(CAT);
    story.branch(|it| _ = it.grants(CAT, 5)).breaks(&["S1"; 2]);
    story.branch(|it| _ = it.grants(CAT, 6)).breaks(&["S1"]);
}

#[test]
fn s1_the_same_grant_again_is_no_new_one() {
    let mut story = Story::new();
    story.calls(ANN).grants(ANN, 5).grants(ANN, 5).passes();
}

#[test]
fn s1_a_lapsed_token_is_not_granted_again() {
    let mut story = Story::new();
    story.bounds = None;
    story.calls(ANN).grants(ANN, 5).wait(TTL).grants(ANN, 5);
    story.breaks(&["S1"]);
}

#[test]
fn s1_a_published_revision_is_above_all_before() {
    let mut story = Story::new();
    story.wins(ANN, 1).returns(ANN, Some(1));
    story.publishes(ANN, 1, 5, 1).wait(1);
    story.calls(BOB).grants(BOB, 2).fills(BOB, 2);
    story.returns(BOB, Some(2));
    // The grant says which generation is filled, so that the fill is no duplicate; it is redundant.
    story
        .branch(|it| _ = it.publishes(BOB, 2, 6, 2))
        .breaks(&["S5"]);
    for to in [4, 5] {
        story
            .branch(|it| _ = it.publishes(BOB, 2, to, 2))
            .breaks(&["S5", "S1"]);
    }
}

#[test]
fn s1_the_same_publish_again_is_no_new_one() {
    let mut story = Story::new();
    story.wins(ANN, 1).returns(ANN, Some(1));
    story.publishes(ANN, 1, 5, 1).publishes(ANN, 1, 5, 1);
    story.passes();
}

#[test]
fn s1_put_and_forget_are_above_all_before() {
    let mut story = Story::new();
    story.computes(ANN, 5);
    story.branch(|it| _ = it.forgets(6)).passes();
    story.branch(|it| _ = it.forgets(5)).breaks(&["S1"]);
    story.branch(|it| _ = it.puts(ANN, 5, 6, 7)).passes();
    story.branch(|it| _ = it.puts(ANN, 5, 5, 7)).breaks(&["S1"]);
    // Forgetting counts.
    story
        .branch(|it| _ = it.forgets(7).forgets(6))
        .breaks(&["S1"]);
}

#[test]
fn s1_a_store_that_forgets_is_not_judged_by_its_past() {
    for fault in [
        Fault::WritesForgotten,
        Fault::TokensForgotten,
        Fault::LockEvicted,
    ] {
        let mut story = freed(5);
        story.fault(0, fault, 0).grants(BOB, 4).passes();
        // Nor on keys that come up only later.
        let mut story = Story::new();
        story.fault(0, fault, 0);
        story.computes(ANN, 5).forgets(5).wait(1);
        story.calls(BOB).grants(BOB, 4).passes();
    }
    let mut story = freed(5);
    story.fault(0, Fault::StoreRestarted, 0).grants(BOB, 4);
    story.breaks(&["S1"]);
}

/// Ann was granted token 1, which lives for `TTL`; the store's clock is ahead enough to forget that.
fn held() -> Story {
    let mut story = Story::new();
    story.bounds = None;
    story.calls(ANN).grants(ANN, 1);
    story.ahead = TTL;
    story
}

#[test]
fn s2_a_lease_is_granted_when_the_last_has_lapsed() {
    let mut story = held();
    story.wait(TTL).calls(BOB).grants(BOB, 2).passes();
    let mut story = held();
    story.wait(TTL - 1).calls(BOB).grants(BOB, 2);
    story.breaks(&["S2"]);
}

#[test]
fn s2_a_renewal_prolongs_a_lease() {
    let mut story = held();
    story.ahead = 0;
    story.wait(SECOND).renews(ANN, 1);
    story.ahead = TTL;
    story
        .branch(|it| _ = it.wait(TTL).calls(BOB).grants(BOB, 2))
        .passes();
    story
        .branch(|it| _ = it.wait(TTL - 1).calls(BOB).grants(BOB, 2))
        .breaks(&["S2"]);
}

#[test]
fn s2_a_lease_ends_with_its_release_publish_or_forget() {
    let mut story = Story::new();
    story.wins(ANN, 1).returns(ANN, Some(1)).calls(BOB);
    story
        .branch(|it| _ = it.frees(ANN, 1).grants(BOB, 2))
        .passes();
    story
        .branch(|it| _ = it.publishes(ANN, 1, 1, 1).grants(BOB, 2))
        .passes();
    story.branch(|it| _ = it.forgets(1).grants(BOB, 2)).passes();
    story
        .branch(|it| _ = it.grants(BOB, 2))
        .breaks(&["Store", "S2"]);
}

#[test]
fn s2_a_store_that_publishes_then_releases_holds_the_lease_meanwhile() {
    let mut story = Story::new();
    story.profile.atomic_publish = false;
    story.wins(ANN, 1).returns(ANN, Some(1)).calls(BOB);
    story.publishes(ANN, 1, 1, 1);
    story
        .branch(|it| _ = it.grants(BOB, 2))
        .breaks(&["Store", "S2"]);
    story
        .branch(|it| _ = it.frees(ANN, 1).grants(BOB, 2))
        .passes();
}

#[test]
fn s2_a_renewal_of_any_but_the_newest_lease_is_refused() {
    let mut story = freed(1);
    story
        .branch(|it| _ = it.renews(ANN, 1))
        .breaks(&["Store", "S2"]);
    story.grants(BOB, 2);
    story.branch(|it| _ = it.renews(BOB, 2)).passes();
    story
        .branch(|it| _ = it.renews(ANN, 1))
        .breaks(&["Store", "S2"]);
    story
        .branch(|it| _ = it.fault(0, Fault::LockEvicted, 0).renews(ANN, 1))
        .passes();
    let mut story = Story::new();
    story.calls(ANN).renews(ANN, 1).breaks(&["Store", "S2"]);
}

#[test]
fn s3_a_publish_needs_the_newest_lease() {
    let mut story = Story::new();
    story.wins(ANN, 1).returns(ANN, Some(1)).calls(BOB);
    story
        .branch(|it| _ = it.publishes(ANN, 2, 1, 1))
        .breaks(&["Store", "S3"]);
    story
        .branch(|it| _ = it.frees(ANN, 1).publishes(ANN, 1, 1, 1))
        .breaks(&["Store", "S3"]);
    story
        .branch(|it| _ = it.frees(ANN, 1).grants(BOB, 2).publishes(ANN, 1, 1, 1))
        .breaks(&["Store", "S3"]);
    story.publishes(ANN, 1, 1, 1).passes();
}

#[test]
fn s3_a_publish_needs_a_lease_at_all() {
    let mut story = Story::new();
    story.calls(ANN).publishes(ANN, 1, 1, 1);
    story.breaks(&["Store", "S3"]);
    let mut story = Story::new();
    story.calls(ANN).fault(0, Fault::LockEvicted, 0);
    story.publishes(ANN, 1, 1, 1).passes();
}

#[test]
fn s3_no_publish_after_a_forget() {
    let mut story = Story::new();
    story.calls(ANN).grants(ANN, 1).fills(ANN, 1).forgets(1);
    story.returns(ANN, Some(1)).publishes(ANN, 1, 2, 1);
    // The fill began before the forget, but not in an earlier moment.
    story.breaks(&["Store", "S3"]);
}

#[test]
fn s3_a_put_knows_what_it_replaces() {
    let mut story = Story::new();
    story.computes(ANN, 5).calls(BOB);
    for (knows, broken) in [(5, &[][..]), (4, &["S3"])] {
        let seen = revision(knows);
        let mut story = story.clone();
        story.commands(BOB, Command::Put { seen });
        // What is sent says more than its caller knows: the store cannot tell.
        story.puts(BOB, 9, 10, 1).breaks(broken);
    }
    story.commands(BOB, Command::Put { seen: revision(4) });
    story
        .fault(0, Fault::WritesForgotten, 0)
        .puts(BOB, 9, 10, 1);
    story.passes();
}

#[test]
fn a_refusal_changes_nothing() {
    let mut story = Story::new();
    story.wins(ANN, 1).returns(ANN, Some(1));
    let (token, digest) = (token(1), Digest(1));
    for answer in [Answer::Refused, Answer::Malformed, Answer::Unavailable] {
        let publish = Request::Publish { token, digest };
        story.committed(ANN, publish, answer);
    }
    story.publishes(ANN, 1, 1, 1).passes();
}
