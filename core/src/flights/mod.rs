//! Many keys, many callers per key, still pure.
//!
//! [`Flights`] coalesces the callers of one process: the callers who want the same key are the
//! *passengers* of one [`Flight`], which one of them, the *pilot*, runs: its policy counts, and its
//! fill is run. The others ride along, each with its own patience and its own judgement.
//!
//! - A value that arrives is judged by every passenger for itself; whoever is satisfied lands.
//! - A passenger who was aboard when the pilot's fill began lands with what the pilot publishes: a
//!   value computed after the call began is as fresh as any the call could get.
//! - A pilot that leaves or runs out of patience hands over to the next passenger: a lease in hand
//!   changes hands without a trip to the store, to one who has judged what the fill is to replace. If
//!   there is none, or nobody is left, it is released.
//! - A pilot that is judging when its lease comes does not fill before its verdict is in: if it is
//!   satisfied, it lands, and the lease is for the next.
//! - A pilot's failed fill ends the calls of those aboard with the same error ([`OnAbort::Share`]), or
//!   the next one takes off under a new lease ([`OnAbort::Promote`]).
//!
//! The driver tells [`Notice`]s and carries out [`Order`]s, in order. Values stay with the driver: it
//! keeps the last one that arrived on each flight, for the passengers who are asked to judge it.
//!
//! [`OnAbort::Share`]: crate::OnAbort::Share
//! [`OnAbort::Promote`]: crate::OnAbort::Promote

mod notice;
mod passenger;
mod ride;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::{Attempt, Command, Deadline, Event, Flight, Instant, Phase, Token};
pub use notice::{Arrival, FlightId, Notice, Order, PassengerId};
use ride::Ride;

/// All flights of one process.
///
/// `handle` takes time in the logarithm of keys and callers, and linear in the callers it concerns.
/// With `serde` it can be written down, so that a search through all its states knows one when it sees
/// it again; it cannot be read back.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Flights<K> {
    /// Boxed, for a ride is large, and a map moves its entries about.
    rides: BTreeMap<K, Box<Ride>>,
    air: Air<K>,
}

/// What the rides share.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
struct Air<K> {
    now: Instant,
    /// The number of the last flight.
    flights: u64,
    /// Flights without passengers that still clean up.
    retiring: BTreeMap<u64, Retiring<K>>,
    timers: BTreeSet<(Instant, Timer<K>)>,
    orders: Vec<Order<K>>,
    /// Room for the timers of a tick; empty between two notices.
    #[cfg_attr(feature = "serde", serde(skip))]
    due: Vec<Timer<K>>,
}

