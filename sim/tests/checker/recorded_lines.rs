//! A recording's lines must agree with one another, process by process.

use std::time::Duration;

use oneflight_core::{Arrival, Attempt, Command, Event, FillResult, Notice, Order, Outcome};
use oneflight_sim::trace::{Answer, Digest, Fault, Request, What};

use crate::recording::{publish, published, recording};
use crate::store::{granted, held, newer};
use crate::story::Story;
use crate::words::{
    ALF, AMY, ANN, BOB, KEY, MS, OTHER, TTL, Who, awaited, cached, computed, revision, stale, token,
};

/// A release, as ordered.
fn release(number: u64) -> Command {
    let (attempt, token) = (Attempt::new(9), token(number));
    Command::Release { attempt, token }
}

#[test]
fn what_a_whole_life_leaves_behind_is_sound() {
    let mut story = recording();
    story.writes(ANN, 1, 1).closes(ANN.node);
    story.asks(BOB).closes(3).passes();
}

#[test]
fn the_dead_do_nothing() {
    let mut story = recording();
    story.closes(ANN.node).passes();
    story
        .branch(|it| _ = it.fault(ANN.node, Fault::Paused, 0))
        .passes();
    story.began(ANN).breaks_as(&[("L7", "after it was down")]);
    let mut killed = recording();
    killed.down(ANN.node).passes();
    killed.began(ANN).breaks_as(&[("L7", "after it was down")]);
}

#[test]
fn who_closes_in_peace_has_no_open_call() {
    let mut story = recording();
    story.began(ANN);
    story.branch(|it| _ = it.down(ANN.node)).passes();
    story
        .branch(|it| _ = it.closes(ANN.node))
        .breaks_as(&[("L1", "call 1 never ended")]);
    story
        .branch(|it| _ = it.leaves(ANN).closes(ANN.node))
        .passes();
    let mut story = recording();
    story.writes(ANN, 1, 1);
    story.hits(ALF, 1, 1).closes(ANN.node).passes();
}

#[test]
fn who_closes_in_peace_has_given_its_leases_back() {
    let mut story = recording();
    story.leases(ANN, 1);
    let left = |it: &mut Story| _ = it.leaves(ANN).closes(ANN.node);
    let kept: &[(&str, &str)] = &[("L7", "token 1 was not given back")];
    story.branch(left).breaks_as(kept);
    story
        .branch(|it| left(it.commands(ANN, release(1))))
        .passes();
    story
        .branch(|it| left(it.commands(ANN, release(2))))
        .breaks_as(kept);
    for (answer, lost) in [
        (published(1), true),
        (Answer::Fenced, true),
        (Answer::Unavailable, true),
        (Answer::Refused, true),
        (Answer::Malformed, true),
        (Answer::Renewed, false),
    ] {
        let story = story.branch(|it| {
            it.publishes_soon(ANN, 1, 1).sends(ANN, publish(1, 1));
            left(it.answered(ANN, answer));
        });
        story.breaks_as(if lost { &[] } else { kept });
    }
    let (attempt, token) = (Attempt::new(9), token(1));
    let renewing = story.branch(|it| {
        _ = it
            .commands(ANN, Command::Renew { attempt, token })
            .sends(ANN, Request::Renew { token, ttl: TTL });
    });
    renewing
        .branch(|it| left(it.answered(ANN, Answer::Lost)))
        .passes();
    renewing
        .branch(|it| left(it.answered(ANN, Answer::Renewed)))
        .breaks_as(kept);
}

#[test]
fn a_call_lands_as_it_was_told() {
    let lands = |told: Option<Outcome>, outcome: Outcome, local: bool| {
        let mut story = recording();
        story.joins(ANN);
        if let Some(told) = told {
            story.orders_to_land(ANN, told);
        }
        let landed = What::Landed {
            key: KEY,
            passenger: oneflight_core::PassengerId(ANN.call),
            outcome,
            digest: None,
            local,
        };
        story.record(ANN.node, landed);
        let found = story.judge();
        found.iter().any(|it| it.story.contains("what was ordered"))
    };
    let shared = Outcome::Awaited { revision: None };
    for told in [
        cached(1),
        computed(1),
        awaited(1),
        shared,
        Outcome::TimedOut,
    ] {
        assert!(!lands(Some(told), told, false), "{told:?}");
        assert!(lands(Some(told), Outcome::Aborted, false), "{told:?}");
        assert!(lands(Some(told), told, true), "{told:?}");
        assert!(lands(None, told, false), "{told:?}");
        let without_value = told == Outcome::TimedOut;
        let malformed = lands(Some(told), Outcome::Malformed, false);
        assert_eq!(malformed, without_value, "{told:?}");
    }
    assert!(!lands(None, cached(1), true));
    assert!(lands(None, stale(1), true));
    assert!(lands(None, computed(1), true));
}

