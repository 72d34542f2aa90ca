//! The reference model of the store: each answer is the contract's.

use oneflight_sim::trace::{Answer, Digest, Fault, Nanos, Request, What};

use crate::story::Story;
use crate::words::{ANN, BOB, CAT, SECOND, TTL, revision, token};

pub(crate) fn granted(number: u64, generation: u64, remaining: Nanos) -> Answer {
    Answer::Granted {
        token: token(number),
        remaining,
        generation: revision(generation),
    }
}

pub(crate) fn held(number: u64, remaining: Option<Nanos>) -> Answer {
    let token = token(number);
    Answer::Held { token, remaining }
}

pub(crate) fn newer(to: u64, by: Option<u64>, value: u64) -> Answer {
    Answer::Newer {
        revision: revision(to),
        token: by.map(token),
        digest: Digest(value),
        latest: Some(token(1)),
    }
}

impl Story {
    /// The store answers a claim of somebody who has seen this revision.
    fn answers_claim(&mut self, who: crate::words::Who, seen: u64, answer: Answer) -> &mut Self {
        let Request::Claim { attempt, ttl, .. } = self.claim(who) else {
            unreachable!("that is what a claim is");
        };
        let seen = revision(seen);
        self.committed(who, Request::Claim { attempt, seen, ttl }, answer)
    }
}

/// Revision 1 stands, published by Ann under token 1; Bob and Cat have called.
fn published() -> Story {
    let mut story = Story::new();
    story.computes(ANN, 1).wait(1).calls(BOB).calls(CAT);
    story
}

#[test]
fn a_claim_of_one_who_has_not_seen_the_newest_gets_that() {
    published()
        .answers_claim(BOB, 0, newer(1, Some(1), 1))
        .passes();
    for wrong in [
        newer(2, Some(1), 1),
        newer(1, Some(2), 1),
        newer(1, None, 1),
        newer(1, Some(1), 2),
        held(1, Some(TTL)),
        granted(2, 1, TTL),
    ] {
        published().answers_claim(BOB, 0, wrong).breaks(&["Store"]);
    }
}

#[test]
fn a_claim_of_one_who_has_seen_it_gets_the_lease() {
    published()
        .answers_claim(BOB, 1, granted(2, 1, TTL))
        .passes();
    for wrong in [
        newer(1, Some(1), 1),
        held(1, Some(TTL)),
        granted(2, 0, TTL),
        granted(2, 1, TTL - 1),
        Answer::Renewed,
    ] {
        let mut story = published();
        story.answers_claim(BOB, 1, wrong);
        let found = story.judge();
        assert_eq!(found[0].invariant, "Store", "{wrong:?}: {found:?}");
    }
}

#[test]
fn a_key_that_was_forgotten_has_no_newer_value() {
    let mut story = Story::new();
    story.forgets(1).calls(BOB);
    story.answers_claim(BOB, 0, granted(1, 1, TTL)).passes();
}

#[test]
fn a_store_that_leases_then_reads_may_grant_over_a_newer_value() {
    let mut story = Story::new();
    story.profile.atomic_claim = false;
    story.computes(ANN, 1).calls(BOB);
    story.answers_claim(BOB, 0, granted(2, 1, TTL)).passes();
}

/// Bob holds token 1 since a second.
fn holds() -> Story {
    let mut story = Story::new();
    story.bounds = None;
    story.calls(BOB).grants(BOB, 1).calls(CAT).wait(SECOND);
    story
}

#[test]
fn a_held_lock_is_nobody_elses() {
    let rest = TTL - SECOND;
    holds().answers_claim(CAT, 0, held(1, Some(rest))).passes();
    for wrong in [
        held(2, Some(rest)),
        held(1, Some(rest + 1)),
        held(1, None),
        newer(1, Some(1), 1),
    ] {
        holds().answers_claim(CAT, 0, wrong).breaks(&["Store"]);
    }
    holds()
        .answers_claim(CAT, 0, granted(2, 0, TTL))
        .breaks(&["Store", "S2"]);
}

