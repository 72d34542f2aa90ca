//! One key: its flight, its pilot, its passengers.

mod boarding;
mod current;
mod floors;
mod handover;
mod judging;
mod landing;

use alloc::collections::BTreeMap;

use super::passenger::{Passenger, land};
use super::{Air, Arrival, Order, PassengerId};
use crate::{Attempt, Command, Commands, Deadline, Event, Flight, Instant, Outcome, Phase, Policy};
use current::Current;
pub(super) use floors::told_of_grants;

#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub(super) struct Ride {
    /// The last revision that came, to this flight or to one before it.
    arrived: Option<Arrival>,
    flight: Option<Current>,
    passengers: BTreeMap<PassengerId, Passenger>,
    /// No passenger but the pilot loses patience before this.
    patience: Instant,
    /// Somebody aboard may want a flight.
    grounded: bool,
    /// What is registered as this ride's timer.
    pub(super) timer: Instant,
}

impl Default for Ride {
    /// With nobody aboard.
    fn default() -> Self {
        Self {
            arrived: None,
            flight: None,
            passengers: BTreeMap::new(),
            patience: Instant::NEVER,
            grounded: false,
            timer: Instant::NEVER,
        }
    }
}

impl Ride {
    pub(super) fn flies(&self, number: u64) -> bool {
        self.flight
            .as_ref()
            .is_some_and(|current| current.number == number)
    }

    pub(super) fn lease(&self, number: u64) -> Option<crate::Lease> {
        self.flight
            .as_ref()
            .filter(|current| current.number == number)?
            .flight
            .lease()
    }

    pub(super) fn policy(&self, number: u64) -> Option<Policy> {
        self.flight
            .as_ref()
            .filter(|current| current.number == number)
            .map(|current| *current.flight.policy())
    }

    pub(super) fn holds(&self) -> bool {
        self.flight
            .as_ref()
            .is_some_and(|current| current.flight.lease().is_some())
    }

    pub(super) fn phase(&self) -> Option<Phase> {
        self.flight.as_ref().map(|current| current.flight.phase())
    }

    pub(super) fn view(&self) -> (Option<Phase>, Option<Deadline>, usize) {
        let flight = self.flight.as_ref().map(|current| &current.flight);
        (
            flight.map(Flight::phase),
            flight.and_then(Flight::deadline),
            self.passengers.len(),
        )
    }

    pub(super) fn is_over(&self) -> bool {
        self.passengers.is_empty() && self.flight.is_none()
    }

    /// When to come back with a tick.
    pub(super) fn due(&self) -> Instant {
        let flight = self.flight.as_ref().map_or(Instant::NEVER, Current::due);
        flight.min(self.patience)
    }

    pub(super) fn answered<K: Ord + Clone>(&mut self, air: &mut Air<K>, key: &K, event: &Event) {
        if let Some((attempt, token)) = told_of_grants(event) {
            self.raise_floors(attempt, token);
        }
        if let Event::LeaseGranted {
            attempt,
            generation,
            ..
        } = *event
            && let Some(current) = &self.flight
            && current.flight.overlooks(attempt, generation)
        {
            // The claim is that of a pilot who has left, and had judged what the fill is to replace. The
            // one who has its seat now has not: the lease is for somebody who has, or is released.
            let number = current.number;
            let mut passengers = self.passengers.iter();
            let judged = passengers.find(|(_, passenger)| {
                !passenger.is_judging() && passenger.known.revision >= generation
            });
            let successor = judged.map(|(id, _)| *id);
            // It stays aboard, and its patience is no longer the flight's.
            if let Some(pilot) = current.pilot.and_then(|id| self.passengers.get(&id)) {
                self.patience = self.patience.min(pilot.patience);
            }
            self.seat(air, key, successor);
            if successor.is_none() {
                return air.clean_up(&Air::flight_id(key, number), event);
            }
        }
        self.step(air, key, event);
    }

