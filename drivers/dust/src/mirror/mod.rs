//! The mirror of a store: what every path holds, kept true by events.
//!
//! Events may come out of order, twice, late, or not at all. Each path takes only what is newer than what
//! it has; which operations are known at all, [`Seqs`] counts.

mod cleared;
mod row;
mod seqs;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use oneflight_store::{Revision, Token, default_lock};
use serde_json::Value;

use crate::clock::{Moment, ServerClock, ms};
use crate::path::Path;
use crate::wire::{Event, Op, OpId, Snapshot, Stamp};

use cleared::Cleared;
pub(crate) use row::{Row, What};
pub(crate) use seqs::Seqs;

/// How many paths are remembered that hold nothing any more: with them goes the highest token granted
/// there, and the last revision.
const MOST_GONE: usize = 1 << 14;

/// What is mirrored.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// The paths under which keys are; all if there are none.
    pub(crate) prefixes: Vec<Box<str>>,
    /// How many bytes of values are kept.
    pub(crate) room: usize,
}

/// A path that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) path: Path,
    /// It is, or was, a lease: no key has moved.
    pub(crate) lease: bool,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Mirror {
    scope: Scope,
    /// The leases of the keys mirrored, for each prefix.
    locks: Vec<Box<str>>,
    rows: BTreeMap<Path, Row>,
    /// The rows that hold nothing, by the operation that took it away.
    gone: BTreeSet<(u64, Path)>,
    /// No path without a row was written after this operation.
    floor: u64,
    cleared: Cleared,
    weight: usize,
    pub(crate) seqs: Seqs,
    /// What is known to have been written before whatever comes next was: milliseconds of the driver's
    /// clock.
    reached: Option<i64>,
}

impl Mirror {
    pub(crate) fn new(scope: Scope) -> Self {
        let lock = |prefix: &str| default_lock(prefix).into_boxed_str();
        Self {
            locks: scope.prefixes.iter().map(|prefix| lock(prefix)).collect(),
            scope,
            rows: BTreeMap::new(),
            gone: BTreeSet::new(),
            floor: 0,
            cleared: Cleared::default(),
            weight: 0,
            seqs: Seqs::default(),
            reached: None,
        }
    }

    /// Whether what happens at this path is kept.
    pub(crate) fn covers(&self, path: &Path) -> bool {
        let mut paths = self.scope.prefixes.iter().chain(&self.locks);
        self.scope.prefixes.is_empty() || paths.any(|prefix| path.is_within(prefix))
    }

    /// What is known of a path; `None` if nothing ever was there, as far as is known.
    pub(crate) fn row(&self, path: &Path) -> Option<&Row> {
        self.rows.get(path)
    }

    /// The last revision of a path, or one above it.
    pub(crate) fn revision(&self, path: &Path) -> Revision {
        Revision::new(self.row(path).map_or(self.floor, |row| row.seq))
    }

