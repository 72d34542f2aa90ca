//! What the machines were told and what they ordered.

use oneflight_core::{
    Attempt, Command, Event, FillResult, Judgement, Notice, Order, Outcome, Revision, Token,
    Verdict, Warning,
};

use super::state::CallState;
use super::{Checker, liveness, safety};
use crate::trace::{Key, Nanos, NodeId};

impl Checker {
    pub(super) fn told(
        &mut self,
        node: NodeId,
        now: Nanos,
        notice: &Notice<Key>,
        orders: &[Order<Key>],
    ) {
        match notice {
            Notice::Boarded {
                key,
                passenger,
                policy,
                ..
            } => {
                // Who comes while a fill without a lease is held may be the next whose it is.
                let mut given_up = false;
                let state = self.state.node(node);
                state.each_open_call(*key, |_, call| given_up |= call.given_up);
                let call = self.state.call(node, passenger.0);
                call.policy = Some(*policy);
                call.given_up |= given_up;
            }
            Notice::Answered { flight, event } => {
                self.answered(node, now, flight.key, flight.number, event);
            }
            Notice::Arrived {
                flight,
                attempt,
                latest,
                arrival,
            } => {
                let state = self.state.node(node);
                state.flight(flight.number).reasons += 1;
                state.arrived(flight.key, arrival.revision);
                if let Some(attempt) = attempt {
                    self.claim_answered(node, now, flight.key, flight.number, *attempt, *latest);
                }
            }
            Notice::Judged {
                key,
                passenger,
                verdict,
            } => self.judged(node, *key, passenger.0, verdict),
            Notice::Tick => self.state.node(node).ticks += 1,
            Notice::Left { .. } | _ => {}
        }
        let about = notice.key().copied();
        for order in orders {
            if let Some(about) = about {
                let story = safety::s13_isolation(about, order);
                self.report("S13 Isolation", node, Some(about), story);
            }
            self.ordered(node, now, order);
        }
        if let Notice::Answered {
            flight,
            event: Event::FillDone { result, .. },
        } = notice
            && *result != FillResult::Value
        {
            self.shared(node, flight.key, orders);
        }
    }

    /// A fill has failed: if its pilot lands with that, so do those who share it.
    fn shared(&mut self, node: NodeId, key: Key, orders: &[Order<Key>]) {
        let failed = orders.iter().any(|order| {
            matches!(
                order,
                Order::Land {
                    outcome: Outcome::Aborted | Outcome::Panicked,
                    ..
                }
            )
        });
        if !failed {
            return;
        }
        for passenger in self.state.node(node).open_calls(key).to_vec() {
            let story = safety::s6_shared(self.state.call(node, passenger), passenger);
            self.report("S6 ExcusedDuplicates", node, Some(key), story);
        }
    }

    fn judged(&mut self, node: NodeId, key: Key, passenger: u64, verdict: &Verdict) {
        let set_back = self.state.key(key).set_back;
        let last = self.state.node(node).last_arrived(key);
        let call = self.state.call(node, passenger);
        if call.judging <= verdict.revision {
            call.judging = Revision::NEVER;
        }
        // What it judges once it is told to land comes too late.
        if !call.ordered_to_land {
            call.judges(verdict);
        }
        match verdict.judgement {
            // What a newer revision has replaced meanwhile satisfies nobody.
            Judgement::Fresh
                if verdict.revision >= last
                    && verdict.revision > set_back
                    && !call.ordered_to_land =>
            {
                call.satisfied = Some(verdict.revision);
            }
            Judgement::Absent | Judgement::Malformed => {
                call.prompt = None;
                self.state.key(key).garbled = verdict.revision;
            }
            Judgement::Stale | _ => {}
        }
    }

