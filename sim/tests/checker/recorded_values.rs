//! What the answers in a recording tell of values: S1, S3, S4, S14.

use oneflight_core::{
    Arrival, Attempt, Command, Judgement, Notice, Outcome, PassengerId, Revision, Verdict,
};
use oneflight_sim::trace::{Answer, Digest, Name, Request};

use crate::recording::{locked, named, publish, published, recording, state, unclocked, written};
use crate::store::granted;
use crate::story::Story;
use crate::words::{
    ANN, BOB, CAT, KEY, MS, OTHER, SECOND, TTL, Who, cached, computed, revision, token, who,
};

/// Somebody's second call.
const DAN: Who = who(3, 8, 8);

fn newer(to: u64, by: Option<u64>, value: u64) -> Answer {
    Answer::Newer {
        revision: revision(to),
        token: by.map(token),
        digest: Digest(value),
        latest: None,
    }
}

#[test]
fn s4_what_is_published_a_fill_has_returned() {
    let sends = |who: Who, value: u64| {
        let mut story = recording();
        story.leases(ANN, 1).publishes_soon(ANN, 1, 1);
        story.sends_aside(who.node, publish(1, value));
        story
    };
    let wrong: &[(&str, &str)] = &[("S4", "is published, which no fill here returned")];
    sends(ANN, 1).passes();
    sends(ANN, 2).breaks_as(wrong);
    sends(BOB, 1).breaks_as(wrong);
    let puts = |who: Who, value: u64| {
        let mut story = recording();
        story.leases(ANN, 1).publishes_soon(ANN, 1, 1);
        let (seen, digest) = (Revision::NEVER, Digest(value));
        story.sends_aside(who.node, Request::Put { seen, digest });
        story
    };
    let wrong: &[(&str, &str)] = &[("S4", "is put, which no fill here returned")];
    puts(ANN, 1).passes();
    puts(ANN, 2).breaks_as(wrong);
    puts(BOB, 1).breaks_as(wrong);
}

#[test]
fn s4_what_is_shared_a_fill_has_returned() {
    let shares = |revision: Option<Revision>, value: Option<u64>| {
        let mut story = recording();
        story.leases(ANN, 1).publishes_soon(ANN, 1, 1);
        let outcome = Outcome::Awaited { revision };
        let other = who(ANN.node, 2, 1);
        story.joins(other).lands(other, outcome, value);
        let found = story.judge();
        found
            .iter()
            .any(|it| it.story.contains("which no fill here returned"))
    };
    assert!(!shares(None, Some(1)));
    assert!(shares(None, Some(2)));
    assert!(!shares(None, None));
    assert!(!shares(Some(revision(3)), Some(2)));
    let mut story = recording();
    story.joins(ANN).lands(ANN, Outcome::TimedOut, Some(2));
    let found = story.judge();
    assert!(!found.iter().any(|it| it.story.contains("which no fill")));
}

#[test]
fn s4_a_revision_is_one_value() {
    let mut story = recording();
    story.writes(ANN, 1, 1);
    story
        .branch(|it| _ = it.reads(BOB.node, state(1, Some(1))))
        .passes();
    story
        .branch(|it| _ = it.reads(BOB.node, state(1, None)))
        .passes();
    let wrong: &[(&str, &str)] = &[("S4", " is Some(Digest(1)) and Some(Digest(2))")];
    story
        .branch(|it| _ = it.reads(BOB.node, state(1, Some(2))))
        .breaks_as(wrong);
    let lands = |value| story.branch(|it| _ = it.joins(BOB).lands(BOB, cached(1), Some(value)));
    lands(1).passes();
    let found = lands(2).judge();
    assert!(
        found
            .iter()
            .any(|it| it.story.contains(" and Some(Digest(2))"))
    );
}

#[test]
fn s4_no_value_stands_at_no_revision() {
    let wrong: &[(&str, &str)] = &[("S4", "a value without a revision")];
    let mut story = recording();
    story.reads(BOB.node, state(0, None)).passes();
    story.reads(BOB.node, state(0, Some(1))).breaks_as(wrong);
    let mut story = recording();
    story.joins(BOB).arrives(BOB, 0).breaks_as(wrong);
}

