//! Where threads meet, under every kind of schedule: the driver as it is, with `shuttle`'s threads in the
//! place of the system's.
//!
//! No time-out comes to help, so a wake-up that is lost leaves threads that wait for ever, which fails the
//! test, as does a thread that is left. What the hub and the store do under their own locks counts as one
//! step.

#![allow(
    dead_code,
    unreachable_pub,
    unnameable_types,
    reason = "the driver is compiled into this test, which uses a part of it"
)]

#[path = "../src/call.rs"]
mod call;
#[path = "../src/handle.rs"]
mod handle;
#[path = "../src/lease.rs"]
mod lease;
#[path = "../src/pump.rs"]
mod pump;
#[path = "../src/single_flight.rs"]
mod single_flight;
mod stepping;
#[path = "../src/wait.rs"]
mod wait;

mod sync {
    use std::cell::Cell;
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    pub(crate) use shuttle::sync::atomic::AtomicBool;
    pub(crate) use shuttle::sync::{Mutex, MutexGuard, mpsc};

    thread_local! {
        static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    pub(crate) fn now() -> Instant {
        static EPOCH: OnceLock<Instant> = OnceLock::new();
        *EPOCH.get_or_init(Instant::now) + PASSED.get()
    }

    pub(crate) mod thread {
        use super::{Duration, PASSED};
        pub(crate) use shuttle::thread::*;

        /// A short time, such as that before the next claim, may pass at any moment; what is there for
        /// the worst case never comes.
        pub(crate) fn park_timeout(left: Duration) {
            if left > Duration::from_secs(1) {
                return park();
            }
            PASSED.set(PASSED.get() + left);
            yield_now();
        }
    }
}

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oneflight_hub::{Always, Error, Landing};
use oneflight_store::LockState;
use shuttle::{check_pct, check_random, thread};

use call::Call;
use lease::Lease;
use single_flight::SingleFlight;
use stepping::Stepping;

type Result = std::result::Result<Landing<u64>, Error<u64, String>>;

/// Nothing here takes that long, whatever the machine does.
const LONG: Duration = Duration::from_secs(3600);

/// Runs a scenario under many schedules, and looks whether anything is left of it.
fn explore(scenario: fn(&Stepping)) {
    let run = move || {
        let (store, thread) = Stepping::start();
        scenario(&store);
        let left = oneflight_store::blocking::Store::list(store.inner()).unwrap();
        let held = |it: &oneflight_store::KeyStatus| it.state != LockState::Free;
        assert!(!left.iter().any(held), "{left:?}");
        drop(store);
        thread.join().unwrap();
    };
    check_random(run, 200);
    check_pct(run, 200, 3);
}

fn process(store: &Stepping) -> SingleFlight {
    // With copies, somebody would wait for another's opening of the change stream in the middle of a step.
    let builder = SingleFlight::builder(store.clone());
    builder.local_copies(0).build()
}

fn call(flights: &SingleFlight) -> Call<'_> {
    let call = flights.key("k").lease_ttl(LONG).wait_timeout(LONG);
    call.store_timeout(LONG)
}

/// Has each of these processes call in a thread of its own; answers how the calls ended.
fn calls(
    processes: Vec<SingleFlight>,
    fill: impl Fn() -> std::result::Result<u64, String> + Copy + Send + 'static,
) -> Vec<thread::JoinHandle<Result>> {
    let start = |flights: SingleFlight| thread::spawn(move || call(&flights).run(|_| fill()));
    processes.into_iter().map(start).collect()
}

#[test]
fn callers_of_one_process_share_a_fill_and_leave_nothing() {
    explore(|store| {
        let flights = process(store);
        let handles = vec![flights.clone(), flights.clone(), flights];
        // The last of them takes everything along.
        for landed in calls(handles, || Ok(7)) {
            assert_eq!(*landed.join().unwrap().unwrap().value, 7);
        }
    });
}

#[test]
fn a_fill_in_one_process_lands_who_waits_in_another() {
    explore(|store| {
        let fills = Arc::new(AtomicUsize::new(0));
        let start = |flights: SingleFlight| {
            let fills = Arc::clone(&fills);
            thread::spawn(move || {
                call(&flights).run(|_| {
                    fills.fetch_add(1, Ordering::SeqCst);
                    Ok::<_, String>(7_u64)
                })
            })
        };
        let calls = [process(store), process(store)].map(start);
        for landed in calls {
            assert_eq!(*landed.join().unwrap().unwrap().value, 7);
        }
        assert_eq!(fills.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_panic_releases_what_is_held() {
    explore(|store| {
        let flights = process(store);
        let panics = thread::spawn({
            let flights = flights.clone();
            move || {
                let run = || {
                    call(&flights).run(|_| -> std::result::Result<u64, String> {
                        std::panic::resume_unwind(Box::new("as a fill may"))
                    })
                };
                let panic: std::result::Result<Result, _> = catch_unwind(AssertUnwindSafe(run));
                matches!(panic, Err(_) | Ok(Err(Error::Panicked)))
            }
        });
        // Aboard or not, it does not wait for ever.
        let landed: Result = call(&flights).run(|_| Ok(7));
        assert!(matches!(landed, Ok(_) | Err(Error::Panicked)), "{landed:?}");
        assert!(panics.join().unwrap() || landed.is_ok());
    });
}

#[test]
fn an_error_is_told_to_all_aboard() {
    explore(|store| {
        let flights = process(store);
        for landed in calls(vec![flights.clone(), flights], || Err("no".into())) {
            let landed = landed.join().unwrap();
            assert!(matches!(landed, Err(Error::Aborted(_))), "{landed:?}");
        }
    });
}

#[test]
fn what_is_asked_without_a_flight_is_answered() {
    explore(|store| {
        let flights = process(store);
        let forgets = thread::spawn({
            let flights = flights.clone();
            move || call(&flights).forget().unwrap()
        });
        let landed: Result = call(&flights).run(|_| Ok(7));
        assert_eq!(*landed.unwrap().value, 7);
        forgets.join().unwrap();
        call(&flights).get::<u64>().unwrap();
        flights.close();
    });
}
