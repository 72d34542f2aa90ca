//! What counts as fresh, and what the local copies show.

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use oneflight_blocking::{Error, SingleFlight, Source};
use support::{Caller, Flaky, Result, gate, until};

const HOUR: Duration = Duration::from_secs(3600);

/// A fill that counts.
#[derive(Default)]
struct Counter(AtomicU64);

impl Counter {
    fn next(&self) -> std::result::Result<u64, String> {
        Ok(self.0.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

#[test]
fn age_and_predicate_decide() {
    let flights = SingleFlight::new(Flaky::new());
    let fills = Counter::default();
    let value = |landed: Result<u64>| *landed.unwrap().value;
    let (call, now) = (
        flights.key("k").fresh_for(HOUR),
        flights.key("k").fresh_for(Duration::ZERO),
    );
    assert_eq!(value(call.run(|_| fills.next())), 1);
    assert_eq!(value(call.run(|_| fills.next())), 1);
    assert_eq!(value(now.run(|_| fills.next())), 2);
    assert_eq!(*call.get::<u64>().unwrap().unwrap().value, 2);
    let call = call.fresh(|value: &u64| *value >= 3);
    assert_eq!(value(call.run(|_| fills.next())), 3);
    assert_eq!(value(call.run(|_| fills.next())), 3);
}

#[test]
fn zero_freshness_shares_a_fill_under_way_across_processes() {
    let store = Flaky::new();
    let (leader, follower) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    let (go, gone) = gate();
    let filling = Caller::start(move || {
        let call = leader.key("k").fresh_for(Duration::ZERO);
        call.run(|_| {
            gone.pass();
            Ok::<_, String>(1_u64)
        })
    });
    until("the leader fills", || !store.held().is_empty());
    let waiting = Caller::start(move || {
        let call = follower.key("k").fresh_for(Duration::ZERO);
        call.run(|_| Ok::<_, String>(2_u64))
    });
    until("the follower watches", || store.open_watches() == 1);
    go.send(()).unwrap();
    assert_eq!(*filling.result().unwrap().value, 1);
    let landing = waiting.result().unwrap();
    assert_eq!((*landing.value, landing.source), (1, Source::Awaited));
}

#[test]
fn time_out_serves_the_stale_value_or_is_an_error() {
    let store = Flaky::new();
    let (holder, flights) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    let fills = Counter::default();
    holder.key("old").run(|_| fills.next()).unwrap();
    let mut held = Vec::new();
    for key in ["old", "new"] {
        let (holder, (go, gone)) = (holder.clone(), gate());
        let before = store.held().len();
        let caller = Caller::start(move || -> Result<u64> {
            let fill = |_| {
                gone.pass();
                Err(String::from("it never had a value"))
            };
            holder.key(key).fresh_for(Duration::ZERO).run(fill)
        });
        until("the holder fills", || store.held().len() > before);
        held.push((go, caller));
    }
    for wait in [Duration::ZERO, Duration::from_millis(50)] {
        let call = |key| {
            let call = flights.key(key).fresh_for(Duration::ZERO);
            call.wait_timeout(wait)
        };
        let landing = call("old").run(|_| fills.next()).unwrap();
        assert_eq!(
            (*landing.value, landing.source, landing.stale),
            (1, Source::Cached, true)
        );
        let error = call("new").run(|_| fills.next()).unwrap_err();
        assert!(matches!(error, Error::TimedOut), "{error:?}");
    }
    until("the watches are closed", || store.open_watches() == 0);
    for (go, caller) in held {
        go.send(()).unwrap();
        assert!(matches!(caller.result(), Err(Error::Aborted(_))));
    }
}

#[test]
fn copies_follow_what_other_processes_do() {
    let store = Flaky::new();
    let (here, there) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    let fills = Counter::default();
    let handle = here.key("k").handle::<u64>();
    assert_eq!(*handle.run(|_| fills.next()).unwrap().value, 1);
    assert_eq!(handle.hit().map(|landing| *landing.value), Some(1));
    let call = there.key("k").fresh_for(Duration::ZERO);
    assert_eq!(*call.run(|_| fills.next()).unwrap().value, 2);
    assert!(handle.hit().is_none(), "the old copy is gone with the push");
    assert_eq!(*handle.run(|_| fills.next()).unwrap().value, 2);
    there.key("k").forget().unwrap();
    assert!(handle.hit().is_none(), "so is a forgotten one");
    assert_eq!(*here.key("k").run(|_| fills.next()).unwrap().value, 3);
}

#[test]
fn a_fresh_hit_needs_no_store() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let fills = Counter::default();
    flights.key("k").run(|_| fills.next()).unwrap();
    let claims = store.claims();
    store.set_down(true);
    for _ in 0..10 {
        let landing = flights.key("k").run(|_| fills.next()).unwrap();
        assert_eq!(landing.source, Source::Cached);
        assert!(flights.key("k").get::<u64>().unwrap().is_some());
    }
    assert_eq!(store.claims(), claims);
}