#[test]
fn s1_a_revision_stands_under_one_token() {
    let mut story = recording();
    story.writes(ANN, 1, 1).joins(BOB);
    let arrives = |by: Option<u64>, value: bool| {
        let notice = Notice::Arrived {
            flight: story.flight(BOB),
            attempt: None,
            latest: None,
            arrival: Arrival {
                revision: revision(1),
                token: by.map(token),
                value,
            },
        };
        story.branch(|it| _ = it.told(BOB, notice, vec![]))
    };
    let wrong: &[(&str, &str)] = &[("S1", " stands under Some(")];
    arrives(Some(1), true).passes();
    arrives(Some(2), true).breaks_as(wrong);
    arrives(None, true).breaks_as(wrong);
    // A revision without a value is a forget's, or it is not known whose.
    arrives(None, false).passes();
    let judges = |by: Option<u64>, judgement: Judgement| {
        let verdict = Verdict {
            revision: revision(1),
            token: by.map(token),
            judgement,
        };
        let (key, passenger) = (KEY, PassengerId(BOB.call));
        let notice = Notice::Judged {
            key,
            passenger,
            verdict,
        };
        story.branch(|it| _ = it.told(BOB, notice, vec![]))
    };
    judges(Some(1), Judgement::Stale).passes();
    judges(Some(2), Judgement::Stale).breaks_as(wrong);
    judges(Some(2), Judgement::Absent).passes();
    let boards = |by: Option<u64>| {
        let known = Verdict {
            revision: revision(1),
            token: by.map(token),
            judgement: Judgement::Stale,
        };
        let (key, passenger, policy) = (KEY, PassengerId(CAT.call), story.policy);
        let notice = Notice::Boarded {
            key,
            passenger,
            policy,
            known,
        };
        story.branch(|it| _ = it.began(CAT).told(CAT, notice, vec![]))
    };
    boards(Some(1)).passes();
    boards(Some(2)).breaks_as(wrong);
}

/// Both have a lease over nothing; Bob's is the later one.
fn two_leases() -> Story {
    let mut story = recording();
    story.leases(ANN, 1).publishes_soon(ANN, 1, 1);
    story.at(SECOND + 10 * TTL);
    story.leases(BOB, 2).publishes_soon(BOB, 2, 2);
    story
}

#[test]
fn s3_nothing_is_published_under_an_overtaken_lease() {
    let wrong: &[(&str, &str)] = &[("S3", "was published under token")];
    let publishes = |first: (Who, u64), second: (Who, u64)| {
        let mut story = two_leases();
        for ((who, number), to) in [(first, 1), (second, 2)] {
            story.sends(who, publish(number, number));
            story.answered(who, published(to));
        }
        story
    };
    publishes((BOB, 2), (ANN, 1)).breaks_as(wrong);
    // Its lease was granted before.
    publishes((ANN, 1), (BOB, 2)).breaks_as(wrong);
    let mut story = recording();
    story.writes(ANN, 1, 1).writes(BOB, 2, 2);
    story.passes();
    // What is not published under a lease is in nobody's way.
    let mut story = two_leases();
    story.asks_aside(CAT.node, Request::Forget, written(1));
    let (seen, digest) = (revision(1), Digest(2));
    story
        .asks_aside(BOB.node, Request::Put { seen, digest }, written(2))
        .passes();
}

#[test]
fn s3_two_publishes_under_a_lease_are_one() {
    let mut story = recording();
    story.fills_and_sends(ANN, 1, 1).answered(ANN, published(1));
    let again = |to: u64| {
        let mut story = story.clone();
        story.sends_aside(ANN.node, publish(1, 1));
        story.answered(ANN, published(to));
        story
    };
    again(1).passes();
    again(2).breaks_as(&[("S3", "was published under token 1")]);
}

#[test]
fn s1_a_publish_is_above_what_its_lease_was_granted_over() {
    let publishes = |to: u64| {
        let mut story = recording();
        story.revisions.insert(KEY, revision(5));
        story.fills_and_sends(ANN, 1, to);
        story.answered(ANN, published(to));
        story
    };
    publishes(6).passes();
    let late = ("S1", "was known");
    let early = ("S4", "was known before it was published");
    publishes(5).breaks_as(&[("S1", "which was granted over"), late, early]);
    publishes(4).breaks_as(&[("S1", "which was granted over"), late]);
}

#[test]
fn s3_tokens_of_two_locks_say_nothing_of_one_key() {
    let writes = |names: &[Name]| {
        let mut story = recording();
        story.names = named(names);
        story.leases(ANN, 2).publishes_soon(ANN, 2, 1);
        story.sends(ANN, publish(2, 1)).answered(ANN, published(1));
        story.key = OTHER;
        story.revisions.insert(OTHER, revision(1));
        story.leases(BOB, 1).publishes_soon(BOB, 1, 2);
        story.sends(BOB, publish(1, 2)).answered(BOB, published(2));
        story
    };
    let (a, b) = (Name::Key("a".to_owned()), Name::Key("b".to_owned()));
    writes(&[a.clone(), locked("a", "x")]).passes();
    writes(&[a.clone(), b]).passes();
    writes(&[a, locked("a", "_dust:sf/a")]).breaks_as(&[
        ("S1", "after token 2"),
        ("S3", "was published under token 1"),
    ]);
}

