//! What the store's commits mean for what the checker remembers.

use oneflight_core::{Revision, Token};

use super::state::{LeaseState, Write};
use super::{Checker, liveness, safety};
use crate::trace::{Answer, Digest, Key, Nanos, NodeId, Request};

impl Checker {
    pub(super) fn committed(
        &mut self,
        id: u64,
        time: Nanos,
        key: Key,
        from: NodeId,
        request: &Request,
        answer: &Answer,
    ) {
        self.carried_out(key, from, id, request, *answer);
        let amnesia = self.state.amnesia;
        let profile = self.state.profile;
        let state = self.state.key(key);
        state.amnesia |= amnesia;
        if !state.amnesia {
            let wrong = state.row.follow(&profile, time, id, request, answer);
            self.report("Store", from, Some(key), wrong);
        }
        match (*request, *answer) {
            (
                Request::Claim { attempt, ttl, .. },
                Answer::Granted {
                    token, generation, ..
                },
            ) => {
                let flight = self.state.requests.get(id as usize).copied();
                let granted = self.state.at;
                let lease = LeaseState {
                    token,
                    node: from,
                    flight: flight.unwrap_or(0),
                    claim: attempt,
                    granted,
                    lapses: granted + ttl,
                    ttl,
                    generation,
                    ended: false,
                    value: self.state.key(key).value,
                };
                self.granted(key, lease);
            }
            (Request::Renew { token, ttl }, Answer::Renewed) => {
                self.lapsed(key);
                let at = self.state.at;
                let state = self.state.key(key);
                let mut wrong = None;
                match &mut state.lease {
                    Some(lease) if lease.token == token && !lease.ended => {
                        lease.lapses = at + ttl;
                        lease.ttl = ttl;
                    }
                    lease => {
                        let newest = lease.map(|lease| lease.token);
                        wrong = Some(story!(
                            "a renewal of token {token} was accepted; the newest is {newest:?}"
                        ));
                    }
                }
                let wrong = wrong.filter(|_| !state.amnesia);
                self.report("S2 OneHolder", from, Some(key), wrong);
            }
            (Request::Publish { token, digest }, Answer::Published { revision }) => {
                let state = self.state.key(key);
                let again =
                    |write: &Write| write.revision == revision && write.token == Some(token);
                if !state.writes.iter().any(again) {
                    self.lapsed(key);
                    let state = self.state.key(key);
                    let story = safety::s3_publish(state.lease.as_ref(), token);
                    let story = story.filter(|_| !state.amnesia);
                    self.report("S3 NoStalePublish", from, Some(key), story);
                    if profile.atomic_publish
                        && let Some(lease) = &mut self.state.key(key).lease
                    {
                        lease.ended = true;
                    }
                    self.written(key, from, revision, digest, Some(token));
                }
            }
            (Request::Release { token }, Answer::Released { freed: true }) => {
                if let Some(lease) = &mut self.state.key(key).lease
                    && lease.token == token
                {
                    lease.ended = true;
                }
                self.freed(key);
            }
            (Request::Put { digest, .. }, Answer::Written { revision }) => {
                let flight = self.state.requests.get(id as usize).copied();
                let seen = self.state.node(from).flight(flight.unwrap_or(0)).put_seen;
                let state = self.state.key(key);
                let story = safety::s3_put(state, seen).filter(|_| !state.amnesia);
                self.report("S3 NoStalePublish", from, Some(key), story);
                self.written(key, from, revision, digest, None);
            }
            (Request::Forget, Answer::Written { revision }) => self.forgotten(key, from, revision),
            _ => {}
        }
    }

    fn granted(&mut self, key: Key, lease: LeaseState) {
        let (at, token, node) = (self.state.at, lease.token, lease.node);
        let state = &self.state.keys[key.index()];
        let before = state.lease;
        let lives = |lease: &LeaseState| !lease.ended && lease.lapses > at;
        if before.is_some_and(|lease| lease.token == token && lives(&lease)) {
            return; // The same grant again.
        }
        if !state.amnesia {
            let once = safety::s1_token(state, token);
            let alone = safety::s2_one_holder(before.as_ref(), token, at);
            let late = before
                .as_ref()
                .and_then(|before| self.state.l3_takeover(key, before));
            self.report("S1 TokenMonotonic", node, Some(key), once);
            self.report("S2 OneHolder", node, Some(key), alone);
            self.report("L3 Takeover", node, Some(key), late);
        }
        self.lapsed(key);
        let state = self.state.key(key);
        let again = state.generation == Some(lease.generation);
        if again && before.is_some_and(|before| !before.ended) {
            state.charged += 1;
        }
        state.max_token = state.max_token.max(token.get());
        state.claims = 0;
        state.claim_due = None;
        state.lease = Some(lease);
    }

