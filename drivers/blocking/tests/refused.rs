//! A system that has no thread left: the driver as it is, whose thread cannot be started.

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
mod support;
#[path = "../src/wait.rs"]
mod wait;

mod sync {
    use std::time::Instant;

    pub(crate) use std::sync::atomic::AtomicBool;
    pub(crate) use std::sync::{Mutex, MutexGuard, mpsc};

    pub(crate) fn now() -> Instant {
        Instant::now()
    }

    pub(crate) mod thread {
        use std::io;
        use std::sync::atomic::{AtomicUsize, Ordering};

        pub(crate) use std::thread::*;

        /// How often a thread was refused.
        pub(crate) static REFUSED: AtomicUsize = AtomicUsize::new(0);
        /// How many are to be refused.
        pub(crate) static TO_REFUSE: AtomicUsize = AtomicUsize::new(0);

        pub(crate) struct Builder(std::thread::Builder);

        impl Builder {
            pub(crate) fn new() -> Self {
                Self(std::thread::Builder::new())
            }

            pub(crate) fn name(self, name: String) -> Self {
                Self(self.0.name(name))
            }

            pub(crate) fn spawn(
                self,
                work: impl FnOnce() + Send + 'static,
            ) -> io::Result<JoinHandle<()>> {
                if REFUSED.load(Ordering::SeqCst) == TO_REFUSE.load(Ordering::SeqCst) {
                    return self.0.spawn(work);
                }
                REFUSED.fetch_add(1, Ordering::SeqCst);
                drop(work);
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }
}

use std::sync::atomic::Ordering;

use call::Call;
use lease::Lease;
use oneflight_hub::{Always, Error};
use oneflight_store::StoreError;
use single_flight::SingleFlight;
use support::{Caller, Flaky, Result};
use sync::thread::{REFUSED, TO_REFUSE};

#[test]
fn who_cannot_be_served_does_not_wait() {
    let store = Flaky::new();
    store.hold_answers(true);
    let flights = SingleFlight::new(store.clone());
    TO_REFUSE.store(usize::MAX, Ordering::SeqCst);
    let call = |flights: SingleFlight| move || -> Result<u64> { flights.key("k").run(|_| Ok(1)) };
    let callers: Vec<_> = (0..4)
        .map(|_| Caller::start(call(flights.clone())))
        .collect();
    for caller in callers {
        let landed = caller.result();
        let Err(Error::Unavailable(StoreError::Unavailable(why))) = landed else {
            panic!("{landed:?}");
        };
        assert!(why.contains("thread did not start"), "{why}");
    }
    assert!(REFUSED.load(Ordering::SeqCst) >= 4);
    // What needs no thread goes on without.
    store.hold_answers(false);
    flights.key("k").forget().unwrap();
    // And all goes on when there are threads again.
    TO_REFUSE.store(REFUSED.load(Ordering::SeqCst), Ordering::SeqCst);
    let landing = Caller::start(call(flights.clone())).result().unwrap();
    assert!(landing.coordinated);
    drop(flights);
    assert_eq!((store.held(), store.is_last()), (vec![], true));
}
