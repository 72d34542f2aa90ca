//! One key: its flight, its pilot, its passengers.

use alloc::collections::BTreeMap;

use super::passenger::{Passenger, ask, land};
use super::{Air, Arrival, Order, PassengerId};
use crate::flight::is_after;
use crate::{
    Attempt, Command, Commands, Deadline, Event, Flight, Instant, Judgement, OnAbort, Outcome,
    Phase, Policy, Revision, Token, Unpublished, Verdict,
};

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

#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
struct Current {
    number: u64,
    flight: Flight,
    /// `None` while a value is being published whose caller is gone.
    pilot: Option<PassengerId>,
    /// The passengers below were aboard when the last claim was sent.
    claim_line: (Attempt, PassengerId),
    /// The passengers below were aboard when the fill began.
    fill_line: PassengerId,
    /// The claim that was answered by a value which the pilot has yet to judge.
    newer: Option<(Attempt, Option<Token>)>,
    /// The fill may begin, but its pilot is judging what might satisfy it: for how long that is waited for.
    held: Option<Instant>,
    /// The token of the lease last held.
    token: Option<Token>,
    /// The revision its fill was published under.
    published: Option<Revision>,
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

    pub(super) fn board<K: Ord + Clone>(
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

    /// A revision has come that every passenger is to judge for itself.
    pub(super) fn arrived<K: Ord + Clone>(
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

    pub(super) fn judged<K: Ord + Clone>(
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
    fn pilot_judges<K: Ord + Clone>(&mut self, air: &mut Air<K>, key: &K, pilot: PassengerId) {
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

    pub(super) fn left<K: Ord + Clone>(&mut self, air: &mut Air<K>, key: &K, id: PassengerId) {
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
    fn replace_pilot<K: Ord + Clone>(&mut self, air: &mut Air<K>, key: &K) {
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
    fn seat<K: Ord + Clone>(&mut self, air: &mut Air<K>, key: &K, successor: Option<PassengerId>) {
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

    /// Lands the passengers, the pilot aside, who do not want to wait any longer.
    fn lose_patience<K: Ord + Clone>(&mut self, air: &mut Air<K>, key: &K) {
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

    /// Launches the next flight if there is none and somebody aboard wants one.
    pub(super) fn take_off<K: Ord + Clone>(&mut self, air: &mut Air<K>, key: &K) {
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

    fn launched<K: Ord + Clone>(
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

    /// The claim whose answer they shared is answered, and the flight has something else to do.
    fn land_those_who_do_not_wait<K: Ord + Clone>(&mut self, air: &mut Air<K>, key: &K) {
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

    /// The pilot has landed: what becomes of the others?
    fn landed<K: Ord + Clone>(&mut self, air: &mut Air<K>, key: &K, outcome: Outcome) {
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
    fn retire<K: Ord + Clone>(&mut self, air: &mut Air<K>, key: &K) {
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

    fn land_others<K: Ord + Clone>(
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

    /// The first answer to a claim sent since a passenger boarded tells which leases were granted
    /// before its call.
    fn raise_floors(&mut self, attempt: Attempt, token: Option<Token>) {
        let Some(current) = self.flight.as_ref().filter(|it| it.claim_line.0 == attempt) else {
            return;
        };
        let line = current.claim_line.1;
        self.raise_floors_below(line, token);
    }

    /// The same for the passengers below a line.
    pub(super) fn raise_floors_below(&mut self, line: PassengerId, token: Option<Token>) {
        for (_, passenger) in self.passengers.range_mut(..line) {
            passenger.floor = passenger.floor.or(token);
        }
    }
}

impl Current {
    fn due(&self) -> Instant {
        if self.newer.is_some() {
            // The store has answered: only the pilot's patience counts until it has judged. One that
            // does not wait has none; it is given the time that the store would be.
            let patience = self.flight.patience();
            if patience < Instant::NEVER {
                return patience;
            }
        }
        let flight = super::due(&self.flight);
        self.held.map_or(flight, |until| flight.min(until))
    }

    /// How long the pilot may judge before its fill: for as long as it would wait. One that does not wait is
    /// given the time that the store would be.
    fn judges_until(&self, now: Instant) -> Instant {
        let patience = self.flight.patience();
        if patience < Instant::NEVER {
            patience
        } else {
            now.after(self.flight.store_timeout())
        }
    }
}

/// The last token known to have been granted, by an answer to a claim that was not met by a value.
pub(super) fn told_of_grants(event: &Event) -> Option<(Attempt, Option<Token>)> {
    if let Event::LeaseGranted { attempt, token, .. } = *event {
        Some((attempt, Some(token)))
    } else if let Event::Held { attempt, token, .. } = *event {
        Some((attempt, token))
    } else {
        None
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
