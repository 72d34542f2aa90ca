//! A trace written by hand, told like a story: who calls, what the store does, what each hears.
//!
//! Each phrase happens at the story's present moment; only [`Story::at`] and [`Story::wait`] move it.

use std::collections::BTreeMap;
use std::time::Duration;

use oneflight_core::{
    Arrival, Attempt, Command, Event, FillResult, FlightId, Instant, Judgement, Lease, Notice,
    Order, Outcome, PassengerId, Policy, Revision, Token, Verdict,
};
use oneflight_sim::trace::{
    Bounds, Digest, Fault, Freshness, Key, Names, Nanos, NodeId, Record, Request, StoreProfile,
    What,
};

use crate::words::{ANY, BOUNDS, KEY, SECOND, TTL, Who, cached, computed, revision, token};

/// The number of every order to fill.
const FILL: Attempt = Attempt::new(99);

/// A trace in the making.
#[derive(Clone)]
pub(crate) struct Story {
    pub(crate) profile: StoreProfile,
    pub(crate) bounds: Option<Bounds>,
    /// Whoever writes this down sees the store's commits, even if there are none.
    pub(crate) sees_store: bool,
    /// How the keys are spelt in a recording.
    pub(crate) names: Names,
    pub(crate) key: Key,
    pub(crate) policy: Policy,
    pub(crate) freshness: Freshness,
    /// How far the store's clock is ahead.
    pub(crate) ahead: Nanos,
    /// How far the processes' clocks are ahead.
    pub(crate) local_ahead: Nanos,
    pub(crate) now: Nanos,
    pub(crate) records: Vec<Record<Key>>,
    pub(crate) requests: u64,
    attempts: u32,
    /// The last claim of each flight.
    pub(crate) claims: BTreeMap<(NodeId, u64), (u64, Attempt)>,
    /// The last revision of each key.
    pub(crate) revisions: BTreeMap<Key, Revision>,
}

impl Story {
    pub(crate) fn new() -> Self {
        Self {
            profile: StoreProfile::STRICT,
            bounds: Some(BOUNDS),
            sees_store: true,
            names: Names::default(),
            key: KEY,
            policy: Policy::DEFAULT,
            freshness: ANY,
            ahead: 0,
            local_ahead: 0,
            now: SECOND,
            records: Vec::new(),
            requests: 0,
            attempts: 0,
            claims: BTreeMap::new(),
            revisions: BTreeMap::new(),
        }
    }

    pub(crate) fn at(&mut self, now: Nanos) -> &mut Self {
        assert!(now >= self.now, "a story goes forward");
        self.now = now;
        self
    }

    pub(crate) fn wait(&mut self, time: Nanos) -> &mut Self {
        self.at(self.now + time)
    }

    /// One record, whatever it is.
    pub(crate) fn record(&mut self, node: NodeId, what: What<Key>) -> &mut Self {
        let at = self.now;
        self.records.push(Record { at, node, what });
        self
    }

    /// The records are at this moment; those that follow go elsewhere.
    pub(crate) fn branch(&self, rest: impl FnOnce(&mut Self)) -> Self {
        let mut other = self.clone();
        rest(&mut other);
        other
    }

    // The callers and their processes.

    pub(crate) fn began(&mut self, who: Who) -> &mut Self {
        let (key, freshness) = (self.key, self.freshness);
        let passenger = PassengerId(who.call);
        self.record(
            who.node,
            What::Began {
                key,
                passenger,
                freshness,
            },
        )
    }

    /// Boards a flight that stands already.
    pub(crate) fn joins(&mut self, who: Who) -> &mut Self {
        let notice = self.boarded(who);
        self.began(who).told(who, notice, vec![])
    }

    /// Boards a flight of its own, which claims.
    pub(crate) fn calls(&mut self, who: Who) -> &mut Self {
        let notice = self.boarded(who);
        self.began(who).told(who, notice, vec![]).claims(who)
    }

    fn boarded(&self, who: Who) -> Notice<Key> {
        Notice::Boarded {
            key: self.key,
            passenger: PassengerId(who.call),
            policy: self.policy,
            known: Verdict::UNKNOWN,
        }
    }

    /// The flight orders a claim, which is sent.
    pub(crate) fn claims(&mut self, who: Who) -> &mut Self {
        self.orders_claim(who).sends_claim(who)
    }

    /// Claims once more, with a reason.
    pub(crate) fn claims_again(&mut self, who: Who) -> &mut Self {
        self.hears(who, Event::LockReleased).claims(who)
    }

    pub(crate) fn orders_claim(&mut self, who: Who) -> &mut Self {
        self.attempts += 1;
        let attempt = Attempt::new(self.attempts);
        self.claims.insert((who.node, who.flight), (0, attempt));
        let seen = Revision::NEVER;
        self.commands(who, Command::Claim { attempt, seen })
    }

    pub(crate) fn sends_claim(&mut self, who: Who) -> &mut Self {
        let id = self.requests;
        let request = self.claim(who);
        if let Some(claim) = self.claims.get_mut(&(who.node, who.flight)) {
            claim.0 = id;
        }
        self.sends(who, request)
    }

