//! The caller is gone, its claim is still at the store.

use oneflight_core::{Event, Phase, Policy, Verdict, Why};

use crate::scenario::*;

#[test]
fn a_grant_is_released() {
    let mut it = Scenario::departing();
    it.ms = 100;
    assert_eq!(it.tell(it.granted(TOKEN)), [release(2, TOKEN)]);
    assert_eq!(it.phase(), Phase::Releasing);
    assert_eq!(it.due(), Some((5_100, Why::Retry)));
}

#[test]
fn anything_else_ends_it() {
    let claim = Scenario::departing().claim;
    for event in [
        Scenario::departing().held(1_000),
        Scenario::departing().newer(fresh(9)),
        Event::Unavailable { attempt: claim },
        Event::Refused { attempt: claim },
        Event::Malformed { attempt: claim },
    ] {
        let mut it = Scenario::departing();
        assert_eq!(it.tell(event), []);
        assert_eq!(it.phase(), Phase::Landed);
    }
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for() {
    let mut it = Scenario::departing();
    assert_eq!(it.due(), Some((5_000, Why::StoreTimeout)));
    assert_eq!(it.tick_at(5_000), []);
    assert_eq!(it.phase(), Phase::Landed);
    assert_eq!(it.tell(it.granted(TOKEN)), [release(2, TOKEN)]);
}

#[test]
fn a_lease_of_ages_is_not_released_for_ages() {
    let mut it = Scenario::departing();
    let _ = it.tell(Event::LeaseGranted {
        attempt: it.claim,
        token: token(TOKEN),
        remaining: core::time::Duration::MAX,
        generation: oneflight_core::Revision::NEVER,
    });
    let mut steps = 0;
    while it.due().is_some() {
        let _ = it.tick_at(it.due_at());
        steps += 1;
    }
    assert!(steps < 10 && it.ms == 30_000, "{steps} steps, {} ms", it.ms);
}

#[test]
fn nobody_comes_back() {
    let mut it = Scenario::departing();
    let before = it.flight;
    let _ = it.tell(handed_over(Policy::DEFAULT, 0, Verdict::UNKNOWN));
    let _ = it.tell(Event::Abandoned);
    assert_eq!(it.flight, before);
}
