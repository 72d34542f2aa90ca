//! Fills that fail or panic, threads that die, handles that are dropped: nobody hangs, nothing leaks.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use oneflight_blocking::{Error, Lease, OnAbort, SingleFlight, Source};
use support::{Caller, Flaky, Result, gate, soon, until};

const LONG: Duration = Duration::from_secs(3600);

/// A leader in one process and a follower in another; how both ended.
fn lead_and_follow(
    end: impl FnOnce() -> std::result::Result<u64, String> + Send + 'static,
) -> (std::thread::Result<Result<u64>>, Result<u64>) {
    let store = Flaky::new();
    let one = SingleFlight::new(store.clone());
    let two = SingleFlight::new(store.clone());
    let (go, gone) = gate();
    let leader = Caller::start(move || {
        let mut end = Some(end);
        let fill = |_: Lease| {
            gone.pass();
            end.take().unwrap()()
        };
        one.key("k").lease_ttl(LONG).run(fill)
    });
    until("the leader fills", || !store.held().is_empty());
    let follower = Caller::start(move || two.key("k").lease_ttl(LONG).run(|_| Ok(2)));
    until("the follower watches", || store.open_watches() == 1);
    go.send(()).unwrap();
    let (led, followed) = (leader.join(), follower.result());
    assert_eq!(store.held(), []);
    (led, followed)
}

#[test]
fn an_error_hands_over_to_another_process() {
    let (led, followed) = lead_and_follow(|| Err(String::from("no ink")));
    assert!(matches!(led.unwrap(), Err(Error::Aborted(error)) if *error == "no ink"));
    let landing = followed.unwrap();
    assert_eq!((*landing.value, landing.source), (2, Source::Computed));
}

#[test]
fn a_panic_goes_on_in_its_thread_and_hands_over() {
    let (led, followed) = lead_and_follow(|| panic!("on purpose"));
    let panic = led.unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"on purpose"));
    assert_eq!(*followed.unwrap().value, 2);
}

#[test]
fn passengers_of_a_panic_fill_under_a_new_lease() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let (go, gone) = gate();
    let leader = Caller::start({
        let flights = flights.clone();
        move || -> Result<u64> {
            let call = flights.key("k").lease_ttl(LONG);
            call.run(|_| {
                gone.pass();
                panic!("on purpose")
            })
        }
    });
    until("the leader fills", || !store.held().is_empty());
    let fills = Arc::new(AtomicUsize::new(0));
    let passengers: Vec<_> = (0..10)
        .map(|_| {
            let (flights, fills) = (flights.clone(), Arc::clone(&fills));
            Caller::start(move || {
                let call = flights.key("k").lease_ttl(LONG).on_abort(OnAbort::Promote);
                call.run(|lease| {
                    fills.fetch_add(1, Ordering::SeqCst);
                    Ok::<_, String>(lease.token().unwrap().get())
                })
            })
        })
        .collect();
    go.send(()).unwrap();
    assert!(leader.join().is_err());
    for passenger in passengers {
        assert!(*passenger.result().unwrap().value > 1);
    }
    assert_eq!(fills.load(Ordering::SeqCst), 1);
}

#[test]
fn the_last_handle_takes_everything_along() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let handle = flights.key("k").handle::<u64>();
    drop(flights);
    // A handle is one, too.
    let landing = handle.run(|_| Ok::<_, String>(1)).unwrap();
    assert_eq!(landing.source, Source::Computed);
    assert!(handle.hit().is_some());
    assert!(!store.is_last());
    drop(handle);
    // The driver's thread has ended: nothing holds on to the store but this test.
    assert!(store.is_last());
}

#[test]
fn the_last_handle_gives_back_what_is_held() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    store.hold_answers(true);
    let caller = Caller::start(move || {
        let call = flights.key("k").lease_ttl(LONG);
        let landed: Result<u64> = call.run(|_| Err(String::from("no")));
        (landed, flights)
    });
    until("the claim is out", || store.claims() == 1);
    store.hold_answers(false);
    let (landed, flights) = caller.result();
    assert!(matches!(landed, Err(Error::Aborted(_))));
    soon(move || drop(flights));
    assert_eq!((store.held(), store.is_last()), (vec![], true));
}

#[test]
fn the_last_handle_is_let_go_in_time_though_the_store_is_silent() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let begun = Instant::now();
    soon(move || {
        let landed: Result<u64> = flights.key("k").lease_ttl(LONG).run(|_| {
            store.set_silent(true);
            Err(String::from("no"))
        });
        assert!(matches!(landed, Err(Error::Aborted(_))));
        drop(flights);
        assert!(store.is_last());
    });
    assert!(begun.elapsed() >= oneflight_hub::CLOSING_PATIENCE);
}

#[test]
fn close_waits_for_what_is_given_up() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    for _ in 0..50 {
        let landed: Result<u64> = flights.key("k").run(|_| Err(String::from("no")));
        assert!(matches!(landed, Err(Error::Aborted(_))));
        flights.close();
        assert_eq!(store.held(), []);
    }
}

#[test]
fn an_error_may_hold_the_last_handle() {
    #[derive(Debug)]
    struct Fails(#[expect(dead_code, reason = "it is to be dropped")] SingleFlight);

    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    soon({
        let store = store.clone();
        move || {
            let landed = flights.key("k").run(|_| {
                // The driver's thread hears of the release when all is gone here.
                store.hold_answers(true);
                Err::<u64, _>(Fails(flights.clone()))
            });
            assert!(matches!(landed, Err(Error::Aborted(_))));
        }
    });
    assert!(!store.is_last());
    store.hold_answers(false);
    until("all is let go", || store.is_last());
}
