//! Steps of the machine.

use std::sync::Arc;
use std::time::Duration;

use oneflight_core::{
    Attempt, Command, Event, FillResult, Flight, FlightId, Flights, Instant, Notice, Order,
    PassengerId, Policy, Revision, Token, Verdict,
};

const TTL: Duration = Duration::from_secs(30);

/// How many steps [`flight_life`] makes: the launch, and three events.
pub const FLIGHT_STEPS: u32 = 4;

/// How many steps [`flights_life`] makes: a boarding, and three answers.
pub const FLIGHTS_STEPS: u32 = 4;

/// The life of a flight: launched, granted, filled, published. Answers how many commands it gave,
/// and asks for its deadline after each step, as a driver does.
#[inline]
pub fn flight_life(policy: Policy, token: Token) -> (Flight, usize) {
    let attempt = Attempt::new;
    let (mut flight, commands) = Flight::launch(policy, Verdict::UNKNOWN, at(0));
    let mut count = commands.len();
    let events = [
        Event::LeaseGranted {
            attempt: attempt(1),
            token,
            remaining: TTL,
            generation: Revision::NEVER,
        },
        Event::FillDone {
            attempt: attempt(2),
            result: FillResult::Value,
        },
        Event::Published {
            attempt: attempt(3),
            revision: Revision::new(token.get()),
        },
    ];
    for (now, event) in (1..).zip(events) {
        // As opaque as an event that comes from a store.
        let commands =
            std::hint::black_box(&mut flight).handle(at(now), std::hint::black_box(event));
        count += commands.len();
        std::hint::black_box(flight.deadline());
    }
    (flight, count)
}

/// The life of a flight with one passenger, among all flights of a process.
///
/// # Panics
///
/// If the machine does not do its job.
#[inline]
pub fn flights_life(flights: &mut Flights<Arc<str>>, key: &Arc<str>, number: u64, token: Token) {
    let attempt = Attempt::new;
    let id = FlightId {
        key: Arc::clone(key),
        number,
    };
    let tell = |flights: &mut Flights<Arc<str>>, now, notice| {
        let orders = flights.handle(at(now), notice);
        std::hint::black_box(flights.deadline());
        orders
    };
    let claimed = tell(
        flights,
        0,
        Notice::Boarded {
            key: Arc::clone(key),
            passenger: PassengerId(number),
            policy: Policy::DEFAULT,
            known: Verdict::UNKNOWN,
        },
    );
    assert!(matches!(
        claimed[..],
        [Order::Command {
            command: Command::Claim { .. },
            ..
        }]
    ));
    let granted = Event::LeaseGranted {
        attempt: attempt(1),
        token,
        remaining: TTL,
        generation: Revision::NEVER,
    };
    let filled = Event::FillDone {
        attempt: attempt(2),
        result: FillResult::Value,
    };
    let published = Event::Published {
        attempt: attempt(3),
        revision: Revision::new(token.get()),
    };
    let mut last = Vec::new();
    for (now, event) in (1..).zip([granted, filled, published]) {
        let flight = id.clone();
        last = tell(flights, now, Notice::Answered { flight, event });
    }
    assert!(matches!(
        last[..],
        [Order::Land { .. }, Order::Retired { .. }]
    ));
}

fn at(micros: u64) -> Instant {
    Instant::from_nanos(micros * 1_000)
}
