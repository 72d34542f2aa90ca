//! What is told through `tracing`: each event in the scenario that causes it, and never a value.

#[path = "support/ear.rs"]
mod ear;
mod support;

use std::sync::Arc;
use std::time::Duration;

use ear::{Ear, Told};
use oneflight_store::{LeaseId, MemoryStore, Store};
use oneflight_tokio::{Error, Lease, OnFenced, OnUnavailable, SingleFlight};
use support::{BOUND, Flaky, Result, soon, until};
use tokio::sync::Notify;
use tracing::Level;

const SHORT: Duration = Duration::from_millis(100);

/// Stands in for what nobody may read in a log.
const SECRET: &str = "hunter2";

async fn secret(_: Lease) -> std::result::Result<String, String> {
    Ok(SECRET.to_owned())
}

/// A span or an event is of this target and level, about the key `k`.
#[track_caller]
fn is(told: &Told, target: &str, level: Level) {
    assert_eq!((told.target.as_str(), told.level), (target, level));
    assert_eq!(told.field("key"), "k");
}

/// How a call ended, by its span.
fn ending(told: &Told) -> (&str, &str) {
    is(told, "oneflight::call", Level::INFO);
    (told.field("source"), told.field("outcome"))
}

fn seconds(told: &Told, field: &str) -> f64 {
    told.field(field).parse().unwrap()
}

/// Nothing that was told so far has the secret in it.
#[track_caller]
fn keeps_the_secret(ear: &Ear) {
    let all = format!("{:?}", ear.all());
    assert!(all.contains("key"), "something was told");
    assert!(!all.contains(SECRET), "{all}");
}

#[tokio::test]
async fn a_call_is_a_span_and_so_is_a_hit_on_its_own_level() {
    let ear = Ear::open();
    let flights = SingleFlight::new(MemoryStore::new());
    let fill = |lease: Lease| async move {
        tokio::time::sleep(SHORT).await;
        secret(lease).await
    };
    let landing = soon(flights.key("k").run(fill)).await.unwrap();
    let (granted, call) = (ear.one("lease granted"), ear.one("call"));
    is(&granted, "oneflight::lease", Level::DEBUG);
    assert_eq!(ending(&call), ("computed", "ok"));
    let token = landing.token.unwrap().to_string();
    for told in [&granted, &call] {
        assert_eq!(told.field("token"), token);
        assert_eq!(told.field("generation"), "0");
    }
    assert!(seconds(&granted, "remaining") > 29.0);
    assert!(seconds(&call, "filled") >= SHORT.as_secs_f64());
    assert!(seconds(&call, "waited") < BOUND.as_secs_f64());
    keeps_the_secret(&ear);

    soon(flights.key("k").run(secret)).await.unwrap();
    let handle = flights.key("k").handle::<String>();
    assert!(handle.hit().is_some());
    assert!(handle.hit().is_some());
    let hits = ear.named("call");
    assert_eq!(hits.len(), 3);
    for hit in &hits {
        is(hit, "oneflight::call", Level::TRACE);
        assert_eq!((hit.field("source"), hit.field("outcome")), ("local", "ok"));
        assert_eq!(hit.field("token"), token);
    }
    keeps_the_secret(&ear);
}

#[tokio::test]
async fn a_call_that_waits_says_how_long() {
    let ear = Ear::open();
    let store = Flaky::new();
    let (leader, follower) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    let leading = tokio::spawn(async move {
        let fill = |lease| async {
            tokio::time::sleep(SHORT).await;
            secret(lease).await
        };
        leader.key("k").run(fill).await
    });
    until("the leader fills", || !store.held().is_empty()).await;
    soon(follower.key("k").run(secret)).await.unwrap();
    soon(leading).await.unwrap().unwrap();
    let calls = ear.named("call");
    let awaited = calls.iter().find(|call| ending(call) == ("awaited", "ok"));
    let awaited = awaited.unwrap_or_else(|| panic!("{calls:?}"));
    assert!(seconds(awaited, "waited") > 0.0);
    assert!(!awaited.fields.contains_key("filled"));
    assert!(!awaited.fields.contains_key("generation"));
    keeps_the_secret(&ear);
}

#[tokio::test]
async fn a_lease_that_lapses_under_a_fill_is_lost() {
    let ear = Ear::open();
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let call = flights.key("k").lease_ttl(3 * SHORT).store_timeout(SHORT);
    let fill = |lease: Lease| {
        store.set_silent(true);
        async move {
            lease.lost().await;
            secret(lease).await
        }
    };
    soon(call.run(fill)).await.unwrap();
    let lost = ear.one("lease lost");
    is(&lost, "oneflight::lease", Level::WARN);
    assert_eq!(lost.field("why"), "lapsed");
    assert_eq!(lost.field("token"), ear.one("lease granted").field("token"));
    // The value stays here: the store did not take it.
    let degraded = ear.one("degraded");
    is(&degraded, "oneflight::store", Level::WARN);
    assert_eq!(degraded.field("from"), "publish");
    assert_eq!(ending(&ear.one("call")), ("computed", "uncoordinated"));
    keeps_the_secret(&ear);
}