#[test]
fn only_what_was_ordered_is_filled() {
    let began = |who: Who, flight: u64, attempt: u32, number: Option<u64>| {
        let mut story = recording();
        story.leases(ANN, 1).joins(ALF);
        let began = What::FillBegan {
            key: KEY,
            passenger: oneflight_core::PassengerId(who.call),
            flight,
            attempt: Attempt::new(attempt),
            token: number.map(token),
        };
        story.record(ANN.node, began);
        let found = story.judge();
        found.iter().any(|it| it.story.contains("was not ordered"))
    };
    assert!(!began(ANN, ANN.flight, 99, Some(1)));
    assert!(began(ALF, ANN.flight, 99, Some(1)));
    assert!(began(ANN, AMY.flight, 99, Some(1)));
    assert!(began(ANN, ANN.flight, 98, Some(1)));
    assert!(began(ANN, ANN.flight, 99, Some(2)));
    assert!(began(ANN, ANN.flight, 99, None));
    // Once.
    let mut story = recording();
    story.leases(ANN, 1).fills(ANN, 1).passes();
    story.fills(ANN, 1);
    let found = story.judge();
    assert!(found.iter().any(|it| it.story.contains("was not ordered")));
}

/// Whether something that was sent was not ordered.
fn sends_unordered(story: &Story) -> bool {
    let mut found = story.judge().into_iter();
    found.any(|it| it.invariant == "Recording" && it.story.contains("but not ordered"))
}

#[test]
fn only_what_was_ordered_is_sent() {
    let (attempt, seen, ttl) = (Attempt::new(5), revision(3), TTL);
    let claim = |attempt, seen| Request::Claim { attempt, seen, ttl };
    let digest = Digest(1);
    let put = |seen| Request::Put { seen, digest };
    let renew = |number| Request::Renew {
        token: token(number),
        ttl,
    };
    let give = |number| Request::Release {
        token: token(number),
    };
    let (one, other) = (token(1), Attempt::new(6));
    let renewal = Command::Renew {
        attempt,
        token: one,
    };
    let publication = Command::Publish {
        attempt,
        token: one,
    };
    let cases = [
        (Command::Claim { attempt, seen }, claim(attempt, seen), true),
        (Command::Claim { attempt, seen }, claim(other, seen), false),
        (
            Command::Claim { attempt, seen },
            claim(attempt, revision(2)),
            false,
        ),
        (renewal, renew(1), true),
        (renewal, renew(2), false),
        (renewal, give(1), false),
        (publication, publish(1, 1), true),
        (publication, publish(2, 1), false),
        (release(1), give(1), true),
        (release(1), give(2), false),
        (Command::Put { seen }, put(seen), true),
        (Command::Put { seen }, put(revision(2)), false),
        (Command::Watch, Request::Read, false),
    ];
    for (command, request, sound) in cases {
        let mut story = recording();
        story.joins(ANN).joins(AMY).commands(ANN, command);
        let sent = |who| story.branch(|it| _ = it.sends(who, request));
        assert_eq!(!sends_unordered(&sent(ANN)), sound, "{request:?}");
        assert!(sends_unordered(&sent(AMY)), "{request:?}");
        // Each order is carried out once.
        let twice = story.branch(|it| _ = it.sends(ANN, request).sends(ANN, request));
        assert!(sends_unordered(&twice), "{request:?}");
        // What belongs to no flight needs no order.
        assert!(!sends_unordered(
            &story.branch(|it| _ = it.sends_aside(ANN.node, request))
        ));
    }
}

