//! A pilot that is gone hands over to the next passenger.

use super::{Ride, held};
use crate::flights::{Air, PassengerId};
use crate::{Event, Phase, Revision};

impl Ride {
    pub(in crate::flights) fn left<K: Ord + Clone>(
        &mut self,
        air: &mut Air<K>,
        key: &K,
        id: PassengerId,
    ) {
        self.passengers.remove(&id);
        if self
            .flight
            .as_ref()
            .is_some_and(|current| current.pilot == Some(id))
        {
            self.replace_pilot(air, key);
        }
    }

    /// The pilot is gone: the next passenger takes its place, or the flight is abandoned.
    pub(super) fn replace_pilot<K: Ord + Clone>(&mut self, air: &mut Air<K>, key: &K) {
        let Some(current) = &mut self.flight else {
            return;
        };
        // A value under way satisfies those who were aboard when its fill began; the others are to
        // judge it when it stands.
        let phase = current.flight.phase();
        let successor = if phase == Phase::Publishing {
            self.passengers.range(..current.fill_line).next()
        } else {
            // Who is judging may be satisfied, and so may one that does not know the value which the
            // pilot's claim was for replacing: it is not to fill before it has judged.
            let replaced = if phase == Phase::Filling {
                current.flight.stale()
            } else {
                Revision::NEVER
            };
            let mut passengers = self.passengers.iter();
            let decided = passengers.find(|(_, passenger)| {
                !passenger.is_judging() && passenger.known.revision >= replaced
            });
            decided.or_else(|| {
                let first = self.passengers.iter().next();
                first.filter(|_| phase != Phase::Filling)
            })
        };
        let successor = successor.map(|(id, _)| *id);
        self.seat(air, key, successor);
    }

    /// Gives a passenger the pilot's seat, or abandons the flight.
    pub(super) fn seat<K: Ord + Clone>(
        &mut self,
        air: &mut Air<K>,
        key: &K,
        successor: Option<PassengerId>,
    ) {
        let Some(current) = &mut self.flight else {
            return;
        };
        current.pilot = successor;
        current.held = None;
        let event = match successor.and_then(|id| self.passengers.get(&id)) {
            Some(next) => Event::HandedOver {
                policy: next.policy,
                started: next.started,
                known: next.known,
                floor: next.floor,
            },
            None => Event::Abandoned,
        };
        let (number, pilot, pending) = (current.number, current.pilot, current.newer);
        self.step(air, key, &event);
        if let Some((attempt, _)) = pending {
            match pilot {
                Some(pilot) => self.pilot_judges(air, key, pilot),
                // Nobody is left to judge it, but the claim was answered: no lease was granted.
                None => air.clean_up(&Air::flight_id(key, number), &held(attempt)),
            }
        }
    }
}
