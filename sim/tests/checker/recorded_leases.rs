//! What the answers in a recording tell of leases: S1, S2, S6.

use oneflight_core::{Attempt, Command, Event, Warning};
use oneflight_sim::trace::{Answer, Digest, Name, Request};

use crate::recording::{locked, named, publish, published, recording, unclocked, written};
use crate::store::{granted, held};
use crate::story::Story;
use crate::words::{AMY, ANN, BOB, CAT, MS, OTHER, SECOND, TTL, Who, revision, token, who};

#[test]
fn s1_a_token_is_granted_to_one_flight() {
    let again = |to: Who| {
        let mut story = recording();
        story.asks(ANN).asks(to);
        story.answered_to(ANN, 0, granted(1, 0, TTL));
        story.answered_to(to, 1, granted(1, 0, TTL));
        story
    };
    let wrong: &[(&str, &str)] = &[("S1", "token 1 was granted to flight")];
    again(AMY).breaks_as(wrong);
    again(BOB).breaks_as(wrong);
    let mut story = recording();
    story.asks(ANN).hears(ANN, Event::LockReleased);
    story.claims_over(ANN, 0);
    story.answered_to(ANN, 0, granted(1, 0, TTL));
    story
        .branch(|it| _ = it.answered_to(ANN, 1, granted(1, 0, TTL)))
        .passes();
    story
        .branch(|it| _ = it.answered_to(ANN, 1, granted(1, 1, TTL)))
        .breaks_as(&[wrong[0], ("S4", "written by no process here")]);
}

/// A claim of each, sent at the first moment and answered at the second, by this token.
fn grants(mut story: Story, grants: &[(Who, u64, u64, u64)]) -> Story {
    let begin = story.now;
    let mut moments: Vec<(u64, usize, bool)> = Vec::new();
    for (index, (_, sent, known, _)) in grants.iter().enumerate() {
        moments.push((*sent, index, false));
        moments.push((*known, index, true));
    }
    moments.sort_unstable();
    let mut ids = vec![0; grants.len()];
    for (at, index, back) in moments {
        let (who, _, _, number) = grants[index];
        story.at(begin + at);
        if back {
            story.answered_to(who, ids[index], granted(number, 0, TTL));
        } else {
            ids[index] = story.requests;
            story.asks(who);
        }
    }
    story
}

#[test]
fn s1_tokens_ascend_with_time() {
    let story = |times: &[(Who, u64, u64, u64)]| grants(recording(), times);
    story(&[(ANN, 0, 10, 2), (BOB, 10, 20, 1)]).passes();
    story(&[(ANN, 0, 10, 2), (BOB, 11, 20, 1)])
        .breaks_as(&[("S1", "token 1 was granted after token 2")]);
    // What counts is who was known first among the higher ones.
    story(&[(ANN, 0, 10, 3), (BOB, 5, 30, 2), (CAT, 11, 20, 1)])
        .breaks_as(&[("S1", "token 1 was granted after token 3")]);
    story(&[(ANN, 0, 30, 3), (BOB, 5, 10, 2), (CAT, 11, 20, 1)])
        .breaks_as(&[("S1", "token 1 was granted after token 2")]);
    story(&[(ANN, 0, 10, 3), (BOB, 5, 10, 2), (CAT, 11, 20, 1)])
        .breaks_as(&[("S1", "token 1 was granted after token 3")]);
}

#[test]
fn moments_compare_by_the_same_clock() {
    let later = |first: Option<&str>, second: Option<&str>| {
        let mut story = unclocked();
        story.up(ANN.node, first).up(BOB.node, second);
        grants(story, &[(ANN, 0, 10, 2), (BOB, 11, 20, 1)])
    };
    let wrong: &[(&str, &str)] = &[("S1", "token 1 was granted after token 2")];
    later(Some("here"), Some("here")).breaks_as(wrong);
    later(Some("here"), Some("there")).passes();
    later(Some("here"), None).passes();
    later(None, Some("here")).passes();
    later(None, None).passes();
    // One process alone needs no name for its clock.
    let times = [(ANN, 0, 10, 2), (AMY, 11, 20, 1)];
    grants(unclocked(), &times).breaks_as(wrong);
}

#[test]
fn tokens_compare_on_the_same_lock() {
    let keys = |names: &[Name]| {
        let mut story = recording();
        story.names = named(names);
        story.asks(ANN).answered(ANN, granted(2, 0, TTL));
        story.key = OTHER;
        story.asks(BOB).answered(BOB, granted(1, 0, TTL));
        story
    };
    let (a, b) = (Name::Key("a".to_owned()), Name::Key("b".to_owned()));
    keys(&[a, b.clone()]).passes();
    keys(&[locked("a", "x"), b.clone()]).passes();
    let wrong: &[(&str, &str)] = &[("S1", "token 1 was granted after token 2")];
    keys(&[locked("a", "x"), locked("b", "x")]).breaks_as(wrong);
    keys(&[locked("a", "_dust:sf/b"), b]).breaks_as(wrong);
}