#[test]
fn s14_what_was_computed_before_a_forget_is_not_published_after_it() {
    let wrong: &[(&str, &str)] = &[("S14", "granted before the forget")];
    let mut story = recording();
    story.leases(ANN, 1).publishes_soon(ANN, 1, 2);
    story.asks_aside(CAT.node, Request::Forget, written(1));
    story.sends(ANN, publish(1, 2)).answered(ANN, published(2));
    story.breaks_as(wrong);
    let mut story = recording();
    story.asks_aside(CAT.node, Request::Forget, written(1));
    story.writes(ANN, 1, 2).passes();
    story
        .asks_aside(CAT.node, Request::Forget, written(3))
        .passes();
    story.writes(BOB, 2, 4).passes();
}

#[test]
fn s4_what_stands_under_a_token_is_what_was_published() {
    let sees = |value: u64| {
        let mut story = recording();
        story.fills_and_sends(ANN, 1, 1).wait(MS);
        story.asks(BOB).answered(BOB, newer(1, Some(1), value));
        story
    };
    sees(1).passes();
    sees(2).breaks_as(&[("S4", "was published under token 1")]);
}

#[test]
fn s4_a_value_is_known_after_it_was_published() {
    let publishes = |before: u64| {
        let mut story = recording();
        story.leases(ANN, 1).publishes_soon(ANN, 1, 1);
        let now = story.now;
        story.asks(BOB);
        let id = story.requests - 1;
        if before == 0 {
            story.sends(ANN, publish(1, 1));
            story.answered_to(BOB, id, newer(1, Some(1), 1));
        } else {
            story.answered_to(BOB, id, newer(1, Some(1), 1));
            story.at(now + before - 1).sends(ANN, publish(1, 1));
        }
        story
    };
    publishes(0).passes();
    publishes(1).passes();
    publishes(2).breaks_as(&[("S4", "was known before it was published")]);
}

const STRANGE: (&str, &str) = ("S4", "was written by no process here");

/// Three reads, of these revisions.
fn reads(story: &mut Story, numbers: &[u64]) {
    for number in numbers {
        story.reads(BOB.node, state(*number, None));
    }
}

#[test]
fn s4_a_revision_was_written_by_somebody() {
    let read = |numbers: &[u64]| {
        let mut story = recording();
        reads(&mut story, numbers);
        story
    };
    // What stood at first may be anybody's.
    read(&[3]).passes();
    read(&[3, 3]).passes();
    read(&[3, 4]).breaks_as(&[STRANGE]);
    read(&[3, 4, 5]).breaks_as(&[STRANGE, STRANGE]);
    let mut story = read(&[3]);
    story.asks_aside(CAT.node, Request::Forget, written(4));
    reads(&mut story, &[4]);
    story.passes();
    reads(&mut story, &[5]);
    story.breaks_as(&[STRANGE]);
    let mut story = recording();
    story.leases(ANN, 1).publishes_soon(ANN, 1, 1);
    let (seen, digest) = (Revision::NEVER, Digest(1));
    story.asks_aside(ANN.node, Request::Put { seen, digest }, written(1));
    reads(&mut story, &[1]);
    story.passes();
}

#[test]
fn s4_a_value_under_a_token_that_was_published_is_accounted_for() {
    let mut story = recording();
    story
        .fills_and_sends(ANN, 1, 1)
        .answered(ANN, Answer::Fenced);
    story.asks(BOB).answered(BOB, newer(1, Some(1), 1)).passes();
    let mut story = recording();
    story.leases(ANN, 1).asks(BOB);
    story.answered(BOB, newer(1, Some(1), 1));
    story.breaks_as(&[STRANGE]);
}

#[test]
fn s4_a_write_that_went_unanswered_may_have_been_done() {
    let (seen, digest) = (Revision::NEVER, Digest(1));
    for request in [
        publish(1, 1),
        Request::Put { seen, digest },
        Request::Forget,
    ] {
        let mut story = recording();
        story.leases(ANN, 1).publishes_soon(ANN, 1, 1);
        story.sends_aside(ANN.node, request).wait(MS);
        let answered = story.branch(|it| _ = it.answered(ANN, Answer::Unavailable));
        for mut story in [story, answered] {
            reads(&mut story, &[1]);
            story.passes();
            reads(&mut story, &[2]);
            story.breaks_as(&[STRANGE]);
        }
    }
    let mut story = recording();
    reads(&mut story, &[1]);
    story.sends_aside(CAT.node, Request::Read).wait(MS);
    reads(&mut story, &[2]);
    story.breaks_as(&[STRANGE]);
}

