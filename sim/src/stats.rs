//! What a batch of runs counts, beside the violations.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each looks at a few kinds of records, whatever others there are"
)]

use std::collections::BTreeMap;

use oneflight_core::{Command, Event, Instant, Notice, Order, Outcome};

use crate::coverage::Coverage;
use crate::trace::{Answer, Fault, Key, Nanos, NodeId, Request, What};
use crate::world::Observer;

/// Sums over runs.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// How many runs.
    pub runs: u64,
    /// How many events in all.
    pub events: u64,
    /// How much virtual time.
    pub time: u128,
    /// How many calls began.
    pub calls: u64,
    /// How many fills began.
    pub fills: u64,
    /// The landings by kind.
    pub landings: [u64; LANDINGS.len()],
    /// The faults by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// The rare things that happened.
    pub marks: [u64; MARKS.len()],
    /// From a lapse to the next grant.
    pub takeovers: Times,
    /// From a commit to the landing of one who waited for it.
    pub wakes: Times,
    /// The transitions reached.
    pub coverage: Coverage,
    watch: Watch,
}

/// What is followed within one run.
#[derive(Clone, Debug, Default)]
struct Watch {
    at: Nanos,
    /// Of each key: when the newest lease lapses, if it does, and when the last value was committed.
    keys: Vec<(Option<Nanos>, Nanos)>,
    lost_publish: bool,
}

/// The kinds of landings.
pub const LANDINGS: [&str; 15] = [
    "cached, local",
    "cached",
    "cached, stale",
    "computed",
    "computed, uncoordinated",
    "awaited",
    "awaited, uncoordinated",
    "aborted",
    "panicked",
    "timed out",
    "fenced",
    "unavailable",
    "refused",
    "malformed",
    "unpublished",
];

/// How many runs are enough for a batch to have seen every mark.
pub const ENOUGH: u64 = 10_000;

/// Rare things that a batch of [`ENOUGH`] runs must have seen.
pub const MARKS: [&str; 12] = [
    "landed by push",
    "promoted after a release",
    "taken over after a lapse",
    "fenced, then rode",
    "answer to a publish lost after its commit",
    "lapsed holder revived by a renewal",
    "lease handed to the next passenger",
    "late grant released",
    "degraded",
    "put kept off by a newer value",
    "forgotten while filled",
    "watch lost and opened again",
];

/// Lengths of time, counted by their magnitude: eight steps to each doubling.
#[derive(Clone, Debug)]
pub struct Times(Vec<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(vec![0; 512])
    }
}

impl Times {
    fn count(&mut self, time: Nanos) {
        let log = 64 - time.leading_zeros().min(60) as usize;
        let fine = if log > 4 {
            (time >> (log - 4)) as usize & 7
        } else {
            0
        };
        self.0[(log * 8 + fine).min(511)] += 1;
    }

    fn add(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(&other.0) {
            *sum += count;
        }
    }

    /// The time that this share of all stay below.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Option<Nanos> {
        let all: u64 = self.0.iter().sum();
        let rank = (all as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.0.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= rank {
                let (log, fine) = (index / 8, index % 8);
                return Some(if log > 4 {
                    (8 + fine as u64 + 1) << (log - 4)
                } else {
                    1 << log
                });
            }
        }
        None
    }
}

/// The kind of a landing, as an index into [`LANDINGS`].
fn kind(outcome: Outcome, local: bool) -> usize {
    match outcome {
        Outcome::Cached { .. } if local => 0,
        Outcome::Cached { stale: false, .. } => 1,
        Outcome::Cached { stale: true, .. } => 2,
        Outcome::Computed { revision: Some(_) } => 3,
        Outcome::Computed { revision: None } => 4,
        Outcome::Awaited { revision: Some(_) } => 5,
        Outcome::Awaited { revision: None } => 6,
        Outcome::Aborted => 7,
        Outcome::Panicked => 8,
        Outcome::TimedOut => 9,
        Outcome::Fenced => 10,
        Outcome::Unavailable => 11,
        Outcome::Refused => 12,
        Outcome::Malformed => 13,
        Outcome::Unpublished { .. } | _ => 14,
    }
}