    fn answered(&mut self, node: NodeId, now: Nanos, key: Key, number: u64, event: &Event) {
        let flight = self.state.node(node).flight(number);
        match event {
            Event::LeaseGranted { attempt, token, .. } => {
                flight.granted = Some(*token);
                self.claim_answered(node, now, key, number, *attempt, Some(*token));
            }
            Event::Held { attempt, token, .. } => {
                self.claim_answered(node, now, key, number, *attempt, *token);
                let state = self.state.key(key);
                let ghost = state.lease.as_ref().filter(|_| !state.amnesia);
                let story =
                    ghost.and_then(|it| liveness::l7_ghost(it, node, number, *attempt, *token));
                self.report("L7 Quiescent", node, Some(key), story);
            }
            Event::LockReleased | Event::WatchLost => flight.reasons += 1,
            Event::Fenced { .. } | Event::LeaseLost { .. } => {
                flight.reasons += 2;
                // That a lease is lost answers a renewal: the publish may still go unanswered.
                if matches!(event, Event::Fenced { .. }) {
                    flight.publish = None;
                }
                let token = flight.token;
                flight.lost = token;
                let state = self.state.node(node);
                state.each_open_call(key, |_, call| call.fenced |= call.fill_token == token);
            }
            Event::Published { revision, .. } => {
                let token = flight.token;
                flight.publish = None;
                self.state.node(node).each_open_call(key, |_, call| {
                    // What comes after the landing was ordered answers an earlier publish.
                    let lands = call.ordered_to_land;
                    if call.fill_token == token && call.computed.is_some() && !lands {
                        call.acknowledged = Some(*revision);
                    }
                });
            }
            Event::FillDone { result, .. } => {
                flight.publishing = *result == FillResult::Value;
            }
            Event::Unavailable { attempt } => {
                let claim = flight.claim.is_some_and(|claim| claim.0 == *attempt);
                if claim || flight.publish.is_some_and(|publish| publish.0 == *attempt) {
                    self.state.node(node).set_unreachable(key, true);
                }
            }
            Event::Refused { .. } => flight.refused = true,
            _ => {}
        }
    }

    /// The store has answered a claim: it is not unreachable, and whoever was aboard when the claim
    /// was ordered knows which leases were granted before.
    fn claim_answered(
        &mut self,
        node: NodeId,
        now: Nanos,
        key: Key,
        number: u64,
        attempt: Attempt,
        token: Option<Token>,
    ) {
        self.gives_up(node, now, key, number);
        let state = self.state.node(node);
        state.set_unreachable(key, false);
        let Some((_, _, aboard)) = state.flight(number).claim.filter(|it| it.0 == attempt) else {
            return;
        };
        state.flight(number).claim = None;
        // What comes for a flight that has cleaned up, after its time for that was over, nobody hears.
        if state.flight(number).retired.is_some() {
            return;
        }
        state.each_open_call(key, |passenger, call| {
            if passenger <= aboard {
                call.floor = call.floor.or(token);
            }
        });
    }

    fn ordered(&mut self, node: NodeId, now: Nanos, order: &Order<Key>) {
        match order {
            Order::Command { flight, command } => {
                self.commanded(node, now, flight.key, flight.number, command);
            }
            Order::Judge {
                passenger,
                revision,
                ..
            } => self.state.call(node, passenger.0).judging = *revision,
            Order::Fill {
                flight,
                passenger,
                lease,
                ..
            } => {
                let last = self.state.node(node).last_arrived(flight.key);
                let judging = safety::s7_judging(self.state.call(node, passenger.0), last);
                self.report("S7 RideOrFill", node, Some(flight.key), judging);
                self.state.node(node).flight(flight.number).token = lease.map(|it| it.token);
                if lease.is_none() {
                    let given_up = self.state.call(node, passenger.0).given_up;
                    let unreachable =
                        given_up || self.is_unreachable(node, now, flight.key, flight.number);
                    self.state.node(node).set_unreachable(flight.key, true);
                    self.state.node(node).flight(flight.number).local = true;
                    let story = safety::s15_degrade(unreachable);
                    self.report(
                        "S15 DegradeOnlyWhenUnreachable",
                        node,
                        Some(flight.key),
                        story,
                    );
                    let state = self.state.node(node);
                    state.each_open_call(flight.key, |_, call| call.degrade_by = None);
                }
            }
            Order::Land {
                key,
                passenger,
                outcome,
            } => {
                let at = self.state.at;
                let call = self.state.call(node, passenger.0);
                let again = call
                    .ordered_to_land
                    .then(|| story!("call {} was told to land again: {outcome:?}", passenger.0));
                call.ordered_to_land = true;
                call.land_ordered = at;
                call.failed = safety::is_definite(*outcome).then_some(*outcome);
                let unpublished = call.fill_token.is_some()
                    && matches!(
                        outcome,
                        Outcome::Unpublished { .. } | Outcome::Computed { revision: None }
                    );
                if unpublished {
                    self.state.key(*key).charged += 1;
                }
                self.report("S8 OneLanding", node, Some(*key), again);
            }
            Order::Retired { flight } => {
                self.gives_up(node, now, flight.key, flight.number);
                let at = self.state.at;
                self.state.node(node).flight(flight.number).retired = Some(at);
            }
        }
    }