    /// Whether anything but leases stands below a path: in Dust a path that others lead through is a map.
    pub(crate) fn is_map(&self, path: &Path) -> bool {
        let from = format!("{}/", path.text());
        let range = (Bound::Included(&*from), Bound::Unbounded);
        self.rows
            .range::<str, _>(range)
            .take_while(|(below, _)| below.text().starts_with(&from))
            .any(|(_, row)| !matches!(row.what, What::Gone | What::Lease(_)))
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (&Path, &Row)> {
        self.rows.iter()
    }

    /// Takes in an operation, of which this process may be told twice. `live` if it happened just now.
    pub(crate) fn apply(
        &mut self,
        now: Moment,
        clock: &ServerClock,
        event: Event,
        live: bool,
    ) -> Vec<Changed> {
        let mut changed = Vec::new();
        // What is known has been taken in, or a snapshot has told what became of it.
        let new = self.seqs.know(event.seq);
        let through = self.seqs.through();
        let Some(path) = event.path else {
            return changed;
        };
        let seq = event.seq;
        let mut write = Writing {
            mirror: self,
            seq,
            new,
            exact: true,
            changed: &mut changed,
        };
        if new && seq > through && matches!(event.op, Op::Set | Op::Delete) {
            write.mirror.cleared.insert(&path, seq);
        }
        match event.op {
            Op::Release => write.leaf(&path, What::Gone),
            Op::Delete => {
                write.leaf(&path, What::Gone);
                write.clear_below(&path, |_| false);
            }
            Op::Lease => {
                let mut what = What::of(event.value);
                if let What::Lease(lease) = &mut what {
                    lease.device = event.device.into();
                }
                write.leaf(&path, what);
            }
            Op::Set | Op::Merge | Op::Other => {
                let stamp = OpId::parse(&event.op_id).and_then(|id| id.stamp);
                let written = write.mirror.written(now, clock, stamp, live);
                let mut leaves = BTreeMap::new();
                flatten(&path, event.value, &mut leaves);
                for what in leaves.values_mut() {
                    if let What::Text(text) = what {
                        text.written = written;
                        text.token = stamp.map_or_else(
                            || write.mirror.token_of(&path, &event.device),
                            |stamp| stamp.token,
                        );
                    }
                }
                if event.op == Op::Set {
                    write.clear_below(&path, |path| leaves.contains_key(path));
                    if !leaves.contains_key(&path) && write.mirror.rows.contains_key(&path) {
                        write.leaf(&path, What::Gone);
                    }
                }
                for (path, what) in leaves {
                    write.leaf(&path, what);
                }
            }
        }
        self.cleared.forget_through(through);
        if !live
            && let Some(Row {
                what: What::Lease(lease),
                ..
            }) = self.row(&path)
            && let Some(since) = lease.since()
        {
            self.reach(
                since
                    .saturating_sub(clock.at_most(now))
                    .saturating_add(ms(now)),
            );
        }
        changed
    }

    /// Takes in how everything stood.
    pub(crate) fn replace(&mut self, snapshot: Snapshot) -> Vec<Changed> {
        let mut changed = Vec::new();
        let seq = snapshot.seq;
        let mut kept = BTreeSet::new();
        let mut write = Writing {
            mirror: self,
            seq,
            new: true,
            exact: false,
            changed: &mut changed,
        };
        for entry in snapshot.entries {
            let what = What::of(entry.value);
            match write.mirror.rows.get_mut(&entry.path) {
                // It may have been written again and be the same: nobody needs to know.
                Some(row) if row.what == what => row.exact &= row.seq >= seq,
                _ => write.leaf(&entry.path, what),
            }
            kept.insert(entry.path);
        }
        let vanished: Vec<_> = write
            .mirror
            .rows
            .iter()
            .filter(|(path, row)| row.what != What::Gone && !kept.contains(*path))
            .map(|(path, _)| path.clone())
            .collect();
        for path in vanished {
            write.leaf(&path, What::Gone);
        }
        self.floor = self.floor.max(seq);
        self.seqs.know_through(seq);
        self.reached = None;
        changed
    }

    /// The store is not the one it was: nothing known of it holds.
    pub(crate) fn reset(&mut self) -> Vec<Changed> {
        let is_lease = |row: &Row| matches!(row.what, What::Lease(_));
        let old = std::mem::replace(self, Self::new(self.scope.clone()));
        let changed = old
            .rows
            .into_iter()
            .filter(|(_, row)| row.what != What::Gone);
        changed
            .map(|(path, row)| Changed {
                path,
                lease: is_lease(&row),
            })
            .collect()
    }

    /// When an operation happened, or a little before.
    fn written(
        &mut self,
        now: Moment,
        clock: &ServerClock,
        stamp: Option<Stamp>,
        live: bool,
    ) -> Option<i64> {
        let now_ms = ms(now);
        let stamped = stamp.map(|stamp| {
            let age = clock.at_most(now).saturating_sub(stamp.sent);
            now_ms.saturating_sub(age.max(0))
        });
        // What is live may be ahead of what is yet to come of the past.
        if let Some(stamped) = stamped
            && !live
        {
            self.reach(stamped);
        }
        match (stamped, live) {
            (Some(stamped), _) => Some(stamped),
            (None, true) => Some(now_ms),
            // Not before what came before it.
            (None, false) => self.reached,
        }
    }

    fn reach(&mut self, moment: i64) {
        self.reached = self.reached.max(Some(moment));
    }

    /// Which lease a value was written under, by a client that does not say so: the one that stands, if
    /// the same client took it.
    fn token_of(&self, path: &Path, device: &str) -> Option<Token> {
        let lock = default_lock(path.text());
        match &self.rows.get(&*lock)?.what {
            What::Lease(lease) if *lease.device == *device => Some(lease.token),
            What::Lease(_) | What::Gone | What::Text(_) | What::Unkept | What::Other(_) => None,
        }
    }
}

/// The leaves of what is written at a path.
fn flatten(path: &Path, value: Value, leaves: &mut BTreeMap<Path, What>) {
    // Not by recursion: how deep it goes is the sender's choice.
    let mut rest = vec![(path.clone(), value)];
    while let Some((path, value)) = rest.pop() {
        let is_map = |map: &serde_json::Map<_, _>| !map.is_empty() && !map.contains_key("_type");
        if !value.as_object().is_some_and(is_map) {
            leaves.insert(path, What::of(value));
        } else if let Value::Object(map) = value {
            let below = map.into_iter();
            rest.extend(below.map(|(name, value)| (path.join(&name), value)));
        }
    }
}

/// One operation on its way into the rows.
struct Writing<'a> {
    mirror: &'a mut Mirror,
    seq: u64,
    /// It was not taken in before.
    new: bool,
    exact: bool,
    changed: &'a mut Vec<Changed>,
}

