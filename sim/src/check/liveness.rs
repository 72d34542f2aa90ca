//! The liveness invariants, L1 to L9: bounds that hold while faults last, for whoever they spare.

use oneflight_core::{Attempt, Command, Outcome, Policy, Token};

use super::State;
use super::state::{CallState, FlightState, KeyState, LeaseState};
use crate::coverage::is_stale;
use crate::trace::{Fault, Key, Nanos, NodeId};

/// A policy's shortest pause, at most.
pub(super) fn short_pause(policy: &Policy) -> Nanos {
    (policy.max_backoff.as_nanos() as Nanos / 64).max(1_000_000)
}

impl State {
    /// L1 `Terminates`: no call outlives its deadline, but for a fill of its own.
    pub(super) fn l1_terminates(&self, node: NodeId, call: &CallState) -> Option<String> {
        self.bounds?;
        let policy = call.policy?;
        let wait = policy.wait_timeout.as_nanos() as Nanos;
        let paused = self
            .nodes
            .get(node as usize)?
            .troubles
            .iter()
            .any(|trouble| {
                trouble.2 == Fault::Paused && trouble.0 <= self.at && trouble.1 >= call.began
            });
        let due = call
            .began
            .saturating_add(self.stretched(wait) + self.slack());
        (call.fills == 0 && wait > 0 && !paused && self.at > due).then(|| {
            story!(
                "a call of {} ns that waits for {wait} ns ended at {} ns",
                call.began,
                self.at
            )
        })
    }

    /// L2 `Prompt`: for a connected waiter a fresh publish lands it within one push.
    pub(super) fn l2_landed(&self, node: NodeId, call: &CallState) -> Option<String> {
        let (since, due, revision) = call.prompt?;
        let late = self.at > due
            && !self.is_disturbed(node, since, due)
            && call.judged.is_none_or(|judged| judged.revision <= revision);
        late.then(|| {
            story!(
                "revision {revision}, committed at {since} ns, satisfies a call that listens, and \
                 ended at {} ns, not by {due} ns",
                self.at
            )
        })
    }

    /// L2 `Prompt`: a caller wakes to its landing at once, not after some further answer.
    pub(super) fn l2_wakes(&self, node: NodeId, call: &CallState) -> Option<String> {
        let bounds = self.bounds?;
        let due = call.land_ordered.saturating_add(2 * bounds.wake);
        let late = call.ordered_to_land
            && self.at > due
            && !self.is_disturbed(node, call.land_ordered, self.at);
        late.then(|| {
            story!(
                "told to land at {} ns, it did at {} ns",
                call.land_ordered,
                self.at
            )
        })
    }

    /// L2 `Prompt`: a release has somebody claiming within one push and one short pause.
    pub(super) fn l2_claimed(&self, key: &KeyState) -> Option<String> {
        let (since, due, node) = key.claim_due?;
        (self.at > due && !self.is_disturbed(node, since, due)).then(|| {
            story!(
                "the lock was freed at {since} ns while node {node} listened, and nobody claimed by \
                 {due} ns"
            )
        })
    }

    /// L3 `Takeover`: a dead holder is replaced within its remaining lease, one pause and one trip.
    pub(super) fn l3_takeover(&self, key: Key, lease: &LeaseState) -> Option<String> {
        self.bounds?;
        if lease.ended || self.at <= lease.lapses {
            return None;
        }
        let pause = self.stretched(pause_of(self, key));
        let due = lease.lapses + self.stretched(lease.ttl) - lease.ttl + pause + self.slack();
        if self.at <= due {
            return None;
        }
        let key = self.keys.get(key.index())?;
        // Whoever listened before the lapse was told how long the lock is held.
        let (node, _, _) = key.watchers.iter().find(|(node, _, since)| {
            *since < lease.lapses && !self.is_disturbed(*node, *since, self.at)
        })?;
        Some(story!(
            "token {} lapsed at {} ns while node {node} waited, and was not taken over by {due} ns",
            lease.token,
            lease.lapses
        ))
    }

    /// L4 `NoVainTimeout`: no time-out and no stale landing with a satisfying value in hand, or with
    /// the lock long free for the taking.
    pub(super) fn l4_vain(
        &self,
        key: &KeyState,
        node: NodeId,
        call: &CallState,
        outcome: Outcome,
    ) -> Option<String> {
        if outcome != Outcome::TimedOut && !is_stale(outcome) {
            return None;
        }
        if let Some(revision) = call.satisfied {
            return Some(story!(
                "{outcome:?} though revision {revision} had satisfied it"
            ));
        }
        let (since, due, told) = key.claim_due?;
        let waits = call
            .policy
            .is_some_and(|policy| !policy.wait_timeout.is_zero());
        let listens = key.watchers.iter().any(|(watcher, _, _)| *watcher == node);
        (waits
            && listens
            && told == node
            && self.at > due
            && !self.is_disturbed(node, since, self.at))
        .then(|| story!("{outcome:?} though the lock was free since {since} ns"))
    }