    /// The newest lease is about to end, or to be revived: was it let lapse before?
    pub(super) fn lapsed(&mut self, key: Key) {
        let state = self.state.key(key);
        let Some(lease) = state.lease.filter(|_| !state.amnesia) else {
            return;
        };
        if let Some((invariant, story)) = self.state.l6_heartbeat(&lease) {
            self.report(invariant, lease.node, Some(key), Some(story));
        }
    }

    fn written(
        &mut self,
        key: Key,
        from: NodeId,
        revision: Revision,
        digest: Digest,
        token: Option<Token>,
    ) {
        let at = self.state.at;
        let state = self.state.key(key);
        let whole = !state.amnesia;
        let grown = safety::s1_revision(state, revision).filter(|_| whole);
        let fill = state
            .fills
            .iter()
            .find(|fill| fill.digest == digest)
            .copied();
        let old = safety::s14_forgotten(state, fill.as_ref()).filter(|_| whole);
        self.report("S1 TokenMonotonic", from, Some(key), grown);
        self.report("S14 Forgotten", from, Some(key), old);
        if let Some(fill) = fill {
            let call = self.state.call(fill.node, fill.passenger);
            if let Some(outcome) = call
                .failed
                .filter(|_| whole && call.computed == Some(digest))
            {
                let story = story!(
                    "call {} of node {} ended {outcome:?}, and its value was committed after that",
                    fill.passenger,
                    fill.node
                );
                self.report("S9 HonestFailure", from, Some(key), Some(story));
            }
        }
        let write = Write {
            revision,
            digest,
            token,
            at,
        };
        let state = self.state.key(key);
        state.max_revision = state.max_revision.max(revision);
        state.value = Some(write);
        state.writes.push(write);
        self.promise(key, revision);
    }

    /// Whoever listens and is satisfied by what was just written must land before long.
    fn promise(&mut self, key: Key, revision: Revision) {
        let Some(bounds) = self.state.bounds else {
            return;
        };
        if revision <= self.state.key(key).set_back {
            return;
        }
        let at = self.state.at;
        let due = at + bounds.trip + 2 * bounds.wake + self.state.slack();
        for index in 0..self.state.keys[key.index()].watchers.len() {
            let (node, flight, _) = self.state.keys[key.index()].watchers[index];
            let state = self.state.node(node);
            if state.flight(flight).unwatched {
                continue; // The store has yet to hear of it.
            }
            state.each_open_call(key, |_, call| {
                let simple = call.freshness.is_some_and(|it| !it.predicate);
                if simple && call.policy.is_some() && !call.filling && !call.ordered_to_land {
                    call.prompt = Some((at, due, revision));
                }
            });
        }
    }

    fn forgotten(&mut self, key: Key, from: NodeId, revision: Revision) {
        let at = self.state.at;
        let state = self.state.key(key);
        let grown = safety::s1_revision(state, revision).filter(|_| !state.amnesia);
        self.report("S1 TokenMonotonic", from, Some(key), grown);
        let state = self.state.key(key);
        state.max_revision = state.max_revision.max(revision);
        state.forgotten = Some(at);
        state.value = None;
        state.writes.push(safety::forgotten(revision, at));
        if let Some(lease) = &mut state.lease {
            lease.ended = true;
        }
        for node in &mut self.state.nodes {
            for call in node.calls.iter_mut().filter(|call| call.key == key.0) {
                call.prompt = None;
            }
        }
        self.freed(key);
    }

    /// The lock is free: if somebody listens, somebody must claim before long.
    pub(super) fn freed(&mut self, key: Key) {
        let Some(bounds) = self.state.bounds else {
            return;
        };
        let at = self.state.at;
        let state = &self.state.keys[key.index()];
        let waiter = state.watchers.iter().find(|(node, flight, since)| {
            let waits = self.state.nodes.get(*node as usize).is_some_and(|it| {
                it.flights
                    .get(flight.saturating_sub(1) as usize)
                    .is_some_and(|flight| flight.watching)
            });
            waits && !self.state.is_disturbed(*node, *since, at)
        });
        if let Some((node, _, _)) = waiter
            && !state.amnesia
            && state.value.is_none_or(|value| value.at < at)
        {
            let pause = self.state.stretched(liveness::pause_of(&self.state, key));
            let due = at + bounds.trip + pause + self.state.slack();
            self.state.keys[key.index()].claim_due = Some((at, due, *node));
        }
    }
}