    fn commanded(&mut self, node: NodeId, now: Nanos, key: Key, number: u64, command: &Command) {
        let state = self.state.node(node);
        let callers = state.open_calls(key).len();
        let aboard = state.calls.len() as u64;
        let flight = state.flight(number);
        flight.key = key.0;
        let story = safety::s12_clean_up(flight, callers, command);
        match command {
            Command::Claim { attempt, .. } => {
                flight.claim = Some((*attempt, now, aboard));
                flight.claims_ordered += 1;
                flight.watching = false;
                state.each_open_call(key, |_, call| call.given_up = false);
            }
            Command::Watch => (flight.watching, flight.unwatched) = (true, false),
            Command::Unwatch => {
                (flight.watching, flight.unwatched) = (false, true);
                self.unwatches(node, key);
            }
            Command::Publish { attempt, .. } => {
                flight.publishing = true;
                flight.publish = flight.publish.or(Some((*attempt, now)));
            }
            Command::Put { seen } => {
                flight.put_seen = Some(*seen);
            }
            Command::WarnLeaseLost { warning, .. } => {
                flight.overdue |= *warning == Warning::Overdue
            }
            Command::Renew { .. } => {
                for position in 0..callers {
                    let passenger = self.state.node(node).open_calls(key)[position];
                    self.state.call(node, passenger);
                    let call = self.state.known_call(node, passenger);
                    let story = self.state.l6_overdue(call, command);
                    self.report("L6 Heartbeat", node, Some(key), story);
                }
            }
            Command::Release { .. } => flight.releasing = true,
            Command::Fill { .. } | Command::Land(_) => {}
        }
        self.report("S12 CancelSafe", node, Some(key), story);
    }

    /// What tells that the store is unreachable is about to be forgotten. A fill without a lease may be held
    /// until its caller has judged: it remembers.
    fn gives_up(&mut self, node: NodeId, now: Nanos, key: Key, number: u64) {
        let state = self.state.node(node);
        let calls = state.open_calls(key).iter();
        let mut calls = calls.filter_map(|passenger| state.call_ref(*passenger));
        let judging = |call: &CallState| call.judging > Revision::NEVER;
        if calls.any(judging) && self.is_unreachable(node, now, key, number) {
            let state = self.state.node(node);
            state.each_open_call(key, |_, call| call.given_up |= judging(call));
        }
    }

    /// Whether the store was found unreachable: it said so, or has not answered a claim or a publish in
    /// time.
    fn is_unreachable(&mut self, node: NodeId, now: Nanos, key: Key, number: u64) -> bool {
        let at = self.state.at;
        let state = self.state.node(node);
        if state.unreachable.get(key.index()) == Some(&true) || state.flight(number).local {
            return true;
        }
        let timeout = state
            .open_calls(key)
            .iter()
            .filter_map(|passenger| state.call_ref(*passenger)?.policy)
            .map(|policy| policy.store_timeout.as_nanos() as Nanos)
            .min();
        let Some(timeout) = timeout else {
            return false;
        };
        // A flight that has just ended may have found it out on behalf of the next.
        let mut flights = state.flights.iter().filter(|flight| flight.key == key.0);
        flights.any(|flight| {
            let current = flight.retired.is_none_or(|retired| retired == at);
            let claimed = flight.claim.map(|(_, sent, _)| sent);
            let published = flight.publish.map(|(_, sent)| sent);
            let unanswered =
                |sent: Option<Nanos>| sent.is_some_and(|sent| now.saturating_sub(sent) >= timeout);
            // Whoever lands over a publish that was not acknowledged has found it out for all aboard.
            current && (unanswered(claimed) || unanswered(published))
        })
    }
}