    pub(super) fn tick<K: Ord + Clone>(&mut self, air: &mut Air<K>, key: &K) {
        if air.now >= self.patience {
            self.lose_patience(air, key);
        }
        let Some(current) = &self.flight else {
            return;
        };
        if current.due() > air.now {
            return;
        }
        let judging = current.newer.is_some();
        // A value under way is published for those who come, even if nobody is aboard now.
        let flies_on = self.passengers.len() > 1 || current.flight.phase() == Phase::Publishing;
        let overtime = current.held.is_some_and(|until| until <= air.now);
        let impatient = judging || overtime || flies_on && current.flight.impatient_at() <= air.now;
        match current.pilot.filter(|_| impatient) {
            // The pilot does not want to wait any longer; the others do.
            Some(pilot) => {
                if let Some(passenger) = self.passengers.remove(&pilot) {
                    land(air, key, pilot, passenger.time_out());
                }
                self.replace_pilot(air, key);
            }
            None => self.step(air, key, &Event::Tick),
        }
    }

    /// One step of the flight, and what it means for those aboard.
    fn step<K: Ord + Clone>(&mut self, air: &mut Air<K>, key: &K, event: &Event) {
        let Some(current) = &mut self.flight else {
            return;
        };
        let before = current.flight.phase();
        let commands = current.flight.handle(air.now, *event);
        let after = current.flight.phase();
        if after != Phase::Claiming {
            current.newer = None;
        }
        if !matches!(after, Phase::Filling | Phase::FillingLocally) {
            current.held = None;
        }
        let ended = before != after;
        if let Event::Published { revision, .. } = *event
            && before == Phase::Publishing
            && ended
        {
            current.published = Some(revision);
        }
        if let Event::Malformed { .. } = event
            && before == Phase::Claiming
            && ended
        {
            self.land_others(air, key, |_, _| Some(Outcome::Malformed));
        }
        self.carry_out(air, key, before, commands);
        if before == Phase::Claiming && ended {
            self.land_those_who_do_not_wait(air, key);
        }
    }

    fn carry_out<K: Ord + Clone>(
        &mut self,
        air: &mut Air<K>,
        key: &K,
        before: Phase,
        commands: Commands,
    ) {
        let Some(current) = &mut self.flight else {
            return;
        };
        let number = current.number;
        let next_id = self
            .passengers
            .last_key_value()
            .map_or(PassengerId(0), |(id, _)| {
                PassengerId(id.0.saturating_add(1))
            });
        let mut landing = None;
        for command in &*commands {
            match *command {
                Command::Fill { attempt, lease } => {
                    current.token = lease.map(|lease| lease.token);
                    if let Some(passenger) = current.pilot {
                        let pilot = self.passengers.get(&passenger);
                        if pilot.is_some_and(Passenger::is_judging) {
                            current.held = Some(current.judges_until(air.now));
                            continue;
                        }
                        current.fill_line = next_id;
                        air.orders.push(Order::Fill {
                            flight: Air::flight_id(key, number),
                            passenger,
                            attempt,
                            lease,
                        });
                    }
                }
                // No fill has begun that could be warned.
                Command::WarnLeaseLost { .. } if current.held.is_some() => {}
                Command::Land(outcome) => landing = Some(outcome),
                Command::Claim { attempt, .. } => {
                    current.claim_line = (attempt, next_id);
                    air.order(key, number, *command);
                }
                Command::Watch
                | Command::Unwatch
                | Command::Renew { .. }
                | Command::Publish { .. }
                | Command::Put { .. }
                | Command::Release { .. }
                | Command::WarnLeaseLost { .. } => air.order(key, number, *command),
            }
        }
        let phase = current.flight.phase();
        if phase == Phase::FillingLocally && before != phase {
            self.land_others(air, key, |_, other| {
                (!other.runs_local()).then_some(Outcome::Unavailable)
            });
        }
        if let Some(outcome) = landing {
            self.landed(air, key, outcome);
        } else if matches!(phase, Phase::Departing | Phase::Releasing | Phase::Landed) {
            self.retire(air, key);
        }
    }
}

/// An answer to a claim that says no more than that no lease was granted.
pub(super) const fn held(attempt: Attempt) -> Event {
    Event::Held {
        attempt,
        token: None,
        remaining: None,
    }
}