#[test]
fn a_flight_that_is_over_sends_nothing_but_clean_up() {
    let (attempt, seen, ttl) = (Attempt::new(5), revision(3), TTL);
    let digest = Digest(1);
    let token = token(1);
    for (command, request, sound) in [
        (
            Command::Claim { attempt, seen },
            Request::Claim { attempt, seen, ttl },
            false,
        ),
        (release(1), Request::Release { token }, true),
        (Command::Put { seen }, Request::Put { seen, digest }, true),
    ] {
        let mut story = recording();
        story.joins(ANN).joins(AMY).commands(ANN, command);
        let over = |who| story.branch(|it| _ = it.retires(who).sends(ANN, request));
        assert_eq!(!sends_unordered(&over(ANN)), sound, "{request:?}");
        assert!(!sends_unordered(&over(AMY)), "{request:?}");
    }
    let mut story = recording();
    story.leases(ANN, 1).joins(AMY);
    let filled = |who| {
        let story = story.branch(|it| _ = it.retires(who).fills(ANN, 1));
        let found = story.judge();
        found.iter().any(|it| it.story.contains("was not ordered"))
    };
    assert!(filled(ANN));
    assert!(!filled(AMY));
}

#[test]
fn an_answer_is_to_a_request_under_way() {
    let mut story = recording();
    story.asks(ANN);
    story
        .branch(|it| _ = it.answered(BOB, held(1, None)))
        .breaks_as(&[("Recording", "not under way")]);
    story
        .answered(ANN, Answer::Unavailable)
        .answered(ANN, Answer::Unavailable)
        .breaks_as(&[("Recording", "not under way")]);
}

/// Whether something was told that no line says.
fn tells_unfounded(story: &Story) -> bool {
    let mut found = story.judge().into_iter();
    found.any(|it| it.invariant == "Recording" && it.story.contains("nothing says that"))
}

#[test]
fn who_boards_has_called() {
    let mut story = recording();
    let boarded = Notice::Boarded {
        key: KEY,
        passenger: oneflight_core::PassengerId(ANN.call),
        policy: story.policy,
        known: oneflight_core::Verdict::UNKNOWN,
    };
    assert!(tells_unfounded(&story.branch(|it| {
        _ = it.began(ALF).told(ANN, boarded.clone(), vec![]);
    })));
    story.began(ANN).told(ANN, boarded, vec![]);
    assert!(!tells_unfounded(&story));
}

#[test]
fn a_fill_is_told_to_have_ended_as_it_did() {
    let ended = |attempt: u32, result: FillResult| {
        let mut story = recording();
        story.leases(ANN, 1).joins(AMY).fills(ANN, 1);
        let (key, flight) = (KEY, ANN.flight);
        let ended = What::FillEnded {
            key,
            passenger: oneflight_core::PassengerId(ANN.call),
            flight,
            attempt: Attempt::new(attempt),
            result,
            digest: Some(Digest(1)),
        };
        story.record(ANN.node, ended);
        let (attempt, result) = (Attempt::new(99), FillResult::Value);
        let told = |who| story.branch(|it| _ = it.hears(who, Event::FillDone { attempt, result }));
        assert!(tells_unfounded(&told(AMY)));
        let once = told(ANN);
        let twice = once.branch(|it| _ = it.hears(ANN, Event::FillDone { attempt, result }));
        assert!(tells_unfounded(&twice));
        !tells_unfounded(&once)
    };
    assert!(ended(99, FillResult::Value));
    assert!(!ended(98, FillResult::Value));
    assert!(!ended(99, FillResult::Error));
}