#[test]
fn a_lock_is_held_until_its_lapse() {
    let mut story = holds();
    story.wait(TTL - SECOND - 1);
    story
        .branch(|it| _ = it.answers_claim(CAT, 0, held(1, Some(1))))
        .passes();
    story
        .wait(1)
        .answers_claim(CAT, 0, held(1, Some(0)))
        .breaks(&["Store"]);
}

#[test]
fn a_claim_repeated_by_its_own_attempt_is_the_same_claim() {
    let rest = TTL - SECOND;
    holds().answers_claim(BOB, 0, granted(1, 0, rest)).passes();
    holds()
        .answers_claim(BOB, 0, granted(1, 0, TTL))
        .breaks(&["Store"]);
    holds()
        .answers_claim(BOB, 0, held(1, Some(rest)))
        .breaks(&["Store"]);
    let mut story = holds();
    story.profile.idempotent_claim = false;
    story.answers_claim(BOB, 0, held(1, Some(rest))).passes();
    // It prolongs nothing.
    let mut story = holds();
    story
        .answers_claim(BOB, 0, granted(1, 0, rest))
        .wait(SECOND);
    story
        .answers_claim(CAT, 0, held(1, Some(rest - SECOND)))
        .passes();
    // A renewal does, and is the same claim's.
    let mut story = holds();
    story.renews(BOB, 1).wait(SECOND);
    story
        .branch(|it| _ = it.answers_claim(CAT, 0, held(1, Some(TTL - SECOND))))
        .passes();
    story
        .answers_claim(BOB, 0, granted(1, 0, TTL - SECOND))
        .passes();
}

#[test]
fn a_renewal_is_the_newest_leases() {
    let ttl = TTL;
    let renew = |number| Request::Renew {
        token: token(number),
        ttl,
    };
    holds().committed(BOB, renew(1), Answer::Renewed).passes();
    holds()
        .committed(BOB, renew(1), Answer::Lost)
        .breaks(&["Store"]);
    holds().committed(BOB, renew(2), Answer::Lost).passes();
    holds()
        .frees(BOB, 1)
        .committed(BOB, renew(1), Answer::Lost)
        .passes();
}

#[test]
fn a_lapsed_holder_may_go_on_if_the_profile_says_so() {
    let renew = Request::Renew {
        token: token(1),
        ttl: TTL,
    };
    for (may, right, wrong) in [
        (true, Answer::Renewed, Answer::Lost),
        (false, Answer::Lost, Answer::Renewed),
    ] {
        let mut story = holds();
        story.profile.lapsed_holder_may_publish = may;
        story.wait(TTL - SECOND - 1);
        story
            .branch(|it| _ = it.committed(BOB, renew, Answer::Renewed))
            .passes();
        story.wait(1);
        story
            .branch(|it| _ = it.committed(BOB, renew, right))
            .passes();
        story.committed(BOB, renew, wrong).breaks(&["Store"]);
    }
}

fn publish(number: u64) -> Request {
    let (token, digest) = (token(number), Digest(1));
    Request::Publish { token, digest }
}

fn as_revision(number: u64) -> Answer {
    let revision = revision(number);
    Answer::Published { revision }
}

#[test]
fn a_publish_under_the_newest_lease_is_accepted() {
    holds().committed(BOB, publish(1), as_revision(1)).passes();
    holds()
        .committed(BOB, publish(1), Answer::Fenced)
        .breaks(&["Store"]);
    holds().committed(BOB, publish(2), Answer::Fenced).passes();
    holds()
        .committed(BOB, publish(2), as_revision(1))
        .breaks(&["Store", "S3"]);
    holds()
        .frees(BOB, 1)
        .committed(BOB, publish(1), Answer::Fenced)
        .passes();
}