#[test]
fn s4_a_write_does_nothing_before_it_is_sent() {
    let sent_later = |mut story: Story| {
        story.joins(ANN);
        reads(&mut story, &[1, 2]);
        story.sends_aside(CAT.node, Request::Forget);
        story
    };
    sent_later(recording()).breaks_as(&[STRANGE]);
    // Which is later, only one clock can say.
    sent_later(unclocked()).passes();
}

#[test]
fn s1_nobody_observes_less_than_was_known() {
    let mut story = recording();
    reads(&mut story, &[3, 3]);
    story.passes();
    let asks = |answer: Answer| story.branch(|it| _ = it.asks(CAT).answered(CAT, answer));
    let wrong: &[(&str, &str)] = &[("S1", "was known")];
    asks(state(2, None)).breaks_as(&[STRANGE, wrong[0]]);
    asks(granted(1, 3, TTL)).passes();
    asks(granted(1, 2, TTL)).breaks_as(&[STRANGE, wrong[0]]);
    asks(Answer::Kept {
        revision: revision(2),
    })
    .breaks_as(&[STRANGE, wrong[0]]);
    asks(newer(2, None, 1)).breaks_as(&[STRANGE, wrong[0]]);
    asks(newer(3, None, 1)).passes();
    let concurrent = |wait: u64| {
        let mut story = recording();
        story.sends_aside(BOB.node, Request::Read);
        story.wait(MS).answered_to(BOB, 0, state(3, None));
        story.wait(wait).reads(CAT.node, state(2, None));
        story
    };
    concurrent(0).breaks_as(&[STRANGE]);
    concurrent(1).breaks_as(&[STRANGE, wrong[0]]);
}

#[test]
fn s1_a_write_is_above_what_was_known() {
    let wrong: &[(&str, &str)] = &[("S1", "was known")];
    let forgets = |to: u64| {
        let mut story = recording();
        reads(&mut story, &[3]);
        story.asks_aside(CAT.node, Request::Forget, written(to));
        story
    };
    forgets(4).passes();
    forgets(3).breaks_as(wrong);
    forgets(2).breaks_as(wrong);
    let publishes = |to: u64| {
        let mut story = recording();
        story.leases(ANN, 1).publishes_soon(ANN, 1, 1);
        reads(&mut story, &[3]);
        story.sends(ANN, publish(1, 1)).answered(ANN, published(to));
        story
    };
    publishes(4).breaks_as(&[STRANGE]);
    let early = ("S4", "was known before it was published");
    publishes(3).breaks_as(&[wrong[0], early]);
}

#[test]
fn s1_a_publish_is_repeated_with_its_answer() {
    let mut story = recording();
    story.fills_and_sends(ANN, 1, 1).answered(ANN, published(1));
    story.sends_aside(ANN.node, publish(1, 1));
    story.answered(ANN, published(1)).passes();
    story
        .hears_published(ANN, 1)
        .lands(ANN, computed(1), Some(1))
        .passes();
}

#[test]
fn a_key_is_judged_by_its_own_requests() {
    let mut story = recording();
    reads(&mut story, &[3]);
    story.key = OTHER;
    reads(&mut story, &[2]);
    story.passes();
    reads(&mut story, &[4]);
    story.breaks_as(&[STRANGE]);
    let found = story.judge();
    assert_eq!(found[0].key, Some(OTHER));
    let attempt = Attempt::new(1);
    let seen = Revision::NEVER;
    story
        .joins(DAN)
        .commands(DAN, Command::Claim { attempt, seen });
    story.breaks_as(&[STRANGE]);
}

#[test]
fn a_put_tells_what_stands() {
    let mut story = recording();
    story.leases(ANN, 1).publishes_soon(ANN, 1, 1);
    let (seen, digest) = (Revision::NEVER, Digest(1));
    let put = Request::Put { seen, digest };
    let done = story.branch(|it| _ = it.asks_aside(ANN.node, put, written(1)));
    done.branch(|it| _ = it.reads(BOB.node, state(1, Some(1))))
        .passes();
    done.branch(|it| _ = it.reads(BOB.node, state(1, Some(2))))
        .breaks_as(&[("S4", " is Some(Digest(1)) and Some(Digest(2))")]);
    let revision = revision(2);
    story.asks_aside(ANN.node, put, Answer::Kept { revision });
    reads(&mut story, &[1]);
    let behind = ("S1", "sent after revision 2 was known");
    story.breaks_as(&[STRANGE, STRANGE, behind]);
}
