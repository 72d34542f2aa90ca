//! What the contract's calls do, each in one step under the owner's lock.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use oneflight_core::{Revision, Token};

use super::hub::{Hub, Slot};
use crate::{
    AttemptId, Claim, ClaimRequest, Entry, Holder, KeyState, KeyStatus, LeaseId, LockState,
    Publication, PutOutcome, Renewal, Watcher,
};

#[derive(Default)]
pub(super) struct State {
    /// The last number drawn. Tokens and revisions come from this one counter, so both only grow
    /// whatever becomes of the rows below.
    last: u64,
    /// Every key that was ever written.
    keys: HashMap<Arc<str>, KeyRow>,
    /// The newest grant on each lock, until it is published under, released or forgotten: a lease
    /// that lapsed stays until it is taken over, since its holder may still come back.
    leases: HashMap<Arc<str>, Lease>,
    /// When the retained values are over.
    retained: BTreeMap<(Instant, Revision), Arc<str>>,
    pub(super) hub: Hub,
}

#[derive(Default)]
struct KeyRow {
    revision: Revision,
    value: Option<Value>,
    /// The last publication, so that it is recognised when it is repeated, though the value may
    /// have been put over or forgotten since.
    published: Option<(Token, Revision)>,
    /// The highest token known to have been granted, of leases which stand no more.
    latest: Option<Token>,
}

struct Value {
    bytes: Bytes,
    token: Option<Token>,
    written: Instant,
    /// When it counts as absent; `None` never.
    over: Option<Instant>,
}

struct Lease {
    key: Arc<str>,
    token: Token,
    generation: Revision,
    attempt: AttemptId,
    holder: Holder,
    ttl: Duration,
    since: Instant,
}

impl Lease {
    fn remaining(&self, now: Instant) -> Duration {
        self.ttl
            .saturating_sub(now.saturating_duration_since(self.since))
    }

    fn is_live(&self, now: Instant) -> bool {
        !self.remaining(now).is_zero()
    }

    fn state(&self, now: Instant) -> LockState {
        if !self.is_live(now) {
            return LockState::Free;
        }
        LockState::Held {
            token: self.token,
            remaining: Some(self.remaining(now)),
            holder: Some(self.holder.clone()),
        }
    }
}

impl KeyRow {
    fn entry(&self, now: Instant) -> Option<Entry> {
        self.value.as_ref().map(|value| Entry {
            value: value.bytes.clone(),
            revision: self.revision,
            token: value.token,
            age: now.saturating_duration_since(value.written),
        })
    }
}

