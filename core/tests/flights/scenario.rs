//! One process and one key, told by hand.

use core::time::Duration;

use oneflight_core::{
    Arrival, Attempt, Command, Event, FillResult, FlightId, Flights, Instant, Judgement, Lease,
    Notice, OnAbort, OnUnavailable, Order, Outcome, PassengerId, Phase, Policy, Revision, Token,
    Verdict,
};

pub(crate) type Key = &'static str;
pub(crate) const KEY: Key = "K";

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

pub(crate) fn token(number: u64) -> Token {
    Token::new(number).unwrap()
}

pub(crate) fn id(number: u64) -> PassengerId {
    PassengerId(number)
}

pub(crate) const fn patient(seconds: u64) -> Policy {
    Policy {
        wait_timeout: Duration::from_secs(seconds),
        ..Policy::DEFAULT
    }
}

pub(crate) const fn promoting() -> Policy {
    Policy {
        on_abort: OnAbort::Promote,
        ..Policy::DEFAULT
    }
}

pub(crate) const fn strict() -> Policy {
    Policy {
        on_unavailable: OnUnavailable::Error,
        ..Policy::DEFAULT
    }
}

pub(crate) fn verdict(revision: u64, judgement: Judgement) -> Verdict {
    Verdict {
        revision: Revision::new(revision),
        token: Token::new(revision),
        judgement,
    }
}

/// A process whose time is in milliseconds, and what it ordered last.
pub(crate) struct Process {
    pub(crate) flights: Flights<Key>,
    pub(crate) ms: u64,
    /// The number of the flight that ordered something last.
    pub(crate) flight: u64,
    /// The last attempt ordered of the flight.
    pub(crate) attempt: u32,
}

impl Process {
    pub(crate) fn new() -> Self {
        Self {
            flights: Flights::new(),
            ms: 0,
            flight: 0,
            attempt: 0,
        }
    }

    pub(crate) fn tell(&mut self, notice: Notice<Key>) -> Vec<Order<Key>> {
        let orders = self.flights.handle(at(self.ms), notice);
        for order in &orders {
            match order {
                Order::Fill {
                    flight, attempt, ..
                } => {
                    self.flight = flight.number;
                    self.attempt = attempt.get();
                }
                Order::Command { flight, command } => match command {
                    Command::Claim { attempt, .. }
                    | Command::Renew { attempt, .. }
                    | Command::Publish { attempt, .. }
                    | Command::Release { attempt, .. } => {
                        self.flight = flight.number;
                        self.attempt = attempt.get();
                    }
                    _ => {}
                },
                Order::Judge { .. } | Order::Land { .. } | Order::Retired { .. } => {}
            }
        }
        orders
    }

    pub(crate) fn board(&mut self, passenger: u64, policy: Policy) -> Vec<Order<Key>> {
        self.board_knowing(passenger, policy, Verdict::UNKNOWN)
    }

    pub(crate) fn board_knowing(
        &mut self,
        passenger: u64,
        policy: Policy,
        known: Verdict,
    ) -> Vec<Order<Key>> {
        self.tell(Notice::Boarded {
            key: KEY,
            passenger: id(passenger),
            policy,
            known,
        })
    }

    pub(crate) fn leave(&mut self, passenger: u64) -> Vec<Order<Key>> {
        self.tell(Notice::Left {
            key: KEY,
            passenger: id(passenger),
        })
    }

    pub(crate) fn flight(&self) -> FlightId<Key> {
        flight(self.flight)
    }

    /// Answers the last order.
    pub(crate) fn answer(&mut self, event: impl FnOnce(Attempt) -> Event) -> Vec<Order<Key>> {
        let event = event(Attempt::new(self.attempt));
        self.event(event)
    }

    pub(crate) fn event(&mut self, event: Event) -> Vec<Order<Key>> {
        let flight = self.flight();
        self.tell(Notice::Answered { flight, event })
    }

    pub(crate) fn granted(&mut self, number: u64) -> Vec<Order<Key>> {
        self.answer(|attempt| Event::LeaseGranted {
            attempt,
            token: token(number),
            remaining: secs(30),
            generation: Revision::NEVER,
        })
    }

    pub(crate) fn held(&mut self, number: u64) -> Vec<Order<Key>> {
        self.answer(|attempt| Event::Held {
            attempt,
            token: Token::new(number),
            remaining: Some(secs(30)),
        })
    }

    pub(crate) fn done(&mut self, result: FillResult) -> Vec<Order<Key>> {
        self.answer(|attempt| Event::FillDone { attempt, result })
    }

    pub(crate) fn published(&mut self, revision: u64) -> Vec<Order<Key>> {
        self.answer(|attempt| Event::Published {
            attempt,
            revision: Revision::new(revision),
        })
    }