#[test]
fn an_answer_is_told_as_it_came() {
    let attempt = Attempt::new(1000);
    let grant = |number, nanos, generation| Event::LeaseGranted {
        attempt,
        token: token(number),
        remaining: Duration::from_nanos(nanos),
        generation: revision(generation),
    };
    let busy = |number: Option<u64>, remaining: Option<u64>| Event::Held {
        attempt,
        token: number.map(token),
        remaining: remaining.map(Duration::from_nanos),
    };
    let published_as = |number| Event::Published {
        attempt,
        revision: revision(number),
    };
    let sound = [
        (granted(7, 4, TTL), grant(7, TTL, 4)),
        (held(7, Some(MS)), busy(Some(7), Some(MS))),
        (held(7, None), busy(Some(7), None)),
        (Answer::Renewed, Event::Renewed { attempt }),
        (Answer::Lost, Event::LeaseLost { attempt }),
        (Answer::Fenced, Event::Fenced { attempt }),
        (Answer::Unavailable, Event::Unavailable { attempt }),
        (Answer::Refused, Event::Refused { attempt }),
        (Answer::Malformed, Event::Malformed { attempt }),
        (published(4), published_as(4)),
    ];
    let told = |answer, event: &Event, who| {
        let mut story = recording();
        story.joins(AMY).joins(ANN);
        // The first request of all has the number 0.
        story.claims_over(ANN, 0);
        assert_eq!(story.attempt(ANN), attempt);
        story.answered(ANN, answer).hears(who, *event);
        !tells_unfounded(&story)
    };
    for (answer, event) in &sound {
        assert!(told(*answer, event, ANN), "{event:?}");
        assert!(!told(*answer, event, AMY), "{event:?}");
        let other = Answer::Released { freed: true };
        assert!(!told(other, event, ANN), "{event:?}");
    }
    for (answer, event) in [
        (granted(7, 4, TTL), grant(8, TTL, 4)),
        (granted(7, 4, TTL), grant(7, TTL - 1, 4)),
        (granted(7, 4, TTL), grant(7, TTL, 5)),
        (held(7, Some(MS)), busy(Some(8), Some(MS))),
        (held(7, Some(MS)), busy(None, Some(MS))),
        (held(7, Some(MS)), busy(Some(7), None)),
        (held(7, Some(MS)), busy(Some(7), Some(MS + 1))),
        (published(4), published_as(5)),
        (Answer::Renewed, Event::LeaseLost { attempt }),
    ] {
        assert!(!told(answer, &event, ANN), "{event:?}");
    }
    // Another attempt's answer.
    let attempt = Attempt::new(1001);
    let remaining = Duration::from_nanos(TTL);
    let late = Event::LeaseGranted {
        attempt,
        token: token(7),
        remaining,
        generation: revision(4),
    };
    assert!(!told(granted(7, 4, TTL), &late, ANN));
    let late = Event::Held {
        attempt,
        token: Some(token(7)),
        remaining: None,
    };
    assert!(!told(held(7, None), &late, ANN));
}

#[test]
fn a_watch_needs_no_request() {
    let mut story = recording();
    let attempt = Attempt::new(9);
    story.joins(ANN);
    for event in [
        Event::Released { attempt },
        Event::LockReleased,
        Event::LockHeld { remaining: None },
        Event::WatchLost,
        Event::WatchRefused,
    ] {
        story.hears(ANN, event);
    }
    story.arrives(ANN, 1);
    assert!(!tells_unfounded(&story));
}

#[test]
fn a_newer_value_arrives_as_it_was_answered() {
    let arrives = |who: Who, attempt: u32, arrival: Arrival, latest: Option<u64>| {
        let mut story = recording();
        story.joins(AMY).joins(ANN).claims_over(ANN, 0);
        story.answered(ANN, newer(4, Some(3), 4));
        let notice = Notice::Arrived {
            flight: story.flight(who),
            attempt: Some(Attempt::new(attempt)),
            latest: latest.map(token),
            arrival,
        };
        story.told(who, notice, vec![]);
        !tells_unfounded(&story)
    };
    let arrival = Arrival {
        revision: revision(4),
        token: Some(token(3)),
        value: true,
    };
    assert!(arrives(ANN, 1000, arrival, Some(1)));
    assert!(!arrives(AMY, 1000, arrival, Some(1)));
    assert!(!arrives(ANN, 1001, arrival, Some(1)));
    assert!(!arrives(ANN, 1000, arrival, Some(2)));
    assert!(!arrives(ANN, 1000, arrival, None));
    let revision = revision(5);
    let other = Arrival {
        revision,
        ..arrival
    };
    assert!(!arrives(ANN, 1000, other, Some(1)));
    let token = None;
    assert!(!arrives(ANN, 1000, Arrival { token, ..arrival }, Some(1)));
}

#[test]
fn what_is_ordered_of_one_key_is_not_given_back_for_another() {
    let mut story = recording();
    story.leases(ANN, 1);
    let mut flight = story.flight(ANN);
    flight.key = OTHER;
    let command = release(1);
    story.record(
        ANN.node,
        What::Told {
            now: oneflight_core::Instant::from_nanos(story.now),
            notice: Notice::Answered {
                flight: flight.clone(),
                event: Event::LockReleased,
            },
            orders: vec![Order::Command { flight, command }],
        },
    );
    story
        .leaves(ANN)
        .closes(ANN.node)
        .breaks_as(&[("L7", "token 1 was not given back")]);
}