    /// L5 `DegradePrompt`: an unreachable store is noticed while waiting too, and answered within
    /// `store_timeout`.
    pub(super) fn l5_degrade(&self, node: NodeId, call: &CallState) -> Option<String> {
        let (since, due) = call.degrade_by?;
        let paused = self
            .nodes
            .get(node as usize)?
            .troubles
            .iter()
            .any(|trouble| {
                trouble.2 == Fault::Paused && trouble.0 <= self.at && trouble.1 >= since
            });
        (self.at > due && !paused).then(|| {
            story!(
                "cut off since {since} ns, a waiting call neither degraded nor ended by {due} ns, but \
                 at {} ns",
                self.at
            )
        })
    }

    /// L6 `Heartbeat`: a healthy holder's lease does not lapse. L7 `Quiescent`: nor is one left behind
    /// by a flight that is over.
    pub(super) fn l6_heartbeat(&self, lease: &LeaseState) -> Option<(&'static str, String)> {
        let bounds = self.bounds?;
        let node = self.nodes.get(lease.node as usize)?;
        let flight = node.flights.get(lease.flight.checked_sub(1)? as usize)?;
        let from = lease
            .lapses
            .saturating_sub(lease.ttl)
            .saturating_sub(4 * bounds.trip);
        let healthy = !lease.ended
            && self.at >= lease.lapses
            && !flight.overdue
            // A renewal from before the refusal may be carried out again after it.
            && !flight.refused
            && (flight.granted == Some(lease.token) || flight.token == Some(lease.token))
            && lease.ttl > 6 * bounds.trip + 3_000_000
            && !self.is_kept(lease.node, from, lease.lapses);
        // A release that is lost may be repeated too late.
        let over = flight.releasing || flight.retired.is_some();
        if !healthy || over && self.is_disturbed(lease.node, lease.granted, lease.lapses) {
            return None;
        }
        let LeaseState { token, node, .. } = lease;
        Some(if over {
            let story =
                story!("token {token} was left to lapse by a flight of node {node} that is over");
            ("L7 Quiescent", story)
        } else {
            let story = story!(
                "token {token} of node {node}, which was well, lapsed at {} ns",
                lease.lapses
            );
            ("L6 Heartbeat", story)
        })
    }

    /// L6 `Heartbeat`: no renewal after a fill's `fill_timeout`.
    pub(super) fn l6_overdue(&self, call: &CallState, command: &Command) -> Option<String> {
        let bounds = self.bounds?;
        let limit = call.policy?.fill_timeout?.as_nanos() as Nanos;
        let Command::Renew { token, .. } = command else {
            return None;
        };
        let due = call.fill_began + self.stretched(limit) + bounds.wake;
        (call.filling && call.fill_token == Some(*token) && self.at > due).then(|| {
            story!(
                "token {token} is renewed though its fill, begun at {} ns, is overdue since {due} ns",
                call.fill_began
            )
        })
    }

    /// L8 `Herd`: the claims for one release stay bounded by the number of processes.
    pub(super) fn l8_herd(&self, key: &KeyState) -> Option<String> {
        let processes = self.nodes.len() as u32;
        let calls: u32 = 4;
        let limit = (processes + 1) * calls + 8;
        let calm =
            self.troubles.is_empty() && self.nodes.iter().all(|node| node.troubles.is_empty());
        (calm && key.claims > limit).then(|| {
            story!(
                "{} claims for one release, by {processes} processes",
                key.claims
            )
        })
    }
}

/// L9 `Budget`: a flight claims once, and once more for each thing that gave it a reason to; each
/// claim it orders is sent once. Each tick of its process is a reason, too.
pub(super) fn l9_budget(flight: &FlightState, ticks: u32) -> Option<String> {
    let FlightState {
        claims_ordered,
        claims_sent,
        reasons,
        ..
    } = flight;
    let reasons = reasons + ticks;
    (*claims_ordered > 1 + reasons || claims_sent > claims_ordered).then(|| {
        story!("{claims_ordered} claims ordered, {claims_sent} sent, with {reasons} reasons to claim again")
    })
}

/// L7 `Quiescent`: no lease is granted to nobody. A claim that is answered `Held` by the lease which that
/// very claim was granted leaves one behind that nobody will renew or release.
pub(super) fn l7_ghost(
    lease: &LeaseState,
    node: NodeId,
    flight: u64,
    claim: Attempt,
    held: Option<Token>,
) -> Option<String> {
    let own = (lease.node, lease.flight, lease.claim) == (node, flight, claim);
    (own && held == Some(lease.token)).then(|| {
        story!(
            "flight {flight} of node {node} is told that token {} holds the lock, which was granted to \
             its own claim",
            lease.token
        )
    })
}

/// L1 `Terminates`: no call is open when nothing is left to happen.
pub(super) fn l1_open(call: &CallState) -> Option<String> {
    let CallState { began, .. } = call;
    call.is_open()
        .then(|| story!("a call of {began} ns is open, and nothing is left to happen"))
}

/// What is still pending at the end, by the invariant it breaks.
pub(super) fn at_the_end(pending: &str) -> &'static str {
    if pending.contains("open") || pending.contains("circles") {
        "L1 Terminates"
    } else {
        "L7 Quiescent"
    }
}

/// The shortest pause of all whose calls wait for a key.
pub(super) fn pause_of(state: &State, key: Key) -> Nanos {
    let mut pause = 1_000_000;
    for node in &state.nodes {
        for passenger in node.open_calls(key) {
            if let Some(call) = node.call_ref(*passenger)
                && let Some(policy) = &call.policy
            {
                pause = pause.max(short_pause(policy));
            }
        }
    }
    pause
}