    pub(crate) fn unavailable(&mut self) -> Vec<Order<Key>> {
        self.answer(|attempt| Event::Unavailable { attempt })
    }

    /// A value comes as the answer to the last claim.
    pub(crate) fn newer(&mut self, revision: u64) -> Vec<Order<Key>> {
        let attempt = Some(Attempt::new(self.attempt));
        self.arrived(attempt, revision, true)
    }

    /// A value comes from the watch.
    pub(crate) fn heard(&mut self, revision: u64) -> Vec<Order<Key>> {
        self.arrived(None, revision, true)
    }

    pub(crate) fn arrived(
        &mut self,
        attempt: Option<Attempt>,
        revision: u64,
        value: bool,
    ) -> Vec<Order<Key>> {
        self.tell(Notice::Arrived {
            flight: self.flight(),
            attempt,
            latest: Token::new(revision).filter(|_| attempt.is_some()),
            arrival: Arrival {
                revision: Revision::new(revision),
                token: Token::new(revision),
                value,
            },
        })
    }

    pub(crate) fn judged(
        &mut self,
        passenger: u64,
        revision: u64,
        judgement: Judgement,
    ) -> Vec<Order<Key>> {
        self.tell(Notice::Judged {
            key: KEY,
            passenger: id(passenger),
            verdict: verdict(revision, judgement),
        })
    }

    /// Ticks at every deadline until this moment.
    pub(crate) fn pass_until(&mut self, ms: u64) -> Vec<Order<Key>> {
        let mut orders = Vec::new();
        for _ in 0..10_000 {
            match self.flights.deadline() {
                Some(due) if due <= at(ms) => {
                    self.ms = self.ms.max(due.as_nanos().div_ceil(1_000_000));
                    orders.extend(self.tell(Notice::Tick));
                }
                _ => {
                    self.ms = ms;
                    return orders;
                }
            }
        }
        panic!("a hot loop before {ms} ms");
    }

    pub(crate) fn phase(&self) -> Option<Phase> {
        self.flights.phase(&KEY)
    }

    /// Nothing is left: no caller, no clean-up, no timer.
    #[track_caller]
    pub(crate) fn assert_quiescent(&self) {
        assert!(self.flights.is_idle(), "{:?}", self.flights);
        assert_eq!(self.flights.deadline(), None);
        assert_eq!(self.flights.load(), (0, 0));
    }
}

pub(crate) fn flight(number: u64) -> FlightId<Key> {
    FlightId { key: KEY, number }
}

pub(crate) fn command(number: u64, command: Command) -> Order<Key> {
    Order::Command {
        flight: flight(number),
        command,
    }
}

pub(crate) fn claim(number: u64, attempt: u32, seen: u64) -> Order<Key> {
    command(
        number,
        Command::Claim {
            attempt: Attempt::new(attempt),
            seen: Revision::new(seen),
        },
    )
}

pub(crate) fn release(number: u64, attempt: u32, lease: u64) -> Order<Key> {
    command(
        number,
        Command::Release {
            attempt: Attempt::new(attempt),
            token: token(lease),
        },
    )
}

pub(crate) fn fill(number: u64, passenger: u64, attempt: u32, lease: Option<Lease>) -> Order<Key> {
    Order::Fill {
        flight: flight(number),
        passenger: id(passenger),
        attempt: Attempt::new(attempt),
        lease,
    }
}

pub(crate) fn judge(passenger: u64, revision: u64) -> Order<Key> {
    Order::Judge {
        key: KEY,
        passenger: id(passenger),
        revision: Revision::new(revision),
    }
}

pub(crate) fn land(passenger: u64, outcome: Outcome) -> Order<Key> {
    Order::Land {
        key: KEY,
        passenger: id(passenger),
        outcome,
    }
}

pub(crate) fn retired(number: u64) -> Order<Key> {
    Order::Retired {
        flight: flight(number),
    }
}

pub(crate) fn computed(revision: u64) -> Outcome {
    Outcome::Computed {
        revision: Some(Revision::new(revision)),
    }
}

pub(crate) fn awaited(revision: u64) -> Outcome {
    Outcome::Awaited {
        revision: Some(Revision::new(revision)),
    }
}

pub(crate) fn cached(revision: u64, stale: bool) -> Outcome {
    Outcome::Cached {
        revision: Revision::new(revision),
        stale,
    }
}

/// The callers that landed, in order, and how.
pub(crate) fn landings(orders: &[Order<Key>]) -> Vec<(u64, Outcome)> {
    orders
        .iter()
        .filter_map(|order| match order {
            Order::Land {
                passenger, outcome, ..
            } => Some((passenger.0, *outcome)),
            Order::Command { .. }
            | Order::Judge { .. }
            | Order::Fill { .. }
            | Order::Retired { .. } => None,
        })
        .collect()
}
