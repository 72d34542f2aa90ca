//! A pause before the next claim.

use oneflight_core::{Command, Event, Outcome, Phase, Policy, Verdict, Why};

use crate::scenario::*;

#[test]
fn the_pause_ends_with_a_claim() {
    let mut it = Scenario::backing_off();
    assert_eq!(it.due().unwrap().1, Why::Backoff);
    assert_eq!(it.tick_at(it.due_at()), [claim(2, 0)]);
}

#[test]
fn a_fresh_value_lands() {
    let mut it = Scenario::backing_off();
    assert_eq!(it.tell(key_event(fresh(3))), [Command::Unwatch, awaited(3)]);
}

#[test]
fn somebody_was_quicker() {
    let mut it = Scenario::backing_off();
    let held = Event::LockHeld {
        remaining: Some(ms(9_000)),
    };
    assert_eq!(it.tell(held), []);
    assert_eq!(it.phase(), Phase::Waiting);
}

#[test]
fn without_a_watch_the_claim_is_not_put_off() {
    let mut it = Scenario::waiting().then(|_| Event::WatchLost);
    let before = it.flight;
    // A message of the watch that is lost.
    let held = Event::LockHeld {
        remaining: Some(ms(9_000)),
    };
    assert_eq!(it.tell(held), []);
    assert_eq!(it.flight, before);
}

#[test]
fn a_second_release_changes_nothing() {
    let mut it = Scenario::backing_off();
    let before = it.flight;
    assert_eq!(it.tell(Event::LockReleased), []);
    assert_eq!(it.flight, before);
}

#[test]
fn no_pause_lasts_beyond_the_time_out() {
    let mut it = Scenario::launch(Policy::DEFAULT, Verdict::UNKNOWN).then(|it| it.held(60_000));
    it.ms = 34_999;
    let _ = it.tell(Event::LockReleased);
    assert_eq!(it.phase(), Phase::Claiming, "the lock may be free");
}

#[test]
fn a_new_caller_whose_time_is_over_lands() {
    let policy = Policy {
        wait_timeout: ms(1),
        ..Policy::DEFAULT
    };
    let mut it = Scenario::backing_off();
    let _ = it.tell(handed_over(policy, 0, stale(3)));
    assert_eq!(it.due(), Some((1, Why::WaitTimeout)));
    assert_eq!(it.tick_at(1), [Command::Unwatch, cached(3, true)]);

    let mut it = Scenario::backing_off();
    assert_eq!(
        it.tell(handed_over(zero_wait(), 0, Verdict::UNKNOWN)),
        [Command::Unwatch, Command::Land(Outcome::TimedOut)]
    );
}

#[test]
fn refused_left_lost() {
    let mut it = Scenario::backing_off();
    assert_eq!(
        it.tell(Event::WatchRefused),
        [Command::Land(Outcome::Refused)]
    );
    let mut it = Scenario::backing_off();
    assert_eq!(it.tell(Event::Abandoned), [Command::Unwatch]);
    assert_eq!(it.phase(), Phase::Landed);
    let mut it = Scenario::backing_off();
    assert_eq!(it.tell(Event::WatchLost), []);
    let _ = it.tick_at(it.due_at());
    assert_eq!(it.tell(it.held(9)), [Command::Watch]);
}

#[test]
fn pauses_differ_with_the_seed_and_double_with_failures() {
    let pause = |seed, failures| {
        let policy = Policy {
            seed,
            ..Policy::DEFAULT
        };
        let mut it = Scenario::launch(policy, stale(3));
        for _ in 0..failures {
            let _ = it.tell(it.newer(stale(3)));
            it.ms = it.due_at();
            let _ = it.tick_at(it.ms);
        }
        let before = it.ms;
        let _ = it.tell(it.newer(stale(3)));
        it.due_at() - before
    };
    let longest = |failures| (0..50).map(|seed| pause(seed, failures)).max().unwrap();
    assert!((3..=8).contains(&longest(0)));
    assert!((100..=250).contains(&longest(6)));
    assert!((100..=250).contains(&longest(60)));
    assert_ne!(pause(1, 6), pause(2, 6));
}

#[test]
fn a_pause_and_a_patience_that_end_together_end_the_call() {
    let mut it = Scenario::backing_off();
    let until = it.flight.deadline().unwrap().at;
    let patience = Policy {
        wait_timeout: until.since(at(0)),
        ..Policy::DEFAULT
    };
    let _ = it.tell(handed_over(patience, 0, Verdict::UNKNOWN));
    assert_eq!(it.flight.deadline().unwrap().at, until);
    // A claim would be due at the very moment that its time-out is.
    let commands = it.flight.handle(until, Event::Tick);
    assert_eq!(
        commands,
        [Command::Unwatch, Command::Land(Outcome::TimedOut)]
    );
}

#[test]
fn a_value_that_is_judged_anew_may_satisfy() {
    let mut it = Scenario::launch(Policy::DEFAULT, stale(3))
        .then(|it| it.held(1_000))
        .then(|_| Event::LockReleased);
    assert_eq!(it.tell(key_event(fresh(3))), [Command::Unwatch, awaited(3)]);
}

#[test]
fn a_pause_that_would_end_with_the_patience_is_not_begun() {
    let until = Scenario::backing_off().flight.deadline().unwrap().at;
    let patience = Policy {
        wait_timeout: until.since(at(0)),
        ..Policy::DEFAULT
    };
    let mut it = Scenario::waiting();
    let _ = it.tell(handed_over(patience, 0, Verdict::UNKNOWN));
    // The lock may be free for the taking.
    assert_eq!(it.tell(Event::LockReleased), [claim(2, 0)]);
}
