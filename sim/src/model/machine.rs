//! The machines of a search: the real [`Flights`], each kept once however many states it is part of,
//! and told each notice once.

use std::collections::HashMap;
use std::rc::Rc;

use oneflight_core::{Flights, Instant, Notice, Order, Phase, Policy};

use super::encode::{Kind, numbers};
use super::same::mix;
use crate::coverage::Coverage;
use crate::trace::{Key, Nanos};

/// The only key of a search.
pub(super) const KEY: Key = Key(0);

/// Names a machine in a certain state.
pub(super) type MachineId = u32;

/// What a machine was told, and when; and what became of it.
type Told = (MachineId, Nanos, Notice<Key>);
type Became = (MachineId, Rc<[Order<Key>]>);

#[derive(Clone, Debug)]
pub(super) struct Machines {
    all: Vec<Machine>,
    known: HashMap<Rc<[(u8, u64)]>, MachineId>,
    told: HashMap<Told, Became>,
    pub(super) coverage: Coverage,
}

#[derive(Clone, Debug)]
struct Machine {
    flights: Flights<Key>,
    numbers: Numbers,
    deadline: Option<Nanos>,
    phase: Option<Phase>,
}

/// What a machine is in, but for what does not tell states apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbers {
    /// The numbers that count as themselves, and how all follow each other, as one.
    pub(super) plain: u64,
    pub(super) others: Rc<[(Kind, u64)]>,
}

impl Numbers {
    fn of(all: &[(Kind, u64)]) -> Self {
        let seen = all.iter().filter(|(kind, _)| *kind != Kind::Hidden);
        let plain = seen.clone().fold(0, |hash, (kind, number)| {
            let number = if *kind == Kind::Plain { *number } else { 0 };
            mix(mix(hash, *kind as u64), number)
        });
        let others = seen.copied().filter(|(kind, _)| *kind != Kind::Plain);
        let others = others.collect();
        Self { plain, others }
    }
}

impl Machines {
    /// With the machine of a process that has just begun, which gets the id 0.
    pub(super) fn new() -> Self {
        let mut machines = Self {
            all: Vec::new(),
            known: HashMap::new(),
            told: HashMap::new(),
            coverage: Coverage::default(),
        };
        machines.keep(Flights::new());
        machines
    }

    /// Tells a machine.
    pub(super) fn tell(&mut self, id: MachineId, now: Nanos, notice: &Notice<Key>) -> Became {
        let told = (id, now, notice.clone());
        if let Some(became) = self.told.get(&told) {
            return became.clone();
        }
        let before = &self.all[id as usize];
        let mut flights = before.flights.clone();
        let orders = flights.handle(Instant::from_nanos(now), notice.clone());
        if notice.key().is_some() {
            let after = flights.phase(&KEY);
            self.coverage.count(before.phase, notice, after);
        }
        let became = (self.keep(flights), Rc::from(orders));
        self.told.insert(told, became.clone());
        became
    }

    fn keep(&mut self, flights: Flights<Key>) -> MachineId {
        let numbers = numbers(&flights);
        let identity = numbers.iter().map(|(kind, it)| (*kind as u8, *it));
        let identity: Rc<[(u8, u64)]> = identity.collect();
        if let Some(id) = self.known.get(&identity) {
            return *id;
        }
        let id = self.all.len() as MachineId;
        self.known.insert(identity, id);
        self.all.push(Machine {
            deadline: flights.deadline().map(Instant::as_nanos),
            phase: flights.phase(&KEY),
            numbers: Numbers::of(&numbers),
            flights,
        });
        id
    }

    /// How many were met.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    pub(super) fn numbers(&self, id: MachineId) -> &Numbers {
        &self.all[id as usize].numbers
    }

    pub(super) fn deadline(&self, id: MachineId) -> Option<Nanos> {
        self.all[id as usize].deadline
    }

    pub(super) fn phase(&self, id: MachineId) -> Option<Phase> {
        self.all[id as usize].phase
    }

    pub(super) fn is_idle(&self, id: MachineId) -> bool {
        self.all[id as usize].flights.is_idle()
    }

    /// The token of the lease that its flight holds.
    pub(super) fn lease(&self, id: MachineId, flight: u64) -> Option<oneflight_core::Token> {
        let flight = oneflight_core::FlightId {
            key: KEY,
            number: flight,
        };
        let machine = &self.all[id as usize];
        machine.flights.lease(&flight).map(|lease| lease.token)
    }

    pub(super) fn policy(&self, id: MachineId, flight: u64) -> Option<Policy> {
        let flight = oneflight_core::FlightId {
            key: KEY,
            number: flight,
        };
        self.all[id as usize].flights.policy(&flight)
    }
}
