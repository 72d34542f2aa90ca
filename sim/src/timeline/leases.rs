//! The leases on each lock, and the values of each key.

use std::collections::BTreeMap;

use oneflight_core::{Event, Notice, Order, Token};
use serde::Serialize;

use super::picture::sees_store;
use crate::trace::{Answer, Key, Nanos, NodeId, Record, Request, Trace, What};

/// A bar: from the grant until the lease was no more.
#[derive(Debug, Serialize)]
pub(super) struct Lease {
    key: u32,
    token: u64,
    holder: NodeId,
    from: Nanos,
    until: Nanos,
    how: &'static str,
    event: usize,
}

/// A mark: a revision of a key.
#[derive(Debug, Serialize)]
pub(super) struct Write {
    key: u32,
    revision: u64,
    at: Nanos,
    forget: bool,
    event: usize,
}

/// Follows the store's commits, or in a recording what the processes were told.
pub(super) struct Leases {
    sees_store: bool,
    /// A publish frees the lock in the same step.
    atomic: bool,
    /// The lease on each lock: where in `leases`, and when it lapses.
    held: BTreeMap<Key, (usize, Nanos)>,
    /// In a recording, which lease each flight holds, and how long it lives.
    flights: BTreeMap<(NodeId, Key, u64), (usize, Nanos, Nanos)>,
    leases: Vec<Lease>,
    writes: Vec<Write>,
}

impl Leases {
    pub(super) fn new(trace: &Trace) -> Self {
        Self {
            sees_store: sees_store(trace),
            atomic: trace
                .headers
                .first()
                .is_none_or(|header| header.store.atomic_publish),
            held: BTreeMap::new(),
            flights: BTreeMap::new(),
            leases: Vec::new(),
            writes: Vec::new(),
        }
    }

    pub(super) fn see(&mut self, record: &Record<Key>, event: usize, at: Nanos) {
        match &record.what {
            What::Committed {
                key,
                from,
                request,
                answer,
                ..
            } => {
                self.committed(*key, *from, request, answer, event, at);
            }
            What::Told {
                notice:
                    Notice::Answered {
                        flight,
                        event: told,
                    },
                orders,
                ..
            } if !self.sees_store => {
                let id = (record.node, flight.key, flight.number);
                self.heard(id, told, event, at);
                let leaves = |order: &Order<Key>| matches!(order, Order::Retired { .. });
                if orders.iter().any(leaves) {
                    self.end_of_flight(id, at, "released");
                }
            }
            _ => {}
        }
    }

    fn committed(
        &mut self,
        key: Key,
        from: NodeId,
        request: &Request,
        answer: &Answer,
        event: usize,
        at: Nanos,
    ) {
        match (request, answer) {
            (
                _,
                Answer::Granted {
                    token, remaining, ..
                },
            ) => {
                let same = self.current(key) == Some(*token);
                if !same {
                    self.end(key, at, "replaced");
                    self.held
                        .insert(key, (self.leases.len(), at.saturating_add(*remaining)));
                    self.begin(key, *token, from, event, at);
                }
            }
            (Request::Renew { token, ttl }, Answer::Renewed) => {
                if self.current(key) == Some(*token)
                    && let Some((_, lapses)) = self.held.get_mut(&key)
                {
                    *lapses = at.saturating_add(*ttl);
                }
            }
            (Request::Publish { token, .. }, Answer::Published { revision }) => {
                let known = self
                    .writes
                    .iter()
                    .any(|write| write.key == key.0 && write.revision == revision.get());
                if !known {
                    self.write(key, revision.get(), false, event, at);
                }
                if self.atomic && self.current(key) == Some(*token) {
                    self.end(key, at, "published");
                }
            }
            (Request::Release { token }, Answer::Released { freed: true })
                if self.current(key) == Some(*token) =>
            {
                self.end(key, at, "released");
            }
            (Request::Put { .. }, Answer::Written { revision }) => {
                self.write(key, revision.get(), false, event, at);
            }
            (Request::Forget, Answer::Written { revision }) => {
                self.write(key, revision.get(), true, event, at);
                self.end(key, at, "forgotten");
            }
            _ => {}
        }
    }

    fn heard(&mut self, id: (NodeId, Key, u64), told: &Event, event: usize, at: Nanos) {
        let (node, key, _) = id;
        match told {
            Event::LeaseGranted {
                token, remaining, ..
            } => {
                let ttl = remaining.as_nanos() as Nanos;
                self.flights
                    .insert(id, (self.leases.len(), at.saturating_add(ttl), ttl));
                self.begin(key, *token, node, event, at);
            }
            Event::Renewed { .. } => {
                if let Some((_, lapses, ttl)) = self.flights.get_mut(&id) {
                    *lapses = at.saturating_add(*ttl);
                }
            }
            Event::Published { revision, .. } => {
                self.write(key, revision.get(), false, event, at);
                self.end_of_flight(id, at, "published");
            }
            Event::Released { .. } => self.end_of_flight(id, at, "released"),
            Event::LeaseLost { .. } | Event::Fenced { .. } => {
                self.end_of_flight(id, at, "lost");
            }
            _ => {}
        }
    }

    fn current(&self, key: Key) -> Option<Token> {
        let (index, _) = self.held.get(&key)?;
        Token::new(self.leases[*index].token)
    }

    fn begin(&mut self, key: Key, token: Token, holder: NodeId, event: usize, at: Nanos) {
        self.leases.push(Lease {
            key: key.0,
            token: token.get(),
            holder,
            from: at,
            until: at,
            how: "held",
            event,
        });
    }

    fn write(&mut self, key: Key, revision: u64, forget: bool, event: usize, at: Nanos) {
        let key = key.0;
        self.writes.push(Write {
            key,
            revision,
            at,
            forget,
            event,
        });
    }

    fn end(&mut self, key: Key, at: Nanos, how: &'static str) {
        if let Some((index, lapses)) = self.held.remove(&key) {
            self.close(index, lapses, at, how);
        }
    }

    fn end_of_flight(&mut self, id: (NodeId, Key, u64), at: Nanos, how: &'static str) {
        if let Some((index, lapses, _)) = self.flights.remove(&id) {
            self.close(index, lapses, at, how);
        }
    }

    /// A lease that nobody took when it lapsed may still be published under: only what takes it, or the
    /// end of the run, says that it had lapsed.
    fn close(&mut self, index: usize, lapses: Nanos, at: Nanos, how: &'static str) {
        let over = lapses <= at && matches!(how, "replaced" | "held");
        let lease = &mut self.leases[index];
        lease.until = if over { lapses } else { at };
        lease.how = if over { "lapsed" } else { how };
    }

    pub(super) fn finish(mut self, end: Nanos) -> (Vec<Lease>, Vec<Write>) {
        for (index, lapses) in std::mem::take(&mut self.held).into_values() {
            self.close(index, lapses, end, "held");
        }
        for (index, lapses, _) in std::mem::take(&mut self.flights).into_values() {
            self.close(index, lapses, end, "held");
        }
        (self.leases, self.writes)
    }
}