#[test]
fn a_publish_repeated_has_the_same_answer() {
    let mut story = holds();
    story.committed(BOB, publish(1), as_revision(5));
    story
        .branch(|it| _ = it.committed(BOB, publish(1), as_revision(5)))
        .passes();
    story
        .branch(|it| _ = it.committed(BOB, publish(1), Answer::Fenced))
        .breaks(&["Store"]);
    story
        .branch(|it| _ = it.committed(BOB, publish(1), as_revision(6)))
        .breaks(&["Store", "S3"]);
    // The value is what was written first.
    let other = Request::Publish {
        token: token(1),
        digest: Digest(2),
    };
    story.committed(BOB, other, as_revision(5));
    story.answers_claim(CAT, 0, newer(5, Some(1), 1)).passes();
    // Another lease's publish is another one.
    story
        .answers_claim(CAT, 5, granted(2, 5, TTL))
        .committed(CAT, publish(2), as_revision(6));
    story.passes();
}

#[test]
fn a_publish_frees_the_lock_if_the_profile_says_so() {
    for (atomic, answer) in [
        (true, granted(2, 5, TTL)),
        (false, held(1, Some(TTL - SECOND))),
    ] {
        let mut story = holds();
        story.profile.atomic_publish = atomic;
        story.committed(BOB, publish(1), as_revision(5));
        story.answers_claim(CAT, 5, answer).passes();
    }
}

#[test]
fn a_release_frees_what_stands() {
    let release = |number| Request::Release {
        token: token(number),
    };
    for (number, freed) in [(1, true), (2, false)] {
        holds()
            .committed(BOB, release(number), Answer::Released { freed })
            .passes();
        let freed = !freed;
        holds()
            .committed(BOB, release(number), Answer::Released { freed })
            .breaks(&["Store"]);
    }
    let mut story = holds();
    story.committed(BOB, release(2), Answer::Released { freed: false });
    story
        .answers_claim(CAT, 0, held(1, Some(TTL - SECOND)))
        .passes();
    story.committed(BOB, release(1), Answer::Released { freed: true });
    story.answers_claim(CAT, 0, granted(2, 0, TTL)).passes();
}

#[test]
fn a_put_replaces_what_its_caller_knows() {
    let put = |seen| Request::Put {
        seen: revision(seen),
        digest: Digest(7),
    };
    let (written, kept) = (
        |number| Answer::Written {
            revision: revision(number),
        },
        |number| Answer::Kept {
            revision: revision(number),
        },
    );
    published().committed(BOB, put(1), written(2)).passes();
    published().committed(BOB, put(2), written(2)).passes();
    published().committed(BOB, put(0), kept(1)).passes();
    published()
        .committed(BOB, put(1), kept(1))
        .breaks(&["Store"]);
    published()
        .committed(BOB, put(0), kept(2))
        .breaks(&["Store"]);
    published()
        .committed(BOB, put(0), written(2))
        .breaks(&["Store"]);
    let mut story = published();
    story.committed(BOB, put(1), written(2));
    story.answers_claim(CAT, 1, newer(2, None, 7)).passes();
}

#[test]
fn a_forget_is_done() {
    published().forgets(2).passes();
    published()
        .committed(BOB, Request::Forget, Answer::Lost)
        .breaks(&["Store"]);
}

#[test]
fn a_read_tells_how_things_stand() {
    let state = |to, value: Option<u64>| Answer::State {
        revision: revision(to),
        digest: value.map(Digest),
    };
    let mut story = Story::new();
    story
        .branch(|it| _ = it.committed(BOB, Request::Read, state(0, None)))
        .passes();
    story
        .branch(|it| _ = it.committed(BOB, Request::Read, state(0, Some(1))))
        .breaks(&["Store"]);
    story.computes(ANN, 1).calls(BOB);
    story
        .branch(|it| _ = it.committed(BOB, Request::Read, state(1, Some(1))))
        .passes();
    for wrong in [state(1, Some(2)), state(1, None), state(2, Some(1))] {
        story
            .branch(|it| _ = it.committed(BOB, Request::Read, wrong))
            .breaks(&["Store"]);
    }
    story
        .forgets(2)
        .committed(BOB, Request::Read, state(2, None))
        .passes();
    story.answers_claim(BOB, 2, granted(2, 2, TTL)).passes();
}

