//! The one queue of a run: what happens next, by time, then by the order of asking.

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

#[derive(Debug, Default)]
pub(super) struct Queue {
    /// When, and which of the events. The next is the last, and of two at one moment the first asked
    /// for: most of what is asked for is to happen soon, and so moves few others.
    order: Vec<(Nanos, u32)>,
    /// All events of the run, in the order of asking.
    events: Vec<Event>,
}

impl Queue {
    /// Out of line: it is called from everywhere.
    #[inline(never)]
    pub(super) fn push(&mut self, at: Nanos, event: Event) {
        let next = (at, self.events.len() as u32);
        self.events.push(event);
        self.order.push(next);
        let mut place = self.order.len() - 1;
        while place > 0 && self.order[place - 1].0 <= at {
            self.order[place] = self.order[place - 1];
            place -= 1;
        }
        self.order[place] = next;
    }

    /// The queue without its events.
    pub(super) fn cleared(mut self) -> Self {
        self.order.clear();
        self.events.clear();
        self
    }

    /// When something happens next, and the number of the event.
    pub(super) fn pop(&mut self) -> Option<(Nanos, u32)> {
        self.order.pop()
    }

    /// An event by its number: where it lies, for a copy of it would be copied once more.
    pub(super) fn event(&self, number: u32) -> &Event {
        &self.events[number as usize]
    }
}
