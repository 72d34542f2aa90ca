//! The fill runs under a lease.

use oneflight_core::{
    Attempt, Command, Event, FillResult, Outcome, Phase, Policy, Verdict, Warning, Why,
};

use crate::scenario::*;

#[test]
fn a_value_is_published() {
    let mut it = Scenario::filling();
    assert_eq!(it.tell(it.done(FillResult::Value)), [publish(3)]);
    assert_eq!(it.phase(), Phase::Publishing);
}

#[test]
fn an_error_or_a_panic_frees_the_lease_at_once() {
    for (result, outcome) in [
        (FillResult::Error, Outcome::Aborted),
        (FillResult::Panic, Outcome::Panicked),
    ] {
        let mut it = Scenario::filling();
        assert_eq!(
            it.tell(it.done(result)),
            [release(3, TOKEN), Command::Land(outcome)]
        );
        assert_eq!(it.phase(), Phase::Releasing);
    }
}

#[test]
fn a_caller_who_leaves_frees_the_lease_at_once() {
    let mut it = Scenario::filling();
    assert_eq!(it.tell(Event::Abandoned), [release(3, TOKEN)]);
}

#[test]
fn renewals_come_at_a_third_of_the_ttl() {
    let mut it = Scenario::filling();
    for (number, second) in (3..8).zip([10, 20, 30, 40, 50]) {
        assert_eq!(it.due(), Some((second * 1_000, Why::Renewal)));
        assert_eq!(it.tick_at(second * 1_000), [renew(number)]);
        it.ms += 100;
        assert_eq!(it.tell(it.renewed()), []);
        // The lease counts from when the renewal was sent.
        assert_eq!(
            it.flight.lease().unwrap().expires,
            at(second * 1_000 + 30_000)
        );
    }
}

#[test]
fn a_claim_that_took_long_is_renewed_early_but_not_in_the_past() {
    let policy = Policy {
        store_timeout: ms(20_000),
        ..Policy::DEFAULT
    };
    let mut it = Scenario::launch(policy, Verdict::UNKNOWN);
    it.ms = 15_000;
    let _ = it.tell(it.granted(TOKEN));
    assert_eq!(it.due(), Some((15_001, Why::Renewal)));
}

#[test]
fn one_failed_renewal_is_retried() {
    let mut it = Scenario::renewing();
    let event = Event::Unavailable {
        attempt: it.renewal,
    };
    assert_eq!(it.tell(event), []);
    assert!(it.due_at() < 10_010, "{:?}", it.due());
    assert_eq!(it.tick_at(it.due_at()), [renew(4)]);
    let _ = it.tell(it.renewed());
    assert_eq!(it.due().unwrap().1, Why::Renewal);
    assert!(it.due_at() > 20_000);
}

#[test]
fn a_renewal_that_is_not_answered_is_sent_again() {
    let mut it = Scenario::renewing();
    assert_eq!(it.due(), Some((15_000, Why::StoreTimeout)));
    assert_eq!(it.tick_at(15_000), [renew(3)], "the same one");
    // A slow store answers, whichever it answers: the lease counts from the first.
    assert_eq!(it.tell(it.renewed()), []);
    assert_eq!(it.flight.lease().unwrap().expires, at(40_000));
    assert_eq!(it.due(), Some((20_000, Why::Renewal)));
}

#[test]
fn a_renewal_whose_answer_would_prolong_nothing_is_a_new_one() {
    let mut it = Scenario::renewing();
    let first = it.renewal;
    while it.ms < 40_000 {
        let _ = it.tick_at(it.due_at());
    }
    assert_eq!(it.tell(Event::Renewed { attempt: first }), []);
    assert_eq!(it.flight.lease().unwrap().expires, at(30_000));
}

#[test]
fn renewals_are_tried_until_the_lapse_and_beyond() {
    let mut it = Scenario::filling();
    let mut renewals = 0;
    let mut warned = None;
    while it.ms < 40_000 {
        for command in it.tick_at(it.due_at()) {
            match command {
                Command::Renew { .. } => renewals += 1,
                other => {
                    assert_eq!(other, warn(Warning::Lapsed));
                    assert_eq!(warned, None, "warned once");
                    warned = Some(it.ms);
                }
            }
        }
    }
    assert_eq!(warned, Some(30_000), "by the own clock");
    assert_eq!(renewals, 7, "at 10, 15, .. 40 s");
    // The store revives what nobody has taken.
    let renewed = Event::Renewed {
        attempt: Attempt::new(4),
    };
    let _ = it.tell(renewed);
    assert_eq!(it.flight.lease().unwrap().expires, at(70_000));
    assert_eq!(it.tell(it.done(FillResult::Value)).len(), 1);
    assert_eq!(it.phase(), Phase::Publishing);
}

