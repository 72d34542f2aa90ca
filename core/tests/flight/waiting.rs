//! Somebody else holds the lease.

use oneflight_core::{Command, Event, Judgement, Outcome, Phase, Policy, Verdict, Why};

use crate::scenario::*;

#[test]
fn a_fresh_value_lands() {
    let mut it = Scenario::waiting();
    assert_eq!(it.tell(key_event(fresh(3))), [Command::Unwatch, awaited(3)]);
    assert_eq!(it.phase(), Phase::Landed);
}

#[test]
fn a_value_that_does_not_satisfy_is_remembered() {
    let mut it = Scenario::waiting();
    assert_eq!(it.tell(key_event(stale(3))), []);
    assert_eq!(it.phase(), Phase::Waiting);
    let _ = it.tell(Event::LockReleased);
    assert_eq!(it.tick_at(it.due_at()), [claim(2, 3)]);
}

#[test]
fn a_value_that_does_not_decode_lands() {
    let mut it = Scenario::waiting();
    let verdict = verdict(3, 0, Judgement::Malformed);
    assert_eq!(
        it.tell(key_event(verdict)),
        [Command::Unwatch, Command::Land(Outcome::Malformed)]
    );
}

#[test]
fn a_release_is_followed_by_a_short_pause_and_a_claim() {
    let mut it = Scenario::waiting();
    assert_eq!(it.tell(Event::LockReleased), []);
    assert_eq!(it.phase(), Phase::BackingOff);
    assert!(it.due_at() <= 4, "at most a 64th of 250 ms");
}

#[test]
fn the_lapse_is_followed_by_a_claim() {
    let mut it = Scenario::waiting();
    assert_eq!(it.tick_at(999), []);
    assert_eq!(it.phase(), Phase::Waiting);
    let _ = it.tick_at(1_000);
    assert_eq!(it.phase(), Phase::BackingOff);
}

#[test]
fn a_renewal_seen_moves_the_lapse() {
    let mut it = Scenario::waiting();
    it.ms = 500;
    let held = Event::LockHeld {
        remaining: Some(ms(9_000)),
    };
    assert_eq!(it.tell(held), []);
    assert_eq!(it.due(), Some((9_500, Why::Lapse)));
    // A store that does not know is believed to grant what this caller would ask for.
    let _ = it.tell(Event::LockHeld { remaining: None });
    assert_eq!(it.due(), Some((30_500, Why::Lapse)));
}

#[test]
fn a_lost_watch_probes_the_store() {
    let mut it = Scenario::waiting();
    assert_eq!(it.tell(Event::WatchLost), []);
    assert_eq!(it.phase(), Phase::BackingOff);
    assert_eq!(it.tick_at(it.due_at()), [claim(2, 0)]);
    let degraded = it.tell(Event::Unavailable { attempt: it.claim });
    assert_eq!(
        degraded,
        [Command::Fill {
            attempt: attempt(3),
            lease: None
        }]
    );
}

#[test]
fn a_watch_that_is_lost_again_and_again_is_opened_ever_more_slowly() {
    let mut it = Scenario::waiting();
    let mut opened = 0;
    while it.ms < 30_000 {
        let _ = it.tell(Event::WatchLost);
        let _ = it.tick_at(it.due_at());
        assert_eq!(it.tell(it.held(30_000)), [Command::Watch]);
        opened += 1;
    }
    assert!((100..1_000).contains(&opened), "{opened} watches in 30 s");
}

#[test]
fn a_refused_watch_lands() {
    let mut it = Scenario::waiting();
    assert_eq!(
        it.tell(Event::WatchRefused),
        [Command::Land(Outcome::Refused)]
    );
}

#[test]
fn the_time_out_serves_the_stale_value_or_none() {
    let patience = |known| {
        let mut it = Scenario::launch(Policy::DEFAULT, known).then(|it| it.held(60_000));
        assert_eq!(it.due(), Some((35_000, Why::WaitTimeout)));
        it.tick_at(35_000)
    };
    let timed_out = Command::Land(Outcome::TimedOut);
    assert_eq!(patience(stale(3)), [Command::Unwatch, cached(3, true)]);
    assert_eq!(patience(Verdict::UNKNOWN), [Command::Unwatch, timed_out]);
}

#[test]
fn a_forgotten_value_is_not_served_stale() {
    let mut it = Scenario::launch(Policy::DEFAULT, stale(3)).then(|it| it.held(60_000));
    let _ = it.tell(key_event(verdict(4, 0, Judgement::Absent)));
    assert_eq!(
        it.tick_at(35_000),
        [Command::Unwatch, Command::Land(Outcome::TimedOut)]
    );
}

#[test]
fn a_caller_who_leaves_ends_the_watch() {
    let mut it = Scenario::waiting();
    assert_eq!(it.tell(Event::Abandoned), [Command::Unwatch]);
    assert_eq!(it.phase(), Phase::Landed);
}

#[test]
fn a_new_caller_waits_on_with_its_own_patience_and_view() {
    let mut it = Scenario::launch(Policy::DEFAULT, stale(5)).then(|it| it.held(60_000));
    it.ms = 1_000;
    assert_eq!(
        it.tell(handed_over(Policy::DEFAULT, 1_000, Verdict::UNKNOWN)),
        []
    );
    assert_eq!(it.due(), Some((36_000, Why::WaitTimeout)));
    // Revision 5 might satisfy it, so its claim does not pass it over.
    let _ = it.tell(Event::LockReleased);
    assert_eq!(it.tick_at(it.due_at()), [claim(2, 0)]);
}

#[test]
fn a_new_caller_who_does_not_wait_lands_at_once() {
    let mut it = Scenario::waiting();
    assert_eq!(
        it.tell(handed_over(zero_wait(), 0, stale(3))),
        [Command::Unwatch, cached(3, true)]
    );
}

#[test]
fn a_value_that_is_judged_anew_may_satisfy() {
    let mut it = Scenario::launch(Policy::DEFAULT, stale(3)).then(|it| it.held(1_000));
    assert_eq!(it.tell(key_event(fresh(3))), [Command::Unwatch, awaited(3)]);
}
