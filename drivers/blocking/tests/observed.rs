//! What the driver for threads tells through `tracing`, from the callers' threads and from its own. Each
//! event in its scenario is the tokio driver's test of the same name.

#[path = "../../tokio/tests/support/ear.rs"]
mod ear;
mod support;

use std::time::Duration;

use ear::{Ear, Told};
use oneflight_blocking::{Error, Lease, OnUnavailable, SingleFlight};
use oneflight_store::MemoryStore;
use support::{BOUND, Caller, Flaky, Result, gate, until};
use tracing::Level;

const SHORT: Duration = Duration::from_millis(100);

/// Stands in for what nobody may read in a log.
const SECRET: &str = "hunter2";

fn secret(_: Lease) -> std::result::Result<String, String> {
    Ok(SECRET.to_owned())
}

#[track_caller]
fn is(told: &Told, target: &str, level: Level) {
    assert_eq!((told.target.as_str(), told.level), (target, level));
    assert_eq!(told.field("key"), "k");
}

/// How the one call so far ended, by its span.
#[track_caller]
fn ended(ear: &Ear, source: &str, outcome: &str) {
    let call = ear.one("call");
    is(&call, "oneflight::call", Level::INFO);
    let told = (call.field("source"), call.field("outcome"));
    assert_eq!(told, (source, outcome));
    keeps_the_secret(ear);
}

/// The one event of this name, which the driver's own thread tells when it comes to it.
#[track_caller]
fn comes(ear: &Ear, name: &str) -> Told {
    until(name, || !ear.named(name).is_empty());
    ear.one(name)
}

/// Nothing that was told so far has the secret in it.
#[track_caller]
fn keeps_the_secret(ear: &Ear) {
    let all = format!("{:?}", ear.all());
    assert!(all.contains("key"), "something was told");
    assert!(!all.contains(SECRET), "{all}");
}

#[test]
fn a_call_is_a_span_and_so_is_a_hit_on_its_own_level() {
    let ear = Ear::open_wide();
    let flights = SingleFlight::new(MemoryStore::new());
    let landing = flights.key("k").run(secret).unwrap();
    let (granted, call) = (ear.one("lease granted"), ear.one("call"));
    is(&granted, "oneflight::lease", Level::DEBUG);
    let token = landing.token.unwrap().to_string();
    for told in [&granted, &call] {
        assert_eq!(told.field("token"), token);
        assert_eq!(told.field("generation"), "0");
    }
    assert!(call.fields.contains_key("filled"));
    ended(&ear, "computed", "ok");
    flights.key("k").run(secret).unwrap();
    let handle = flights.key("k").handle::<String>();
    assert!(handle.hit().is_some());
    let hits = ear.named("call");
    assert_eq!(hits.len(), 2);
    for hit in &hits {
        is(hit, "oneflight::call", Level::TRACE);
        assert_eq!((hit.field("source"), hit.field("outcome")), ("local", "ok"));
        assert_eq!(hit.field("token"), token);
    }
    keeps_the_secret(&ear);
}

#[test]
fn a_lease_that_lapses_under_a_fill_is_lost() {
    let ear = Ear::open_wide();
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let call = flights.key("k").lease_ttl(3 * SHORT).store_timeout(SHORT);
    let fill = |lease: Lease| {
        store.set_silent(true);
        assert!(lease.lost_within(BOUND).is_some());
        secret(lease)
    };
    call.run(fill).unwrap();
    let lost = comes(&ear, "lease lost");
    is(&lost, "oneflight::lease", Level::WARN);
    assert_eq!(lost.field("why"), "lapsed");
    assert_eq!(lost.field("token"), ear.one("lease granted").field("token"));
    let degraded = comes(&ear, "degraded");
    is(&degraded, "oneflight::store", Level::WARN);
    assert_eq!(degraded.field("from"), "publish");
    ended(&ear, "computed", "uncoordinated");
    store.set_silent(false);
}

#[test]
fn a_watch_that_breaks_off_is_told_of() {
    let ear = Ear::open_wide();
    let store = Flaky::new();
    let leader = SingleFlight::new(store.clone());
    let follower = SingleFlight::new(store.clone());
    let (go, gone) = gate();
    let leading = Caller::start(move || {
        let fill = |lease| {
            gone.pass();
            secret(lease)
        };
        leader.key("k").run(fill)
    });
    until("the leader fills", || !store.held().is_empty());
    let following = Caller::start(move || follower.key("k").run(secret));
    until("the follower watches", || store.open_watches() == 1);
    store.end_watches();
    let ended = comes(&ear, "watch ended");
    is(&ended, "oneflight::store", Level::WARN);
    assert!(ended.field("error").contains("the watch broke off"));
    go.send(()).unwrap();
    for call in [leading, following] {
        call.result().unwrap();
    }
    let calls = ear.named("call");
    assert_eq!(calls.len(), 2, "{calls:?}");
    let awaited = calls.iter().find(|call| call.field("source") == "awaited");
    let waited = awaited.unwrap().field("waited");
    assert!(waited.parse::<f64>().unwrap() > 0.0, "{waited}");
    keeps_the_secret(&ear);
}

#[test]
fn gaps_in_the_changes_are_told_of_once_and_so_is_their_end() {
    let ear = Ear::open_wide();
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    flights.key("k").run(secret).unwrap();
    for deaf in [true, true, false, false] {
        store.set_deaf(deaf);
    }
    for (name, level) in [
        ("connected", Level::DEBUG),
        ("gap", Level::WARN),
        ("reconnected", Level::INFO),
    ] {
        let told = ear.one(name);
        let is = (told.target.as_str(), told.level);
        assert_eq!(is, ("oneflight::changes", level));
    }
    keeps_the_secret(&ear);
}

#[test]
fn whatever_ends_a_call_is_said_by_its_span() {
    let ear = Ear::open_wide();
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let call = || flights.key("k").store_timeout(SHORT);

    assert!(call().get::<String>().unwrap().is_none());
    ended(&ear, "none", "absent");

    let failed: Result<String> = call().run(|_| Err(SECRET.to_owned()));
    assert!(matches!(failed, Err(Error::Aborted(_))));
    ended(&ear, "none", "aborted");

    let panics = Caller::start({
        let flights = flights.clone();
        move || -> Result<String> { flights.key("k").run(|_| panic!("{SECRET}")) }
    });
    assert!(panics.join().is_err());
    ended(&ear, "none", "panicked");
    flights.close();

    store.set_refusing(true);
    assert!(matches!(call().run(secret), Err(Error::Refused(_))));
    ended(&ear, "none", "refused");
    store.set_refusing(false);

    store.set_silent(true);
    let strict = call().on_unavailable(OnUnavailable::Error);
    assert!(matches!(strict.run(secret), Err(Error::Unavailable(_))));
    ended(&ear, "none", "unavailable");
    // What the driver gives up for lack of an answer, its caller has not left.
    let looked = call().get::<String>();
    assert!(matches!(looked, Err(Error::Unavailable(_))));
    ended(&ear, "none", "unavailable");
    store.set_silent(false);
}
