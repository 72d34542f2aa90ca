//! Calls that no runtime serves: they end with an error that says so.

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use oneflight_store::StoreError;
use oneflight_tokio::{Error, SingleFlight, Source};
use support::{BOUND, Flaky, Result};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future as an executor of another kind does.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// Does something that must end on a thread without a runtime.
#[track_caller]
fn outside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (end, ended) = mpsc::channel();
    thread::spawn(move || end.send(work()));
    ended.recv_timeout(BOUND).expect("it hangs or has panicked")
}

#[track_caller]
fn is_told<T: std::fmt::Debug>(landed: std::result::Result<T, StoreError>, why: &str) {
    let Err(StoreError::Unavailable(told)) = landed else {
        panic!("{landed:?}");
    };
    assert!(told.contains(why), "{told}");
}

#[track_caller]
fn unserved<T: std::fmt::Debug, E: std::fmt::Debug>(
    landed: std::result::Result<T, Error<u64, E>>,
    why: &str,
) {
    let Err(Error::Unavailable(error)) = landed else {
        panic!("{landed:?}");
    };
    is_told(Err::<T, _>(error), why);
}

async fn run(flights: &SingleFlight) -> Result<u64> {
    flights.key("k").run(|_| async { Ok(1) }).await
}

#[test]
fn who_waits_outside_of_a_runtime_is_told_so() {
    const WHY: &str = "outside of a tokio runtime";
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    store.hold_answers(true);
    let waits = flights.clone();
    unserved(outside(move || block_on(run(&waits))), WHY);
    let looks = flights.clone();
    let looked = outside(move || block_on(looks.key("k").get::<u64>()));
    unserved(looked, WHY);
    let forgets = flights.clone();
    is_told(outside(move || block_on(forgets.key("k").forget())), WHY);
    outside(move || block_on(flights.close()));
}

#[test]
fn what_needs_no_waiting_needs_no_runtime() {
    let flights = SingleFlight::new(Flaky::new());
    let landing = outside(move || block_on(run(&flights))).unwrap();
    assert_eq!(landing.source, Source::Computed);
}

#[test]
fn a_value_that_nobody_can_publish_is_not_lost() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let landed: Result<u64> = outside(move || {
        block_on(flights.key("k").run(|_| {
            store.hold_answers(true);
            async { Ok(7) }
        }))
    });
    let Err(Error::Unpublished { value, cause }) = landed else {
        panic!("{landed:?}");
    };
    assert_eq!(*value, 7);
    is_told(Err::<(), _>(cause), "outside of a tokio runtime");
}

#[test]
fn who_waits_when_its_runtime_ends_is_told_so() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    store.hold_answers(true);
    let waiting = store.clone();
    let handle = runtime.handle().clone();
    let (end, ended) = mpsc::channel();
    thread::spawn(move || end.send(handle.block_on(run(&flights))));
    let give_up = std::time::Instant::now() + BOUND;
    while waiting.claims() == 0 {
        assert!(std::time::Instant::now() < give_up, "it never claims");
        thread::yield_now();
    }
    runtime.shutdown_background();
    let landed = ended.recv_timeout(BOUND).expect("it hangs");
    unserved(landed, "runtime has ended");
}

#[test]
fn who_waits_on_a_runtime_without_a_timer_is_told_so() {
    let store = Flaky::new();
    store.hold_answers(true);
    let flights = SingleFlight::new(store.clone());
    let landed = outside(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(run(&flights))
    });
    unserved(landed, "timer");
}