impl Writing<'_> {
    /// A path holds this now, unless it is known to hold something newer.
    fn leaf(&mut self, path: &Path, mut what: What) {
        let mirror = &mut *self.mirror;
        if !self.new || !mirror.covers(path) || mirror.cleared.covers(path, self.seq) {
            return;
        }
        let old = mirror.rows.get(path);
        if old.is_some_and(|row| row.seq >= self.seq) {
            return;
        }
        let granted = match &what {
            What::Lease(lease) => Some(lease.token),
            What::Gone | What::Text(_) | What::Unkept | What::Other(_) => None,
        };
        let lease = granted.is_some() || old.is_some_and(|row| matches!(row.what, What::Lease(_)));
        let weight = old.map_or(0, Row::weight);
        if let What::Text(text) = &what
            && mirror.weight - weight + text.value.len() > mirror.scope.room
        {
            what = What::Unkept;
        }
        let latest = granted.max(old.and_then(|row| row.latest));
        if let Some(old) = old
            && old.what == What::Gone
        {
            mirror.gone.remove(&(old.seq, path.clone()));
        }
        if what == What::Gone {
            if old.is_none() && !self.exact {
                return;
            }
            mirror.gone.insert((self.seq, path.clone()));
        }
        let row = Row {
            seq: self.seq,
            exact: self.exact,
            what,
            latest,
        };
        mirror.weight = mirror.weight - weight + row.weight();
        mirror.rows.insert(path.clone(), row);
        self.changed.push(Changed {
            path: path.clone(),
            lease,
        });
        self.forget_some();
    }

    /// All below a path is gone, but for some.
    fn clear_below(&mut self, path: &Path, keep: impl Fn(&Path) -> bool) {
        let from = format!("{}/", path.text());
        let range = (Bound::Included(&*from), Bound::Unbounded);
        let below: Vec<_> = self
            .mirror
            .rows
            .range::<str, _>(range)
            .take_while(|(below, _)| below.text().starts_with(&from))
            .filter(|(below, row)| row.what != What::Gone && !keep(below))
            .map(|(below, _)| below.clone())
            .collect();
        for path in below {
            self.leaf(&path, What::Gone);
        }
    }

    /// Forgets the oldest of what holds nothing.
    fn forget_some(&mut self) {
        let mirror = &mut *self.mirror;
        while mirror.gone.len() > MOST_GONE
            && let Some((seq, _)) = mirror.gone.first()
            // Whatever happened before is known by then, and is not taken for news if it comes again.
            && *seq <= mirror.seqs.through()
            && let Some((seq, path)) = mirror.gone.pop_first()
        {
            mirror.rows.remove(&path);
            mirror.floor = mirror.floor.max(seq);
        }
    }
}
