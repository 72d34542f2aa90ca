//! Coming aboard, and taking off.

use super::{Current, Ride};
use crate::flights::passenger::{Passenger, ask, land};
use crate::flights::{Air, PassengerId};
use crate::{Attempt, Commands, Flight, Instant, Outcome, Phase, Policy, Revision, Verdict};

impl Ride {
    pub(in crate::flights) fn board<K: Ord + Clone>(
        &mut self,
        air: &mut Air<K>,
        key: &K,
        id: PassengerId,
        policy: &Policy,
        known: Verdict,
    ) {
        let started = air.now;
        // Who does not wait is given the time that the store would be.
        let patience = if policy.wait_timeout.is_zero() {
            policy.store_timeout
        } else {
            policy.wait_timeout
        };
        let passenger = Passenger {
            policy: *policy,
            started,
            patience: started.after(patience),
            known,
            asked: Revision::NEVER,
            floor: None,
        };
        let Some(current) = &self.flight else {
            self.patience = self.patience.min(passenger.patience);
            self.passengers.insert(id, passenger);
            self.grounded = true;
            return;
        };
        let unreachable =
            current.flight.phase() == Phase::FillingLocally && !passenger.runs_local();
        // Who does not wait shares the answer to a claim, but nothing that takes longer.
        let waits = !policy.wait_timeout.is_zero() || current.flight.phase() == Phase::Claiming;
        if unreachable || !waits {
            let outcome = if unreachable {
                Outcome::Unavailable
            } else {
                passenger.time_out()
            };
            return land(air, key, id, outcome);
        }
        self.patience = self.patience.min(passenger.patience);
        let arrived = self.arrived;
        let passenger = self.passengers.entry(id).or_insert(passenger);
        if let Some(arrival) = arrived {
            ask(air, key, id, passenger, arrival);
        }
    }

    /// Launches the next flight if there is none and somebody aboard wants one.
    pub(in crate::flights) fn take_off<K: Ord + Clone>(&mut self, air: &mut Air<K>, key: &K) {
        if self.flight.is_some() || !core::mem::take(&mut self.grounded) {
            return;
        }
        let next = self
            .passengers
            .iter()
            .find(|(_, passenger)| !passenger.is_judging());
        if let Some((id, passenger)) = next {
            let id = *id;
            let (flight, commands) = passenger.call(air.now).claim();
            self.launched(air, key, id, flight, commands);
        }
    }

    pub(super) fn launched<K: Ord + Clone>(
        &mut self,
        air: &mut Air<K>,
        key: &K,
        pilot: PassengerId,
        flight: Flight,
        commands: Commands,
    ) {
        air.flights += 1;
        self.flight = Some(Current {
            number: air.flights,
            flight,
            pilot: Some(pilot),
            claim_line: (Attempt::new(0), PassengerId(0)),
            fill_line: PassengerId(0),
            newer: None,
            held: None,
            token: None,
            published: None,
        });
        // The pilot's patience is the flight's from now on, the others' the ride's.
        self.patience = self
            .passengers
            .iter()
            .filter(|(id, _)| **id != pilot)
            .fold(Instant::NEVER, |first, (_, other)| {
                first.min(other.patience)
            });
        self.carry_out(air, key, Phase::Claiming, commands);
    }
}
