//! A trace written by hand, told like a story: who calls, what the store does, what each hears.
//!
//! Each phrase happens at the story's present moment; only [`Story::at`] and [`Story::wait`] move it.

use std::collections::BTreeMap;
use std::time::Duration;

use oneflight_core::{
    Arrival, Attempt, Command, Event, FillResult, FlightId, Instant, Judgement, Lease, Notice,
    Order, Outcome, PassengerId, Policy, Revision, Token, Verdict,
};
use oneflight_sim::check::{Checker, Violation};
use oneflight_sim::trace::{
    Answer, Bounds, Digest, Fault, Freshness, Header, Key, Nanos, NodeId, Record, Request,
    StoreProfile, Trace, VERSION, What,
};

/// The key that a story is about, unless it says otherwise.
pub(crate) const KEY: Key = Key(0);

/// Another one.
pub(crate) const OTHER: Key = Key(1);

pub(crate) const MS: Nanos = 1_000_000;
pub(crate) const SECOND: Nanos = 1000 * MS;

/// What the stories' messages and callers may take.
pub(crate) const BOUNDS: Bounds = Bounds {
    trip: MS,
    wake: MS / 10,
    detect: 10 * MS,
    drift_ppm: 0,
};

/// What the checker allows for a few messages and a waking caller.
pub(crate) const SLACK: Nanos = 5 * BOUNDS.trip + 4 * BOUNDS.wake;

/// What the checker adds to a length of time by a clock that runs right.
pub(crate) const ROUNDING: Nanos = 1000;

/// A policy's shortest pause, by default.
pub(crate) const PAUSE: Nanos = 250 * MS / 64;

/// The default lease.
pub(crate) const TTL: Nanos = 30 * SECOND;

/// A caller: its process, its call, its flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    pub(crate) node: NodeId,
    pub(crate) call: u64,
    pub(crate) flight: u64,
}

const fn who(node: NodeId, call: u64, flight: u64) -> Who {
    Who { node, call, flight }
}

/// Of the first process.
pub(crate) const ANN: Who = who(1, 1, 1);
/// Shares a flight with Ann.
pub(crate) const ALF: Who = who(1, 2, 1);
/// Of the first process, in its second flight.
pub(crate) const AMY: Who = who(1, 2, 2);
/// Of the first process, in its third flight.
pub(crate) const BEA: Who = who(1, 3, 3);
/// Of the second process.
pub(crate) const BOB: Who = who(2, 1, 1);
/// Of the third process.
pub(crate) const CAT: Who = who(3, 1, 1);

pub(crate) fn token(number: u64) -> Token {
    Token::new(number).unwrap()
}

pub(crate) fn revision(number: u64) -> Revision {
    Revision::new(number)
}

pub(crate) fn cached(number: u64) -> Outcome {
    let revision = revision(number);
    Outcome::Cached {
        revision,
        stale: false,
    }
}

pub(crate) fn stale(number: u64) -> Outcome {
    let revision = revision(number);
    Outcome::Cached {
        revision,
        stale: true,
    }
}

pub(crate) fn computed(number: u64) -> Outcome {
    Outcome::Computed {
        revision: Some(revision(number)),
    }
}

pub(crate) fn awaited(number: u64) -> Outcome {
    Outcome::Awaited {
        revision: Some(revision(number)),
    }
}

/// A call that a value of at most this age satisfies.
pub(crate) fn no_older_than(max_age: Nanos) -> Freshness {
    Freshness {
        max_age: Some(max_age),
        ..ANY
    }
}

/// A call that any value satisfies.
pub(crate) const ANY: Freshness = Freshness {
    max_age: None,
    predicate: false,
    malformed_as_absent: false,
};

/// A call that only its caller can judge for.
pub(crate) const CHOOSY: Freshness = Freshness {
    predicate: true,
    ..ANY
};

/// A trace in the making.
#[derive(Clone)]
pub(crate) struct Story {
    pub(crate) profile: StoreProfile,
    pub(crate) bounds: Option<Bounds>,
    pub(crate) key: Key,
    pub(crate) policy: Policy,
    pub(crate) freshness: Freshness,
    /// How far the store's clock is ahead.
    pub(crate) ahead: Nanos,
    /// How far the processes' clocks are ahead.
    pub(crate) local_ahead: Nanos,
    now: Nanos,
    records: Vec<Record<Key>>,
    requests: u64,
    attempts: u32,
    /// The last claim of each flight.
    claims: BTreeMap<(NodeId, u64), (u64, Attempt)>,
    /// The last revision of each key.
    revisions: BTreeMap<Key, Revision>,
}