#[tokio::test]
async fn a_fill_that_is_overdue_has_lost_its_lease() {
    let ear = Ear::open();
    let flights = SingleFlight::new(MemoryStore::new());
    let call = flights.key("k").fill_timeout(SHORT);
    let fill = |lease: Lease| async move {
        lease.lost().await;
        secret(lease).await
    };
    soon(call.run(fill)).await.unwrap();
    let lost = ear.one("lease lost");
    is(&lost, "oneflight::lease", Level::WARN);
    assert_eq!(lost.field("why"), "overdue");
    keeps_the_secret(&ear);
}

#[tokio::test]
async fn a_fill_whose_lease_is_taken_is_overtaken() {
    let ear = Ear::open();
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let call = flights.key("k").lease_ttl(3 * SHORT);
    let call = call.on_fenced(OnFenced::Error);
    let overtaken = call.run(|lease| {
        let store = store.clone();
        async move {
            let (lock, token) = ("_dust:sf/k".into(), lease.token().unwrap());
            store.release(LeaseId { lock, token }).await.unwrap();
            lease.taken().await;
            secret(lease).await
        }
    });
    assert!(matches!(soon(overtaken).await, Err(Error::Fenced)));
    is(&ear.one("fill overtaken"), "oneflight::lease", Level::WARN);
    let call = ear.one("call");
    assert_eq!(ending(&call), ("none", "fenced"));
    assert_eq!(call.field("token"), ear.one("lease granted").field("token"));
    keeps_the_secret(&ear);
}

#[tokio::test]
async fn a_publish_that_comes_too_late_is_fenced() {
    let ear = Ear::open();
    let flights = SingleFlight::new(Flaky::new());
    let call = flights.key("k").on_fenced(OnFenced::Error);
    let fenced = call.run(|lease| {
        let flights = flights.clone();
        async move {
            flights.key("k").forget().await.unwrap();
            secret(lease).await
        }
    });
    assert!(matches!(soon(fenced).await, Err(Error::Fenced)));
    let fenced = ear.one("publish fenced");
    is(&fenced, "oneflight::lease", Level::WARN);
    assert_eq!(
        fenced.field("token"),
        ear.one("lease granted").field("token")
    );
    keeps_the_secret(&ear);
}

#[tokio::test]
async fn a_fill_without_the_store_is_degraded() {
    let ear = Ear::open();
    let store = Flaky::new();
    store.set_down(true);
    let flights = SingleFlight::new(store.clone());
    soon(flights.key("k").run(secret)).await.unwrap();
    flights.close().await;
    let degraded = ear.one("degraded");
    is(&degraded, "oneflight::store", Level::WARN);
    assert_eq!(degraded.field("from"), "fill");
    let calls: Vec<_> = ear.named("store call failed");
    assert_eq!(calls.len(), 2, "{calls:?}");
    for (failed, call) in calls.iter().zip(["claim", "put"]) {
        is(failed, "oneflight::store", Level::WARN);
        assert_eq!(failed.field("call"), call);
        let error = "the store is unavailable: it is down";
        assert_eq!(failed.field("error"), error);
    }
    let call = ear.one("call");
    assert_eq!(ending(&call), ("computed", "uncoordinated"));
    assert!(!call.fields.contains_key("token"));
    keeps_the_secret(&ear);
}

#[tokio::test]
async fn a_silent_store_is_told_of_when_the_fill_does_without_it() {
    let ear = Ear::open();
    let store = Flaky::new();
    store.set_silent(true);
    let flights = SingleFlight::new(store.clone());
    let call = || flights.key("k").store_timeout(SHORT);
    soon(call().run(secret)).await.unwrap();
    let error = "the store did not answer in time";
    assert_eq!(ear.one("degraded").field("error"), error);
    keeps_the_secret(&ear);
    // What the driver gives up for lack of an answer, its caller has not left.
    let looked = soon(call().local_max_age(Duration::ZERO).get::<String>()).await;
    assert!(matches!(looked, Err(Error::Unavailable(_))), "{looked:?}");
    assert_eq!(ending(&ear.one("call")), ("none", "unavailable"));
}