#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
struct Retiring<K> {
    key: K,
    flight: Flight,
    /// Its last claim: the passengers below were aboard when it was sent, and may still be there.
    claim_line: (Attempt, PassengerId),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
enum Timer<K> {
    Ride(K),
    Retiring(u64),
}

impl<K: Ord + Clone> Flights<K> {
    /// No flights yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rides: BTreeMap::new(),
            air: Air {
                now: Instant::from_nanos(0),
                flights: 0,
                retiring: BTreeMap::new(),
                timers: BTreeSet::new(),
                orders: Vec::new(),
                due: Vec::new(),
            },
        }
    }

    /// Takes a notice and answers with orders. Total, like [`Flight::handle`].
    #[must_use = "each order must be carried out"]
    pub fn handle(&mut self, now: Instant, notice: Notice<K>) -> Vec<Order<K>> {
        let mut orders = Vec::new();
        self.handle_into(now, &notice, &mut orders);
        orders
    }

    /// Like [`handle`](Self::handle), but leaves the notice with the driver, and appends the orders to a
    /// list, which the driver may use again.
    pub fn handle_into(&mut self, now: Instant, notice: &Notice<K>, orders: &mut Vec<Order<K>>) {
        core::mem::swap(orders, &mut self.air.orders);
        self.take_notice(now, notice);
        core::mem::swap(orders, &mut self.air.orders);
    }

    fn take_notice(&mut self, now: Instant, notice: &Notice<K>) {
        self.air.now = self.air.now.max(now);
        match notice {
            Notice::Boarded {
                key,
                passenger,
                policy,
                known,
            } => {
                let ride = self.rides.entry(key.clone()).or_default();
                ride.board(&mut self.air, key, *passenger, policy, *known);
                if self.air.settle(ride, key) {
                    self.over(key);
                }
            }
            Notice::Answered { flight, event } => self.answered(flight, event),
            Notice::Arrived {
                flight,
                attempt,
                latest,
                arrival,
            } => match self.rides.get_mut(&flight.key) {
                Some(ride) if ride.flies(flight.number) => {
                    ride.arrived(&mut self.air, &flight.key, *attempt, *latest, *arrival);
                    if self.air.settle(ride, &flight.key) {
                        self.over(&flight.key);
                    }
                }
                // Nobody is left to judge it, but it is an answer: no lease was granted.
                Some(_) | None => {
                    if let Some(attempt) = attempt {
                        self.overheard(flight, *attempt, (*latest).max(arrival.token));
                        self.air.clean_up(flight, &ride::held(*attempt));
                    }
                }
            },
            Notice::Judged {
                key,
                passenger,
                verdict,
            } => {
                if let Some(ride) = self.rides.get_mut(key) {
                    ride.judged(&mut self.air, key, *passenger, *verdict);
                    if self.air.settle(ride, key) {
                        self.over(key);
                    }
                }
            }
            Notice::Left { key, passenger } => {
                if let Some(ride) = self.rides.get_mut(key) {
                    ride.left(&mut self.air, key, *passenger);
                    if self.air.settle(ride, key) {
                        self.over(key);
                    }
                }
            }
            Notice::Tick => self.tick(),
        }
    }

    /// When to come back with a `Tick`, if ever.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.air.timers.first().map(|(at, _)| *at)
    }

    /// Where the flight of a key stands, when it next wants a `Tick` and why, and how many callers are
    /// aboard: a view for people and metrics.
    #[must_use]
    pub fn view(&self, key: &K) -> Option<(Option<Phase>, Option<Deadline>, usize)> {
        self.rides.get(key).map(|ride| ride.view())
    }

    /// The phase of a key's flight: what [`view`](Self::view) begins with, without the rest.
    #[must_use]
    pub fn phase(&self, key: &K) -> Option<Phase> {
        self.rides.get(key)?.phase()
    }

    /// The lease a flight holds, if it does.
    #[must_use]
    pub fn lease(&self, flight: &FlightId<K>) -> Option<crate::Lease> {
        self.rides.get(&flight.key)?.lease(flight.number)
    }

    /// The rules a flight goes by: those of the caller that runs it, whose `lease_ttl` its claims and
    /// renewals are to ask for. `None` once it only cleans up.
    #[must_use]
    pub fn policy(&self, flight: &FlightId<K>) -> Option<crate::Policy> {
        self.rides.get(&flight.key)?.policy(flight.number)
    }

    /// Nothing is under way: no caller waits, no clean-up is left.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.rides.is_empty() && self.air.retiring.is_empty()
    }

    /// How many callers wait, and how many leases are held.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        self.rides.values().fold((0, 0), |(callers, leases), ride| {
            let (_, _, aboard) = ride.view();
            (callers + aboard, leases + usize::from(ride.holds()))
        })
    }

    /// The ride of a key is over.
    #[inline(never)]
    fn over(&mut self, key: &K) {
        self.rides.remove(key);
    }

    fn answered(&mut self, flight: &FlightId<K>, event: &Event) {
        if matches!(
            event,
            Event::Abandoned | Event::HandedOver { .. } | Event::Tick
        ) {
            // Who comes, who goes and what time it is has its own notices.
            return;
        }
        if let Some(ride) = self.rides.get_mut(&flight.key)
            && ride.flies(flight.number)
        {
            ride.answered(&mut self.air, &flight.key, event);
            if self.air.settle(ride, &flight.key) {
                self.over(&flight.key);
            }
        } else {
            if let Some((attempt, token)) = ride::told_of_grants(event) {
                self.overheard(flight, attempt, token);
            }
            self.air.clean_up(flight, event);
        }
    }

    /// The claim of a flight that has landed is answered: some who were aboard when it was sent fly on
    /// without it, and the answer tells them what it would have told them there.
    fn overheard(&mut self, flight: &FlightId<K>, attempt: Attempt, token: Option<Token>) {
        if let Some(ride) = self.rides.get_mut(&flight.key)
            && let Some(retiring) = self.air.retiring.get(&flight.number)
            && retiring.claim_line.0 == attempt
        {
            ride.raise_floors_below(retiring.claim_line.1, token);
        }
    }

    fn tick(&mut self) {
        // Each timer that is due is taken once: whatever it leaves behind is due later, or with the
        // next tick.
        let mut due = core::mem::take(&mut self.air.due);
        for (at, timer) in &self.air.timers {
            if *at > self.air.now {
                break;
            }
            due.push(timer.clone());
        }
        for timer in due.drain(..) {
            match timer {
                Timer::Ride(key) => {
                    if let Some(ride) = self.rides.get_mut(&key) {
                        ride.tick(&mut self.air, &key);
                        if self.air.settle(ride, &key) {
                            self.over(&key);
                        }
                    }
                }
                Timer::Retiring(number) => {
                    if let Some(retiring) = self.air.retiring.get(&number) {
                        let flight = Air::flight_id(&retiring.key, number);
                        self.air.clean_up(&flight, &Event::Tick);
                    }
                }
            }
        }
        self.air.due = due;
    }
}