    /// A claim by one who has seen all that there is.
    pub(crate) fn claim(&self, who: Who) -> Request {
        Request::Claim {
            attempt: self.attempt(who),
            seen: self.revision(),
            ttl: self.policy.lease_ttl.as_nanos() as Nanos,
        }
    }

    /// The attempt of the flight's last claim.
    pub(crate) fn attempt(&self, who: Who) -> Attempt {
        let claim = self.claims.get(&(who.node, who.flight));
        claim.map_or(Attempt::new(0), |claim| claim.1)
    }

    pub(crate) fn sends(&mut self, who: Who, request: Request) -> &mut Self {
        let (id, key, flight) = (self.requests, self.key, Some(who.flight));
        self.requests += 1;
        self.record(
            who.node,
            What::Sent {
                id,
                key,
                flight,
                request,
            },
        )
    }

    pub(crate) fn flight(&self, who: Who) -> FlightId<Key> {
        FlightId {
            key: self.key,
            number: who.flight,
        }
    }

    pub(crate) fn told(
        &mut self,
        who: Who,
        notice: Notice<Key>,
        orders: Vec<Order<Key>>,
    ) -> &mut Self {
        let now = Instant::from_nanos(self.now + self.local_ahead);
        self.record(
            who.node,
            What::Told {
                now,
                notice,
                orders,
            },
        )
    }

    /// The flight is told an event, and orders nothing.
    pub(crate) fn hears(&mut self, who: Who, event: Event) -> &mut Self {
        let flight = self.flight(who);
        self.told(who, Notice::Answered { flight, event }, vec![])
    }

    /// The flight orders something, at a tick of its process.
    pub(crate) fn commands(&mut self, who: Who, command: Command) -> &mut Self {
        let flight = self.flight(who);
        self.orders(who, Order::Command { flight, command })
    }

    /// Something is ordered upon an event that means nothing to the checker.
    pub(crate) fn orders(&mut self, who: Who, order: Order<Key>) -> &mut Self {
        let flight = self.flight(who);
        let event = Event::LockHeld { remaining: None };
        self.told(who, Notice::Answered { flight, event }, vec![order])
    }

    /// Hears that the lease is its own, and is ordered to fill.
    pub(crate) fn hears_grant(&mut self, who: Who, number: u64) -> &mut Self {
        let (attempt, flight) = (self.attempt(who), self.flight(who));
        let (token, generation) = (token(number), self.revision());
        let event = Event::LeaseGranted {
            attempt,
            token,
            remaining: Duration::from_nanos(TTL),
            generation,
        };
        let expires = Instant::from_nanos(self.now + TTL);
        let fill = Order::Fill {
            flight: flight.clone(),
            passenger: PassengerId(who.call),
            attempt: FILL,
            lease: Some(Lease {
                token,
                expires,
                generation,
            }),
        };
        self.told(who, Notice::Answered { flight, event }, vec![fill])
    }

    pub(crate) fn hears_held(&mut self, who: Who, number: u64) -> &mut Self {
        let attempt = self.attempt(who);
        let token = Some(token(number));
        self.hears(
            who,
            Event::Held {
                attempt,
                token,
                remaining: None,
            },
        )
    }

    /// A revision comes, from the watch.
    pub(crate) fn arrives(&mut self, who: Who, number: u64) -> &mut Self {
        let (flight, revision) = (self.flight(who), revision(number));
        let arrival = Arrival {
            revision,
            token: None,
            value: true,
        };
        let notice = Notice::Arrived {
            flight,
            attempt: None,
            latest: None,
            arrival,
        };
        self.told(who, notice, vec![])
    }

    /// It is asked to judge a revision.
    pub(crate) fn asks_to_judge(&mut self, who: Who, number: u64) -> &mut Self {
        let order = Order::Judge {
            key: self.key,
            passenger: PassengerId(who.call),
            revision: revision(number),
        };
        self.orders(who, order)
    }

    pub(crate) fn judges(&mut self, who: Who, number: u64, judgement: Judgement) -> &mut Self {
        let verdict = Verdict {
            revision: revision(number),
            token: None,
            judgement,
        };
        let (key, passenger) = (self.key, PassengerId(who.call));
        let notice = Notice::Judged {
            key,
            passenger,
            verdict,
        };
        self.told(who, notice, vec![])
    }

    pub(crate) fn orders_fill(&mut self, who: Who, number: Option<u64>) -> &mut Self {
        let lease = number.map(|number| Lease {
            token: token(number),
            expires: Instant::NEVER,
            generation: self.revision(),
        });
        let flight = self.flight(who);
        let (passenger, attempt) = (PassengerId(who.call), Attempt::new(99));
        self.orders(
            who,
            Order::Fill {
                flight,
                passenger,
                attempt,
                lease,
            },
        )
    }

    pub(crate) fn fills(&mut self, who: Who, number: u64) -> &mut Self {
        self.fill_began(who, Some(token(number)))
    }

