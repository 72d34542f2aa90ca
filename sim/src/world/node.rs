//! One process: its machine, its clock, what its driver keeps on hand.

use oneflight_core::{Flights, Instant, Revision, Token};

use super::room::cleared;
use crate::trace::{Digest, Key, Nanos};

pub(super) struct Node {
    pub(super) slot: u32,
    pub(super) flights: Flights<Key>,
    pub(super) alive: bool,
    pub(super) paused_until: Nanos,
    /// When it was begun, and how fast its clock runs, in parts per million off.
    born: Nanos,
    ppm: i64,
    /// When its timer fires next; `Nanos::MAX` for never.
    pub(super) armed: Nanos,
    pub(super) desks: Vec<Desk>,
    /// The open watches: flight, watch.
    pub(super) watches: Vec<(u64, u32)>,
    /// How many callers there were.
    pub(super) passengers: u64,
    /// The call of each passenger, from number 1.
    pub(super) seats: Vec<u32>,
    /// The change stream is up; how many copies are still being looked at again.
    pub(super) changes_up: bool,
    pub(super) revalidating: u32,
}

/// What a driver keeps on hand for a key.
#[derive(Clone, Debug, Default)]
pub(super) struct Desk {
    pub(super) seats: u32,
    pub(super) flights: Vec<u64>,
    pub(super) arrived: Option<Arrived>,
    pub(super) computed: Option<Digest>,
    /// The last revision that the change stream told of.
    pub(super) moved: Revision,
    /// The flight that was last told to fill, and the one whose renewals a bug has stopped.
    pub(super) filled: u64,
    pub(super) quit: u64,
    /// The local copy.
    pub(super) copy: Option<Arrived>,
}

/// A value that has come to a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    pub(super) revision: Revision,
    pub(super) token: Option<Token>,
    pub(super) digest: Digest,
    /// Its age when it came, by the store's clock, and when that was, by the process's own.
    pub(super) age: Nanos,
    pub(super) read: Nanos,
}

impl Arrived {
    /// Its age at a moment of the process's clock.
    pub(super) fn age_at(&self, moment: Nanos) -> Nanos {
        if moment >= self.read {
            self.age + (moment - self.read)
        } else {
            self.age.saturating_sub(self.read - moment)
        }
    }
}

impl Desk {
    /// Forgets what is on it, if nobody needs it any more; the copy stays.
    pub(super) fn clear(&mut self) {
        if self.seats == 0 && self.flights.is_empty() {
            self.arrived = None;
            self.computed = None;
            self.moved = Revision::NEVER;
        }
    }
}

impl Node {
    /// A process that begins, in the room of one that is over.
    pub(super) fn new(slot: u32, born: Nanos, ppm: i32, keys: u32, spare: Option<Self>) -> Self {
        let (mut desks, mut watches, mut seats) = spare.map_or_else(Default::default, |spare| {
            (spare.desks, spare.watches, spare.seats)
        });
        for desk in &mut desks {
            let flights = cleared(&mut desk.flights);
            *desk = Desk {
                flights,
                ..Desk::default()
            };
        }
        desks.resize_with(keys as usize, Desk::default);
        Self {
            slot,
            flights: Flights::new(),
            alive: true,
            paused_until: 0,
            born,
            ppm: i64::from(ppm),
            armed: Nanos::MAX,
            desks,
            watches: cleared(&mut watches),
            passengers: 0,
            seats: cleared(&mut seats),
            changes_up: true,
            revalidating: 0,
        }
    }

    /// The process's own clock.
    pub(super) fn local(&self, now: Nanos) -> Nanos {
        let since = now - self.born;
        if self.ppm == 0 {
            return since;
        }
        // A division with 128 bits costs more than all else here, and a run rarely takes days.
        let product = i64::try_from(since)
            .ok()
            .and_then(|it| it.checked_mul(self.ppm));
        let off = match product {
            Some(product) => product / 1_000_000,
            None => (i128::from(since) * i128::from(self.ppm) / 1_000_000) as i64,
        };
        since.saturating_add_signed(off)
    }

    /// When the process's own clock shows this.
    pub(super) fn global(&self, local: Instant) -> Nanos {
        if self.ppm == 0 {
            return self.born.saturating_add(local.as_nanos());
        }
        let rate = (1_000_000 + self.ppm) as u64;
        let since = match local.as_nanos().checked_mul(1_000_000) {
            Some(product) => product.div_ceil(rate),
            None => (u128::from(local.as_nanos()) * 1_000_000).div_ceil(rate.into()) as u64,
        };
        let mut global = self.born.saturating_add(since);
        while self.local(global) < local.as_nanos() {
            global += 1;
        }
        global
    }

    pub(super) fn call_of(&self, passenger: u64) -> Option<u32> {
        let index = usize::try_from(passenger.checked_sub(1)?).ok()?;
        self.seats.get(index).copied()
    }
}
