//! The ordinary ways of a call.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use oneflight_blocking::{Error, Lease, OnAbort, SingleFlight, Source};
use oneflight_store::MemoryStore;
use support::{Caller, Flaky, Result, gate, until};

fn value(lease: Lease) -> std::result::Result<String, String> {
    assert!(lease.is_live());
    assert!(lease.token().is_some());
    assert_eq!(lease.loss(), None);
    Ok(String::from("value"))
}

#[test]
fn computed_once_then_cached() {
    let flights = SingleFlight::new(MemoryStore::new());
    let first = flights.key("k").run(value).unwrap();
    assert_eq!(
        (first.source, first.value.as_str()),
        (Source::Computed, "value")
    );
    let second = flights.key("k").run(value).unwrap();
    assert_eq!(
        (second.source, second.value.as_str()),
        (Source::Cached, "value")
    );
    assert_eq!(second.revision, first.revision);
    let found = flights.key("k").get::<String>().unwrap().unwrap();
    assert_eq!(found.revision, first.revision);
    flights.key("k").forget().unwrap();
    assert!(flights.key("k").get::<String>().unwrap().is_none());
}

#[test]
fn a_thousand_threads_make_one_fill() {
    let flights = SingleFlight::new(MemoryStore::new());
    let fills = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..1_000)
        .map(|_| {
            let (flights, fills) = (flights.clone(), Arc::clone(&fills));
            Caller::start(move || {
                let fill = |_| {
                    fills.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(1));
                    Ok::<_, String>(7_u64)
                };
                *flights.key("k").run(fill).unwrap().value
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.result(), 7);
    }
    assert_eq!(fills.load(Ordering::Relaxed), 1);
    flights.close();
}

#[test]
fn two_processes_share_a_fill() {
    let store = Flaky::new();
    let (one, two) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    let (go, gone) = gate();
    let leader = Caller::start(move || {
        one.key("k").run(|_| {
            gone.pass();
            Ok::<_, String>(String::from("one"))
        })
    });
    until("the leader fills", || !store.held().is_empty());
    let follower =
        Caller::start(move || -> Result<String> { two.key("k").run(|_| Ok(String::from("two"))) });
    until("the follower watches", || store.open_watches() == 1);
    go.send(()).unwrap();
    assert_eq!(leader.result().unwrap().source, Source::Computed);
    let landing = follower.result().unwrap();
    assert_eq!(
        (landing.source, landing.value.as_str()),
        (Source::Awaited, "one")
    );
}

#[test]
fn an_abort_is_an_error() {
    let flights = SingleFlight::new(MemoryStore::new());
    let aborted: Result<String> = flights.key("k").run(|_| Err(String::from("no")));
    assert!(matches!(aborted, Err(Error::Aborted(error)) if *error == "no"));
    let call = flights.key("k").on_abort(OnAbort::Promote);
    assert_eq!(call.run(value).unwrap().source, Source::Computed);
}

#[test]
fn a_fill_may_call_for_another_key() {
    let flights = SingleFlight::new(MemoryStore::new());
    let outer = flights.clone();
    let landing = support::soon(move || {
        outer.key("outer").run(|_| {
            let inner = outer.key("inner").run(value);
            Ok::<_, String>(inner.unwrap().value.len())
        })
    });
    assert_eq!(*landing.unwrap().value, 5);
}

#[test]
fn a_fill_may_park_its_thread() {
    let store = Flaky::new();
    store.hold_answers(true);
    let flights = SingleFlight::new(store.clone());
    let caller = Caller::start({
        let flights = flights.clone();
        move || {
            flights.key("k").run(|_| {
                // Takes whatever token there is, as a channel's would.
                thread::park_timeout(Duration::from_millis(10));
                Ok::<_, String>(1_u64)
            })
        }
    });
    until("the claim is out", || store.claims() == 1);
    store.hold_answers(false);
    assert_eq!(caller.result().unwrap().source, Source::Computed);
}
