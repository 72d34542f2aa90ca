//! Several processes, several keys, one store: whatever the order of things, nobody is forgotten.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use oneflight_core::{
    Arrival, Attempt, Command, Event, FillResult, FlightId, Flights, Instant, Judgement, Notice,
    OnAbort, OnFenced, OnUnavailable, Order, Outcome, PassengerId, Policy, Revision, Token,
    Verdict,
};
use proptest::prelude::*;

type Key = u8;

const PROCESSES: usize = 3;
const KEYS: u64 = 2;
const MS: u64 = 1_000_000;

#[derive(Clone, Debug, Default)]
struct Cell {
    /// The last revision, and the token of the value if there is one.
    revision: u64,
    value: Option<Option<Token>>,
    tokens: u64,
    lease: Option<Lease>,
    published: BTreeMap<Token, u64>,
}

#[derive(Clone, Debug)]
struct Lease {
    token: Token,
    expires: u64,
    claimed_by: (usize, u64, Attempt),
}

/// Something on its way.
#[derive(Clone, Debug)]
enum Item {
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
        attempt: Attempt,
    },
}

#[derive(Clone, Debug)]
struct Caller {
    process: usize,
    key: Key,
    /// The least revision that satisfies it.
    wants: u64,
    policy: Policy,
    boarded_at: u64,
    boarded_step: usize,
    /// It has run a fill: its call may take longer.
    filled: bool,
    /// It never answers a question.
    mute: bool,
    left: bool,
    landed: Option<Outcome>,
}

#[derive(Debug)]
struct World {
    now: u64,
    step: usize,
    /// Nothing goes wrong, and time passes only when there is nothing else to do.
    calm: bool,
    cells: BTreeMap<Key, Cell>,
    processes: Vec<Flights<Key>>,
    watches: BTreeMap<(usize, Key, u64), Vec<Notice<Key>>>,
    items: Vec<Item>,
    callers: BTreeMap<PassengerId, Caller>,
    /// For each fill under a lease: when it began, by token; and the generations filled.
    began: BTreeMap<(Key, Token), usize>,
    generations: BTreeSet<(Key, Revision)>,
    fills: usize,
    /// The token each revision was published under.
    origins: BTreeMap<(Key, u64), Option<Token>>,
}

impl World {
    fn new(calm: bool) -> Self {
        Self {
            now: 0,
            step: 0,
            calm,
            cells: BTreeMap::new(),
            processes: vec![Flights::new(); PROCESSES],
            watches: BTreeMap::new(),
            items: Vec::new(),
            callers: BTreeMap::new(),
            began: BTreeMap::new(),
            generations: BTreeSet::new(),
            fills: 0,
            origins: BTreeMap::new(),
        }
    }

    fn tell(&mut self, process: usize, notice: Notice<Key>) {
        let orders = self.processes[process].handle(Instant::from_nanos(self.now), notice);
        for order in orders {
            self.carry_out(process, order);
        }
    }