/// Newer, with a value that Ann has written.
fn newer(number: u64, latest: Option<u64>) -> Answer {
    Answer::Newer {
        revision: revision(1),
        token: Some(token(number)),
        digest: Digest(1),
        latest: latest.map(token),
    }
}

#[test]
fn s1_who_asks_later_hears_of_no_older_token() {
    let mut story = recording();
    story.writes(ANN, 1, 1).asks(CAT).asks(BOB);
    let claims = (story.requests - 2, story.requests - 1);
    story
        .wait(MS)
        .answered_to(BOB, claims.1, granted(2, 1, TTL));
    // The claim was sent before the grant was known.
    story
        .branch(|it| _ = it.answered_to(CAT, claims.0, held(1, None)))
        .passes();
    let asked = |wait: u64, answer: Answer| {
        let mut story = story.clone();
        let amy = who(CAT.node, 7, 7);
        story.wait(wait).asks(amy).answered(amy, answer);
        story
    };
    let wrong: &[(&str, &str)] = &[("S1", "token 1 is the newest")];
    asked(0, held(1, None)).passes();
    asked(1, held(1, None)).breaks_as(wrong);
    asked(1, held(2, None)).passes();
    asked(1, newer(1, Some(1))).breaks_as(wrong);
    asked(1, newer(1, Some(2))).passes();
    asked(1, newer(1, None)).passes();
}

/// Ann holds a lease, which she has asked for at the second and known of a millisecond later.
fn holds() -> Story {
    let mut story = recording();
    assert_eq!(story.now, SECOND);
    story.leases(ANN, 1);
    story
}

/// Bob is granted the next lease, by a claim that was sent then and answered then.
fn takes_over(story: &Story, sent: u64, known: u64) -> Story {
    let mut story = story.clone();
    story.at(sent).asks(BOB);
    let id = story.requests - 1;
    story.at(known).answered_to(BOB, id, granted(2, 0, TTL));
    story
}

const OVERTAKEN: &[(&str, &str)] = &[("S2", "token 2 was granted by")];

#[test]
fn s2_nobody_is_granted_a_lease_that_surely_lives() {
    let mut story = recording();
    story
        .asks(ANN)
        .wait(MS)
        .answered_to(ANN, 0, granted(1, 0, TTL));
    let known = SECOND + MS;
    let lives = SECOND + TTL - TTL / 100;
    takes_over(&story, known, known + MS).passes();
    takes_over(&story, known + 1, known + MS).breaks_as(OVERTAKEN);
    takes_over(&story, known + 1, lives - 1).breaks_as(OVERTAKEN);
    takes_over(&story, known + 1, lives).passes();
    takes_over(&story, lives + 1, lives + 2).passes();
}

#[test]
fn s2_a_renewal_prolongs_a_lease() {
    let mut story = holds();
    let (attempt, token) = (Attempt::new(5), token(1));
    story.wait(TTL / 2);
    let sent = story.now;
    story
        .commands(ANN, Command::Renew { attempt, token })
        .sends(ANN, Request::Renew { token, ttl: TTL });
    let lost = story.branch(|it| _ = it.answered(ANN, Answer::Unavailable));
    story.answered(ANN, Answer::Renewed);
    let lives = sent + TTL - TTL / 100;
    takes_over(&story, lives - SECOND, lives - 1).breaks_as(OVERTAKEN);
    takes_over(&story, lives - SECOND, lives).passes();
    takes_over(&lost, lives - SECOND, lives - 1).passes();
}

#[test]
fn s2_who_gives_up_holds_no_more() {
    let given_up = |how: &dyn Fn(&mut Story)| {
        let mut story = holds();
        story.wait(SECOND).asks(BOB);
        let claim = story.requests - 1;
        story.wait(SECOND);
        let before = story.branch(|it| _ = it.answered_to(BOB, claim, granted(2, 0, TTL)).wait(1));
        for (mut story, sound) in [(story, true), (before, false)] {
            how(&mut story);
            if sound {
                story.answered_to(BOB, claim, granted(2, 0, TTL));
            }
            story.breaks_as(if sound { &[] } else { OVERTAKEN });
        }
    };
    given_up(&|it| _ = it.releases(ANN, 1));
    given_up(&|it| _ = it.publishes_soon(ANN, 1, 1).sends(ANN, publish(1, 1)));
}