impl Stats {
    /// Adds another batch's.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.events += other.events;
        self.time += other.time;
        self.calls += other.calls;
        self.fills += other.fills;
        for (sum, count) in self.landings.iter_mut().zip(other.landings) {
            *sum += count;
        }
        for (sum, count) in self.marks.iter_mut().zip(other.marks) {
            *sum += count;
        }
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        self.takeovers.add(&other.takeovers);
        self.wakes.add(&other.wakes);
        self.coverage.add(&other.coverage);
    }

    /// How many faults in all.
    #[must_use]
    pub fn all_faults(&self) -> u64 {
        self.faults.values().sum()
    }

    /// The marks that a batch of this size should have seen, and has not: it fails.
    #[must_use]
    pub fn unseen(&self) -> Vec<&'static str> {
        let marks = MARKS.iter().zip(self.marks);
        marks
            .filter(|(_, count)| self.runs >= ENOUGH && *count == 0)
            .map(|(name, _)| *name)
            .collect()
    }

    /// A run begins.
    pub fn begin(&mut self) {
        self.watch.keys.clear();
        self.watch.lost_publish = false;
    }

    fn committed(&mut self, key: Key, request: &Request, answer: &Answer) {
        let at = self.watch.at;
        if self.watch.keys.len() <= key.index() {
            self.watch.keys.resize(key.index() + 1, (None, 0));
        }
        let row = &mut self.watch.keys[key.index()];
        match (request, answer) {
            (Request::Claim { ttl, .. }, Answer::Granted { .. }) => {
                if let Some(lapse) = row.0.filter(|lapse| *lapse <= at) {
                    self.takeovers.count(at - lapse);
                    self.marks[2] += 1;
                }
                row.0 = Some(at + ttl);
            }
            (Request::Renew { ttl, .. }, Answer::Renewed) => {
                self.marks[5] += u64::from(row.0.is_some_and(|lapse| lapse <= at));
                row.0 = Some(at + ttl);
            }
            (Request::Publish { .. }, Answer::Published { .. }) => {
                (row.0, row.1) = (None, at);
            }
            (Request::Forget, _) => {
                self.marks[10] += u64::from(row.0.is_some_and(|lapse| lapse > at));
                row.0 = None;
            }
            (Request::Release { .. }, Answer::Released { freed: true }) => row.0 = None,
            (Request::Put { .. }, Answer::Kept { .. }) => self.marks[9] += 1,
            _ => {}
        }
    }

    fn told(&mut self, notice: &Notice<Key>, orders: &[Order<Key>]) {
        let fills = || {
            orders
                .iter()
                .any(|order| matches!(order, Order::Fill { .. }))
        };
        match notice {
            Notice::Left { .. } => self.marks[6] += u64::from(fills()),
            Notice::Answered { event, .. } => match event {
                Event::LockReleased => self.marks[1] += 1,
                Event::LeaseGranted { .. } => {
                    let released = orders.iter().any(|order| {
                        matches!(
                            order,
                            Order::Command {
                                command: Command::Release { .. },
                                ..
                            }
                        )
                    });
                    self.marks[7] += u64::from(released);
                }
                Event::Fenced { .. } => self.marks[3] += u64::from(!orders.is_empty()),
                Event::WatchLost => self.marks[11] += 1,
                _ => {}
            },
            _ => {}
        }
        let degraded = |order: &Order<Key>| matches!(order, Order::Fill { lease: None, .. });
        self.marks[8] += u64::from(orders.iter().any(degraded));
    }
}

impl Observer for Stats {
    fn see_told(
        &mut self,
        at: Nanos,
        _node: NodeId,
        _now: Instant,
        notice: &Notice<Key>,
        orders: &[Order<Key>],
    ) {
        self.watch.at = at;
        self.told(notice, orders);
    }

    fn see(&mut self, at: Nanos, _node: NodeId, what: &What<Key>) {
        self.watch.at = at;
        match what {
            What::Told { notice, orders, .. } => self.told(notice, orders),
            What::Began { .. } => self.calls += 1,
            What::Landed {
                key,
                outcome,
                local,
                ..
            } => {
                self.landings[kind(*outcome, *local)] += 1;
                if let Outcome::Awaited { revision: Some(_) } = outcome
                    && let Some((_, committed)) = self.watch.keys.get(key.index())
                {
                    self.marks[0] += 1;
                    self.wakes.count(at - committed);
                }
            }
            What::FillBegan { .. } => self.fills += 1,
            What::Committed {
                key,
                request,
                answer,
                ..
            } => {
                self.committed(*key, request, answer);
                self.watch.lost_publish = matches!(request, Request::Publish { .. });
            }
            What::Fault { fault, .. } => {
                *self.faults.entry(*fault).or_default() += 1;
                if *fault == Fault::AnswerLost && self.watch.lost_publish {
                    self.marks[4] += 1;
                }
            }
            What::Up { .. }
            | What::Down { .. }
            | What::Left { .. }
            | What::FillEnded { .. }
            | What::Sent { .. }
            | What::Answered { .. }
            | What::WatchOpened { .. }
            | What::WatchClosed { .. }
            | What::Changes { .. }
            | What::Healed { .. }
            | What::Ended { .. } => {}
        }
    }
}
