//! The replica that each process keeps of the store: what a look reads, fed by the store's changes.

use oneflight_core::{Attempt, FlightId, Revision, Verdict};

use super::act::verdict;
use super::process::{Letter, Owner};
use super::{FEED, Fleet};
use crate::plan::Predicate;
use crate::seed::caller::Look;
use crate::trace::{Answer, Digest, Key, Nanos, Request, What};
use crate::world::Observer;
use crate::world::caller::GARBLED;
use crate::world::node::Arrived;
use crate::world::queue::{Event, Push};

/// A key, as a process knows it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Feed {
    revision: Revision,
    value: Option<Arrived>,
    /// The store tells it of changes.
    up: bool,
    /// It hears nothing, and nobody has asked the store to change that.
    down: bool,
    /// On its way: when it comes, the revision, the value.
    snapshot: Option<(Nanos, Revision, Option<Arrived>)>,
}

/// A put that waits for its process to be connected.
#[derive(Clone, Debug)]
pub(super) struct QueuedPut {
    pub(super) node: u32,
    pub(super) flight: FlightId<Key>,
    pub(super) attempt: Attempt,
    pub(super) digest: Digest,
}

impl<O: Observer> Fleet<'_, O> {
    fn feed(&mut self, node: u32, key: Key) -> &mut Feed {
        &mut self.feeds[node as usize][key.index()]
    }

    /// Gives the processes that have just begun their replicas.
    pub(super) fn connect_new(&mut self) {
        let keys = self.world.plan.keys;
        while self.feeds.len() < self.world.nodes.len() {
            let node = self.feeds.len() as u32;
            self.feeds.push(vec![Feed::default(); keys as usize]);
            for key in 0..keys {
                self.connect(node, Key(key));
            }
        }
    }

    fn connect(&mut self, node: u32, key: Key) {
        let slot = self.world.nodes[node as usize].slot as usize;
        let cut = self.world.cuts[slot] != (0, 0);
        self.feed(node, key).down = cut;
        if !cut {
            let number = FEED;
            self.world.watch(node, &FlightId { key, number });
        }
    }

    /// A connection may be back: the feeds begin again, and what was queued is sent.
    pub(super) fn reconnect(&mut self) {
        for node in 0..self.feeds.len() as u32 {
            if !self.world.nodes[node as usize].alive {
                continue;
            }
            for key in 0..self.world.plan.keys {
                if self.feed(node, Key(key)).down {
                    self.connect(node, Key(key));
                }
            }
        }
        for put in std::mem::take(&mut self.puts) {
            self.put(put);
        }
    }

    /// The feed stands at the store: what there is now goes to the replica.
    pub(super) fn feed_at_store(&mut self, watch: u32) {
        let it = self.world.watches[watch as usize];
        self.world.watch_at_store(watch);
        if !it.open || !self.world.nodes[it.node as usize].alive {
            return;
        }
        let row = self.world.store.rows[it.key.index()];
        let time = self.world.now + self.world.store.jumped;
        let value = row.value.map(|value| Arrived {
            revision: row.revision,
            token: value.token,
            digest: value.digest,
            age: time.saturating_sub(value.written),
            read: 0,
        });
        let net = self.world.plan.net;
        let at = self.world.now + net.least + net.spread;
        let feed = self.feed(it.node, it.key);
        feed.up = true;
        feed.snapshot = Some((at, row.revision, value));
        let node = it.node;
        self.world.queue.push(at, Event::ChangesUp { node });
        for call in self.listeners(node, it.key) {
            self.watch_record(call, true);
        }
    }

    /// A snapshot has come. It is no event, so it wakes nobody.
    pub(super) fn snapshot(&mut self, node: u32) {
        let deferred = self.world.is_deferred(node, Event::ChangesUp { node });
        if !self.world.nodes[node as usize].alive || deferred {
            return;
        }
        let (now, read) = (self.world.now, self.local(node));
        for feed in &mut self.feeds[node as usize] {
            if let Some((at, revision, value)) = feed.snapshot
                && at <= now
            {
                feed.snapshot = None;
                if feed.revision < revision {
                    feed.revision = revision;
                    feed.value = value.map(|value| Arrived { read, ..value });
                }
            }
        }
    }

    pub(super) fn pushed(&mut self, watch: u32, push: Push) {
        let it = self.world.watches[watch as usize];
        if !it.open || !self.world.nodes[it.node as usize].alive {
            return;
        }
        if self
            .world
            .is_deferred(it.node, Event::Pushed { watch, push })
        {
            return;
        }
        let read = self.local(it.node);
        let letter = match push {
            Push::Key { revision, value } => {
                let feed = self.feed(it.node, it.key);
                if feed.revision < revision {
                    feed.revision = revision;
                    feed.value = value.map(|value| Arrived {
                        revision,
                        token: value.token,
                        digest: value.digest,
                        age: value.age,
                        read,
                    });
                }
                Letter::Key
            }
            Push::Free => Letter::Lock { released: true },
            Push::Held(_) => Letter::Lock { released: false },
            // A connection that is refused is made again, like one that is lost.
            Push::Ended | Push::Refused => {
                self.world.close_watch(watch);
                self.world.unwatch_at_store(watch);
                for call in self.listeners(it.node, it.key) {
                    self.watch_record(call, false);
                }
                self.feed(it.node, it.key).up = false;
                return self.connect(it.node, it.key);
            }
        };
        for call in self.listeners(it.node, it.key) {
            self.mail(call, letter);
        }
    }

    /// The callers of a process that have subscribed to a key.
    fn listeners(&self, node: u32, key: Key) -> Vec<u32> {
        let calls = 0..self.processes.len() as u32;
        calls
            .filter(|call| {
                let process = &self.processes[*call as usize];
                let here = process.node == node && self.key(*call) == key;
                here && process.subscribed && process.is_open()
            })
            .collect()
    }

    /// In the trace, a caller watches while it has subscribed and its process hears of changes.
    fn watch_record(&mut self, call: u32, opened: bool) {
        let process = &self.processes[call as usize];
        let (key, watcher) = (self.key(call), u64::from(process.node) + 1);
        let flight = process.passenger;
        let record = if opened {
            What::WatchOpened {
                key,
                watcher,
                flight,
            }
        } else {
            What::WatchClosed {
                key,
                watcher,
                flight,
            }
        };
        self.world.emit(0, &record);
    }

    /// To subscribe is a matter of the process alone: no message leaves it.
    pub(super) fn subscribe(&mut self, call: u32) {
        self.processes[call as usize].subscribed = true;
        if self.is_fed(call) {
            self.watch_record(call, true);
        }
    }

    /// What has come since is thrown away.
    pub(super) fn unsubscribe(&mut self, call: u32) {
        if std::mem::take(&mut self.processes[call as usize].subscribed) {
            let mailbox = &mut self.processes[call as usize].mailbox;
            mailbox.retain(|letter| matches!(letter, Letter::Answer(_)));
            if self.is_fed(call) {
                self.watch_record(call, false);
            }
        }
    }

    fn is_fed(&self, call: u32) -> bool {
        let node = self.processes[call as usize].node as usize;
        self.feeds[node][self.key(call).index()].up
    }

    /// The last revision that a caller's process knows.
    pub(super) fn known(&self, call: u32) -> Revision {
        let node = self.processes[call as usize].node as usize;
        self.feeds[node][self.key(call).index()].revision
    }

    /// What a caller sees if it looks now: the predicate judges a value by its age at this moment.
    pub(super) fn look(&self, call: u32) -> (Look, Option<Digest>, Option<Verdict>) {
        let plan = &self.world.plan.calls[call as usize];
        let node = self.processes[call as usize].node;
        let feed = &self.feeds[node as usize][plan.key as usize];
        let Some(value) = feed.value else {
            return (
                Look::Absent,
                None,
                verdict(Look::Absent, None, feed.revision),
            );
        };
        let now = self.local(node);
        let old = plan.max_age.is_some_and(|limit| value.age_at(now) > limit);
        // A value that was shown before its put was carried out has no revision yet, or has it at the
        // store already.
        let row = &self.world.store.rows[plan.key as usize];
        let stands = row.value.is_some_and(|it| it.digest == value.digest);
        let revision = if stands { row.revision } else { value.revision };
        let look = if value.digest.0 & GARBLED > 0 {
            Look::Malformed
        } else if plan.predicate == Predicate::Panics {
            Look::Panics(revision)
        } else if old || plan.predicate == Predicate::Refuses {
            Look::Stale(revision)
        } else {
            Look::Fresh(revision)
        };
        let verdict = verdict(look, value.token, revision);
        (look, Some(value.digest), verdict)
    }

    /// The replica shows a value before the store knows of it.
    pub(super) fn show(&mut self, call: u32, digest: Digest) {
        let node = self.processes[call as usize].node;
        let (key, read) = (self.key(call), self.local(node));
        let feed = self.feed(node, key);
        feed.value = Some(Arrived {
            revision: feed.revision,
            token: None,
            digest,
            age: 0,
            read,
        });
    }

    pub(super) fn put(&mut self, put: QueuedPut) {
        let at = &self.world.nodes[put.node as usize];
        if !at.alive {
            return;
        }
        if self.world.cuts[at.slot as usize].0 > 0 {
            return self.puts.push(put);
        }
        let QueuedPut {
            node,
            flight,
            attempt,
            digest,
        } = put;
        let seen = Revision::new(u64::MAX);
        let request = Request::Put { seen, digest };
        let owner = Owner::Put(flight.key, digest);
        self.send_for(node, flight.key, flight.number, attempt, request, owner);
    }

    pub(super) fn put_answered(&mut self, node: u32, key: Key, digest: Digest, answer: Answer) {
        let feed = self.feed(node, key);
        if let Answer::Written { revision } = answer
            && feed.revision < revision
            && let Some(value) = &mut feed.value
            && value.digest == digest
        {
            value.revision = revision;
            feed.revision = revision;
        }
    }
}
