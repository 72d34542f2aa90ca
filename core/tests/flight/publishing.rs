//! The fill's value is at the store.

use oneflight_core::{
    Command, Commands, Event, FillResult, Judgement, Outcome, Phase, Policy, Revision, Unpublished,
    Verdict, Why,
};

use crate::scenario::*;

fn unavailable(it: &Scenario) -> Event {
    Event::Unavailable {
        attempt: it.publish,
    }
}

#[test]
fn published_lands() {
    let mut it = Scenario::publishing();
    assert_eq!(it.tell(it.published(8)), [computed(8)]);
    assert_eq!(it.phase(), Phase::Landed);
    assert_eq!(it.due(), None);
}

#[test]
fn an_answer_lost_on_the_way_is_asked_for_again_as_the_same_attempt() {
    let mut it = Scenario::publishing();
    let publish_once = publish(it.publish.get());
    assert_eq!(it.due(), Some((5_000, Why::Retry)));
    assert_eq!(it.tick_at(5_000), [publish_once]);
    // The store answers the same again: not a fence.
    assert_eq!(it.tell(it.published(8)), [computed(8)]);
}

#[test]
fn an_unreachable_store_is_tried_again_ever_more_slowly() {
    let mut it = Scenario::publishing();
    let mut tries = 0;
    while it.phase() == Phase::Publishing {
        let _ = it.tell(unavailable(&it));
        let commands = it.tick_at(it.due_at());
        tries += usize::from(commands == [publish(3)]);
    }
    assert_eq!(it.ms, 10_000);
    assert!((40..200).contains(&tries), "{tries} tries in 10 s");
}

#[test]
fn giving_up_lands_with_the_value() {
    let mut it = Scenario::publishing();
    let _ = it.tick_at(5_000);
    assert_eq!(
        it.tick_at(10_000),
        [
            release(4, TOKEN),
            Command::Land(Outcome::Computed { revision: None })
        ]
    );
    assert_eq!(it.phase(), Phase::Releasing);
    // It stood after all; the caller knows nothing of it, and the lease is free.
    assert_eq!(it.tell(it.published(8)), []);
}

#[test]
fn giving_up_lands_with_the_value_in_the_error() {
    let mut it = Scenario::launch(strict(), Verdict::UNKNOWN)
        .then(|it| it.granted(TOKEN))
        .then(|it| it.done(FillResult::Value))
        .tick(5_000);
    let cause = Unpublished::Unavailable;
    assert_eq!(
        it.tick_at(10_000),
        [
            release(4, TOKEN),
            Command::Land(Outcome::Unpublished { cause })
        ]
    );
}

#[test]
fn refused_and_malformed_are_not_retried_and_never_degrade() {
    let publish = Scenario::publishing().publish;
    for (event, cause) in [
        (Event::Refused { attempt: publish }, Unpublished::Refused),
        (
            Event::Malformed { attempt: publish },
            Unpublished::Malformed,
        ),
    ] {
        let mut it = Scenario::publishing();
        assert_eq!(
            it.tell(event),
            [
                release(4, TOKEN),
                Command::Land(Outcome::Unpublished { cause })
            ]
        );
    }
}

#[test]
fn after_an_answer_that_was_lost_a_refusal_says_nothing_of_the_first_try() {
    let publish = Scenario::publishing().publish;
    for event in [
        Event::Refused { attempt: publish },
        Event::Malformed { attempt: publish },
    ] {
        let mut it = Scenario::launch(strict(), Verdict::UNKNOWN)
            .then(|it| it.granted(TOKEN))
            .then(|it| it.done(FillResult::Value))
            .then(unavailable);
        assert_eq!(it.publish, publish);
        let cause = Unpublished::Unavailable;
        let land = Command::Land(Outcome::Unpublished { cause });
        assert_eq!(it.tell(event), [release(4, TOKEN), land]);
    }
}

