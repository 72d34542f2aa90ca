//! A claim is at the store.

use oneflight_core::{Command, Event, Judgement, Outcome, Phase, Policy, Revision, Verdict, Why};

use crate::scenario::*;

#[test]
fn a_launch_claims_with_what_the_caller_has_seen() {
    let scenario = Scenario::launch(Policy::DEFAULT, stale(5));
    assert_eq!(scenario.phase(), Phase::Claiming);
    assert_eq!(scenario.due(), Some((5_000, Why::StoreTimeout)));
}

#[test]
fn granted_begins_the_fill() {
    let mut it = Scenario::claiming();
    it.ms = 4_000;
    let commands = it.tell(it.granted(TOKEN));
    let lease = it.flight.lease().unwrap();
    assert_eq!(
        commands,
        [Command::Fill {
            attempt: attempt(2),
            lease: Some(lease)
        }]
    );
    // The lease counts from before the claim was sent, not from when the answer came.
    assert_eq!(lease.expires, at(30_000));
    assert_eq!(it.due(), Some((10_000, Why::Renewal)));
}

#[test]
fn held_watches_and_waits_for_the_lapse() {
    let mut it = Scenario::claiming();
    assert_eq!(it.tell(it.held(1_000)), [Command::Watch]);
    assert_eq!(it.phase(), Phase::Waiting);
    assert_eq!(it.due(), Some((1_000, Why::Lapse)));
}

#[test]
fn newer_and_fresh_lands() {
    let mut it = Scenario::claiming();
    assert_eq!(it.tell(it.newer(fresh(3))), [cached(3, false)]);
    assert_eq!(it.phase(), Phase::Landed);
}

#[test]
fn newer_and_fresh_after_waiting_was_awaited() {
    let mut it = Scenario::backing_off();
    let _ = it.tick_at(it.due_at());
    assert_eq!(it.tell(it.newer(fresh(3))), [Command::Unwatch, awaited(3)]);
}

#[test]
fn newer_and_stale_claims_again_having_seen_it() {
    let mut it = Scenario::claiming();
    assert_eq!(it.tell(it.newer(stale(3))), [claim(2, 3)]);
}

#[test]
fn newer_and_malformed_lands() {
    let mut it = Scenario::claiming();
    let verdict = verdict(3, 0, Judgement::Malformed);
    assert_eq!(
        it.tell(it.newer(verdict)),
        [Command::Land(Outcome::Malformed)]
    );
}

#[test]
fn a_store_that_knows_nothing_newer_is_not_asked_in_a_loop() {
    let mut it = Scenario::launch(Policy::DEFAULT, stale(3));
    let mut asked = 0;
    while it.ms < 30_000 {
        let _ = it.tell(it.newer(stale(3)));
        assert_eq!(it.phase(), Phase::BackingOff);
        let _ = it.tick_at(it.due_at());
        asked += 1;
    }
    assert!(asked < 1_000, "{asked} claims in 30 s");
}

#[test]
fn a_store_that_knows_nothing_newer_ends_a_call_that_does_not_wait() {
    let mut it = Scenario::launch(zero_wait(), stale(3));
    assert_eq!(it.tell(it.newer(stale(3))), [cached(3, true)]);
}

#[test]
fn a_lease_that_never_lapses_and_never_is_there_is_not_claimed_in_a_loop() {
    let mut it = Scenario::claiming();
    let mut asked = 0;
    while it.ms < 30_000 {
        let _ = it.tell(it.held(0));
        let _ = it.tick_at(it.due_at());
        let _ = it.tick_at(it.due_at());
        asked += 1;
    }
    assert!(asked < 30_000, "{asked} claims in 30 s");
}

#[test]
fn held_ends_a_call_that_does_not_wait() {
    let mut it = Scenario::launch(zero_wait(), Verdict::UNKNOWN);
    assert_eq!(it.due(), Some((5_000, Why::StoreTimeout)));
    assert_eq!(it.tell(it.held(1_000)), [Command::Land(Outcome::TimedOut)]);
    let mut it = Scenario::launch(zero_wait(), stale(3));
    assert_eq!(it.tell(it.held(1_000)), [cached(3, true)]);
    assert_eq!(it.phase(), Phase::Landed);
}