impl Story {
    pub(crate) fn new() -> Self {
        Self {
            profile: StoreProfile::STRICT,
            bounds: Some(BOUNDS),
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

    pub(crate) fn hears_grant(&mut self, who: Who, number: u64) -> &mut Self {
        let attempt = self.attempt(who);
        let generation = self.revision();
        self.hears(
            who,
            Event::LeaseGranted {
                attempt,
                token: token(number),
                remaining: Duration::from_nanos(TTL),
                generation,
            },
        )
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
                attempt: Attempt::new(99),
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
        let attempt = Attempt::new(99);
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
        let attempt = Attempt::new(99);
        let revision = revision(number);
        self.hears(who, Event::Published { attempt, revision })
    }

    pub(crate) fn hears_fenced(&mut self, who: Who) -> &mut Self {
        let attempt = Attempt::new(99);
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

    // The store.

    /// The last revision of the key.
    fn revision(&self) -> Revision {
        self.revisions.get(&self.key).copied().unwrap_or_default()
    }

    pub(crate) fn committed(&mut self, who: Who, request: Request, answer: Answer) -> &mut Self {
        let id = match request {
            Request::Claim { .. } => self
                .claims
                .get(&(who.node, who.flight))
                .map_or(0, |claim| claim.0),
            _ => self.requests.saturating_sub(1),
        };
        if let Answer::Published { revision } | Answer::Written { revision } = answer {
            self.revisions.insert(self.key, revision);
        }
        let committed = What::Committed {
            id,
            again: false,
            time: self.now + self.ahead,
            key: self.key,
            from: who.node,
            request,
            answer,
        };
        self.record(0, committed)
    }

    pub(crate) fn grants(&mut self, who: Who, number: u64) -> &mut Self {
        let generation = self.revision();
        let answer = Answer::Granted {
            token: token(number),
            remaining: self.policy.lease_ttl.as_nanos() as Nanos,
            generation,
        };
        let claim = self.claim(who);
        self.committed(who, claim, answer)
    }

    pub(crate) fn renews(&mut self, who: Who, number: u64) -> &mut Self {
        let ttl = self.policy.lease_ttl.as_nanos() as Nanos;
        let token = token(number);
        self.committed(who, Request::Renew { token, ttl }, Answer::Renewed)
    }

    pub(crate) fn publishes(&mut self, who: Who, number: u64, to: u64, value: u64) -> &mut Self {
        let request = Request::Publish {
            token: token(number),
            digest: Digest(value),
        };
        let revision = revision(to);
        self.sends(who, request)
            .committed(who, request, Answer::Published { revision })
    }

    pub(crate) fn frees(&mut self, who: Who, number: u64) -> &mut Self {
        let token = token(number);
        let request = Request::Release { token };
        self.sends(who, request)
            .committed(who, request, Answer::Released { freed: true })
    }

    pub(crate) fn puts(&mut self, who: Who, seen: u64, to: u64, value: u64) -> &mut Self {
        let request = Request::Put {
            seen: revision(seen),
            digest: Digest(value),
        };
        let revision = revision(to);
        self.sends(who, request)
            .committed(who, request, Answer::Written { revision })
    }

    /// Somebody outside all flights forgets the key.
    pub(crate) fn forgets(&mut self, to: u64) -> &mut Self {
        let revision = revision(to);
        self.sends(who(9, 0, 0), Request::Forget).committed(
            who(9, 0, 0),
            Request::Forget,
            Answer::Written { revision },
        )
    }

    /// The flight listens, and the store knows.
    pub(crate) fn watches(&mut self, who: Who) -> &mut Self {
        let key = self.key;
        let opened = What::WatchOpened {
            key,
            watcher: who.node,
            flight: who.flight,
        };
        self.commands(who, Command::Watch).record(0, opened)
    }

    pub(crate) fn unwatches(&mut self, who: Who) -> &mut Self {
        let key = self.key;
        let closed = What::WatchClosed {
            key,
            watcher: who.node,
            flight: who.flight,
        };
        self.record(0, closed)
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

    // The judgement.

    pub(crate) fn judge(&self) -> Vec<Violation> {
        let header = Header {
            oneflight: VERSION,
            recorder: "story".to_owned(),
            seed: None,
            profile: String::new(),
            store: self.profile,
            bounds: self.bounds,
            config: serde_json::Value::Null,
        };
        Checker::check(&Trace {
            headers: vec![header],
            records: self.records.clone(),
            ..Trace::default()
        })
    }

    /// The story breaks these, in this order, and no others.
    #[track_caller]
    pub(crate) fn breaks(&self, invariants: &[&str]) {
        let violations = self.judge();
        let found: Vec<&str> = violations
            .iter()
            .map(|violation| violation.invariant.split(' ').next().unwrap_or_default())
            .collect();
        assert_eq!(found, invariants, "{violations:#?}");
    }

    #[track_caller]
    pub(crate) fn passes(&self) {
        self.breaks(&[]);
    }
}