impl State {
    /// Drops the values past their retention: every other method may rely on it.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(first) = self.retained.first_entry() {
            if first.key().0 > now {
                return;
            }
            if let Some(row) = self.keys.get_mut(&first.remove()) {
                row.value = None;
            }
        }
    }

    pub(super) fn claim(&mut self, now: Instant, request: ClaimRequest) -> Claim {
        let row = self.keys.get(&request.key);
        let generation = row.map_or(Revision::NEVER, |row| row.revision);
        let lease = self.leases.get(&request.lock);
        if generation > request.seen
            && let Some(entry) = row.and_then(|row| row.entry(now))
        {
            let latest = lease
                .map(|lease| lease.token)
                .max(row.and_then(|row| row.latest));
            return Claim::Newer { entry, latest };
        }
        if let Some(lease) = lease.filter(|lease| lease.is_live(now)) {
            let remaining = lease.remaining(now);
            if lease.attempt == request.attempt {
                return Claim::Granted {
                    token: lease.token,
                    remaining,
                    generation: lease.generation,
                };
            }
            return Claim::Held {
                token: lease.token,
                remaining: Some(remaining),
                holder: Some(lease.holder.clone()),
            };
        }
        let token = self.draw_token();
        let lease = Lease {
            key: request.key,
            token,
            generation,
            attempt: request.attempt,
            holder: request.holder,
            ttl: request.ttl,
            since: now,
        };
        self.leases.insert(Arc::clone(&request.lock), lease);
        self.tell_lock(now, &request.lock);
        Claim::Granted {
            token,
            remaining: request.ttl,
            generation,
        }
    }

    pub(super) fn renew(&mut self, now: Instant, lease: &LeaseId, ttl: Duration) -> Renewal {
        let Some(standing) = self.standing(lease) else {
            return Renewal::Lost;
        };
        standing.ttl = ttl;
        standing.since = now;
        self.tell_lock(now, &lease.lock);
        Renewal::Renewed
    }

    pub(super) fn publish(
        &mut self,
        now: Instant,
        lease: &LeaseId,
        key: &Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Publication {
        let published = self.keys.get(key).and_then(|row| row.published);
        if let Some((token, revision)) = published
            && token == lease.token
        {
            return Publication::Published(revision);
        }
        if self.standing(lease).is_none() {
            return Publication::Fenced;
        }
        let revision = self.write(now, key, value, Some(lease.token), retain);
        self.free(&lease.lock);
        // The value first: who hears that the lock is free need not claim to learn of it.
        self.tell_written(now, key, revision);
        self.tell_lock(now, &lease.lock);
        Publication::Published(revision)
    }

    pub(super) fn release(&mut self, now: Instant, lease: &LeaseId) {
        if self.standing(lease).is_some() {
            self.free(&lease.lock);
            self.tell_lock(now, &lease.lock);
        }
    }

    pub(super) fn put(
        &mut self,
        now: Instant,
        key: &Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> PutOutcome {
        let last = self.revision(key);
        if last > seen {
            return PutOutcome::Newer(last);
        }
        let revision = self.write(now, key, value, None, retain);
        self.tell_written(now, key, revision);
        PutOutcome::Written(revision)
    }

    pub(super) fn key(&self, now: Instant, key: &str) -> KeyState {
        let row = self.keys.get(key);
        KeyState {
            revision: row.map_or(Revision::NEVER, |row| row.revision),
            entry: row.and_then(|row| row.entry(now)),
        }
    }

    pub(super) fn forget(&mut self, now: Instant, key: &Arc<str>, lock: &str) -> Revision {
        let revision = self.replace(key, None);
        self.free(lock);
        self.tell_written(now, key, revision);
        self.tell_lock(now, lock);
        revision
    }

    pub(super) fn list(&self, now: Instant) -> Vec<KeyStatus> {
        let free = |key: &Arc<str>| KeyStatus {
            key: Arc::clone(key),
            lock: None,
            state: LockState::Free,
            revision: self.revision(key),
            age: None,
            size: None,
        };
        let mut lines = BTreeMap::new();
        for (key, row) in &self.keys {
            if let Some(value) = &row.value {
                let mut line = free(key);
                line.age = Some(now.saturating_duration_since(value.written));
                line.size = Some(value.bytes.len() as u64);
                lines.insert(key, line);
            }
        }
        for (lock, lease) in &self.leases {
            if lease.is_live(now) {
                let line = lines.entry(&lease.key).or_insert_with(|| free(&lease.key));
                line.lock = Some(Arc::clone(lock));
                line.state = lease.state(now);
            }
        }
        lines.into_values().collect()
    }

    pub(super) fn watch(
        &mut self,
        now: Instant,
        key: Arc<str>,
        lock: Arc<str>,
        slot: Arc<Slot<dyn Watcher>>,
    ) {
        let key_state = self.key(now, &key);
        let lock_state = self.lock(now, &lock);
        self.hub.watch((key, key_state), (lock, lock_state), slot);
    }

    fn draw(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn draw_token(&mut self) -> Token {
        // INVARIANT: the counter starts at zero and is counted up before it is used.
        Token::new(self.draw()).expect("a number drawn is at least 1")
    }

    fn revision(&self, key: &str) -> Revision {
        self.keys.get(key).map_or(Revision::NEVER, |r| r.revision)
    }

    /// The lease of this name, unless it was published under, released, forgotten or granted anew.
    fn standing(&mut self, lease: &LeaseId) -> Option<&mut Lease> {
        self.leases
            .get_mut(&lease.lock)
            .filter(|standing| standing.token == lease.token)
    }

    /// Ends whatever lease is on `lock`; its token stays known with the key.
    fn free(&mut self, lock: &str) {
        if let Some(lease) = self.leases.remove(lock)
            && let Some(row) = self.keys.get_mut(&lease.key)
        {
            row.latest = row.latest.max(Some(lease.token));
        }
    }

    fn write(
        &mut self,
        now: Instant,
        key: &Arc<str>,
        bytes: Bytes,
        token: Option<Token>,
        retain: Option<Duration>,
    ) -> Revision {
        let value = Value {
            bytes,
            token,
            written: now,
            // A retention beyond what the clock can count is for good.
            over: retain.and_then(|retain| now.checked_add(retain)),
        };
        self.replace(key, Some(value))
    }

    /// Moves `key` to its next revision, with this value or none.
    fn replace(&mut self, key: &Arc<str>, value: Option<Value>) -> Revision {
        let revision = Revision::new(self.draw());
        let row = self.keys.entry(Arc::clone(key)).or_default();
        if let Some(over) = row.value.as_ref().and_then(|value| value.over) {
            self.retained.remove(&(over, row.revision));
        }
        if let Some(over) = value.as_ref().and_then(|value| value.over) {
            self.retained.insert((over, revision), Arc::clone(key));
        }
        if let Some(token) = value.as_ref().and_then(|value| value.token) {
            row.published = Some((token, revision));
            row.latest = row.latest.max(Some(token));
        }
        row.revision = revision;
        row.value = value;
        revision
    }

    fn lock(&self, now: Instant, lock: &str) -> LockState {
        let lease = self.leases.get(lock);
        lease.map_or(LockState::Free, |lease| lease.state(now))
    }

    fn tell_lock(&self, now: Instant, lock: &str) {
        self.hub.tell_lock(lock, || self.lock(now, lock));
    }

    fn tell_written(&self, now: Instant, key: &Arc<str>, revision: Revision) {
        self.hub.tell_key(key, || self.key(now, key));
        self.hub.tell_all(key, revision);
    }
}
