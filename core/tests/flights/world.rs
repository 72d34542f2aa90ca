//! Several processes before one store, with everything on its way between them.

use core::time::Duration;
use std::collections::BTreeMap;

use oneflight_core::{
    Command, Event, FillResult, FlightId, Flights, Instant, Judgement, Notice, Order, PassengerId,
    Policy, Revision, Verdict,
};

use crate::laws::{Caller, Laws};
use crate::store::{Cell, Key, News};

pub(crate) const PROCESSES: usize = 3;
pub(crate) const KEYS: u8 = 2;

/// Something on its way.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Request {
        process: usize,
        flight: FlightId<Key>,
        command: Command,
        ttl: Duration,
    },
    Answer {
        process: usize,
        notice: Notice<Key>,
    },
    Judge {
        key: Key,
        passenger: PassengerId,
        revision: u64,
    },
    Fill {
        flight: FlightId<Key>,
        passenger: PassengerId,
        attempt: oneflight_core::Attempt,
    },
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: u64,
    /// The clock of the next notice is this much behind.
    pub(crate) slip: u64,
    cells: BTreeMap<Key, Cell>,
    pub(crate) processes: Vec<Flights<Key>>,
    pub(crate) watches: BTreeMap<(usize, Key, u64), Vec<Notice<Key>>>,
    pub(crate) items: Vec<Item>,
    /// The final answers that were told.
    pub(crate) told: Vec<(usize, FlightId<Key>, Event)>,
    pub(crate) laws: Laws,
}

impl World {
    pub(crate) fn new(calm: bool) -> Self {
        Self {
            now: 0,
            slip: 0,
            cells: (0..KEYS).map(|key| (key, Cell::default())).collect(),
            processes: vec![Flights::new(); PROCESSES],
            watches: BTreeMap::new(),
            items: Vec::new(),
            told: Vec::new(),
            laws: Laws::new(calm),
        }
    }

    fn cell(&mut self, key: Key) -> &mut Cell {
        self.cells.entry(key).or_default()
    }

    pub(crate) fn tell(&mut self, process: usize, notice: Notice<Key>) {
        let (now, slip) = (self.now, core::mem::take(&mut self.slip));
        let flights = &mut self.processes[process];
        let clamped = (slip > 0).then(|| flights.clone());
        let early = Instant::from_nanos(now - slip);
        let orders = flights.handle(early, notice.clone());
        if let Some(mut clamped) = clamped {
            // Whatever the process was told last is the least that an earlier moment counts as.
            let last = Instant::from_nanos(self.laws.last_told(process)).max(early);
            assert_eq!(clamped.handle(last, notice.clone()), orders);
            assert_eq!(format!("{clamped:?}"), format!("{flights:?}"));
        }
        let moment = now - slip;
        self.laws
            .orders_are_lawful(process, moment, &notice, &orders, flights, &self.cells);
        if let Notice::Answered { flight, event } = notice
            && event.attempt().is_some()
            && !matches!(event, Event::Unavailable { .. })
        {
            self.told.push((process, flight, event));
        }
        for order in orders {
            self.carry_out(process, order);
        }
        let flights = &self.processes[process];
        self.laws.who_does_not_wait_shares_a_claim(process, flights);
    }