#[test]
fn a_release_heard_meanwhile_is_not_lost() {
    let mut it = Scenario::backing_off();
    let _ = it.tick_at(it.due_at());
    assert_eq!(it.phase(), Phase::Claiming);
    assert_eq!(it.tell(Event::LockReleased), []);
    assert_eq!(it.tell(it.held(30_000)), []);
    assert_eq!(it.phase(), Phase::BackingOff);
    assert_eq!(it.due().unwrap().1, Why::Backoff);
}

#[test]
fn a_fresh_value_heard_meanwhile_lands_and_the_grant_does_not_leak() {
    let mut it = Scenario::backing_off();
    let _ = it.tick_at(it.due_at());
    assert_eq!(it.tell(key_event(fresh(4))), [Command::Unwatch, awaited(4)]);
    assert_eq!(it.phase(), Phase::Departing);
    assert_eq!(it.tell(it.granted(TOKEN)), [release(3, TOKEN)]);
}

#[test]
fn an_old_value_heard_meanwhile_changes_nothing() {
    let mut it = Scenario::launch(Policy::DEFAULT, stale(5))
        .then(|it| it.held(1_000))
        .then(|_| Event::LockReleased);
    let _ = it.tick_at(it.due_at());
    assert_eq!(it.tell(key_event(fresh(4))), []);
    assert_eq!(it.phase(), Phase::Claiming);
}

#[test]
fn unreachable_runs_without_the_store_or_says_so() {
    let mut it = Scenario::claiming();
    let event = Event::Unavailable { attempt: it.claim };
    assert_eq!(
        it.tell(event),
        [Command::Fill {
            attempt: attempt(2),
            lease: None
        }]
    );
    assert_eq!(it.phase(), Phase::FillingLocally);

    let mut it = Scenario::launch(strict(), Verdict::UNKNOWN);
    assert_eq!(it.tell(event), [Command::Land(Outcome::Unavailable)]);
}

#[test]
fn an_answer_that_does_not_come_is_an_unreachable_store() {
    let mut it = Scenario::claiming();
    assert_eq!(it.tick_at(4_999), []);
    let _ = it.tick_at(5_000);
    assert_eq!(it.phase(), Phase::FillingLocally);
    // The lease that was granted all the same is released, whenever the answer comes.
    assert_eq!(it.tell(it.granted(TOKEN)), [release(3, TOKEN)]);
    assert_eq!(it.phase(), Phase::FillingLocally);
}

#[test]
fn refused_and_malformed_never_degrade() {
    let claim = Scenario::claiming().claim;
    for (event, outcome) in [
        (Event::Refused { attempt: claim }, Outcome::Refused),
        (Event::Malformed { attempt: claim }, Outcome::Malformed),
    ] {
        let mut it = Scenario::claiming();
        assert_eq!(it.tell(event), [Command::Land(outcome)]);
        assert_eq!(it.phase(), Phase::Landed);
    }
}

#[test]
fn a_refused_watch_lands_and_the_grant_does_not_leak() {
    let mut it = Scenario::backing_off();
    let _ = it.tick_at(it.due_at());
    assert_eq!(
        it.tell(Event::WatchRefused),
        [Command::Land(Outcome::Refused)]
    );
    assert_eq!(it.phase(), Phase::Departing);
}

#[test]
fn a_lost_watch_is_opened_again() {
    let mut it = Scenario::backing_off();
    let _ = it.tick_at(it.due_at());
    assert_eq!(it.tell(Event::WatchLost), []);
    assert_eq!(it.tell(it.held(1_000)), [Command::Watch]);
}