#[test]
fn a_lost_lease_warns_and_whatever_the_fill_makes_of_it_rides() {
    for result in [FillResult::Value, FillResult::Error] {
        let mut it = Scenario::renewing();
        let lost = Event::LeaseLost {
            attempt: it.renewal,
        };
        assert_eq!(it.tell(lost), [warn(Warning::Taken)]);
        assert_eq!(it.due(), None, "no renewals, no second warning");
        assert_eq!(it.tell(it.done(result)), [claim(4, 0)]);
        assert_eq!(it.phase(), Phase::Claiming);
    }
}

#[test]
fn a_panic_is_the_callers_to_know_even_if_the_lease_is_lost() {
    let mut it = Scenario::robbed();
    assert_eq!(
        it.tell(it.done(FillResult::Panic)),
        [Command::Land(Outcome::Panicked)]
    );
    assert_eq!(it.phase(), Phase::Landed);
}

#[test]
fn a_lost_lease_is_fenced_if_the_policy_is_not_to_ride() {
    let mut it = Scenario::launch(strict(), Verdict::UNKNOWN)
        .then(|it| it.granted(TOKEN))
        .tick(10_000)
        .then(|it| Event::LeaseLost {
            attempt: it.renewal,
        });
    assert_eq!(
        it.tell(it.done(FillResult::Value)),
        [Command::Land(Outcome::Fenced)]
    );
}

#[test]
fn a_lost_lease_is_not_released() {
    let mut it = Scenario::robbed();
    assert_eq!(it.tell(Event::Abandoned), []);
    assert_eq!(it.phase(), Phase::Landed);
}

#[test]
fn a_refused_renewal_stops_renewals_and_the_lapse_warns() {
    let mut it = Scenario::renewing();
    let refused = Event::Refused {
        attempt: it.renewal,
    };
    assert_eq!(it.tell(refused), []);
    assert_eq!(it.due(), Some((30_000, Why::LeaseExpiry)));
    assert_eq!(it.tick_at(30_000), [warn(Warning::Lapsed)]);
    assert_eq!(it.due(), None);
}

#[test]
fn a_hung_fill_is_warned_and_not_renewed_any_more() {
    let mut it = Scenario::launch(overdue_after(12_000), Verdict::UNKNOWN)
        .then(|it| it.granted(TOKEN))
        .tick(10_000)
        .then(Scenario::renewed);
    assert_eq!(it.due(), Some((12_000, Why::FillTimeout)));
    assert_eq!(it.tick_at(12_000), [warn(Warning::Overdue)]);
    assert_eq!(it.due(), Some((40_000, Why::LeaseExpiry)));
    assert_eq!(it.tick_at(40_000), [warn(Warning::Lapsed)]);
    assert_eq!(it.due(), None);
    // It is its caller's all the same.
    assert_eq!(it.tell(it.done(FillResult::Value)), [publish(4)]);
}

#[test]
fn the_lease_in_hand_is_handed_over() {
    let mut it = Scenario::filling();
    let (first, lease) = (it.fill, it.flight.lease());
    assert!(lease.is_some());
    it.ms = 5_000;
    assert_eq!(
        it.tell(handed_over(Policy::DEFAULT, 100, Verdict::UNKNOWN)),
        [Command::Fill {
            attempt: attempt(3),
            lease
        }]
    );
    // What the one before still returns is nobody's.
    let before = it.flight;
    let late = Event::FillDone {
        attempt: first,
        result: FillResult::Value,
    };
    assert_eq!(it.tell(late), []);
    assert_eq!(it.flight, before);
    assert_eq!(it.tell(it.done(FillResult::Value)), [publish(4)]);
}

#[test]
fn a_new_fill_has_its_own_fill_timeout_and_renewals() {
    let mut it = Scenario::launch(overdue_after(12_000), Verdict::UNKNOWN)
        .then(|it| it.granted(TOKEN))
        .tick(12_000);
    let _ = it.tell(handed_over(overdue_after(12_000), 0, Verdict::UNKNOWN));
    assert_eq!(it.due(), Some((12_000, Why::Renewal)));
    let _ = it.tick_at(12_000);
    let _ = it.tell(it.renewed());
    assert_eq!(it.due(), Some((22_000, Why::Renewal)));
    let _ = it.tick_at(22_000);
    assert_eq!(it.due(), Some((24_000, Why::FillTimeout)));
}

