//! A store that fails or hangs, a lease that is lost, a thread of the driver that dies.

mod hanging;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hanging::Hanging;
use oneflight_blocking::{
    Error, Lease, Loss, Offload, OnFenced, OnUnavailable, SingleFlight, Source, StoreError,
};
use oneflight_store::LeaseId;
use support::{BOUND, Caller, Flaky, Result, gate, soon, until};

const SHORT: Duration = Duration::from_millis(100);

fn one(_: Lease) -> std::result::Result<u64, String> {
    Ok(1)
}

#[test]
fn an_unreachable_store_does_not_stop_a_caller() {
    let store = Flaky::new();
    store.set_down(true);
    let flights = SingleFlight::new(store.clone());
    let landing = flights.key("k").run(|lease| {
        assert_eq!(lease.token(), None);
        assert!(!lease.is_live());
        Ok::<_, String>(1_u64)
    });
    let landing = landing.unwrap();
    assert_eq!(
        (landing.source, landing.coordinated),
        (Source::Computed, false)
    );
    flights.close();
    assert_eq!(store.puts(), 1, "tried to share it all the same");
    store.set_down(false);
    assert!(flights.key("k").run(one).unwrap().coordinated);
}

#[test]
fn a_store_that_falls_silent_is_given_up_in_time() {
    let store = Flaky::new();
    store.set_silent(true);
    let flights = SingleFlight::new(store);
    soon(move || {
        let begun = Instant::now();
        let call = flights.key("k").store_timeout(SHORT);
        assert!(!call.run(one).unwrap().coordinated);
        assert!(begun.elapsed() >= SHORT);
        let got = call.get::<u64>();
        assert!(matches!(got, Err(Error::Unavailable(_))), "{got:?}");
        let forgotten = call.forget();
        assert!(
            matches!(forgotten, Err(StoreError::Unavailable(_))),
            "{forgotten:?}"
        );
        let call = call.on_unavailable(OnUnavailable::Error);
        let landed: Result<u64> = call.run(|_| panic!("must not run"));
        assert!(matches!(landed, Err(Error::Unavailable(_))), "{landed:?}");
    });
}

#[test]
fn a_store_whose_calls_hang_holds_up_nobody() {
    let (store, go) = Hanging::new();
    let flights = SingleFlight::new(Offload::new(store));
    assert!(flights.key("k").run(one).unwrap().coordinated);
    flights
        .key("hang")
        .store_timeout(SHORT)
        .forget()
        .unwrap_err();
    // The store's thread is held up, and no other.
    assert_eq!(flights.key("k").run(one).unwrap().source, Source::Cached);
    let call = flights.key("other").store_timeout(SHORT);
    assert!(!call.run(one).unwrap().coordinated);
    go.send(()).unwrap();
    flights.close();
    assert!(flights.key("another").run(one).unwrap().coordinated);
}

#[test]
fn a_refusal_is_an_error_and_never_degrades() {
    let store = Flaky::new();
    store.set_refusing(true);
    let flights = SingleFlight::new(store);
    let landed: Result<u64> = flights.key("k").run(|_| panic!("must not run"));
    assert!(matches!(landed, Err(Error::Refused(_))), "{landed:?}");
}

#[test]
fn callers_of_one_process_degrade_together() {
    let store = Flaky::new();
    store.hold_answers(true);
    let flights = SingleFlight::new(store.clone());
    let fills = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..10)
        .map(|_| {
            let (flights, fills) = (flights.clone(), Arc::clone(&fills));
            Caller::start(move || {
                let call = flights.key("k").store_timeout(20 * SHORT);
                call.run(|_| {
                    fills.fetch_add(1, Ordering::SeqCst);
                    thread::sleep(SHORT);
                    Ok::<_, String>(1_u64)
                })
            })
        })
        .collect();
    for caller in callers {
        assert!(!caller.result().unwrap().coordinated);
    }
    // A caller that comes when the others have landed degrades by itself.
    assert!(fills.load(Ordering::SeqCst) <= 2);
    store.hold_answers(false);
}

