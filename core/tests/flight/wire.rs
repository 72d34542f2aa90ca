//! What is written down can be read again: traces, configurations, reproducers.

use core::fmt::Debug;

use oneflight_core::{
    Arrival, Event, Flight, FlightId, Notice, Order, Outcome, PassengerId, Policy,
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

use crate::scenario::{Scenario, at, cases};
use crate::strategies::{events, policies, verdicts};

#[track_caller]
fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(it: &T) {
    let text = serde_json::to_string(it).unwrap();
    let again: T = serde_json::from_str(&text).unwrap();
    assert_eq!(&again, it, "{text}");
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn everything_survives_json(
        policy in policies(),
        known in verdicts(),
        events in prop::collection::vec(events(), 0..20),
    ) {
        survives(&policy);
        survives(&known);
        let (mut it, _) = Flight::launch(policy, known, at(0));
        let flight = FlightId { key: "key".to_owned(), number: 7 };
        let passenger = PassengerId(u64::MAX);
        for event in events {
            survives(&event);
            survives(&Notice::Answered { flight: flight.clone(), event });
            for command in it.handle(at(1), event) {
                survives(&command);
                survives(&Order::Command { flight: flight.clone(), command });
            }
            survives(&it);
            survives(&it.phase());
            survives(&it.deadline());
        }
        survives(&Notice::Boarded { key: 3_u8, passenger, policy, known });
        survives(&Notice::Judged { key: 3_u8, passenger, verdict: known });
        survives(&Notice::Arrived {
            flight: flight.clone(),
            attempt: None,
            latest: known.token,
            arrival: Arrival { revision: known.revision, token: known.token, value: true },
        });
        survives(&Order::Judge { key: 3_u8, passenger, revision: known.revision });
        survives(&Order::Land { key: 3_u8, passenger, outcome: Outcome::TimedOut });
        survives(&Order::Retired { flight });
    }
}

#[test]
fn a_flight_read_from_json_flies_on() {
    let mut it = Scenario::renewing();
    let text = serde_json::to_string(&it.flight).unwrap();
    let mut again: oneflight_core::Flight = serde_json::from_str(&text).unwrap();
    let event = it.renewed();
    assert_eq!(again.handle(at(it.ms), event), it.tell(event));
    assert_eq!(again, it.flight);
}

/// The form is part of the interface: traces outlive versions.
#[test]
fn the_form_is_plain() {
    assert_eq!(serde_json::to_string(&Event::Tick).unwrap(), r#""Tick""#);
    assert_eq!(
        serde_json::to_string(&Event::Released {
            attempt: crate::scenario::attempt(3)
        })
        .unwrap(),
        r#"{"Released":{"attempt":3}}"#
    );
    let policy: Policy =
        serde_json::from_str(&serde_json::to_string(&Policy::DEFAULT).unwrap()).unwrap();
    assert_eq!(policy, Policy::DEFAULT);
}