impl<K: Ord + Clone> Default for Flights<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Clone> Air<K> {
    fn flight_id(key: &K, number: u64) -> FlightId<K> {
        let key = key.clone();
        FlightId { key, number }
    }

    fn order(&mut self, key: &K, number: u64, command: Command) {
        let flight = Self::flight_id(key, number);
        self.orders.push(Order::Command { flight, command });
    }

    /// Launches what wants to be launched, brings the ride's timer up to date, and says whether the ride
    /// is over, to be taken away.
    #[must_use]
    fn settle(&mut self, ride: &mut Ride, key: &K) -> bool {
        ride.take_off(self, key);
        let over = ride.is_over();
        // A ride that is over leaves no timer behind, whatever its passengers had planned.
        let due = if over { Instant::NEVER } else { ride.due() };
        if due != ride.timer {
            let before = core::mem::replace(&mut ride.timer, due);
            self.set_timer(&Timer::Ride(key.clone()), before, due);
        }
        over
    }

    fn set_timer(&mut self, timer: &Timer<K>, before: Instant, after: Instant) {
        if before < Instant::NEVER {
            self.timers.remove(&(before, timer.clone()));
        }
        if after < Instant::NEVER {
            self.timers.insert((after, timer.clone()));
        }
    }

    /// Takes a flight that has no passengers any more, until its clean-up is done.
    fn retire(
        &mut self,
        key: &K,
        number: u64,
        flight: &Flight,
        claim_line: (Attempt, PassengerId),
    ) {
        if flight.phase() == Phase::Landed {
            let flight = Self::flight_id(key, number);
            return self.orders.push(Order::Retired { flight });
        }
        self.set_timer(&Timer::Retiring(number), Instant::NEVER, due(flight));
        let retiring = Retiring {
            key: key.clone(),
            flight: *flight,
            claim_line,
        };
        self.retiring.insert(number, retiring);
    }

    /// An event for a flight that has no passengers any more.
    fn clean_up(&mut self, id: &FlightId<K>, event: &Event) {
        let Some(Retiring { flight, .. }) = self.retiring.get_mut(&id.number) else {
            if let Event::LeaseGranted { token, .. } = *event {
                // Granted to a flight that gave up long ago: it must not leak.
                let attempt = Attempt::new(0);
                self.order(&id.key, id.number, Command::Release { attempt, token });
            }
            return;
        };
        let before = due(flight);
        let commands = flight.handle(self.now, *event);
        let flight = *flight;
        for command in &*commands {
            self.order(&id.key, id.number, *command);
        }
        self.set_timer(&Timer::Retiring(id.number), before, due(&flight));
        if flight.phase() == Phase::Landed {
            self.retiring.remove(&id.number);
            self.orders.push(Order::Retired { flight: id.clone() });
        }
    }
}

fn due(flight: &Flight) -> Instant {
    flight
        .deadline()
        .map_or(Instant::NEVER, |deadline| deadline.at)
}
