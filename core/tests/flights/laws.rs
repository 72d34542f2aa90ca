//! What every caller is promised, and every process keeps, in whatever order things happen.

use std::collections::{BTreeMap, BTreeSet};

use oneflight_core::{
    Attempt, Command, Event, FlightId, Flights, Judgement, Lease, Notice, OnFenced, OnUnavailable,
    Order, Outcome, PassengerId, Phase, Policy, Revision, Token, Verdict,
};

use crate::store::{Cell, Key, nanos};

/// One caller, and what it was told.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) process: usize,
    key: Key,
    /// The least revision that satisfies it.
    pub(crate) wants: u64,
    policy: Policy,
    boarded_at: u64,
    boarded_step: usize,
    /// It has run a fill: its call may take longer.
    filled: bool,
    /// It never answers a question.
    mute: bool,
    pub(crate) left: bool,
    landed: Option<Outcome>,
    /// The last revision it was asked to judge, the last it judged, and the one that satisfies it.
    asked: Revision,
    judged: Revision,
    satisfied_by: Option<Revision>,
}

impl Caller {
    pub(crate) fn new(
        process: usize,
        key: Key,
        wants: u64,
        policy: Policy,
        mute: bool,
        now: u64,
    ) -> Self {
        Self {
            process,
            key,
            wants,
            policy,
            boarded_at: now,
            boarded_step: 0,
            filled: false,
            mute,
            left: false,
            landed: None,
            asked: Revision::NEVER,
            judged: Revision::NEVER,
            satisfied_by: None,
        }
    }

    fn is_aboard(&self) -> bool {
        self.landed.is_none() && !self.left
    }

    fn patience(&self) -> u64 {
        self.boarded_at + nanos(self.policy.wait_timeout)
    }
}

/// How often a grant was told to a flight, and the releases it ordered of it.
#[derive(Debug, Default)]
struct Grant {
    told: usize,
    releases: Vec<Attempt>,
}

/// The books of all processes.
#[derive(Debug)]
pub(crate) struct Laws {
    /// Nothing goes wrong, and time passes only when there is nothing else to do.
    pub(crate) calm: bool,
    pub(crate) callers: BTreeMap<PassengerId, Caller>,
    pub(crate) fills: usize,
    step: usize,
    clocks: BTreeMap<usize, u64>,
    /// For each fill under a lease: when it began, by token; and the generations filled.
    began: BTreeMap<(Key, Token), usize>,
    generations: BTreeSet<(Key, Revision)>,
    grants: BTreeMap<(usize, FlightId<Key>, Token), Grant>,
    /// The flights whose grant is neither freed nor gone.
    held: BTreeSet<(usize, FlightId<Key>)>,
}

impl Laws {
    pub(crate) fn new(calm: bool) -> Self {
        Self {
            calm,
            callers: BTreeMap::new(),
            fills: 0,
            step: 0,
            clocks: BTreeMap::new(),
            began: BTreeMap::new(),
            generations: BTreeSet::new(),
            grants: BTreeMap::new(),
            held: BTreeSet::new(),
        }
    }

    /// The latest moment a process was told.
    pub(crate) fn last_told(&self, process: usize) -> u64 {
        self.clocks.get(&process).copied().unwrap_or(0)
    }

    pub(crate) fn orders_are_lawful(
        &mut self,
        process: usize,
        now: u64,
        notice: &Notice<Key>,
        orders: &[Order<Key>],
        flights: &Flights<Key>,
        cells: &BTreeMap<Key, Cell>,
    ) {
        let clock = self.clocks.entry(process).or_default();
        *clock = now.max(*clock);
        // The callers it concerns, with a few orders each, and a few for each of the flights.
        let aboard = self.callers.values().filter(|it| it.process == process);
        let bound = 12 + 4 * aboard.count();
        assert!(orders.len() <= bound, "{} orders", orders.len());
        if let Some(key) = key_of(notice) {
            for order in orders {
                assert_eq!(ordered_for(order), key, "{notice:?}: {order:?}");
            }
        }
        self.who_is_judging_is_not_told_to_fill(orders, cells);
        self.no_lease_leaks(process, notice, orders, flights);
    }

    /// It may be satisfied: it is not to fill before it has judged what stands now.
    fn who_is_judging_is_not_told_to_fill(
        &self,
        orders: &[Order<Key>],
        cells: &BTreeMap<Key, Cell>,
    ) {
        for order in orders {
            if let Order::Fill {
                flight, passenger, ..
            } = order
            {
                let (caller, cell) = (&self.callers[passenger], &cells[&flight.key]);
                let judging = caller.asked > caller.judged && caller.asked.get() == cell.revision;
                assert!(!judging, "{passenger:?} is judging, and told to fill");
            }
        }
    }

