//! The call has ended, the lease is being freed.

use oneflight_core::{Event, Phase, Policy, Verdict, Why};

use crate::scenario::*;

#[test]
fn released_refused_malformed_end_it() {
    let attempt = Scenario::releasing().release;
    for event in [
        Event::Released { attempt },
        Event::Refused { attempt },
        Event::Malformed { attempt },
    ] {
        let mut it = Scenario::releasing();
        assert_eq!(it.tell(event), []);
        assert_eq!(it.phase(), Phase::Landed);
    }
}

#[test]
fn an_answer_that_does_not_come_is_asked_for_again_until_the_lease_has_lapsed() {
    let mut it = Scenario::releasing();
    for second in [5, 10, 15, 20, 25] {
        assert_eq!(it.due(), Some((second * 1_000, Why::Retry)));
        assert_eq!(it.tick_at(second * 1_000), [release(3, TOKEN)]);
    }
    assert_eq!(it.tick_at(30_000), []);
    assert_eq!(it.phase(), Phase::Landed);
}

#[test]
fn an_unreachable_store_is_tried_again_soon() {
    let mut it = Scenario::releasing();
    let event = Event::Unavailable {
        attempt: it.release,
    };
    assert_eq!(it.tell(event), []);
    assert!(it.due_at() <= 8);
    assert_eq!(it.tick_at(it.due_at()), [release(3, TOKEN)]);
}

#[test]
fn a_lapsed_lease_is_released_once() {
    let mut it = Scenario::renewing().then(|it| Event::Refused {
        attempt: it.renewal,
    });
    it.ms = 40_000;
    assert_eq!(it.tell(Event::Abandoned), [release(4, TOKEN)]);
    assert_eq!(it.tick_at(45_000), []);
    assert_eq!(it.phase(), Phase::Landed);
}

#[test]
fn nothing_else_is_done() {
    let mut it = Scenario::releasing();
    let before = it.flight;
    for event in [
        Event::Abandoned,
        handed_over(Policy::DEFAULT, 0, Verdict::UNKNOWN),
        key_event(fresh(9)),
        Event::LockReleased,
        Event::WatchLost,
        Event::WatchRefused,
    ] {
        assert_eq!(it.tell(event), []);
        assert_eq!(it.flight, before);
    }
}