#[tokio::test]
async fn a_watch_that_breaks_off_is_told_of() {
    let ear = Ear::open();
    let store = Flaky::new();
    let (leader, follower) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    let go = Arc::new(Notify::new());
    let leading = tokio::spawn({
        let go = Arc::clone(&go);
        async move {
            let fill = |lease| async {
                go.notified().await;
                secret(lease).await
            };
            leader.key("k").run(fill).await
        }
    });
    until("the leader fills", || !store.held().is_empty()).await;
    let following = tokio::spawn(async move { follower.key("k").run(secret).await });
    until("the follower watches", || store.open_watches() == 1).await;
    store.end_watches();
    let ended = ear.one("watch ended");
    is(&ended, "oneflight::store", Level::WARN);
    assert!(ended.field("error").contains("the watch broke off"));
    go.notify_one();
    for call in [leading, following] {
        soon(call).await.unwrap().unwrap();
    }
    keeps_the_secret(&ear);
}

#[tokio::test]
async fn gaps_in_the_changes_are_told_of_once_and_so_is_their_end() {
    let ear = Ear::open();
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    soon(flights.key("k").run(secret)).await.unwrap();
    let changes = |name, level| {
        let told = ear.one(name);
        assert_eq!(
            (told.target.as_str(), told.level),
            ("oneflight::changes", level)
        );
        told
    };
    changes("connected", Level::DEBUG);
    store.set_deaf(true);
    store.set_deaf(true);
    let gap = changes("gap", Level::WARN);
    assert!(gap.field("error").contains("the stream broke off"));
    store.set_deaf(false);
    store.set_deaf(false);
    changes("reconnected", Level::INFO);
    keeps_the_secret(&ear);
}

#[tokio::test]
async fn whatever_ends_a_call_is_said_by_its_span() {
    let ear = Ear::open();
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let call = || flights.key("k");
    let ends = |source: &str, outcome: &str| {
        let span = ear.one("call");
        assert_eq!(ending(&span), (source, outcome));
        keeps_the_secret(&ear);
    };

    assert!(soon(call().get::<String>()).await.unwrap().is_none());
    ends("none", "absent");

    // The caller's own error may have a value in it.
    let failed = |_| async { Err::<String, _>(SECRET.to_owned()) };
    assert!(matches!(
        soon(call().run(failed)).await,
        Err(Error::Aborted(_))
    ));
    ends("none", "aborted");

    let panics = tokio::spawn({
        let flights = flights.clone();
        async move {
            let fill = |_| async { panic!("{SECRET}") };
            flights.key("k").run::<String, String, _, _>(fill).await
        }
    });
    assert!(soon(panics).await.unwrap_err().is_panic());
    ends("none", "panicked");

    let filling = Arc::new(Notify::new());
    let leaves = tokio::spawn({
        let (flights, filling) = (flights.clone(), Arc::clone(&filling));
        async move {
            let fill = |_| {
                filling.notify_one();
                std::future::pending::<std::result::Result<String, String>>()
            };
            flights.key("k").run(fill).await
        }
    });
    soon(filling.notified()).await;
    leaves.abort();
    assert!(soon(leaves).await.unwrap_err().is_cancelled());
    assert!(ear.one("call").fields.contains_key("filled"));
    ends("none", "left");
    flights.close().await;

    store.set_refusing(true);
    assert!(matches!(
        soon(call().run(secret)).await,
        Err(Error::Refused(_))
    ));
    ends("none", "refused");
    store.set_refusing(false);

    store.set_down(true);
    let strict = call().on_unavailable(OnUnavailable::Error);
    assert!(matches!(
        soon(strict.run(secret)).await,
        Err(Error::Unavailable(_))
    ));
    ends("none", "unavailable");
    let looked = soon(call().get::<String>()).await;
    assert!(matches!(looked, Err(Error::Unavailable(_))));
    ends("none", "unavailable");
    store.set_down(false);

    let strict = strict.lease_ttl(3 * SHORT).store_timeout(SHORT);
    let unpublished = strict.run(|lease| {
        store.set_down(true);
        secret(lease)
    });
    assert!(matches!(
        soon(unpublished).await,
        Err(Error::Unpublished { .. })
    ));
    ends("none", "unpublished");
    store.set_down(false);
}

#[tokio::test]
async fn what_does_not_decode_is_not_shown() {
    let ear = Ear::open();
    let store = Flaky::new();
    let (writer, reader) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    soon(writer.key("k").run(secret)).await.unwrap();
    drop(ear.all());
    let read: Result<u64> = soon(reader.key("k").run(|_| async { panic!("must not") })).await;
    let Err(Error::Malformed { reason, .. }) = read else {
        panic!("{read:?}");
    };
    assert!(
        reason.contains(SECRET),
        "the caller itself is told: {reason}"
    );
    assert_eq!(ending(&ear.one("call")), ("none", "malformed"));
    keeps_the_secret(&ear);
    let looked = soon(reader.key("k").get::<u64>()).await;
    assert!(matches!(looked, Err(Error::Malformed { .. })));
    assert_eq!(ending(&ear.one("call")), ("none", "malformed"));
    keeps_the_secret(&ear);
}