#[test]
fn s2_a_forget_frees_the_lock() {
    let story = holds();
    let begin = story.now + SECOND;
    let forgets = |at: u64, answered: Option<u64>| {
        let mut story = recording();
        let mut moments = vec![(SECOND, 0), (begin, 1), (begin + MS, 2), (at, 3)];
        moments.extend(answered.map(|at| (at, 4)));
        moments.sort_unstable();
        let mut forget = 0;
        let mut claim = 0;
        for (at, what) in moments {
            story.at(at.max(story.now));
            match what {
                0 => _ = story.leases(ANN, 1),
                1 => {
                    claim = story.requests;
                    story.asks(BOB);
                }
                2 => _ = story.answered_to(BOB, claim, granted(2, 0, TTL)),
                3 => {
                    forget = story.requests;
                    story.sends_aside(CAT.node, Request::Forget);
                }
                _ => _ = story.answered_to(CAT, forget, written(7)),
            }
        }
        story
    };
    // Never answered: it may have been done at any time since.
    forgets(begin - 1, None).passes();
    forgets(begin + MS, None).passes();
    forgets(begin + MS + 1, None).breaks_as(OVERTAKEN);
    // The forget is in time; but a claim that was sent after it is granted over what was before.
    forgets(begin - 2, Some(begin - 1)).breaks_as(&[("S1", "revision 0 is the answer")]);
    let mut early = recording();
    early.asks_aside(CAT.node, Request::Forget, Answer::Unavailable);
    early.leases(ANN, 1);
    let now = early.now;
    takes_over(&early, now + 1, now + MS).passes();
    let mut early = recording();
    early.asks_aside(CAT.node, Request::Forget, written(7));
    early.asks(ANN).answered(ANN, granted(1, 7, TTL));
    let id = early.requests;
    early
        .asks(BOB)
        .wait(MS)
        .answered_to(BOB, id, granted(2, 7, TTL));
    early.breaks_as(OVERTAKEN);
    // The forget may have come after the claim that was sent at the moment of its answer.
    let mut same = recording();
    same.sends_aside(CAT.node, Request::Forget).wait(MS);
    same.answered_to(CAT, 0, written(7));
    same.asks(ANN).answered(ANN, granted(1, 7, TTL));
    let id = same.requests;
    same.asks(BOB)
        .wait(MS)
        .answered_to(BOB, id, granted(2, 7, TTL));
    same.passes();
}

/// Ann fills and leaves; then Bob fills over the same revision.
fn fills_again(ann: impl FnOnce(&mut Story)) -> Story {
    let mut story = holds();
    story.joins(AMY).fills(ANN, 1);
    ann(&mut story);
    // The release is ordered, so the process owes none; but it is not sent.
    let (attempt, token) = (Attempt::new(9), token(1));
    story
        .commands(ANN, Command::Release { attempt, token })
        .leaves(ANN)
        .leaves(AMY)
        .closes(ANN.node);
    story.at(SECOND + 10 * TTL);
    story.asks(BOB).answered(BOB, granted(2, 0, TTL));
    story.hears_grant(BOB, 2).fills(BOB, 2);
    story
}

/// Ann's fill has ended, and its publish is sent.
fn publishes(it: &mut Story) -> &mut Story {
    let (flight, attempt) = (it.flight(ANN), Attempt::new(98));
    let token = token(1);
    let command = Command::Publish { attempt, token };
    let order = oneflight_core::Order::Command { flight, command };
    it.returns_with(ANN, Some(1), vec![order])
        .sends(ANN, publish(1, 1))
}

const TWICE: &[(&str, &str)] = &[("S6", "generation 0 was filled under token 2, after")];

#[test]
fn s6_nobody_fills_again_for_no_reason() {
    fills_again(|_| ()).breaks_as(TWICE);
    // A fill of another generation is none again.
    let mut story = recording();
    story.writes(ANN, 1, 1).closes(ANN.node);
    story.leases(BOB, 2).fills(BOB, 2).passes();
}

#[test]
fn s6_a_lease_that_was_never_filled_under_counts_for_nothing() {
    let mut story = holds();
    let (attempt, token) = (Attempt::new(9), token(1));
    story.commands(ANN, Command::Release { attempt, token });
    story.leaves(ANN).closes(ANN.node).at(SECOND + 10 * TTL);
    story.leases(BOB, 2).fills(BOB, 2).passes();
}

