//! Who lands when the flight does, or before.

use super::Ride;
use crate::flights::passenger::{Passenger, ask, land};
use crate::flights::{Air, Arrival, PassengerId};
use crate::{Instant, OnAbort, Outcome, Phase, Unpublished};

impl Ride {
    /// Lands the passengers, the pilot aside, who do not want to wait any longer.
    pub(super) fn lose_patience<K: Ord + Clone>(&mut self, air: &mut Air<K>, key: &K) {
        let pilot = self.flight.as_ref().and_then(|current| current.pilot);
        self.patience = Instant::NEVER;
        self.passengers.retain(|id, passenger| {
            if Some(*id) == pilot {
                return true;
            }
            if passenger.patience > air.now {
                self.patience = self.patience.min(passenger.patience);
                return true;
            }
            land(air, key, *id, passenger.time_out());
            false
        });
    }

    /// The claim whose answer they shared is answered, and the flight has something else to do.
    pub(super) fn land_those_who_do_not_wait<K: Ord + Clone>(&mut self, air: &mut Air<K>, key: &K) {
        let Some(current) = &self.flight else {
            return; // They may ask for themselves.
        };
        if current.flight.phase() == Phase::Claiming {
            return;
        }
        let pilot = current.pilot;
        self.passengers.retain(|id, passenger| {
            let waits = !passenger.policy.wait_timeout.is_zero();
            if waits || passenger.is_judging() || Some(*id) == pilot {
                return true;
            }
            land(air, key, *id, passenger.time_out());
            false
        });
    }

    /// The pilot has landed: what becomes of the others?
    pub(super) fn landed<K: Ord + Clone>(&mut self, air: &mut Air<K>, key: &K, outcome: Outcome) {
        if let Some(pilot) = self
            .flight
            .as_mut()
            .and_then(|current| current.pilot.take())
        {
            self.passengers.remove(&pilot);
            land(air, key, pilot, outcome);
        }
        // Nobody can judge a value without a revision, so who came after the fill began flies on.
        let line = self
            .flight
            .as_ref()
            .map_or(PassengerId(0), |current| current.fill_line);
        let uncoordinated = |id: PassengerId, other: &Passenger| {
            if other.runs_local() {
                (id < line).then_some(Outcome::Awaited { revision: None })
            } else {
                Some(Outcome::Unavailable)
            }
        };
        match outcome {
            Outcome::Computed { revision: None }
            | Outcome::Awaited { revision: None }
            | Outcome::Unpublished {
                cause: Unpublished::Unavailable,
            } => self.land_others(air, key, uncoordinated),
            Outcome::Unpublished {
                cause: Unpublished::Refused,
            }
            | Outcome::Refused => self.land_others(air, key, |_, _| Some(Outcome::Refused)),
            Outcome::Unpublished {
                cause: Unpublished::Malformed,
            } => self.land_others(air, key, |_, _| Some(Outcome::Malformed)),
            Outcome::Aborted | Outcome::Panicked => self.land_others(air, key, |_, other| {
                (other.policy.on_abort == OnAbort::Share).then_some(outcome)
            }),
            Outcome::Unavailable => {
                self.land_others(air, key, |_, other| {
                    (!other.runs_local()).then_some(outcome)
                });
            }
            // The others judge for themselves, or fly on.
            Outcome::Cached { .. }
            | Outcome::Computed { .. }
            | Outcome::Awaited { .. }
            | Outcome::TimedOut
            | Outcome::Fenced
            | Outcome::Malformed => {}
        }
        self.retire(air, key);
        if outcome == Outcome::Unavailable
            && let Some((id, next)) = self.passengers.iter().next()
        {
            // The store has been tried on behalf of all aboard.
            let id = *id;
            let (flight, commands) = next.call(air.now).degrade();
            self.launched(air, key, id, flight, commands);
        }
    }

    /// Takes leave of a flight whose call has ended.
    pub(super) fn retire<K: Ord + Clone>(&mut self, air: &mut Air<K>, key: &K) {
        let Some(current) = &self.flight else {
            return;
        };
        self.grounded = true;
        if let Some(revision) = current.published {
            // Those who were aboard when the fill began are satisfied; the others are to judge.
            let arrival = Arrival {
                revision,
                token: current.token,
                value: true,
            };
            self.arrived = Some(arrival);
            let later = self.passengers.split_off(&current.fill_line);
            let revision = Some(revision);
            for (id, _) in core::mem::replace(&mut self.passengers, later) {
                land(air, key, id, Outcome::Awaited { revision });
            }
            for (id, passenger) in &mut self.passengers {
                ask(air, key, *id, passenger, arrival);
            }
        }
        air.retire(key, current.number, &current.flight, current.claim_line);
        self.flight = None;
    }

    pub(super) fn land_others<K: Ord + Clone>(
        &mut self,
        air: &mut Air<K>,
        key: &K,
        outcome: impl Fn(PassengerId, &Passenger) -> Option<Outcome>,
    ) {
        let pilot = self.flight.as_ref().and_then(|current| current.pilot);
        self.passengers.retain(|id, passenger| {
            match outcome(*id, passenger).filter(|_| Some(*id) != pilot) {
                Some(outcome) => {
                    land(air, key, *id, outcome);
                    false
                }
                None => true,
            }
        });
    }
}
