//! A flight never allocates.
#![allow(
    unsafe_code,
    reason = "a global allocator is unsafe to implement; this one counts and passes on"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use oneflight_core::{
    Attempt, Event, FillResult, Flight, Instant, Judgement, Policy, Revision, Token, Verdict,
};

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn all_events(attempt: Attempt, token: Token) -> [Event; 20] {
    let verdict = Verdict {
        revision: Revision::new(3),
        token: Some(token),
        judgement: Judgement::Stale,
    };
    [
        Event::LeaseGranted {
            attempt,
            token,
            remaining: Policy::DEFAULT.lease_ttl,
            generation: Revision::NEVER,
        },
        Event::Held {
            attempt,
            token: None,
            remaining: None,
        },
        Event::Newer {
            attempt,
            latest: None,
            verdict,
        },
        Event::KeyEvent { verdict },
        Event::LockReleased,
        Event::LockHeld { remaining: None },
        Event::WatchLost,
        Event::Renewed { attempt },
        Event::LeaseLost { attempt },
        Event::FillDone {
            attempt,
            result: FillResult::Value,
        },
        Event::Published {
            attempt,
            revision: Revision::new(4),
        },
        Event::Fenced { attempt },
        Event::Released { attempt },
        Event::Unavailable { attempt },
        Event::Refused { attempt },
        Event::Malformed { attempt },
        Event::WatchRefused,
        Event::Abandoned,
        Event::HandedOver {
            policy: Policy::DEFAULT,
            started: Instant::from_nanos(0),
            known: verdict,
            floor: None,
        },
        Event::Tick,
    ]
}

#[test]
fn no_step_allocates() {
    let token = Token::new(7).unwrap();
    // The harness has threads of its own; the least of several counts is the flight's.
    let mut least = usize::MAX;
    for _ in 0..20 {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        // Every word of three events, from the launch on, with the attempts that are awaited.
        for first in all_events(Attempt::new(1), token) {
            for second in all_events(Attempt::new(2), token) {
                for third in all_events(Attempt::new(3), token) {
                    let (mut flight, commands) =
                        Flight::launch(Policy::DEFAULT, Verdict::UNKNOWN, Instant::default());
                    assert!(!black_box(commands).is_empty());
                    for event in [first, second, third] {
                        let commands = flight.handle(Instant::from_nanos(1), event);
                        assert!(black_box(commands).len() <= 3);
                        assert_ne!(
                            black_box(flight.deadline()).map(|it| it.at),
                            Some(Instant::NEVER)
                        );
                    }
                }
            }
        }
        least = least.min(ALLOCATIONS.load(Ordering::Relaxed) - before);
    }
    assert_eq!(least, 0);
}
