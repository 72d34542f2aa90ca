//! Watches, and what is pushed to them.

use oneflight_core::{FlightId, Revision};

use super::queue::{Event, Push, Told};
use super::store::Changed;
use super::{Observer, World};
use crate::bugs::Bug;
use crate::fates::{Mishap, Way};
use crate::trace::{Fault, Key, Nanos, What};

#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    pub(super) node: u32,
    pub(super) key: Key,
    pub(super) flight: u64,
    /// Its process still listens.
    pub(super) open: bool,
    /// The store tells it of changes.
    at_store: bool,
    /// When the last push arrives: they stay in order.
    last: Nanos,
}

impl<O: Observer> World<'_, O> {
    pub(super) fn watch(&mut self, node: u32, flight: &FlightId<Key>) {
        let watch = self.watches.len() as u32;
        self.watches.push(Watch {
            node,
            key: flight.key,
            flight: flight.number,
            open: true,
            at_store: false,
            last: 0,
        });
        self.nodes[node as usize]
            .watches
            .push((flight.number, watch));
        let ended = Event::Pushed {
            watch,
            push: Push::Ended,
        };
        let (up, down) = self.cuts[self.nodes[node as usize].slot as usize];
        if up > 0 || down > 0 {
            // A connection that carries nothing one way is given up, though the store may have opened it.
            self.queue.push(self.now + self.plan.request_timeout, ended);
        }
        if up > 0 {
            return;
        }
        let fate = self.fates.next(Way::Up);
        let at = self.now + fate.takes;
        let from = u64::from(node) + 1;
        match fate.mishap {
            Mishap::Lost { .. } => {
                self.fault(from, Fault::RequestLost, at);
                return self.queue.push(at + fate.takes, ended);
            }
            Mishap::Denied => {
                self.fault(from, Fault::Denied, at);
                let push = Push::Refused;
                let event = Event::Pushed { watch, push };
                return self.queue.push(at + fate.takes, event);
            }
            Mishap::Late => self.fault(from, Fault::Delayed, at),
            Mishap::None | Mishap::Again { .. } | Mishap::Gap | Mishap::WatchEnded => {}
        }
        self.queue.push(at, Event::WatchAtStore { watch });
    }

    pub(super) fn unwatch(&mut self, node: u32, flight: u64) {
        let watches = &self.nodes[node as usize].watches;
        if let Some((_, watch)) = watches.iter().find(|(number, _)| *number == flight) {
            let watch = *watch;
            self.close_watch(watch);
            let at = self.now + self.plan.net.least;
            self.queue.push(at, Event::UnwatchAtStore { watch });
        }
    }

    /// The process listens no more.
    pub(super) fn close_watch(&mut self, watch: u32) {
        let it = &mut self.watches[watch as usize];
        it.open = false;
        self.nodes[it.node as usize]
            .watches
            .retain(|(_, open)| *open != watch);
    }

    pub(super) fn watch_at_store(&mut self, watch: u32) {
        let it = &mut self.watches[watch as usize];
        if !it.open || !self.nodes[it.node as usize].alive {
            return;
        }
        it.at_store = true;
        let (key, watcher, flight) = (it.key, u64::from(it.node) + 1, it.flight);
        self.watchers[key.index()].push(watch);
        let opened = What::WatchOpened {
            key,
            watcher,
            flight,
        };
        self.emit(0, &opened);
        if !self.has(Bug::WatchGap) {
            self.snapshot(watch);
        }
    }

    /// How things stand, told to one who listens.
    pub(super) fn snapshot(&mut self, watch: u32) {
        let key = self.watches[watch as usize].key;
        let push = self.key_push(key);
        self.push(watch, push);
        if !self.has(Bug::LostRelease) {
            let push = self.lock_push(key);
            self.push(watch, push);
        }
    }

    pub(super) fn unwatch_at_store(&mut self, watch: u32) {
        let it = &mut self.watches[watch as usize];
        if !it.at_store {
            return;
        }
        it.at_store = false;
        let (key, watcher, flight) = (it.key, u64::from(it.node) + 1, it.flight);
        self.watchers[key.index()].retain(|other| *other != watch);
        let closed = What::WatchClosed {
            key,
            watcher,
            flight,
        };
        self.emit(0, &closed);
    }

    fn key_push(&self, key: Key) -> Push {
        let row = &self.store.rows[key.index()];
        let age = self.age(key);
        let value = row.value.map(|value| Told {
            digest: value.digest,
            token: value.token,
            age,
        });
        Push::Key {
            revision: row.revision,
            value,
        }
    }

    fn lock_push(&self, key: Key) -> Push {
        let time = self.now + self.store.jumped;
        let lease = self.store.rows[key.index()].lease;
        match lease.filter(|lease| lease.lapses > time) {
            Some(lease) => Push::Held(lease.lapses - time),
            None => Push::Free,
        }
    }

    /// Tells who listens what has changed.
    pub(super) fn told(&mut self, key: Key, changed: Changed) {
        if self.has(Bug::NoNotifications) {
            return;
        }
        let most = if self.has(Bug::FirstWaiterOnly) {
            1
        } else {
            usize::MAX
        };
        // A push may end its watch, and so take it out of the list.
        let mut watchers = std::mem::take(&mut self.listeners);
        watchers.extend(self.watchers[key.index()].iter().take(most));
        for watch in watchers.drain(..) {
            if changed.key {
                let push = self.key_push(key);
                self.push(watch, push);
            }
            if changed.lock {
                let push = self.lock_push(key);
                self.push(watch, push);
            }
        }
        self.listeners = watchers;
        if changed.key && self.plan.copies {
            let revision = self.store.rows[key.index()].revision;
            self.tell_changes(key, revision);
        }
    }

    fn tell_changes(&mut self, key: Key, revision: Revision) {
        let at = self.now + self.plan.net.least + self.plan.net.spread;
        for node in 0..self.nodes.len() {
            let it = &self.nodes[node];
            if it.alive && self.cuts[it.slot as usize] == (0, 0) {
                let event = Event::Changed {
                    node: node as u32,
                    key: key.0,
                    revision,
                };
                self.queue.push(at, event);
            }
        }
    }

    fn push(&mut self, watch: u32, push: Push) {
        let it = self.watches[watch as usize];
        let slot = self.nodes[it.node as usize].slot as usize;
        if !it.at_store || self.cuts[slot].1 > 0 {
            return;
        }
        let fate = self.fates.next(Way::Push);
        let at = it.last.max(self.now + fate.takes);
        let node = u64::from(it.node) + 1;
        match fate.mishap {
            Mishap::Lost { .. } => return self.fault(node, Fault::PushLost, at),
            Mishap::WatchEnded => {
                self.fault(node, Fault::WatchEnded, at);
                self.unwatch_at_store(watch);
                let push = Push::Ended;
                self.queue.push(at, Event::Pushed { watch, push });
            }
            Mishap::Gap => {
                self.fault(node, Fault::PushLate, at + self.trip() - self.now);
                self.watches[watch as usize].last = at;
                return self.queue.push(at, Event::Gap { watch });
            }
            Mishap::Late => self.fault(node, Fault::PushLate, at),
            Mishap::Again { .. } => self.queue.push(at, Event::Pushed { watch, push }),
            Mishap::None | Mishap::Denied => {}
        }
        self.watches[watch as usize].last = at;
        self.queue.push(at, Event::Pushed { watch, push });
    }
}