    fn no_lease_leaks(
        &mut self,
        process: usize,
        notice: &Notice<Key>,
        orders: &[Order<Key>],
        flights: &Flights<Key>,
    ) {
        if let Notice::Answered { flight, event } = notice {
            let held = flights.lease(flight).map(|lease| lease.token);
            match *event {
                Event::LeaseGranted { token, .. } => {
                    let id = (process, flight.clone(), token);
                    let grant = self.grants.entry(id).or_default();
                    grant.told += 1;
                    if held == Some(token) {
                        // Told again, it may be lost by now.
                        if grant.told == 1 {
                            self.held.insert((process, flight.clone()));
                        }
                    } else {
                        let frees = orders.iter().any(|order| {
                            matches!(order, Order::Command { flight: it, command: Command::Release { token: freed, .. } }
                                if it == flight && *freed == token)
                        });
                        assert!(frees, "{token} leaks: {orders:?}");
                    }
                }
                Event::Published { .. } | Event::Fenced { .. } | Event::LeaseLost { .. } => {
                    self.held.remove(&(process, flight.clone()));
                }
                _ => {}
            }
        }
        for order in orders {
            if let Order::Command {
                flight,
                command: Command::Release { attempt, token },
            } = order
            {
                self.held.remove(&(process, flight.clone()));
                let id = (process, flight.clone(), *token);
                let grant = self.grants.entry(id).or_default();
                if !grant.releases.contains(attempt) || attempt.get() == 0 {
                    grant.releases.push(*attempt);
                }
                let once = grant.releases.len() <= grant.told;
                assert!(once, "{token} is released twice");
            }
        }
        for (holder, flight) in &self.held {
            let gone = *holder == process && flights.lease(flight).is_none();
            assert!(!gone, "the lease of {flight:?} leaks on {notice:?}");
        }
    }

    pub(crate) fn boards(&mut self, mut caller: Caller) -> PassengerId {
        let passenger = PassengerId(self.callers.len() as u64 + 1);
        caller.boarded_step = self.step;
        self.callers.insert(passenger, caller);
        passenger
    }

    /// Where a caller leaves from, unless it is gone.
    pub(crate) fn leaves(&mut self, passenger: PassengerId) -> Option<(usize, Key)> {
        let caller = self.callers.get_mut(&passenger)?;
        if !caller.is_aboard() {
            return None;
        }
        caller.left = true;
        Some((caller.process, caller.key))
    }

    /// It has landed once the claim is answered, unless it is judging or is to fill.
    pub(crate) fn who_does_not_wait_shares_a_claim(&self, process: usize, flights: &Flights<Key>) {
        for (id, caller) in &self.callers {
            let waits = !caller.policy.wait_timeout.is_zero();
            let busy = caller.filled || caller.mute || caller.asked > caller.judged;
            if caller.process == process && caller.is_aboard() && !waits && !busy {
                let phase = flights.phase(&caller.key);
                assert_eq!(phase, Some(Phase::Claiming), "{id:?} waits: {caller:?}");
            }
        }
    }

    /// A caller is asked to judge; whether it will answer.
    pub(crate) fn asks(&mut self, passenger: PassengerId, revision: Revision) -> bool {
        let caller = self.callers.get_mut(&passenger).unwrap();
        assert!(caller.is_aboard(), "{passenger:?} is not aboard");
        // What a filler was asked before may have gone under: it is asked again.
        let news = revision > caller.asked || caller.filled;
        assert!(news, "{passenger:?} is asked again");
        caller.asked = revision;
        !caller.mute
    }

    /// A caller judges.
    pub(crate) fn judges(&mut self, passenger: PassengerId, verdict: Verdict) {
        let caller = self.callers.get_mut(&passenger).unwrap();
        caller.judged = caller.judged.max(verdict.revision);
        if verdict.judgement == Judgement::Fresh && verdict.revision == caller.asked {
            caller.satisfied_by = Some(verdict.revision);
        }
    }

    /// Whether a fill of this passenger, in this process, is over: two never run at once.
    pub(crate) fn fill_is_over(&self, passenger: PassengerId, process: usize) -> bool {
        let caller = &self.callers[&passenger];
        assert!(
            caller.process != process || !caller.is_aboard(),
            "two fills at once"
        );
        caller.process == process
    }