    fn carry_out(&mut self, process: usize, order: Order<Key>) {
        let now = self.now;
        match order {
            Order::Judge {
                key,
                passenger,
                revision,
            } => {
                if self.laws.asks(passenger, revision) {
                    let revision = revision.get();
                    self.items.push(Item::Judge {
                        key,
                        passenger,
                        revision,
                    });
                }
            }
            Order::Fill {
                flight,
                passenger,
                attempt,
                lease,
            } => {
                let revision = self.cells[&flight.key].revision;
                self.laws
                    .fills(process, flight.key, passenger, lease, revision);
                let laws = &self.laws;
                self.items.retain(|item| match item {
                    Item::Fill {
                        flight: other,
                        passenger,
                        ..
                    } => other.key != flight.key || !laws.fill_is_over(*passenger, process),
                    _ => true,
                });
                self.items.push(Item::Fill {
                    flight,
                    passenger,
                    attempt,
                });
            }
            Order::Land {
                key,
                passenger,
                outcome,
            } => {
                let origins = &self.cells[&key].origins;
                self.laws.lands(passenger, outcome, now, origins);
            }
            Order::Retired { .. } => {}
            Order::Command { flight, command } => match command {
                Command::Watch => {
                    let id = (process, flight.key, flight.number);
                    let snapshot = self.cells[&flight.key].snapshot(&flight, now);
                    let before = self.watches.insert(id, snapshot);
                    assert!(before.is_none(), "watched twice");
                }
                Command::Unwatch => {
                    let id = (process, flight.key, flight.number);
                    assert!(self.watches.remove(&id).is_some(), "not watched");
                }
                Command::WarnLeaseLost { .. } => {}
                Command::Fill { .. } | Command::Land(_) => panic!("not for the store: {command:?}"),
                Command::Claim { .. }
                | Command::Renew { .. }
                | Command::Publish { .. }
                | Command::Put { .. }
                | Command::Release { .. } => {
                    let ttl = self.processes[process]
                        .policy(&flight)
                        .map_or(Duration::ZERO, |policy| policy.lease_ttl);
                    self.items.push(Item::Request {
                        process,
                        flight,
                        command,
                        ttl,
                    });
                }
            },
        }
    }

    fn notify(&mut self, key: Key, news: News) {
        let cell = &self.cells[&key];
        for ((_, watched, number), queue) in &mut self.watches {
            if *watched == key {
                let number = *number;
                let flight = FlightId { key, number };
                if news.key {
                    queue.push(cell.arrived(&flight, None));
                }
                if let Some(event) = news.lock {
                    queue.push(Notice::Answered { flight, event });
                }
            }
        }
    }

    /// Lets one thing on its way arrive; whether there was one. A fill that ends does so in this way.
    pub(crate) fn arrive(&mut self, nth: usize, result: FillResult) -> bool {
        let mailboxes: Vec<_> = self
            .watches
            .iter()
            .filter(|(_, queue)| !queue.is_empty())
            .map(|(id, _)| *id)
            .collect();
        let all = self.items.len() + mailboxes.len();
        if all == 0 {
            return false;
        }
        let index = nth % all;
        if let Some(id) = index
            .checked_sub(self.items.len())
            .and_then(|index| mailboxes.get(index))
        {
            let notice = self.watches.get_mut(id).unwrap().remove(0);
            self.tell(id.0, notice);
            return true;
        }
        match self.items.remove(index) {
            Item::Request {
                process,
                flight,
                command,
                ttl,
            } => {
                let now = Instant::from_nanos(self.now);
                let cell = self.cell(flight.key);
                let (answer, news) = cell.execute(process, &flight, command, ttl, now);
                self.notify(flight.key, news);
                if let Some(notice) = answer {
                    self.items.push(Item::Answer { process, notice });
                }
            }
            Item::Answer { process, notice } => self.tell(process, notice),
            Item::Judge {
                key,
                passenger,
                revision,
            } => {
                let token = self.cells[&key].origins[&revision];
                let caller = &self.laws.callers[&passenger];
                let judgement = if revision >= caller.wants {
                    Judgement::Fresh
                } else {
                    Judgement::Stale
                };
                let process = caller.process;
                let verdict = Verdict {
                    revision: Revision::new(revision),
                    token,
                    judgement,
                };
                self.laws.judges(passenger, verdict);
                self.tell(
                    process,
                    Notice::Judged {
                        key,
                        passenger,
                        verdict,
                    },
                );
            }
            Item::Fill {
                flight,
                passenger,
                attempt,
            } => {
                let caller = &self.laws.callers[&passenger];
                if !caller.left {
                    let process = caller.process;
                    let event = Event::FillDone { attempt, result };
                    self.tell(process, Notice::Answered { flight, event });
                }
            }
        }
        true
    }

