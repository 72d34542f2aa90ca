//! What each record means for what the checker remembers, and which invariants it puts to the test.

use oneflight_core::{Outcome, PassengerId, Token};

use super::state::FillState;
use super::{Checker, liveness, safety};
use crate::trace::{Digest, Fault, Key, Nanos, NodeId, Request, What};

impl Checker {
    #[inline]
    pub(super) fn follow(&mut self, node: NodeId, what: &What<Key>) {
        let at = self.state.at;
        match what {
            What::Up { .. } => self.state.node(node).down = false,
            What::Down { .. } => self.down(node),
            What::Began {
                key,
                passenger,
                freshness,
            } => {
                let call = self.state.call(node, passenger.0);
                call.known = true;
                call.key = key.0;
                call.began = at;
                call.freshness = Some(*freshness);
                self.state.node(node).board(*key, passenger.0);
            }
            What::Told {
                now,
                notice,
                orders,
            } => self.told(node, now.as_nanos(), notice, orders),
            What::Landed {
                key,
                passenger,
                outcome,
                digest,
                local,
            } => self.landed(node, *key, *passenger, *outcome, *digest, *local),
            What::Left { key, passenger } => {
                let call = self.state.call(node, passenger.0);
                let story = safety::s8_once(call);
                call.left = true;
                let unfinished = call.computed.is_some() && call.acknowledged.is_none();
                if call.fill_token.is_some() && (call.filling || unfinished) {
                    self.state.key(*key).charged += 1;
                }
                self.state.node(node).close(*key, passenger.0);
                self.report("S8 OneLanding", node, Some(*key), story);
            }
            What::FillBegan {
                key,
                passenger,
                flight,
                token,
                ..
            } => self.fill_began(node, *key, *passenger, *flight, *token),
            What::FillEnded {
                key,
                passenger,
                digest,
                ..
            } => {
                let call = self.state.call(node, passenger.0);
                call.filling = false;
                call.computed = *digest;
                let (began, leased) = (call.fill_began, call.fill_token.is_some());
                match digest {
                    Some(digest) => self.state.key(*key).fills.push(FillState {
                        node,
                        passenger: passenger.0,
                        digest: *digest,
                        began,
                    }),
                    None => self.state.key(*key).charged += u32::from(leased),
                }
            }
            What::Sent {
                id,
                key,
                flight,
                request,
            } => self.sent(node, *id, *key, *flight, request),
            What::Committed {
                id,
                time,
                key,
                from,
                request,
                answer,
                ..
            } => self.committed(*id, *time, *key, *from, request, answer),
            What::Answered { id, answer } => self.came_back(node, *id, answer),
            What::Healed { broken } => {
                for (index, node) in self.state.nodes.iter_mut().enumerate() {
                    if !broken.contains(&(index as NodeId)) {
                        for call in &mut node.calls {
                            call.degrade_by = None;
                        }
                    }
                }
            }
            What::WatchOpened {
                key,
                watcher,
                flight,
            } => self.watch_opened(*key, *watcher, *flight),
            What::WatchClosed {
                key,
                watcher,
                flight,
            } => self.watch_closed(*key, *watcher, *flight),
            What::Changes { connected } => {
                self.state.node(node).connected = connected.then_some(at);
            }
            What::Fault { fault, until } => self.fault(node, *fault, *until),
            What::Ended { pending } => self.ended(pending),
        }
    }

    fn down(&mut self, node: NodeId) {
        let state = self.state.node(node);
        state.down = true;
        state.open.clear();
        for call in &mut state.calls {
            call.left |= call.is_open();
        }
        for key in &mut self.state.keys {
            key.watchers.retain(|open| open.0 != node);
            if key.claim_due.is_some_and(|due| due.2 == node) {
                key.claim_due = None;
            }
        }
    }

    fn fault(&mut self, node: NodeId, fault: Fault, until: Nanos) {
        let at = self.state.at;
        match fault {
            Fault::Cancelled | Fault::FillFailed | Fault::Forgotten | Fault::Garbled => return,
            Fault::WritesForgotten | Fault::TokensForgotten | Fault::LockEvicted => {
                self.state.amnesia = true;
                for key in &mut self.state.keys {
                    key.amnesia = true;
                    key.set_back = key.max_revision;
                }
            }
            Fault::CutUp | Fault::CutDown => self.cut(node, until),
            _ => {}
        }
        if fault == Fault::ClockJumped {
            // Nothing excuses that.
        } else if node == 0 {
            self.state.troubles.push((at, until, fault));
        } else {
            self.state.node(node).troubles.push((at, until, fault));
        }
    }

