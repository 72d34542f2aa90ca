//! What comes is judged, by each passenger for itself.

use super::Ride;
use crate::flight::is_after;
use crate::flights::passenger::{ask, land};
use crate::flights::{Air, Arrival, PassengerId};
use crate::{Attempt, Event, Flight, Judgement, Outcome, Phase, Token, Verdict};

impl Ride {
    /// A revision has come that every passenger is to judge for itself.
    pub(in crate::flights) fn arrived<K: Ord + Clone>(
        &mut self,
        air: &mut Air<K>,
        key: &K,
        attempt: Option<Attempt>,
        latest: Option<Token>,
        arrival: Arrival,
    ) {
        // A value that a claim finds was published before the answer, so its fill began before, whatever
        // the lock it was published under: the store told of this one only.
        let latest = latest.max(arrival.token);
        if let Some(attempt) = attempt {
            self.raise_floors(attempt, latest);
        }
        let Some(current) = &mut self.flight else {
            return;
        };
        self.arrived = Some(arrival);
        // An answer to a superseded claim is news of the key, no more: the flight is elsewhere.
        if let Some(attempt) = attempt.filter(|it| current.flight.has_claimed(*it)) {
            current.newer = Some((attempt, latest));
        }
        let pilot = current.pilot;
        let busy = match current.flight.phase() {
            Phase::Filling | Phase::FillingLocally => pilot.filter(|_| current.held.is_none()),
            // Whatever has come, who publishes what it has filled lands with that; and if its predicate
            // panics, it is not to fail over a value that stands.
            Phase::Publishing => pilot.filter(|_| current.flight.publishes_its_own()),
            Phase::Claiming
            | Phase::Waiting
            | Phase::BackingOff
            | Phase::Departing
            | Phase::Releasing
            | Phase::Landed => None,
        };
        for (id, passenger) in &mut self.passengers {
            // Who is to fill has no time to judge: a driver that hands over one order at a time must
            // not lose the fill over it.
            if Some(*id) != busy {
                ask(air, key, *id, passenger, arrival);
            }
        }
        if let Some(pilot) = pilot {
            self.pilot_judges(air, key, pilot);
        }
        // What was being judged may be gone, and with it the last reason to be aboard.
        self.land_those_who_do_not_wait(air, key);
    }

    pub(in crate::flights) fn judged<K: Ord + Clone>(
        &mut self,
        air: &mut Air<K>,
        key: &K,
        id: PassengerId,
        mut verdict: Verdict,
    ) {
        let Some(passenger) = self.passengers.get_mut(&id) else {
            return;
        };
        if verdict.judgement == Judgement::Stale && is_after(verdict.token, passenger.floor) {
            verdict.judgement = Judgement::Fresh;
        }
        if verdict.revision < passenger.known.revision.max(passenger.asked) {
            return; // A newer one has come meanwhile.
        }
        passenger.known = verdict;
        if self
            .flight
            .as_ref()
            .is_some_and(|current| current.pilot == Some(id))
        {
            return self.pilot_judges(air, key, id);
        }
        let Some(outcome) = self.outcome_of(verdict) else {
            self.grounded = true;
            return self.land_those_who_do_not_wait(air, key);
        };
        self.passengers.remove(&id);
        land(air, key, id, outcome);
    }

    /// How the call ends of who judges so, if that ends it.
    fn outcome_of(&self, verdict: Verdict) -> Option<Outcome> {
        let revision = verdict.revision;
        let flight = self.flight.as_ref().map(|current| &current.flight);
        match verdict.judgement {
            Judgement::Fresh if flight.is_none_or(Flight::has_waited) => Some(Outcome::Awaited {
                revision: Some(revision),
            }),
            Judgement::Fresh => Some(Outcome::Cached {
                revision,
                stale: false,
            }),
            Judgement::Malformed => Some(Outcome::Malformed),
            Judgement::Absent | Judgement::Stale => None,
        }
    }

    /// Tells the flight what its pilot thinks, once the pilot has thought.
    pub(super) fn pilot_judges<K: Ord + Clone>(
        &mut self,
        air: &mut Air<K>,
        key: &K,
        pilot: PassengerId,
    ) {
        let (Some(current), Some(passenger)) = (&mut self.flight, self.passengers.get(&pilot))
        else {
            return;
        };
        if passenger.is_judging() {
            return;
        }
        let verdict = passenger.known;
        if current.held.take().is_some() {
            return self.pilot_judges_before_its_fill(air, key, pilot, verdict);
        }
        let event = match current.newer.take() {
            Some((attempt, latest)) => Event::Newer {
                attempt,
                latest,
                verdict,
            },
            None => Event::KeyEvent { verdict },
        };
        self.step(air, key, &event);
    }

    /// The fill was held until this verdict: it begins, or its pilot lands, and the lease is for the next.
    fn pilot_judges_before_its_fill<K: Ord + Clone>(
        &mut self,
        air: &mut Air<K>,
        key: &K,
        pilot: PassengerId,
        verdict: Verdict,
    ) {
        if let Some(outcome) = self.outcome_of(verdict) {
            self.passengers.remove(&pilot);
            land(air, key, pilot, outcome);
            return self.replace_pilot(air, key);
        }
        let Some(current) = &mut self.flight else {
            return;
        };
        let before = current.flight.phase();
        let commands = current.flight.fill_after_all(air.now, verdict);
        self.carry_out(air, key, before, commands);
    }
}