    pub(crate) fn board(
        &mut self,
        process: usize,
        key: Key,
        policy: Policy,
        wants: u64,
        mute: bool,
        knows: bool,
    ) {
        let now = self.laws.last_told(process).max(self.now - self.slip);
        let cell = &self.cells[&key];
        // What a local copy would say, now and then.
        let known = if knows && cell.value.is_some() && cell.revision < wants {
            Verdict {
                revision: Revision::new(cell.revision),
                token: cell.value.flatten(),
                judgement: Judgement::Stale,
            }
        } else {
            Verdict::UNKNOWN
        };
        let caller = Caller::new(process, key, wants, policy, mute, now);
        let passenger = self.laws.boards(caller);
        self.tell(
            process,
            Notice::Boarded {
                key,
                passenger,
                policy,
                known,
            },
        );
    }

    /// A caller leaves, unless it has landed.
    pub(crate) fn leave(&mut self, passenger: PassengerId) {
        if let Some((process, key)) = self.laws.leaves(passenger) {
            self.tell(process, Notice::Left { key, passenger });
        }
    }

    pub(crate) fn forget(&mut self, key: Key) {
        let news = self.cell(key).forget();
        self.notify(key, news);
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        self.processes
            .iter()
            .filter_map(Flights::deadline)
            .min()
            .map(Instant::as_nanos)
    }

    /// A tick that nobody asked for.
    pub(crate) fn tick_early(&mut self, process: usize) {
        let due = self.processes[process].deadline();
        if due.is_none_or(|due| due.as_nanos() > self.now) {
            let mut ticked = self.processes[process].clone();
            let orders = ticked.handle(Instant::from_nanos(self.now), Notice::Tick);
            assert_eq!(orders, [], "before the deadline");
            self.slip = 0;
            self.tell(process, Notice::Tick);
            assert_eq!(self.processes[process].deadline(), due);
        }
    }

    /// Time passes to this moment; everybody is ticked for as long as it wants to be.
    pub(crate) fn pass(&mut self, moment: u64) {
        self.now = self.now.max(moment);
        self.slip = 0;
        for process in 0..PROCESSES {
            let mut ticks = 0;
            while self.processes[process]
                .deadline()
                .is_some_and(|due| due.as_nanos() <= self.now)
            {
                self.tell(process, Notice::Tick);
                ticks += 1;
                assert!(ticks < 20, "a hot loop: {:?}", self.processes[process]);
            }
        }
        self.laws.nobody_outlives_its_patience(self.now);
    }

    /// Everything on its way arrives, time passes when nothing is, until nothing is left.
    pub(crate) fn come_to_rest(&mut self, mut dice: u64) {
        for _ in 0..20_000 {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let nth = usize::try_from(dice >> 33).unwrap();
            let result = match dice % 7 {
                0 if !self.laws.calm => FillResult::Error,
                1 if !self.laws.calm => FillResult::Panic,
                _ => FillResult::Value,
            };
            if self.arrive(nth, result) {
                continue;
            }
            match self.deadline() {
                Some(due) => self.pass(due),
                None => break,
            }
        }
        self.laws.all_have_landed();
        for process in &self.processes {
            assert!(process.is_idle(), "{process:?}");
            assert_eq!(process.deadline(), None);
            assert_eq!(process.load(), (0, 0));
        }
        let watches = &self.watches;
        assert!(watches.is_empty(), "a watch is left: {watches:?}");
        if self.laws.calm {
            for (key, cell) in &self.cells {
                assert!(cell.lease.is_none(), "a lease on {key} is left");
            }
            // Nobody wants more than three, and each fill is a revision.
            let revisions: usize = self.cells.values().map(|cell| cell.origins.len()).sum();
            assert!(self.laws.fills <= 3 * usize::from(KEYS));
            assert_eq!(self.laws.fills, revisions);
        }
    }
}