#[test]
fn the_lease_is_renewed_meanwhile() {
    let policy = Policy {
        store_timeout: ms(20_000),
        ..Policy::DEFAULT
    };
    let mut it = Scenario::launch(policy, Verdict::UNKNOWN)
        .then(|it| it.granted(TOKEN))
        .then(|it| it.done(FillResult::Value));
    assert_eq!(it.due(), Some((10_000, Why::Renewal)));
    assert_eq!(it.tick_at(10_000), [renew(4)]);
    // Lost, perhaps because the publish went through: its own answer tells.
    let lost = Event::LeaseLost {
        attempt: it.renewal,
    };
    assert_eq!(it.tell(lost), []);
    assert_eq!(it.due(), Some((20_000, Why::Retry)));
    assert_eq!(it.tell(it.published(8)), [computed(8)]);
}

#[test]
fn fenced_rides_the_newer_one() {
    let mut it = Scenario::publishing();
    it.ms = 20_000;
    assert_eq!(it.tell(it.fenced()), [claim(4, 0)]);
    let _ = it.tell(it.held(60_000));
    // Its patience begins now: it has not waited for anybody before.
    assert_eq!(it.due(), Some((55_000, Why::WaitTimeout)));
    // Whatever is published under a newer token is as fresh as its own.
    let verdict = verdict(9, TOKEN + 1, Judgement::Stale);
    assert_eq!(it.tell(key_event(verdict)), [Command::Unwatch, awaited(9)]);
}

#[test]
fn what_was_to_be_replaced_is_served_to_a_fenced_caller_whose_time_is_over() {
    let mut it = Scenario::launch(Policy::DEFAULT, stale(3));
    let _ = it.tell(Event::LeaseGranted {
        attempt: it.claim,
        token: token(TOKEN),
        remaining: ms(30_000),
        generation: Revision::new(3),
    });
    let _ = it.tell(it.done(FillResult::Value));
    assert_eq!(it.tell(it.fenced()), [claim(4, 3)]);
    let _ = it.tell(it.held(60_000));
    assert_eq!(it.due(), Some((35_000, Why::WaitTimeout)));
    assert_eq!(it.tick_at(35_000), [Command::Unwatch, cached(3, true)]);
}

#[test]
fn fenced_and_elected_again_fills_again() {
    let mut it = Scenario::publishing().then(Scenario::fenced);
    let commands = it.tell(it.granted(TOKEN + 1));
    assert_eq!(
        commands,
        [Command::Fill {
            attempt: attempt(5),
            lease: it.flight.lease()
        }]
    );
    assert_eq!(it.flight.lease().unwrap().token, token(TOKEN + 1));
}

/// Fenced at 0 ms, elected again, and fenced once more at this moment.
fn fenced_again(policy: Policy, ms: u64) -> (Scenario, Commands) {
    let mut it = Scenario::launch(policy, Verdict::UNKNOWN)
        .then(|it| it.granted(TOKEN))
        .then(|it| it.done(FillResult::Value))
        .then(Scenario::fenced)
        .then(|it| it.granted(TOKEN + 1))
        .then(|it| it.done(FillResult::Value));
    it.ms = ms;
    let commands = it.tell(it.fenced());
    (it, commands)
}

#[test]
fn fenced_again_rides_on_for_as_long_as_the_caller_is_patient() {
    let fenced = [Command::Land(Outcome::Fenced)];
    let ends = |policy, ms| fenced_again(policy, ms).1;
    assert_eq!(ends(Policy::DEFAULT, 34_999), [claim(7, 0)]);
    assert_eq!(ends(Policy::DEFAULT, 35_000), fenced);
    assert_eq!(ends(Policy::DEFAULT, 35_001), fenced);
    assert_eq!(ends(zero_wait(), 0), fenced);
}

#[test]
fn the_patience_of_a_caller_counts_from_its_first_fence() {
    let (mut it, _) = fenced_again(Policy::DEFAULT, 20_000);
    let _ = it.tell(it.held(60_000));
    assert_eq!(it.due(), Some((35_000, Why::WaitTimeout)));
}

#[test]
fn fenced_is_an_error_if_the_policy_says_so() {
    let mut it = Scenario::launch(strict(), Verdict::UNKNOWN)
        .then(|it| it.granted(TOKEN))
        .then(|it| it.done(FillResult::Value));
    assert_eq!(it.tell(it.fenced()), [Command::Land(Outcome::Fenced)]);
}