    /// A node is cut off: whoever waits there must do without the store before long.
    fn cut(&mut self, node: NodeId, until: Nanos) {
        let Some(bounds) = self.state.bounds else {
            return;
        };
        let (at, slack) = (self.state.at, self.state.slack());
        for key in 0..self.state.keys.len() as u32 {
            let key = Key(key);
            let calls = self.state.node(node).open_calls(key).to_vec();
            let state = self.state.node(node);
            let busy = calls.iter().any(|passenger| state.call(*passenger).filling)
                || state.flights.iter().any(|flight| {
                    flight.key == key.0 && flight.publishing && flight.retired.is_none()
                });
            for passenger in calls.iter().filter(|_| !busy) {
                let Some(policy) = self.state.call(node, *passenger).policy else {
                    continue;
                };
                let timeout = (2 * policy.store_timeout + policy.max_backoff).as_nanos() as Nanos;
                let due = at + 3 * bounds.detect + self.state.stretched(timeout) + slack;
                if due.saturating_add(2 * bounds.detect) < until {
                    let call = self.state.call(node, *passenger);
                    call.degrade_by = call.degrade_by.or(Some((at, due)));
                }
            }
        }
    }

    fn sent(&mut self, node: NodeId, id: u64, key: Key, flight: Option<u64>, request: &Request) {
        self.requests.sent(id, *request);
        let requests = &mut self.state.requests;
        let index = id as usize;
        if index == requests.len() {
            requests.push(flight.unwrap_or(0));
        }
        if let Request::Claim { .. } = request
            && let Some(number) = flight
        {
            let state = self.state.node(node);
            let ticks = state.ticks;
            let flight = state.flight(number);
            flight.claims_sent += 1;
            let story = liveness::l9_budget(flight, ticks);
            let again = flight.claims_sent > 1;
            self.report("L9 Budget", node, Some(key), story);
            // Whoever has just come does not answer a release, and who does not see the grants cannot tell
            // which release a claim is for.
            let counts = self.state.sees_store && again;
            self.state.key(key).claims += u32::from(counts);
            let state = &self.state.keys[key.index()];
            let (herd, late) = (self.state.l8_herd(state), self.state.l2_claimed(state));
            self.report("L8 Herd", node, Some(key), herd);
            self.report("L2 Prompt", node, Some(key), late);
            self.state.key(key).claim_due = None;
        }
    }

    fn landed(
        &mut self,
        node: NodeId,
        key: Key,
        passenger: PassengerId,
        outcome: Outcome,
        digest: Option<Digest>,
        local: bool,
    ) {
        let at = self.state.at;
        self.state.call(node, passenger.0);
        self.state.key(key);
        let call = self.state.known_call(node, passenger.0);
        let state = &self.state.keys[key.index()];
        let sees = self.state.sees_store;
        let vain = (outcome == Outcome::TimedOut && !state.amnesia)
            .then(|| self.state.l3_takeover(key, state.lease.as_ref()?))
            .flatten();
        let violations = &mut self.violations;
        let mut found = |invariant, story: Option<String>| {
            if let Some(story) = story {
                let story = story!("call {}: {story}", passenger.0);
                violations.keep(invariant, at, node, Some(key), story);
            }
        };
        let it = &self.state;
        found("L3 Takeover", vain);
        found("S8 OneLanding", safety::s8_once(call));
        let provenance = safety::s4_provenance(state, call, node, outcome, digest, sees);
        found("S4 Provenance", provenance);
        found("S7 RideOrFill", safety::s7_awaited(call, outcome));
        found("S8 OneLanding", safety::s8_label(call, outcome));
        let committed = safety::s9_committed(state, call, outcome);
        found("S9 HonestFailure", committed);
        found("S9 HonestFailure", safety::s9_allowed(call, outcome));
        found("S10 HonestStale", safety::s10_stale(call, outcome));
        found("S11 NoPoison", safety::s11_poison(call, outcome));
        found("L1 Terminates", it.l1_terminates(node, call));
        found("L2 Prompt", it.l2_landed(node, call));
        found("L2 Prompt", it.l2_wakes(node, call));
        found("L4 NoVainTimeout", it.l4_vain(state, node, call, outcome));
        found("L5 DegradePrompt", it.l5_degrade(node, call));
        if let Outcome::Cached { revision, .. } = outcome
            && local
        {
            found("S17 LocalCopiesFollow", it.s17_copies(key, node, revision));
        }
        self.state.call(node, passenger.0).landed = true;
        self.state.node(node).close(key, passenger.0);
    }