#[test]
fn a_caller_who_waits_notices_that_the_store_is_gone() {
    let store = Flaky::new();
    let (leader, follower) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    let ttl = Duration::from_secs(1);
    let (go, gone) = gate();
    let hung = Caller::start(move || {
        let call = leader.key("k").lease_ttl(ttl).store_timeout(SHORT);
        call.run(|_| {
            gone.pass();
            Ok::<_, String>(1_u64)
        })
    });
    until("the leader fills", || !store.held().is_empty());
    let waiting = Caller::start(move || {
        let call = follower.key("k").lease_ttl(ttl).store_timeout(SHORT);
        call.wait_timeout(BOUND).run(one)
    });
    until("the follower watches", || store.open_watches() == 1);
    store.set_down(true);
    assert!(!waiting.result().unwrap().coordinated);
    go.send(()).unwrap();
    assert!(!hung.result().unwrap().coordinated);
}

#[test]
fn a_fill_keeps_its_lease_however_long_it_takes() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let ttl = Duration::from_secs(1);
    let counting = store.clone();
    let landing = flights.key("k").lease_ttl(ttl).run(|lease| {
        until("three ttls of renewals", || counting.renewals() >= 9);
        Ok::<_, String>((lease.is_live(), lease.loss()) == (true, None))
    });
    assert!(*landing.unwrap().value);
    assert_eq!(store.claims(), 1);
}

#[test]
fn an_overtaken_fill_is_warned_and_rides_the_newer_value() {
    let store = Flaky::new();
    let (slow, quick) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    let call = slow.key("k").lease_ttl(Duration::from_secs(3));
    let old = call.run(|lease| {
        assert_eq!(lease.lost_within(Duration::ZERO), None);
        let (lock, token) = ("_dust:sf/k".into(), lease.token().unwrap());
        store.take_away(LeaseId { lock, token });
        // Tells another thread as well.
        let watching = Caller::start({
            let lease = lease.clone();
            move || lease.lost_within(BOUND)
        });
        assert!(lease.taken_within(BOUND));
        assert_eq!(watching.result(), Some(Loss::Taken));
        assert_eq!((lease.is_live(), lease.loss()), (false, Some(Loss::Taken)));
        let new = quick.key("k").run(|_| Ok::<_, String>("new".to_owned()));
        assert_eq!(new.unwrap().source, Source::Computed);
        Ok::<_, String>(String::from("old"))
    });
    let old = old.unwrap();
    assert_eq!((old.source, old.value.as_str()), (Source::Awaited, "new"));
}

#[test]
fn a_forget_voids_the_fill_under_way() {
    let flights = SingleFlight::new(Flaky::new());
    let forget = || flights.key("k").forget().unwrap();
    let mut fills = 0_u64;
    let landing = flights.key("k").run(|_| {
        fills += 1;
        if fills == 1 {
            forget();
        }
        Ok::<_, String>(fills)
    });
    assert_eq!(*landing.unwrap().value, 2);
    let call = flights
        .key("k")
        .fresh_for(Duration::ZERO)
        .on_fenced(OnFenced::Error);
    let landed: Result<u64> = call.run(|_| {
        forget();
        Ok(1)
    });
    assert!(matches!(landed, Err(Error::Fenced)), "{landed:?}");
}

#[test]
fn a_hung_fill_does_not_hold_the_key_for_ever() {
    let store = Flaky::new();
    let (hung, next) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    let ((warn, warned), (go, gone)) = (gate(), gate());
    let filling = Caller::start(move || {
        let call = hung.key("k").lease_ttl(3 * SHORT).fill_timeout(SHORT);
        call.run(|lease| {
            assert!(lease.lost_within(BOUND).is_some());
            warn.send(()).unwrap();
            gone.pass();
            Ok::<_, String>(2_u64)
        })
    });
    warned.pass();
    assert_eq!(next.key("k").run(one).unwrap().source, Source::Computed);
    go.send(()).unwrap();
    assert_eq!(*filling.result().unwrap().value, 1);
}

#[test]
fn the_death_of_the_drivers_thread_is_survived_even_during_a_fill() {
    let store = Flaky::new();
    store.panic_in_renewals(1);
    let flights = SingleFlight::new(store.clone());
    let counting = store.clone();
    let call = flights.key("k").lease_ttl(Duration::from_secs(3));
    let landing = call.store_timeout(SHORT).run(|_| {
        until("renewals after the panic", || counting.renewals() >= 3);
        Ok::<_, String>(1_u64)
    });
    let landing = landing.unwrap();
    assert!(landing.coordinated);
    drop((flights, counting));
    assert_eq!((store.held(), store.is_last()), (vec![], true));
}
