//! What goes wrong at a given moment, and how it is made good.

use super::node::Node;
use super::queue::{Event, Push};
use super::store::Changed;
use super::{Observer, World};
use crate::bugs::Bug;
use crate::plan::Trouble;
use crate::trace::{Answer, Fault, Key, Nanos, Request, What};

impl<O: Observer> World<'_, O> {
    /// A process begins in a slot.
    pub(super) fn bring_up(&mut self, slot: usize) {
        let node = self.nodes.len() as u32;
        let ppm = self.plan.clocks[slot];
        let spare = self.spare.pop();
        let born = Node::new(slot as u32, self.now, ppm, self.plan.keys, spare);
        self.nodes.push(born);
        self.slots[slot] = node;
        let id = u64::from(node) + 1;
        let name = format!("node {}", slot + 1);
        self.emit(id, &What::Up { name, clock: None });
        let connected = self.plan.copies && self.cuts[slot] == (0, 0);
        self.nodes[node as usize].changes_up = connected;
        if connected {
            self.emit(id, &What::Changes { connected });
        }
    }

    pub(super) fn restart(&mut self, slot: u32) {
        self.bring_up(slot as usize);
    }

    pub(super) fn trouble(&mut self, index: u32) {
        if self.healed {
            return;
        }
        let now = self.now;
        match self.plan.faults[index as usize].kind {
            Trouble::Crash { slot, restart } => self.crash(slot, restart),
            Trouble::Pause { slot, lasts } => {
                let node = self.slots[slot as usize];
                let until = now + lasts;
                self.nodes[node as usize].paused_until = until;
                self.fault(u64::from(node) + 1, Fault::Paused, until);
            }
            Trouble::Cut {
                slot,
                up,
                down,
                lasts,
            } => {
                self.cut(slot, up, down, lasts);
                let serial = u32::from(up) | u32::from(down) << 1;
                self.queue
                    .push(now + lasts, Event::CutOver { slot, serial });
            }
            Trouble::Slow { extra, lasts } => {
                self.slow = (now + lasts, extra);
                self.fault(0, Fault::StoreSlow, now + lasts + extra);
            }
            Trouble::Restart => {
                if self.has(Bug::TokenReused) {
                    self.store.fail_over(Nanos::MAX, true);
                }
                self.fault(0, Fault::StoreRestarted, self.trip());
                for slot in 0..self.slots.len() {
                    self.end_watches(slot as u32);
                }
            }
            Trouble::FailOver { writes, tokens } => {
                if writes > 0 {
                    self.fault(0, Fault::WritesForgotten, self.trip());
                }
                if tokens {
                    self.fault(0, Fault::TokensForgotten, self.trip());
                }
                self.store.fail_over(now.saturating_sub(writes), tokens);
                for slot in 0..self.slots.len() {
                    self.end_watches(slot as u32);
                }
            }
            Trouble::Evict { key } => {
                self.fault(0, Fault::LockEvicted, self.trip());
                self.store.evict(key as usize);
                let lock = true;
                self.told(Key(key), Changed { key: false, lock });
            }
            Trouble::Jump { by } => {
                self.store.jumped += by;
                self.fault(0, Fault::ClockJumped, now);
            }
            Trouble::Forget { slot, key } => {
                let node = self.slots[slot as usize];
                if self.nodes[node as usize].alive {
                    self.fault(u64::from(node) + 1, Fault::Forgotten, now);
                    self.send(node, Key(key), None, None, Request::Forget);
                }
            }
            Trouble::EndWatches { slot } => self.end_watches(slot),
        }
    }

    /// When what happens now is over, as far as messages under way are concerned.
    pub(super) fn trip(&self) -> Nanos {
        self.now + 2 * (self.plan.net.least + self.plan.net.spread)
    }

    fn crash(&mut self, slot: u32, restart: Option<Nanos>) {
        let node = self.slots[slot as usize];
        let id = u64::from(node) + 1;
        if !self.nodes[node as usize].alive {
            return;
        }
        self.fault(id, Fault::Crashed, Nanos::MAX);
        self.emit(id, &What::Down { crashed: true });
        self.nodes[node as usize].alive = false;
        for position in 0..self.nodes[node as usize].seats.len() {
            let call = self.nodes[node as usize].seats[position];
            self.calls[call as usize].crash();
        }
        for watch in 0..self.watches.len() {
            if self.watches[watch].node == node {
                self.watches[watch].open = false;
                self.unwatch_at_store(watch as u32);
            }
        }
        if let Some(after) = restart {
            self.queue.push(self.now + after, Event::Restart { slot });
        }
    }

    fn end_watches(&mut self, slot: u32) {
        let node = self.slots[slot as usize];
        let at = self.now + self.plan.net.least;
        self.fault(u64::from(node) + 1, Fault::WatchEnded, at);
        self.break_watches(node, at);
    }

    /// The watches of a process end at the store, and the process hears of it.
    fn break_watches(&mut self, node: u32, at: Nanos) {
        for position in 0..self.nodes[node as usize].watches.len() {
            let (_, watch) = self.nodes[node as usize].watches[position];
            self.unwatch_at_store(watch);
            let push = Push::Ended;
            self.queue.push(at, Event::Pushed { watch, push });
        }
    }

    fn cut(&mut self, slot: u32, up: bool, down: bool, lasts: Nanos) {
        let node = self.slots[slot as usize];
        let id = u64::from(node) + 1;
        // Felt until what was under way has been given up.
        let felt = self
            .now
            .saturating_add(lasts)
            .saturating_add(2 * self.plan.request_timeout);
        let (ups, downs) = &mut self.cuts[slot as usize];
        *ups += u32::from(up);
        *downs += u32::from(down);
        if up {
            self.fault(id, Fault::CutUp, felt);
        }
        if down {
            self.fault(id, Fault::CutDown, felt);
        }
        if self.nodes[node as usize].changes_up {
            self.nodes[node as usize].changes_up = false;
            self.emit(id, &What::Changes { connected: false });
        }
        let after = lasts.min(self.plan.request_timeout);
        self.break_watches(node, self.now + after);
    }

    pub(super) fn cut_over(&mut self, slot: u32, serial: u32) {
        if self.healed {
            return;
        }
        let (ups, downs) = &mut self.cuts[slot as usize];
        *ups -= serial & 1;
        *downs -= serial >> 1;
        self.reconnect(slot);
    }

    fn reconnect(&mut self, slot: u32) {
        let node = self.slots[slot as usize];
        if self.plan.copies && self.cuts[slot as usize] == (0, 0) {
            let at = self.now + self.plan.net.least;
            self.queue.push(at, Event::ChangesUp { node });
        }
    }

    /// The change stream is up again: the copies are looked at once more.
    pub(super) fn changes_up(&mut self, node: u32) {
        let it = &mut self.nodes[node as usize];
        if !it.alive || it.changes_up || it.revalidating > 0 {
            return;
        }
        if self.is_deferred(node, Event::ChangesUp { node }) {
            return;
        }
        for key in 0..self.plan.keys {
            if self.nodes[node as usize].desks[key as usize].copy.is_some() {
                self.nodes[node as usize].revalidating += 1;
                self.send(node, Key(key), None, None, Request::Read);
            }
        }
        self.connected(node);
    }

    pub(super) fn revalidated(&mut self, node: u32, key: Key, answer: Answer) {
        let it = &mut self.nodes[node as usize];
        let copy = &mut it.desks[key.index()].copy;
        let stands = matches!((answer, &copy), (Answer::State { revision, .. }, Some(copy))
            if copy.revision >= revision);
        if !stands {
            *copy = None;
        }
        it.revalidating = it.revalidating.saturating_sub(1);
        self.connected(node);
    }

    fn connected(&mut self, node: u32) {
        let it = &mut self.nodes[node as usize];
        let whole = self.cuts[it.slot as usize] == (0, 0);
        if it.alive && it.revalidating == 0 && !it.changes_up && whole {
            it.changes_up = true;
            let connected = true;
            self.emit(u64::from(node) + 1, &What::Changes { connected });
        }
    }

    pub(super) fn changed(&mut self, node: u32, key: u32, revision: oneflight_core::Revision) {
        let event = Event::Changed {
            node,
            key,
            revision,
        };
        if !self.nodes[node as usize].alive || self.is_deferred(node, event) {
            return;
        }
        let desk = &mut self.nodes[node as usize].desks[key as usize];
        if desk.copy.is_some_and(|copy| copy.revision < revision) {
            desk.copy = None;
        }
        desk.moved = desk.moved.max(revision);
    }

    /// The fault phase is over: what is broken stays so, all else is well from now on.
    pub(super) fn heal(&mut self) {
        self.healed = true;
        self.fates.heal();
        self.slow = (0, 0);
        let broken: Vec<u64> = self
            .plan
            .broken
            .iter()
            .map(|slot| u64::from(self.slots[*slot as usize]) + 1)
            .collect();
        for slot in 0..self.slots.len() {
            if self.plan.broken.contains(&(slot as u32)) {
                self.cut(slot as u32, true, true, Nanos::MAX / 4);
            } else if self.cuts[slot] != (0, 0) {
                self.cuts[slot] = (0, 0);
                self.reconnect(slot as u32);
            }
        }
        self.emit(0, &What::Healed { broken });
    }
}