    fn fill_began(
        &mut self,
        node: NodeId,
        key: Key,
        passenger: PassengerId,
        flight: u64,
        token: Option<Token>,
    ) {
        // Between the order to fill and the fill, the lease that was handed on may be lost.
        let flights = &self.state.node(node).flights;
        let flown = flights.get((flight as usize).wrapping_sub(1));
        let lost = token.is_some() && flown.is_some_and(|flight| flight.lost == token);
        let at = self.state.at;
        self.state.call(node, passenger.0);
        let call = self.state.known_call(node, passenger.0);
        let (satisfied, late) = (safety::s7_fill(call), self.state.l5_degrade(node, call));
        self.report("S7 RideOrFill", node, Some(key), satisfied);
        self.report("L5 DegradePrompt", node, Some(key), late);
        let sees = self.state.sees_store;
        let state = self.state.key(key);
        let lease = state.lease.filter(|lease| Some(lease.token) == token);
        let forgotten = state.forgotten;
        if let Some(lease) = lease.filter(|_| sees && !state.amnesia) {
            // A copy ages by the process's own clock.
            let aged = lease.value.map_or(0, |value| at.saturating_sub(value.at));
            let margin = self.state.stretched(aged) - aged + self.state.slack();
            let state = self.state.key(key);
            let garbled = state.garbled;
            if state.generation == Some(lease.generation) {
                state.filled += 1;
            } else if state.generation.is_none_or(|last| last < lease.generation) {
                state.generation = Some(lease.generation);
                state.filled = 1;
                state.charged = 0;
            }
            let excused = safety::s6_excused(state);
            self.report("S6 ExcusedDuplicates", node, Some(key), excused);
            // A composite store looks at the value only after the grant: it may be forgotten by then.
            let stood = forgotten.is_none_or(|forgotten| forgotten < lease.granted);
            let call = self.state.known_call(node, passenger.0);
            let redundant = safety::s5_redundant(call, &lease, garbled, margin).filter(|_| stood);
            self.report("S5 NoRedundantFill", node, Some(key), redundant);
        }
        let call = self.state.call(node, passenger.0);
        call.fills += 1;
        call.filling = true;
        call.fill_began = at;
        call.fill_token = token;
        call.computed = None;
        call.fenced = lost;
        call.acknowledged = None;
        call.prompt = None;
        let state = self.state.node(node);
        state.each_open_call(key, |_, call| call.degrade_by = None);
    }

    /// A watch begins with how things stand: that counts like a change.
    fn watch_opened(&mut self, key: Key, watcher: NodeId, flight: u64) {
        let at = self.state.at;
        self.state.key(key).watchers.push((watcher, flight, at));
        let Some(bounds) = self.state.bounds else {
            return;
        };
        let state = self.state.key(key);
        if state.amnesia {
            return;
        }
        let (value, lease) = (state.value, state.lease);
        if let Some(value) = value {
            let due = at + bounds.trip + 2 * bounds.wake + self.state.slack();
            self.state.node(watcher).each_open_call(key, |_, call| {
                let new = call
                    .judged
                    .is_none_or(|judged| judged.revision < value.revision);
                let any = call
                    .freshness
                    .is_some_and(|it| !it.predicate && it.max_age.is_none());
                if new && any && call.policy.is_some() && !call.filling && !call.ordered_to_land {
                    call.prompt = call.prompt.or(Some((at, due, value.revision)));
                }
            });
        }
        if lease.is_some_and(|lease| lease.ended) && self.state.key(key).claim_due.is_none() {
            self.freed(key);
        }
    }

    fn ended(&mut self, pending: &[String]) {
        for reason in pending {
            let invariant = liveness::at_the_end(reason);
            self.report(invariant, 0, None, Some(reason.clone()));
        }
        let mut open = Vec::new();
        for (index, node) in self.state.nodes.iter().enumerate() {
            for call in node.calls.iter().filter(|_| !node.down) {
                if let Some(story) = liveness::l1_open(call) {
                    open.push((index as NodeId, Key(call.key), story));
                }
            }
        }
        for (node, key, story) in open {
            self.report("L1 Terminates", node, Some(key), Some(story));
        }
        for index in 0..self.state.keys.len() {
            let key = Key(index as u32);
            self.lapsed(key);
        }
    }
}