#[test]
fn a_refusal_is_no_answer_of_the_register() {
    for answer in [Answer::Refused, Answer::Malformed, Answer::Unavailable] {
        let mut story = holds();
        story
            .answers_claim(CAT, 0, answer)
            .committed(BOB, publish(1), answer);
        story
            .answers_claim(CAT, 0, held(1, Some(TTL - SECOND)))
            .passes();
    }
}

#[test]
fn a_store_that_has_forgotten_is_not_held_to_it() {
    let mut story = holds();
    story.fault(0, Fault::WritesForgotten, 0);
    story.answers_claim(CAT, 0, newer(7, None, 7)).passes();
}

#[test]
fn what_is_written_is_what_was_sent() {
    let mut story = holds();
    story.sends(BOB, publish(1));
    story
        .branch(|it| _ = it.committed(BOB, publish(1), as_revision(1)))
        .passes();
    let other = Request::Publish {
        token: token(1),
        digest: Digest(2),
    };
    story
        .committed(BOB, other, as_revision(1))
        .breaks(&["Store"]);
    let put = |value| Request::Put {
        seen: revision(0),
        digest: Digest(value),
    };
    let written = Answer::Written {
        revision: revision(1),
    };
    let mut story = holds();
    story.sends(BOB, put(1));
    story
        .branch(|it| _ = it.committed(BOB, put(1), written))
        .passes();
    story.committed(BOB, put(2), written).breaks(&["Store"]);
}

#[test]
fn what_comes_back_is_what_the_store_answered() {
    let hears = |story: &Story, id, answer| {
        story.branch(|it| _ = it.record(BOB.node, What::Answered { id, answer }))
    };
    let mut story = Story::new();
    story.calls(BOB).grants(BOB, 1).calls(CAT);
    hears(&story, 0, granted(1, 0, TTL)).passes();
    hears(&story, 0, granted(2, 0, TTL)).breaks(&["Store"]);
    hears(&story, 1, granted(1, 0, TTL)).breaks(&["Store"]);
    hears(&story, 0, newer(1, None, 1)).breaks(&["Store"]);
    for answer in [Answer::Refused, Answer::Malformed, Answer::Unavailable] {
        hears(&story, 0, answer).passes();
    }
    // A store that leases, then reads, puts its answer together.
    let mut composite = story.clone();
    composite.profile.atomic_claim = false;
    hears(&composite, 0, newer(1, None, 1)).passes();
    hears(&composite, 0, held(1, None)).breaks(&["Store"]);
    // Nothing is known of a store that is not seen.
    let mut unseen = Story::new();
    unseen.sees_store = false;
    unseen.calls(BOB);
    hears(&unseen, 0, granted(1, 0, TTL)).passes();
}

#[test]
fn the_highest_token_so_far_is_the_highest() {
    let latest = |number: Option<u64>| Answer::Newer {
        revision: revision(1),
        token: Some(token(1)),
        digest: Digest(1),
        latest: number.map(token),
    };
    published().answers_claim(BOB, 0, latest(Some(1))).passes();
    published().answers_claim(BOB, 0, latest(None)).passes();
    published()
        .answers_claim(BOB, 0, latest(Some(2)))
        .breaks(&["Store"]);
    let mut story = published();
    story.grants(BOB, 5).frees(BOB, 5);
    story
        .branch(|it| _ = it.answers_claim(CAT, 0, latest(Some(5))))
        .passes();
    story
        .answers_claim(CAT, 0, latest(Some(1)))
        .breaks(&["Store"]);
}