#[test]
fn s6_what_happens_to_a_fill_excuses_another() {
    fills_again(|it| _ = it.released(ANN, 1)).passes();
    fills_again(|it| _ = publishes(it)).passes();
    for answer in [Answer::Unavailable, Answer::Refused, Answer::Malformed] {
        fills_again(|it| _ = publishes(it).answered(ANN, answer)).passes();
    }
    fills_again(|it| _ = publishes(it).answered(ANN, Answer::Fenced)).breaks_as(TWICE);
    fills_again(|it| {
        let story = publishes(it).answered(ANN, Answer::Fenced);
        _ = story.hears_fenced(ANN);
    })
    .passes();
    fills_again(|it| {
        it.sends_aside(CAT.node, Request::Forget);
    })
    .passes();
    let warned = |who: Who| {
        fills_again(|it| {
            let (token, warning) = (Some(token(1)), Warning::Lapsed);
            it.commands(who, Command::WarnLeaseLost { token, warning });
        })
    };
    warned(ANN).passes();
    warned(AMY).breaks_as(TWICE);
    fills_again(|it| _ = it.joins(CAT).commands(CAT, warning())).breaks_as(TWICE);
    fills_again(|it| {
        let attempt = Attempt::new(9);
        it.commands(
            ANN,
            Command::Renew {
                attempt,
                token: token(1),
            },
        );
        let (token, ttl) = (token(1), TTL);
        it.sends(ANN, Request::Renew { token, ttl });
        it.answered(ANN, Answer::Lost);
        it.hears(ANN, Event::LeaseLost { attempt });
    })
    .passes();
    // Another order excuses nothing.
    fills_again(|it| _ = it.commands(ANN, Command::Unwatch)).breaks_as(TWICE);
}

fn warning() -> Command {
    let (token, warning) = (None, Warning::Overdue);
    Command::WarnLeaseLost { token, warning }
}

#[test]
fn s6_another_ones_publish_excuses_nothing() {
    fills_again(|it| {
        // Cat's lease on the same key, never published under: the store says so.
        it.sends_aside(CAT.node, publish(7, 1));
    })
    .breaks_as(&[("S4", "which no fill here returned"), TWICE[0]]);
}

#[test]
fn s6_who_was_killed_may_have_had_its_reasons() {
    let mut story = holds();
    story.fills(ANN, 1);
    let again = |it: &mut Story| {
        it.at(SECOND + 10 * TTL).asks(BOB);
        it.answered(BOB, granted(2, 0, TTL));
        it.hears_grant(BOB, 2).fills(BOB, 2);
    };
    story.branch(again).passes();
    story.branch(|it| again(it.down(ANN.node))).passes();
}

const STRANGE: (&str, &str) = ("S1", "was granted to no process here");

#[test]
fn s1_a_token_is_granted_to_somebody() {
    let told = |tokens: &[u64]| {
        let mut story = recording();
        story.asks(ANN).answered(ANN, granted(2, 0, TTL));
        for (call, number) in (10..).zip(tokens) {
            let bob = who(BOB.node, call, call);
            story.asks(bob).answered(bob, held(*number, None));
        }
        story
    };
    told(&[2]).passes();
    told(&[3]).breaks_as(&[STRANGE]);
    told(&[3, 3]).breaks_as(&[STRANGE]);
    told(&[3, 4]).breaks_as(&[STRANGE, STRANGE]);
    // A claim that went unanswered may have been granted; but only one lease each.
    told(&[3]).asks(CAT).passes();
    told(&[3])
        .asks(CAT)
        .answered(CAT, Answer::Unavailable)
        .passes();
    told(&[3, 4]).asks(CAT).breaks_as(&[STRANGE]);
    told(&[3, 4]).asks(CAT).asks(who(CAT.node, 2, 2)).passes();
    told(&[3])
        .sends_aside(CAT.node, Request::Read)
        .breaks_as(&[STRANGE]);
    // Of what was before anybody here was granted anything, nothing is known.
    let mut story = recording();
    story.asks(BOB).answered(BOB, held(1, None));
    story.passes();
    story.asks(ANN).answered(ANN, granted(2, 0, TTL)).passes();
}

#[test]
fn s1_a_newer_value_tells_of_tokens_too() {
    let told = |number: u64, latest: Option<u64>| {
        let mut story = recording();
        story.asks(ANN).answered(ANN, granted(2, 1, TTL));
        story.asks(BOB).answered(BOB, newer(number, latest));
        story
    };
    told(1, None).passes();
    told(1, Some(2)).passes();
    told(3, None).breaks_as(&[STRANGE]);
    told(1, Some(3)).breaks_as(&[STRANGE]);
    told(3, Some(4)).breaks_as(&[STRANGE, STRANGE]);
}

#[test]
fn a_published_lease_is_answered_once_and_for_all() {
    let mut story = recording();
    story.fills_and_sends(ANN, 1, 1);
    story.answered(ANN, published(1)).passes();
}
