//! One caller among those of a key, and what it is told.

use super::{Air, Arrival, Order, PassengerId};
use crate::flight::Call;
use crate::{Instant, Judgement, OnUnavailable, Outcome, Policy, Revision, Token, Verdict};

/// One caller aboard.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub(super) struct Passenger {
    pub(super) policy: Policy,
    pub(super) started: Instant,
    pub(super) patience: Instant,
    /// What it thinks of the last revision it knows.
    pub(super) known: Verdict,
    /// The last revision it was asked to judge.
    pub(super) asked: Revision,
    /// The highest token that is known to have been granted before its call.
    pub(super) floor: Option<Token>,
}

impl Passenger {
    pub(super) fn is_judging(&self) -> bool {
        self.asked > self.known.revision
    }

    /// How its call ends when its time is over.
    pub(super) fn time_out(&self) -> Outcome {
        match self.known.judgement {
            Judgement::Stale => Outcome::Cached {
                revision: self.known.revision,
                stale: true,
            },
            Judgement::Absent | Judgement::Fresh | Judgement::Malformed => Outcome::TimedOut,
        }
    }

    /// Its call, to be flown by itself from now on.
    pub(super) fn call(&self, now: Instant) -> Call {
        Call {
            policy: self.policy,
            known: self.known,
            started: self.started,
            floor: self.floor,
            now,
        }
    }

    pub(super) fn runs_local(&self) -> bool {
        self.policy.on_unavailable == OnUnavailable::RunLocal
    }
}

/// Asks a passenger to judge what has arrived, unless it knows it or has nothing to judge.
pub(super) fn ask<K: Ord + Clone>(
    air: &mut Air<K>,
    key: &K,
    id: PassengerId,
    passenger: &mut Passenger,
    arrival: Arrival,
) {
    let revision = arrival.revision;
    if revision <= passenger.known.revision.max(passenger.asked) {
        return;
    }
    passenger.asked = revision;
    if arrival.value {
        air.orders.push(Order::Judge {
            key: key.clone(),
            passenger: id,
            revision,
        });
    } else {
        passenger.known = Verdict {
            revision,
            token: arrival.token,
            judgement: Judgement::Absent,
        };
    }
}

/// Tells a caller how its call ended.
pub(super) fn land<K: Ord + Clone>(
    air: &mut Air<K>,
    key: &K,
    passenger: PassengerId,
    outcome: Outcome,
) {
    air.orders.push(Order::Land {
        key: key.clone(),
        passenger,
        outcome,
    });
}