    fn carry_out(&mut self, process: usize, order: Order<Key>) {
        self.step += 1;
        match order {
            Order::Judge {
                key,
                passenger,
                revision,
            } => {
                let caller = &self.callers[&passenger];
                assert!(caller.landed.is_none() && !caller.left);
                if !caller.mute {
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
            } => self.fill(process, flight, passenger, attempt, lease),
            Order::Land {
                passenger, outcome, ..
            } => self.land(passenger, outcome),
            Order::Retired { .. } => {}
            Order::Command { flight, command } => match command {
                Command::Watch => {
                    let id = (process, flight.key, flight.number);
                    let snapshot = self.snapshot(&flight);
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

    fn fill(
        &mut self,
        process: usize,
        flight: FlightId<Key>,
        passenger: PassengerId,
        attempt: Attempt,
        lease: Option<oneflight_core::Lease>,
    ) {
        let key = flight.key;
        let caller = self.callers.get_mut(&passenger).unwrap();
        assert!(caller.landed.is_none() && !caller.left && caller.process == process);
        caller.filled = true;
        let callers = &self.callers;
        self.items.retain(|item| match item {
            Item::Fill {
                flight, passenger, ..
            } if flight.key == key && callers[passenger].process == process => {
                assert!(
                    callers[passenger].left || callers[passenger].landed.is_some(),
                    "two fills at once"
                );
                false
            }
            _ => true,
        });
        self.fills += 1;
        if let Some(lease) = lease {
            self.began.insert((key, lease.token), self.step);
            let first = self.generations.insert((key, lease.generation));
            assert!(
                first || !self.calm,
                "a second fill of generation {}",
                lease.generation
            );
        } else {
            assert!(!self.calm, "a fill without the store");
            assert_eq!(
                self.callers[&passenger].policy.on_unavailable,
                OnUnavailable::RunLocal
            );
        }
        self.items.push(Item::Fill {
            flight,
            passenger,
            attempt,
        });
    }

    fn land(&mut self, passenger: PassengerId, outcome: Outcome) {
        let caller = self.callers.get_mut(&passenger).unwrap();
        assert!(!caller.left, "{passenger:?} landed after it left");
        assert_eq!(caller.landed, None, "{passenger:?} landed twice");
        caller.landed = Some(outcome);
        let patience = caller.boarded_at + nanos(caller.policy.wait_timeout);
        match outcome {
            Outcome::Awaited {
                revision: Some(revision),
            }
            | Outcome::Cached {
                revision,
                stale: false,
            } => {
                // It satisfies the predicate, or its fill began after the call did.
                let origin = self.origins[&(caller.key, revision.get())];
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
                    self.now >= patience || caller.policy.wait_timeout.is_zero(),
                    "{passenger:?} timed out early"
                );
            }
            Outcome::Unavailable => {
                assert!(caller.policy.on_unavailable == OnUnavailable::Error);
            }
            // Whoever rides gives up when it is overtaken again after its patience.
            Outcome::Fenced => assert!(
                caller.policy.on_fenced == OnFenced::Error || caller.filled && self.now >= patience
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

    fn snapshot(&mut self, flight: &FlightId<Key>) -> Vec<Notice<Key>> {
        let cell = self.cells.entry(flight.key).or_default();
        let mut notices = Vec::new();
        if cell.revision > 0 {
            notices.push(arrived(flight, None, cell));
        }
        let remaining = cell
            .lease
            .as_ref()
            .map(|lease| Duration::from_nanos(lease.expires.saturating_sub(self.now)));
        let event = match remaining {
            Some(remaining) => Event::LockHeld {
                remaining: Some(remaining),
            },
            None => Event::LockReleased,
        };
        notices.push(Notice::Answered {
            flight: flight.clone(),
            event,
        });
        notices
    }

    fn notify(&mut self, key: Key, key_changed: bool, event: Option<Event>) {
        let cell = self.cells[&key].clone();
        for ((_, watched, number), queue) in &mut self.watches {
            if *watched == key {
                let flight = FlightId {
                    key,
                    number: *number,
                };
                if key_changed {
                    queue.push(arrived(&flight, None, &cell));
                }
                if let Some(event) = event {
                    queue.push(Notice::Answered { flight, event });
                }
            }
        }
    }

    /// The store carries out a request; its answer.
    fn execute(
        &mut self,
        process: usize,
        flight: &FlightId<Key>,
        command: Command,
        ttl: Duration,
    ) -> Option<Notice<Key>> {
        let (key, now) = (flight.key, self.now);
        let cell = self.cells.entry(key).or_default();
        if cell.lease.as_ref().is_some_and(|it| it.expires <= now) {
            // Lapsed: a renewal or a publish of its holder may still revive it below.
            if let Command::Claim { .. } = command {
                cell.lease = None;
            }
        }
        let held = |cell: &Cell, token| cell.lease.as_ref().is_some_and(|it| it.token == token);
        let event = match command {
            Command::Claim { attempt, seen } => {
                if cell.value.is_some() && cell.revision > seen.get() {
                    return Some(arrived(flight, Some(attempt), cell));
                }
                let by = (process, flight.number, attempt);
                match &cell.lease {
                    Some(lease) if lease.claimed_by != by => Event::Held {
                        attempt,
                        token: Some(lease.token),
                        remaining: Some(Duration::from_nanos(lease.expires - now)),
                    },
                    standing => {
                        let lease = standing.clone().unwrap_or_else(|| {
                            cell.tokens += 1;
                            Lease {
                                token: Token::new(cell.tokens).unwrap(),
                                expires: now + nanos(ttl),
                                claimed_by: by,
                            }
                        });
                        let event = Event::LeaseGranted {
                            attempt,
                            token: lease.token,
                            remaining: Duration::from_nanos(lease.expires - now),
                            generation: Revision::new(cell.revision),
                        };
                        cell.lease = Some(lease);
                        self.notify(
                            key,
                            false,
                            Some(Event::LockHeld {
                                remaining: Some(ttl),
                            }),
                        );
                        event
                    }
                }
            }
            Command::Renew { attempt, token } => {
                if held(cell, token) {
                    cell.lease.as_mut().unwrap().expires = now + nanos(ttl);
                    let remaining = Some(ttl);
                    self.notify(key, false, Some(Event::LockHeld { remaining }));
                    Event::Renewed { attempt }
                } else {
                    Event::LeaseLost { attempt }
                }
            }
            Command::Publish { attempt, token } => {
                if let Some(revision) = cell.published.get(&token) {
                    let revision = Revision::new(*revision);
                    Event::Published { attempt, revision }
                } else if held(cell, token) {
                    cell.revision += 1;
                    cell.value = Some(Some(token));
                    cell.lease = None;
                    cell.published.insert(token, cell.revision);
                    let revision = Revision::new(cell.revision);
                    self.origins.insert((key, cell.revision), Some(token));
                    self.notify(key, true, Some(Event::LockReleased));
                    Event::Published { attempt, revision }
                } else {
                    Event::Fenced { attempt }
                }
            }
            Command::Put { seen } => {
                if cell.revision <= seen.get() {
                    cell.revision += 1;
                    cell.value = Some(None);
                    self.origins.insert((key, cell.revision), None);
                    self.notify(key, true, None);
                }
                return None;
            }
            Command::Release { attempt, token } => {
                if held(cell, token) {
                    cell.lease = None;
                    self.notify(key, false, Some(Event::LockReleased));
                }
                Event::Released { attempt }
            }
            _ => return None,
        };
        Some(Notice::Answered {
            flight: flight.clone(),
            event,
        })
    }

    /// Lets one thing on its way arrive; whether there was one.
    fn arrive(&mut self, dice: u64) -> bool {
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
        let index = usize::try_from(dice % all as u64).unwrap();
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
                if let Some(notice) = self.execute(process, &flight, command, ttl) {
                    self.items.push(Item::Answer { process, notice });
                }
            }
            Item::Answer { process, notice } => self.tell(process, notice),
            Item::Judge {
                key,
                passenger,
                revision,
            } => {
                let caller = &self.callers[&passenger];
                let judgement = if revision >= caller.wants {
                    Judgement::Fresh
                } else {
                    Judgement::Stale
                };
                let verdict = Verdict {
                    revision: Revision::new(revision),
                    token: self.origins[&(key, revision)],
                    judgement,
                };
                self.tell(
                    caller.process,
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
                let caller = &self.callers[&passenger];
                if caller.left {
                    return true;
                }
                let process = caller.process;
                let result = match dice % 7 {
                    0 if !self.calm => FillResult::Error,
                    1 if !self.calm => FillResult::Panic,
                    _ => FillResult::Value,
                };
                let event = Event::FillDone { attempt, result };
                self.tell(process, Notice::Answered { flight, event });
            }
        }
        true
    }

    /// Something is lost: a request, its answer, or a whole watch.
    fn lose(&mut self, dice: u64) {
        let lossy: Vec<_> = (0..self.items.len())
            .filter(|index| match &self.items[*index] {
                Item::Request { .. } => true,
                Item::Answer { .. } => true,
                Item::Judge { .. } | Item::Fill { .. } => false,
            })
            .collect();
        if lossy.is_empty() || dice.is_multiple_of(5) {
            let Some(id) = self.watches.keys().next().copied() else {
                return;
            };
            self.watches.remove(&id);
            let flight = FlightId {
                key: id.1,
                number: id.2,
            };
            let event = Event::WatchLost;
            return self.tell(id.0, Notice::Answered { flight, event });
        }
        let index = lossy[usize::try_from(dice % lossy.len() as u64).unwrap()];
        match self.items.remove(index) {
            Item::Request {
                process,
                flight,
                command,
                ..
            } => {
                let (Command::Claim { attempt, .. }
                | Command::Renew { attempt, .. }
                | Command::Publish { attempt, .. }
                | Command::Release { attempt, .. }) = command
                else {
                    return;
                };
                let event = Event::Unavailable { attempt };
                let notice = Notice::Answered { flight, event };
                self.items.push(Item::Answer { process, notice });
            }
            Item::Answer { process, notice } => match dice % 3 {
                // Gone for good, told as a failure, or told twice.
                0 => {}
                1 => {
                    let (attempt, flight) = match notice {
                        Notice::Answered { flight, event } => (event.attempt(), flight),
                        Notice::Arrived {
                            flight, attempt, ..
                        } => (attempt, flight),
                        _ => return,
                    };
                    if let Some(attempt) = attempt {
                        let event = Event::Unavailable { attempt };
                        let notice = Notice::Answered { flight, event };
                        self.items.push(Item::Answer { process, notice });
                    }
                }
                _ => {
                    let again = notice.clone();
                    self.items.push(Item::Answer {
                        process,
                        notice: again,
                    });
                    self.tell(process, notice);
                }
            },
            Item::Judge { .. } | Item::Fill { .. } => {}
        }
    }

    fn board(&mut self, dice: u64) {
        let passenger = PassengerId(self.callers.len() as u64 + 1);
        let process = usize::try_from(dice % PROCESSES as u64).unwrap();
        let key = u8::try_from((dice >> 3) % KEYS).unwrap();
        let pick = |shift: u64, odds: u64| !self.calm && (dice >> shift).is_multiple_of(odds);
        let wait = [0, 500, 5_000, 35_000][usize::try_from((dice >> 12) % 4).unwrap()];
        let policy = Policy {
            lease_ttl: Duration::from_secs(1 + (dice >> 8) % 9),
            wait_timeout: Duration::from_millis(if self.calm { 35_000 } else { wait }),
            fill_timeout: Some(Duration::from_secs(3)).filter(|_| pick(16, 4)),
            on_unavailable: if pick(20, 3) {
                OnUnavailable::Error
            } else {
                OnUnavailable::RunLocal
            },
            on_fenced: if pick(24, 3) {
                OnFenced::Error
            } else {
                OnFenced::Ride
            },
            on_abort: if pick(28, 2) {
                OnAbort::Promote
            } else {
                OnAbort::Share
            },
            seed: dice,
            ..Policy::DEFAULT
        };
        let wants = 1 + (dice >> 32) % 3;
        // What a local copy would say, now and then.
        let cell = self.cells.entry(key).or_default();
        let knows = (dice >> 36).is_multiple_of(2) && cell.value.is_some() && cell.revision < wants;
        let known = if knows {
            Verdict {
                revision: Revision::new(cell.revision),
                token: cell.value.flatten(),
                judgement: Judgement::Stale,
            }
        } else {
            Verdict::UNKNOWN
        };
        self.callers.insert(
            passenger,
            Caller {
                process,
                key,
                wants,
                policy,
                boarded_at: self.now,
                boarded_step: self.step,
                filled: false,
                mute: pick(40, 9),
                left: false,
                landed: None,
            },
        );
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

    fn leave(&mut self, dice: u64) {
        let aboard: Vec<_> = self
            .callers
            .iter()
            .filter(|(_, caller)| caller.landed.is_none() && !caller.left)
            .map(|(id, _)| *id)
            .collect();
        if aboard.is_empty() {
            return;
        }
        let passenger = aboard[usize::try_from(dice % aboard.len() as u64).unwrap()];
        let caller = self.callers.get_mut(&passenger).unwrap();
        caller.left = true;
        let (process, key) = (caller.process, caller.key);
        self.tell(process, Notice::Left { key, passenger });
    }

    fn forget(&mut self, dice: u64) {
        let key = u8::try_from(dice % KEYS).unwrap();
        let cell = self.cells.entry(key).or_default();
        cell.revision += 1;
        cell.value = None;
        cell.lease = None;
        self.origins.insert((key, cell.revision), None);
        self.notify(key, true, Some(Event::LockReleased));
    }

    fn deadline(&self) -> Option<u64> {
        self.processes
            .iter()
            .filter_map(Flights::deadline)
            .min()
            .map(Instant::as_nanos)
    }

    /// Time passes to this moment; everybody is ticked for as long as it wants to be.
    fn pass(&mut self, moment: u64) {
        self.now = self.now.max(moment);
        for process in 0..PROCESSES {
            let mut ticks = 0;
            while self.processes[process]
                .deadline()
                .is_some_and(|due| due.as_nanos() <= self.now)
            {
                self.tell(process, Notice::Tick);
                ticks += 1;
                assert!(ticks < 100, "a hot loop: {:?}", self.processes[process]);
            }
        }
        for (id, caller) in &self.callers {
            let wait = caller.policy.wait_timeout;
            let patience = caller.boarded_at + nanos(wait);
            assert!(
                caller.landed.is_some()
                    || caller.left
                    || caller.filled
                    || wait.is_zero()
                    || patience > self.now,
                "{id:?} outlived its patience: {:?}",
                self.processes[caller.process]
            );
        }
    }

    fn act(&mut self, choice: u8, dice: u64) {
        match choice {
            0..=2 => self.board(dice),
            3..=12 => {
                let _ = self.arrive(dice);
            }
            _ if self.calm => {
                let _ = self.arrive(dice);
            }
            13 => self.leave(dice),
            14 | 15 => self.lose(dice),
            16 => self.pass(self.now + dice % (20 * MS)),
            17 => {
                if let Some(due) = self.deadline() {
                    self.pass(due + (dice % 2) * (dice % (9_000 * MS)));
                }
            }
            18 if dice.is_multiple_of(3) => self.forget(dice),
            _ => {}
        }
    }

    /// Everything on its way arrives, time passes when nothing is, until nothing is left.
    fn come_to_rest(&mut self, mut dice: u64) {
        for _ in 0..20_000 {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            if self.arrive(dice >> 33) {
                continue;
            }
            match self.deadline() {
                Some(due) => self.pass(due),
                None => break,
            }
        }
        for (id, caller) in &self.callers {
            assert!(
                caller.landed.is_some() || caller.left,
                "{id:?} hangs: {:?}",
                self.processes[caller.process]
            );
        }
        for process in &self.processes {
            assert!(process.is_idle(), "{process:?}");
            assert_eq!(process.deadline(), None);
            assert_eq!(process.load(), (0, 0));
        }
        assert!(
            self.watches.is_empty(),
            "a watch is left: {:?}",
            self.watches
        );
        if self.calm {
            for (key, cell) in &self.cells {
                assert!(cell.lease.is_none(), "a lease on {key} is left");
            }
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap()
}

fn arrived(flight: &FlightId<Key>, attempt: Option<Attempt>, cell: &Cell) -> Notice<Key> {
    Notice::Arrived {
        flight: flight.clone(),
        attempt,
        latest: Token::new(cell.tokens).filter(|_| attempt.is_some()),
        arrival: Arrival {
            revision: Revision::new(cell.revision),
            token: cell.value.flatten(),
            value: cell.value.is_some(),
        },
    }
}

fn cases(number: u32) -> ProptestConfig {
    if std::env::var_os("PROPTEST_CASES").is_some() {
        ProptestConfig::default()
    } else {
        ProptestConfig::with_cases(number)
    }
}

proptest! {
    #![proptest_config(cases(1_500))]

    #[test]
    fn whatever_goes_wrong_nobody_is_forgotten(
        choices in prop::collection::vec((0_u8..20, any::<u64>()), 0..150),
        dice in any::<u64>(),
    ) {
        let mut world = World::new(false);
        for (choice, dice) in choices {
            world.act(choice, dice);
        }
        world.come_to_rest(dice);
    }

    #[test]
    fn when_nothing_goes_wrong_each_generation_is_filled_once(
        choices in prop::collection::vec((0_u8..20, any::<u64>()), 0..150),
        dice in any::<u64>(),
    ) {
        let mut world = World::new(true);
        for (choice, dice) in choices {
            world.act(choice, dice);
        }
        world.come_to_rest(dice);
        // Nobody wants more than three.
        prop_assert!(world.fills <= 3 * usize::try_from(KEYS).unwrap());
        prop_assert_eq!(world.fills, world.origins.len());
    }
}