    pub(crate) fn fill_began(&mut self, who: Who, token: Option<Token>) -> &mut Self {
        let (key, flight) = (self.key, who.flight);
        self.record(
            who.node,
            What::FillBegan {
                key,
                passenger: PassengerId(who.call),
                flight,
                attempt: FILL,
                token,
            },
        )
    }

    /// The fill ends, with a value or with an error; the flight is told.
    pub(crate) fn returns(&mut self, who: Who, value: Option<u64>) -> &mut Self {
        self.returns_with(who, value, vec![])
    }

    pub(crate) fn returns_with(
        &mut self,
        who: Who,
        value: Option<u64>,
        orders: Vec<Order<Key>>,
    ) -> &mut Self {
        let (key, flight) = (self.key, self.flight(who));
        let result = match value {
            Some(_) => FillResult::Value,
            None => FillResult::Error,
        };
        let attempt = FILL;
        let ended = What::FillEnded {
            key,
            passenger: PassengerId(who.call),
            flight: who.flight,
            attempt,
            result,
            digest: value.map(Digest),
        };
        let event = Event::FillDone { attempt, result };
        self.record(who.node, ended)
            .told(who, Notice::Answered { flight, event }, orders)
    }

    pub(crate) fn hears_published(&mut self, who: Who, number: u64) -> &mut Self {
        let attempt = FILL;
        let revision = revision(number);
        self.hears(who, Event::Published { attempt, revision })
    }

    pub(crate) fn hears_fenced(&mut self, who: Who) -> &mut Self {
        let attempt = FILL;
        self.hears(who, Event::Fenced { attempt })
    }

    pub(crate) fn hears_unavailable(&mut self, who: Who) -> &mut Self {
        let attempt = self.attempt(who);
        self.hears(who, Event::Unavailable { attempt })
    }

    pub(crate) fn land_order(&self, who: Who, outcome: Outcome) -> Order<Key> {
        Order::Land {
            key: self.key,
            passenger: PassengerId(who.call),
            outcome,
        }
    }

    pub(crate) fn orders_to_land(&mut self, who: Who, outcome: Outcome) -> &mut Self {
        let order = self.land_order(who, outcome);
        self.orders(who, order)
    }

    pub(crate) fn landed(&mut self, who: Who, outcome: Outcome, value: Option<u64>) -> &mut Self {
        self.landed_from(who, outcome, value, false)
    }

    /// Lands with what a local copy holds.
    pub(crate) fn hits(&mut self, who: Who, number: u64, value: u64) -> &mut Self {
        self.began(who)
            .landed_from(who, cached(number), Some(value), true)
    }

    fn landed_from(
        &mut self,
        who: Who,
        outcome: Outcome,
        value: Option<u64>,
        local: bool,
    ) -> &mut Self {
        let landed = What::Landed {
            key: self.key,
            passenger: PassengerId(who.call),
            outcome,
            digest: value.map(Digest),
            local,
        };
        self.record(who.node, landed)
    }

    /// Is told to land, and does.
    pub(crate) fn lands(&mut self, who: Who, outcome: Outcome, value: Option<u64>) -> &mut Self {
        self.orders_to_land(who, outcome)
            .landed(who, outcome, value)
    }

    pub(crate) fn leaves(&mut self, who: Who) -> &mut Self {
        let key = self.key;
        let passenger = PassengerId(who.call);
        self.record(who.node, What::Left { key, passenger })
    }

    pub(crate) fn retires(&mut self, who: Who) -> &mut Self {
        let flight = self.flight(who);
        self.orders(who, Order::Retired { flight })
    }

    pub(crate) fn fault(&mut self, node: NodeId, fault: Fault, lasts: Nanos) -> &mut Self {
        let until = self.now + lasts;
        self.record(node, What::Fault { fault, until })
    }

    pub(crate) fn down(&mut self, node: NodeId) -> &mut Self {
        self.record(node, What::Down { crashed: true })
    }

    pub(crate) fn ends(&mut self) -> &mut Self {
        self.ends_with(&[])
    }

    pub(crate) fn ends_with(&mut self, pending: &[&str]) -> &mut Self {
        let pending = pending.iter().map(|&reason| reason.to_owned()).collect();
        self.record(0, What::Ended { pending })
    }

    // Whole chapters.

    /// Calls, is granted the lease and begins to fill.
    pub(crate) fn wins(&mut self, who: Who, number: u64) -> &mut Self {
        self.calls(who)
            .grants(who, number)
            .hears_grant(who, number)
            .fills(who, number)
    }

    /// Fills, publishes and lands: the revision is the token's number, so is the value.
    pub(crate) fn computes(&mut self, who: Who, number: u64) -> &mut Self {
        self.wins(who, number)
            .returns(who, Some(number))
            .publishes(who, number, number, number)
            .hears_published(who, number)
            .lands(who, computed(number), Some(number))
            .retires(who)
    }

    /// Calls, hears that the lease is held, and listens.
    pub(crate) fn waits(&mut self, who: Who, number: u64) -> &mut Self {
        self.calls(who).hears_held(who, number).watches(who)
    }
}