    pub(crate) fn fills(
        &mut self,
        process: usize,
        key: Key,
        passenger: PassengerId,
        lease: Option<Lease>,
        revision: u64,
    ) {
        self.step += 1;
        self.fills += 1;
        let caller = self.callers.get_mut(&passenger).unwrap();
        assert!(caller.is_aboard() && caller.process == process && caller.key == key);
        // A fill that was under way when the value came may have been fenced.
        let satisfied = caller.satisfied_by == Some(Revision::new(revision));
        assert!(
            caller.filled || !satisfied,
            "{passenger:?} fills, but revision {revision} satisfies it"
        );
        caller.filled = true;
        if let Some(lease) = lease {
            self.began.insert((key, lease.token), self.step);
            let generation = lease.generation;
            let first = self.generations.insert((key, generation));
            assert!(first || !self.calm, "a second fill of {generation}");
        } else {
            assert!(!self.calm, "a fill without the store");
            assert_eq!(caller.policy.on_unavailable, OnUnavailable::RunLocal);
        }
    }

    pub(crate) fn lands(
        &mut self,
        passenger: PassengerId,
        outcome: Outcome,
        now: u64,
        origins: &BTreeMap<u64, Option<Token>>,
    ) {
        self.step += 1;
        let caller = self.callers.get_mut(&passenger).unwrap();
        assert!(!caller.left, "{passenger:?} landed after it left");
        assert_eq!(caller.landed, None, "{passenger:?} landed twice");
        caller.landed = Some(outcome);
        let patience = caller.patience();
        match outcome {
            Outcome::Awaited {
                revision: Some(revision),
            }
            | Outcome::Cached {
                revision,
                stale: false,
            } => {
                // It satisfies the predicate, or its fill began after the call did.
                let origin = origins[&revision.get()];
                let began = origin.and_then(|token| self.began.get(&(caller.key, token)));
                assert!(
                    revision.get() >= caller.wants
                        || began.is_some_and(|began| *began > caller.boarded_step),
                    "{passenger:?} got revision {revision}, wants {}",
                    caller.wants
                );
            }
            Outcome::Computed { .. } => assert!(caller.filled),
            Outcome::TimedOut | Outcome::Cached { stale: true, .. } => {
                assert!(
                    now >= patience || caller.policy.wait_timeout.is_zero(),
                    "{passenger:?} timed out early"
                );
            }
            Outcome::Unavailable => {
                assert_eq!(caller.policy.on_unavailable, OnUnavailable::Error);
            }
            // Whoever rides gives up when it is overtaken again after its patience.
            Outcome::Fenced => assert!(
                caller.policy.on_fenced == OnFenced::Error || caller.filled && now >= patience
            ),
            _ => {}
        }
        if self.calm {
            assert!(
                matches!(
                    outcome,
                    Outcome::Computed { revision: Some(_) }
                        | Outcome::Awaited { revision: Some(_) }
                        | Outcome::Cached { stale: false, .. }
                ),
                "{passenger:?}: {outcome:?}"
            );
        }
    }

    pub(crate) fn nobody_outlives_its_patience(&self, now: u64) {
        for (id, caller) in &self.callers {
            let waits = caller.is_aboard() && !caller.filled;
            let bounded = waits && !caller.policy.wait_timeout.is_zero();
            assert!(
                !bounded || caller.patience() > now,
                "{id:?} outlived its patience: {caller:?}"
            );
        }
    }

    pub(crate) fn all_have_landed(&self) {
        for (id, caller) in &self.callers {
            assert!(!caller.is_aboard(), "{id:?} hangs: {caller:?}");
        }
        assert_eq!(self.held, BTreeSet::new(), "leases leak");
    }
}

/// The key a notice is about.
fn key_of(notice: &Notice<Key>) -> Option<Key> {
    match notice {
        Notice::Boarded { key, .. } | Notice::Judged { key, .. } | Notice::Left { key, .. } => {
            Some(*key)
        }
        Notice::Answered { flight, .. } | Notice::Arrived { flight, .. } => Some(flight.key),
        _ => None,
    }
}

fn ordered_for(order: &Order<Key>) -> Key {
    match order {
        Order::Command { flight, .. } | Order::Fill { flight, .. } | Order::Retired { flight } => {
            flight.key
        }
        Order::Judge { key, .. } | Order::Land { key, .. } => *key,
    }
}
