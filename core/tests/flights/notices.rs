//! What is told, and what can be seen from outside.

use oneflight_core::{
    Arrival, Attempt, Event, Judgement, Notice, Phase, Policy, Revision, Verdict,
};

use crate::scenario::*;

#[test]
fn orders_go_to_the_end_of_a_list() {
    let mut process = Process::new();
    let mut orders = process.board(1, Policy::DEFAULT);
    let before = orders.clone();
    let mut other = process.flights.clone();
    let notice = Notice::Answered {
        flight: process.flight(),
        event: Event::Held {
            attempt: Attempt::new(1),
            token: None,
            remaining: None,
        },
    };
    let more = other.handle(at(0), notice.clone());
    process.flights.handle_into(at(0), &notice, &mut orders);
    assert!(!more.is_empty());
    assert_eq!(orders, [before, more].concat());
}

#[test]
fn a_view_tells_how_far_a_key_is() {
    let mut process = Process::new();
    assert!(process.flights.view(&KEY).is_none());
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.board(2, Policy::DEFAULT);
    let (phase, deadline, aboard) = process.flights.view(&KEY).unwrap();
    assert_eq!((phase, aboard), (Some(Phase::Claiming), 2));
    assert_eq!(deadline.unwrap().at, process.flights.deadline().unwrap());
    assert!(process.flights.view(&"other").is_none());
}

#[test]
fn a_notice_tells_its_key() {
    let (passenger, flight) = (id(1), flight(1));
    let (policy, known) = (Policy::DEFAULT, Verdict::UNKNOWN);
    let arrival = Arrival {
        revision: Revision::new(1),
        token: None,
        value: true,
    };
    for notice in [
        Notice::Boarded {
            key: KEY,
            passenger,
            policy,
            known,
        },
        Notice::Judged {
            key: KEY,
            passenger,
            verdict: known,
        },
        Notice::Left {
            key: KEY,
            passenger,
        },
        Notice::Answered {
            flight: flight.clone(),
            event: Event::LockReleased,
        },
        Notice::Arrived {
            flight,
            attempt: None,
            latest: None,
            arrival,
        },
    ] {
        assert_eq!(notice.key(), Some(&KEY), "{notice:?}");
    }
    assert_eq!(Notice::<Key>::Tick.key(), None);
}

#[test]
fn keys_do_not_meet() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let before = format!("{:?}", process.flights.view(&KEY));
    let orders = process.tell(oneflight_core::Notice::Boarded {
        key: "other",
        passenger: id(2),
        policy: Policy::DEFAULT,
        known: oneflight_core::Verdict::UNKNOWN,
    });
    assert_eq!(orders.len(), 1);
    assert_eq!(process.flight, 2);
    assert_eq!(format!("{:?}", process.flights.view(&KEY)), before);
}

#[test]
fn who_comes_and_goes_is_told_by_its_own_notice() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let before = format!("{:?}", process.flights);
    assert_eq!(process.event(Event::Abandoned), []);
    assert_eq!(process.event(Event::Tick), []);
    assert_eq!(format!("{:?}", process.flights), before);
    // Strangers change nothing.
    assert_eq!(process.leave(9), []);
    assert_eq!(process.judged(9, 9, Judgement::Fresh), []);
}