#[test]
fn the_time_out_lands_and_the_grant_does_not_leak() {
    let policy = Policy {
        wait_timeout: ms(100),
        ..Policy::DEFAULT
    };
    let mut it = Scenario::launch(policy, stale(3));
    assert_eq!(it.due(), Some((100, Why::WaitTimeout)));
    assert_eq!(it.tick_at(100), [cached(3, true)]);
    assert_eq!(it.phase(), Phase::Departing);
    assert_eq!(it.due(), Some((5_000, Why::StoreTimeout)));
}

#[test]
fn a_superseded_claim_is_ignored_but_its_lease_is_released() {
    let mut it = Scenario::claiming();
    let first = it.claim;
    let _ = it.tell(it.newer(stale(3)));
    let before = it.flight;
    for event in [
        Event::Held {
            attempt: first,
            token: None,
            remaining: None,
        },
        Event::Unavailable { attempt: first },
        Event::Refused { attempt: first },
        Event::Newer {
            attempt: first,
            latest: None,
            verdict: fresh(9),
        },
    ] {
        assert_eq!(it.tell(event), []);
        assert_eq!(it.flight, before);
    }
    assert_eq!(it.tell(granted(first, TOKEN)), [release(3, TOKEN)]);
    assert_eq!(it.phase(), Phase::Claiming);
}

#[test]
fn a_grant_tells_of_a_forgotten_key() {
    let mut it = Scenario::launch(Policy::DEFAULT, stale(3));
    let _ = it.tell(Event::LeaseGranted {
        attempt: it.claim,
        token: token(TOKEN),
        remaining: ms(30_000),
        generation: Revision::new(4),
    });
    assert_eq!(it.flight.lease().unwrap().generation, Revision::new(4));
    let _ = it.tell(Event::FillDone {
        attempt: it.fill,
        result: oneflight_core::FillResult::Value,
    });
    // Fenced, it claims having seen the forget, and serves nothing that was forgotten.
    assert_eq!(it.tell(it.fenced()), [claim(4, 4)]);
}

#[test]
fn a_new_caller_counts_from_its_own_start() {
    let mut it = Scenario::claiming();
    let policy = Policy {
        wait_timeout: ms(3_000),
        ..Policy::DEFAULT
    };
    it.ms = 1_000;
    assert_eq!(it.tell(handed_over(policy, 500, stale(2))), []);
    assert_eq!(it.due(), Some((3_500, Why::WaitTimeout)));
    assert_eq!(it.tick_at(3_500), [cached(2, true)]);
}

#[test]
fn a_value_granted_after_the_call_began_satisfies() {
    // The first answer tells that token 6 was granted before.
    let mut it = Scenario::waiting();
    let mut after = it;
    assert_eq!(
        after.tell(key_event(verdict(9, TOKEN, Judgement::Stale))),
        [Command::Unwatch, awaited(9)]
    );
    assert_eq!(
        it.tell(key_event(verdict(9, TOKEN - 1, Judgement::Stale))),
        [],
        "granted before the call: the predicate counts"
    );
}

#[test]
fn a_value_granted_before_the_first_answer_does_not_satisfy() {
    let mut it = Scenario::claiming();
    let commands = it.tell(Event::Newer {
        attempt: it.claim,
        latest: Some(token(TOKEN)),
        verdict: verdict(9, TOKEN, Judgement::Stale),
    });
    assert_eq!(commands, [claim(2, 9)]);
}

#[test]
fn the_first_answer_after_a_hand_over_is_to_an_older_claim() {
    // The new caller's call began after the claim was sent: its answer tells nothing of leases that
    // were granted between the two.
    let mut it = Scenario::claiming();
    let _ = it.tell(handed_over(Policy::DEFAULT, 0, Verdict::UNKNOWN));
    let _ = it.tell(it.held(1_000));
    assert_eq!(it.tell(key_event(verdict(9, TOKEN, Judgement::Stale))), []);
}

#[test]
fn an_answer_that_was_overtaken_by_the_watch_is_no_reason_to_pause() {
    let mut it = Scenario::backing_off();
    let _ = it.tick_at(it.due_at());
    let _ = it.tell(key_event(stale(9)));
    assert_eq!(it.tell(it.newer(stale(9))), [claim(3, 9)]);
}
