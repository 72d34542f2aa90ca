//! The one queue of a run: what happens next, by time, then by the order of asking.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use oneflight_core::{Revision, Token};

use crate::trace::{Answer, Digest, Nanos};

/// Something that will happen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// A call begins.
    Begin { call: u32 },
    /// A caller is cancelled.
    Cancel { call: u32 },
    /// A caller looks at its mail.
    Wake { call: u32 },
    /// A fill ends.
    FillEnd { call: u32, serial: u32 },
    /// A process's timer fires.
    Timer { node: u32 },
    /// A request is at the store.
    AtStore { request: u32, again: bool },
    /// A composite request goes on with its second step.
    Step { request: u32, answer: Answer },
    /// An answer is back; a value in it was this old.
    Back {
        request: u32,
        answer: Answer,
        age: Nanos,
        again: bool,
    },
    /// A watch is at the store.
    WatchAtStore { watch: u32 },
    /// The store hears that a watch is closed.
    UnwatchAtStore { watch: u32 },
    /// A watch begins anew at the store, after a gap.
    Gap { watch: u32 },
    /// A push is at its process.
    Pushed { watch: u32, push: Push },
    /// The change stream tells a process that a key has moved.
    Changed {
        node: u32,
        key: u32,
        revision: Revision,
    },
    /// A process's change stream is up again.
    ChangesUp { node: u32 },
    /// A planned fault.
    Fault { index: u32 },
    /// A cut-off ends.
    CutOver { slot: u32, serial: u32 },
    /// A process takes a crashed one's place.
    Restart { slot: u32 },
    /// The world heals.
    Heal,
}

/// What a watch tells.
#[derive(Clone, Copy, Debug)]
pub(super) enum Push {
    /// The key is at this revision.
    Key {
        revision: Revision,
        value: Option<Told>,
    },
    /// The lock is free.
    Free,
    /// The lock is held for so long.
    Held(Nanos),
    /// The watch has ended.
    Ended,
    /// The watch is not permitted.
    Refused,
}

/// A value as told by a watch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) digest: Digest,
    pub(super) token: Option<Token>,
    pub(super) age: Nanos,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Nanos,
    sequence: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.sequence) == (other.at, other.sequence)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The first comes out of the heap first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Entry>,
    sequence: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: Nanos, event: Event) {
        self.sequence += 1;
        let sequence = self.sequence;
        self.heap.push(Entry {
            at,
            sequence,
            event,
        });
    }

    pub(super) fn pop(&mut self) -> Option<(Nanos, Event)> {
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }
}
