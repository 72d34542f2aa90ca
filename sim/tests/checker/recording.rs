//! What a recording tells of the store: what was asked of it, and what came back.

use oneflight_core::{Attempt, Command, Event, Order};
use oneflight_sim::trace::{Answer, Digest, Name, Names, NodeId, Request, What};

use crate::story::Story;
use crate::words::{ANN, BOB, CAT, MS, TTL, Who, computed, revision, token};

/// The clock that all processes name, unless a story says otherwise.
const CLOCK: &str = "here";

/// Three processes record by one clock, and two keys.
pub(crate) fn recording() -> Story {
    let mut story = unclocked();
    for who in [ANN, BOB, CAT] {
        story.up(who.node, Some(CLOCK));
    }
    story
}

/// Nobody has said which clock it has.
pub(crate) fn unclocked() -> Story {
    let mut story = Story::new();
    story.sees_store = false;
    story.bounds = None;
    story.names = named(&["a", "b"].map(|key| Name::Key(key.to_owned())));
    story
}

pub(crate) fn named(names: &[Name]) -> Names {
    let mut numbers = Names::default();
    for name in names {
        _ = numbers.key(name);
    }
    numbers
}

pub(crate) fn locked(key: &str, lock: &str) -> Name {
    Name::Locked {
        key: key.to_owned(),
        lock: lock.to_owned(),
    }
}

pub(crate) fn publish(number: u64, value: u64) -> Request {
    Request::Publish {
        token: token(number),
        digest: Digest(value),
    }
}

pub(crate) fn published(number: u64) -> Answer {
    let revision = revision(number);
    Answer::Published { revision }
}

pub(crate) fn written(number: u64) -> Answer {
    let revision = revision(number);
    Answer::Written { revision }
}

pub(crate) fn state(number: u64, value: Option<u64>) -> Answer {
    Answer::State {
        revision: revision(number),
        digest: value.map(Digest),
    }
}

impl Story {
    pub(crate) fn up(&mut self, node: NodeId, clock: Option<&str>) -> &mut Self {
        let name = format!("process {node}");
        let clock = clock.map(str::to_owned);
        self.record(node, What::Up { name, clock })
    }

    /// The process ends in peace.
    pub(crate) fn closes(&mut self, node: NodeId) -> &mut Self {
        self.record(node, What::Down { crashed: false })
    }

    /// The store's answer to the last request of all comes back, after a while.
    pub(crate) fn answered(&mut self, who: Who, answer: Answer) -> &mut Self {
        let id = self.requests - 1;
        self.wait(MS).answered_to(who, id, answer).wait(MS)
    }

    pub(crate) fn answered_to(&mut self, who: Who, id: u64, answer: Answer) -> &mut Self {
        if let Answer::Published { revision } | Answer::Written { revision } = answer {
            self.revisions.insert(self.key, revision);
        }
        self.record(who.node, What::Answered { id, answer })
    }

    /// A claim is ordered and sent, by one who knows this revision.
    pub(crate) fn claims_over(&mut self, who: Who, seen: u64) -> &mut Self {
        let (id, attempt) = (self.requests, Attempt::new(1000 + self.requests as u32));
        self.claims.insert((who.node, who.flight), (id, attempt));
        let seen = revision(seen);
        let request = Request::Claim {
            attempt,
            seen,
            ttl: TTL,
        };
        self.commands(who, Command::Claim { attempt, seen })
            .sends(who, request)
    }

    /// A call of its own flight claims.
    pub(crate) fn asks(&mut self, who: Who) -> &mut Self {
        let seen = self.revision();
        self.joins(who).claims_over(who, seen.get())
    }

    /// Claims, and is granted the lease over what stands.
    pub(crate) fn leases(&mut self, who: Who, number: u64) -> &mut Self {
        let generation = self.revision().get();
        self.asks(who)
            .answered(who, crate::store::granted(number, generation, TTL))
            .hears_grant(who, number)
    }

    /// Has the lease, fills, and is about to publish what the fill returned.
    pub(crate) fn publishes_soon(&mut self, who: Who, number: u64, value: u64) -> &mut Self {
        let (flight, attempt) = (self.flight(who), Attempt::new(98));
        let command = Command::Publish {
            attempt,
            token: token(number),
        };
        let order = Order::Command { flight, command };
        self.fills(who, number)
            .returns_with(who, Some(value), vec![order])
    }

    /// Calls, fills and publishes; the answer is not here yet.
    pub(crate) fn fills_and_sends(&mut self, who: Who, number: u64, value: u64) -> &mut Self {
        self.leases(who, number)
            .publishes_soon(who, number, value)
            .sends(who, publish(number, value))
    }

    /// Calls, fills, publishes and lands: the value's number is the revision's.
    pub(crate) fn writes(&mut self, who: Who, number: u64, to: u64) -> &mut Self {
        self.fills_and_sends(who, number, to)
            .lands_with(who, to)
            .retires(who)
    }

    /// The publish is answered, and the call lands.
    pub(crate) fn lands_with(&mut self, who: Who, to: u64) -> &mut Self {
        self.answered(who, published(to))
            .hears_published(who, to)
            .lands(who, computed(to), Some(to))
    }

    /// Gives the lease up; the answer is not here yet.
    pub(crate) fn releases(&mut self, who: Who, number: u64) -> &mut Self {
        let (attempt, token) = (Attempt::new(97), token(number));
        self.commands(who, Command::Release { attempt, token })
            .sends(who, Request::Release { token })
    }

    pub(crate) fn released(&mut self, who: Who, number: u64) -> &mut Self {
        let attempt = Attempt::new(97);
        self.releases(who, number)
            .answered(who, Answer::Released { freed: true })
            .hears(who, Event::Released { attempt })
    }

    /// Reads without a flight.
    pub(crate) fn reads(&mut self, node: NodeId, answer: Answer) -> &mut Self {
        self.asks_aside(node, Request::Read, answer)
    }

    /// Asks outside all flights.
    pub(crate) fn asks_aside(
        &mut self,
        node: NodeId,
        request: Request,
        answer: Answer,
    ) -> &mut Self {
        let who = crate::words::who(node, 0, 0);
        self.sends_aside(node, request).answered(who, answer)
    }

    pub(crate) fn sends_aside(&mut self, node: NodeId, request: Request) -> &mut Self {
        let (id, key) = (self.requests, self.key);
        self.requests += 1;
        let sent = What::Sent {
            id,
            key,
            flight: None,
            request,
        };
        self.record(node, sent)
    }

    /// One thing more is wrong, and this says so.
    #[track_caller]
    pub(crate) fn breaks_as(&self, wrong: &[(&str, &str)]) {
        let found = self.judge();
        let matches = found.len() == wrong.len()
            && wrong.iter().zip(&found).all(|((invariant, story), it)| {
                it.invariant.split(' ').next() == Some(invariant) && it.story.contains(story)
            });
        assert!(matches, "{wrong:?} expected, {found:#?}");
    }
}