#[test]
fn a_new_fill_is_told_of_a_lapse_too() {
    let mut it = Scenario::renewing().then(|it| Event::Refused {
        attempt: it.renewal,
    });
    assert_eq!(it.tick_at(30_000), [warn(Warning::Lapsed)]);
    let _ = it.tell(handed_over(Policy::DEFAULT, 0, Verdict::UNKNOWN));
    assert_eq!(it.tick_at(30_000), [renew(5), warn(Warning::Lapsed)]);
}

#[test]
fn a_renewal_on_its_way_does_not_count_for_another_ttl() {
    let mut it = Scenario::renewing();
    let first = it.renewal;
    let long = Policy {
        lease_ttl: ms(300_000),
        ..Policy::DEFAULT
    };
    let _ = it.tell(handed_over(long, 0, Verdict::UNKNOWN));
    let _ = it.tell(Event::Renewed { attempt: first });
    assert_eq!(it.flight.lease().unwrap().expires, at(30_000));
    assert_eq!(it.tick_at(10_000), [renew(5)]);
    let _ = it.tell(it.renewed());
    assert_eq!(it.flight.lease().unwrap().expires, at(310_000));
}

#[test]
fn a_lost_lease_is_not_handed_over() {
    let mut it = Scenario::robbed();
    assert_eq!(
        it.tell(handed_over(Policy::DEFAULT, 0, Verdict::UNKNOWN)),
        [claim(4, 0)]
    );
    assert_eq!(
        it.tell(it.newer(fresh(9))),
        [awaited(9)],
        "it has waited for the fill before"
    );
}

#[test]
fn a_fill_that_cannot_be_carried_out_has_failed() {
    let mut it = Scenario::filling();
    let event = Event::Unavailable { attempt: it.fill };
    assert_eq!(
        it.tell(event),
        [release(3, TOKEN), Command::Land(Outcome::Aborted)]
    );
}

#[test]
fn the_lease_in_hand_is_never_released_by_a_repeated_grant() {
    let mut it = Scenario::filling();
    let before = it.flight;
    assert_eq!(it.tell(it.granted(TOKEN)), []);
    assert_eq!(it.flight, before);
    assert_eq!(it.tell(it.granted(TOKEN + 1)), [release(3, TOKEN + 1)]);
    // No grant answers a fill; its lease does not leak for that.
    assert_eq!(
        it.tell(granted(it.fill, TOKEN + 2)),
        [release(4, TOKEN + 2)]
    );
    assert_eq!(it.phase(), Phase::Filling);
}

#[test]
fn the_watch_is_closed_when_the_fill_begins() {
    let mut it = Scenario::backing_off();
    let _ = it.tick_at(it.due_at());
    let commands = it.tell(it.granted(TOKEN));
    assert_eq!(commands.first(), Some(&Command::Unwatch));
    assert_eq!(commands.len(), 2);
    // Its last words are ignored.
    let before = it.flight;
    for event in [
        Event::LockReleased,
        Event::WatchLost,
        Event::WatchRefused,
        key_event(fresh(9)),
        Event::LockHeld { remaining: None },
    ] {
        assert_eq!(it.tell(event), []);
        assert_eq!(it.flight, before);
    }
}

#[test]
fn an_own_fill_may_take_longer_than_the_wait_timeout() {
    let mut it = Scenario::filling();
    while it.ms < 100_000 {
        let _ = it.tick_at(it.due_at());
        let _ = it.tell(it.renewed());
    }
    assert_eq!(it.phase(), Phase::Filling);
}

#[test]
fn a_short_lease_does_not_wait_long_for_its_renewal() {
    let policy = Policy {
        lease_ttl: ms(3_000),
        ..Policy::DEFAULT
    };
    let mut it = Scenario::launch(policy, Verdict::UNKNOWN).then(|it| it.granted(TOKEN));
    let first = it.due_at();
    assert_eq!(it.tick_at(first), [renew(3)]);
    // A third of the lease, not the whole `store_timeout`.
    assert_eq!(it.due(), Some((first + 1_000, Why::StoreTimeout)));
}