#[test]
fn a_caller_who_leaves_lets_the_value_be_published() {
    let mut it = Scenario::publishing();
    assert_eq!(it.tell(Event::Abandoned), []);
    assert_eq!(it.due(), Some((5_000, Why::Retry)));
    assert_eq!(it.tell(it.published(8)), []);
    assert_eq!(it.phase(), Phase::Landed);

    let mut it = Scenario::publishing().then(|_| Event::Abandoned);
    assert_eq!(it.tell(it.fenced()), []);
    assert_eq!(it.phase(), Phase::Landed);

    let mut it = Scenario::publishing().then(|_| Event::Abandoned);
    let _ = it.tick_at(5_000);
    assert_eq!(it.tick_at(10_000), [release(4, TOKEN)]);
}

#[test]
fn nobody_takes_over_from_a_caller_who_left_for_good() {
    let mut it = Scenario::publishing().then(|_| Event::Abandoned);
    let before = it.flight;
    let _ = it.tell(handed_over(Policy::DEFAULT, 0, Verdict::UNKNOWN));
    assert_eq!(it.flight, before);
}

#[test]
fn a_new_caller_awaits_the_value() {
    let taken_over =
        || Scenario::publishing().then(|_| handed_over(Policy::DEFAULT, 0, Verdict::UNKNOWN));
    let mut it = taken_over();
    assert_eq!(it.tell(it.published(8)), [awaited(8)]);

    let mut it = taken_over();
    assert_eq!(it.tell(it.fenced()), [claim(4, 0)]);

    let mut it = taken_over();
    assert_eq!(
        it.tell(Event::Refused {
            attempt: it.publish
        }),
        [release(4, TOKEN), Command::Land(Outcome::Refused)]
    );

    let mut it = taken_over().tick(5_000);
    assert_eq!(
        it.tick_at(10_000),
        [
            release(4, TOKEN),
            Command::Land(Outcome::Awaited { revision: None })
        ]
    );
}

#[test]
fn a_new_caller_does_not_wait_longer_than_it_meant_to() {
    let policy = Policy {
        wait_timeout: ms(1_000),
        ..Policy::DEFAULT
    };
    let mut it = Scenario::publishing();
    let _ = it.tell(handed_over(policy, 0, stale(3)));
    assert_eq!(it.due(), Some((1_000, Why::WaitTimeout)));
    assert_eq!(it.tick_at(1_000), [cached(3, true)]);
    // The value is published all the same.
    assert_eq!(it.phase(), Phase::Publishing);
    assert_eq!(it.due(), Some((5_000, Why::Retry)));
    assert_eq!(it.tell(it.published(8)), []);
    assert_eq!(it.phase(), Phase::Landed);
}

#[test]
fn a_store_that_is_given_no_time_is_not_asked_in_a_loop() {
    let policy = Policy {
        store_timeout: ms(0),
        ..Policy::DEFAULT
    };
    let mut it = Scenario::launch(policy, Verdict::UNKNOWN)
        .then(|it| it.granted(TOKEN))
        .then(|it| it.done(FillResult::Value));
    let mut steps = 0;
    while let Some(due) = it.flight.deadline() {
        assert!(due.at > at(it.ms), "{due:?}");
        let _ = it.tick_at(it.due_at());
        steps += 1;
    }
    assert_eq!(it.ms, 30_000, "released until it lapsed");
    assert!(steps <= 30_000);
}

#[test]
fn repeated_answers_change_nothing() {
    let mut it = Scenario::publishing();
    let before = it.flight;
    assert_eq!(it.tell(it.granted(TOKEN)), []);
    assert_eq!(it.tell(it.done(FillResult::Error)), []);
    assert_eq!(it.flight, before);
}

#[test]
fn a_lease_that_was_handed_on_tells_nothing_of_those_granted_before_the_call() {
    // The lease was voided, another granted, and only then did the new caller come.
    let mut it = Scenario::filling()
        .then(|_| handed_over(Policy::DEFAULT, 0, Verdict::UNKNOWN))
        .then(|it| it.done(FillResult::Value))
        .then(Scenario::fenced);
    let commands = it.tell(Event::Newer {
        attempt: it.claim,
        latest: Some(token(TOKEN + 1)),
        verdict: verdict(9, TOKEN + 1, Judgement::Stale),
    });
    assert_eq!(commands, [claim(6, 9)]);
}
