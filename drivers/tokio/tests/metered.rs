//! What is counted through `metrics`.

#![cfg(feature = "metrics")]

#[path = "support/board.rs"]
mod board;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use board::Board;
use metrics_util::debugging::DebugValue;
use oneflight_store::{MemoryStore, Store};
use oneflight_tokio::metrics::{ALL, Kind};
use oneflight_tokio::{Lease, SingleFlight};
use support::{Flaky, soon, until};
use tokio::sync::Notify;

const SHORT: Duration = Duration::from_millis(100);

async fn one(_: Lease) -> Result<u64, String> {
    Ok(1)
}

#[tokio::test]
async fn everything_is_named_and_described_and_stands_at_zero_before_it_happens() {
    let board = Board::new();
    let flights = SingleFlight::new(MemoryStore::new());
    // The second is a hit.
    for _ in 0..2 {
        soon(flights.key("a key of mine").run(one)).await.unwrap();
    }
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for (key, unit, says, value) in board.snapshot().into_vec() {
        let (name, key) = (key.key().name().to_owned(), key.key());
        let metric = ALL.iter().find(|metric| metric.name == name);
        let metric = metric.unwrap_or_else(|| panic!("{name} is nowhere listed"));
        let labels: BTreeSet<_> = key.labels().map(|it| it.key()).collect();
        assert_eq!(labels, metric.labels.iter().copied().collect(), "{name}");
        assert_eq!(
            (unit, says.as_deref()),
            (Some(metric.unit), Some(metric.says))
        );
        let kind = match value {
            DebugValue::Counter(_) => Kind::Counter,
            DebugValue::Gauge(_) => Kind::Gauge,
            DebugValue::Histogram(_) => Kind::Histogram,
        };
        assert_eq!(kind, metric.kind, "{name}");
        let series = found.entry(name).or_default();
        for label in key.labels() {
            assert!(!label.value().contains("mine"), "{label:?}");
            series.insert(label.value().to_owned());
        }
    }
    assert_eq!(found.len(), ALL.len(), "{found:?}");
    for rare in ["gap", "overtaken", "watch_ended"] {
        assert!(found["oneflight_faults_total"].contains(rare), "{rare}");
    }
}

#[tokio::test]
async fn calls_are_counted_by_how_they_land() {
    let board = Board::new();
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    soon(flights.key("k").run(one)).await.unwrap();
    let handle = flights.key("k").handle::<u64>();
    for _ in 0..3 {
        soon(flights.key("k").run(one)).await.unwrap();
        handle.hit().unwrap();
    }
    let other = SingleFlight::new(store.clone());
    soon(other.key("k").run(one)).await.unwrap();
    let failed = |_| async { Err::<u64, _>("no") };
    soon(flights.key("l").run(failed)).await.unwrap_err();
    store.set_down(true);
    soon(flights.key("l").run(one)).await.unwrap();
    for (labels, expected) in [
        ("source=computed,outcome=ok", 1.0),
        ("source=local,outcome=ok", 6.0),
        ("source=cached,outcome=ok", 1.0),
        ("source=none,outcome=aborted", 1.0),
        ("source=computed,outcome=uncoordinated", 1.0),
        ("source=none,outcome=left", 0.0),
    ] {
        board.stands(&format!("oneflight_landings_total{{{labels}}}"), expected);
    }
    for (source, expected) in [("computed", 2.0), ("cached", 1.0), ("none", 1.0)] {
        board.stands(
            &format!("oneflight_wait_seconds{{source={source}}}"),
            expected,
        );
    }
    for (result, expected) in [("value", 2.0), ("error", 1.0), ("panic", 0.0)] {
        board.stands(
            &format!("oneflight_fill_seconds{{result={result}}}"),
            expected,
        );
    }
    board.stands("oneflight_faults_total{fault=degraded}", 1.0);
}

#[tokio::test]
async fn store_calls_are_counted_and_timed_by_what_is_answered() {
    let board = Board::new();
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let call = flights.key("k").store_timeout(SHORT);
    soon(call.run(one)).await.unwrap();
    soon(call.forget()).await.unwrap();
    soon(call.get::<u64>()).await.unwrap();
    store.set_refusing(true);
    soon(call.get::<u64>()).await.unwrap_err();
    store.set_refusing(false);
    store.set_silent(true);
    soon(call.get::<u64>()).await.unwrap_err();
    for (call, answer, expected) in [
        ("claim", "granted", 1.0),
        ("publish", "published", 1.0),
        ("forget", "forgotten", 1.0),
        ("read", "absent", 1.0),
        ("read", "refused", 1.0),
        ("read", "none", 1.0),
        ("renew", "lost", 0.0),
    ] {
        let series = format!("oneflight_store_answers_total{{call={call},answer={answer}}}");
        board.stands(&series, expected);
    }
    // What was never answered took no time that could be told.
    for (call, expected) in [("claim", 1.0), ("read", 2.0)] {
        board.stands(
            &format!("oneflight_store_call_seconds{{call={call}}}"),
            expected,
        );
    }
}

#[tokio::test]
async fn gauges_go_up_and_come_down_again() {
    let board = Board::new();
    let store = Flaky::new();
    let (leader, follower) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    let stand = |leases, passengers, watches| {
        board.stands("oneflight_leases_held{}", leases);
        board.stands("oneflight_passengers{}", passengers);
        board.stands("oneflight_watches{}", watches);
    };
    // What is there before is not pushed.
    soon(leader.key("k").run(one)).await.unwrap();
    let go = Arc::new(Notify::new());
    let leading = tokio::spawn({
        let (go, leader) = (Arc::clone(&go), leader.clone());
        async move {
            let fill = |_| async {
                go.notified().await;
                Ok::<_, String>(1_u64)
            };
            leader.key("k").fresh_for(Duration::ZERO).run(fill).await
        }
    });
    until("the leader fills", || !store.held().is_empty()).await;
    let following = tokio::spawn({
        let follower = follower.clone();
        async move { follower.key("k").fresh_for(Duration::ZERO).run(one).await }
    });
    until("the follower watches", || store.open_watches() == 1).await;
    stand(1.0, 2.0, 1.0);
    board.stands("oneflight_push_seconds{}", 0.0);
    go.notify_one();
    for call in [leading, following] {
        soon(call).await.unwrap().unwrap();
    }
    leader.close().await;
    follower.close().await;
    stand(0.0, 0.0, 0.0);
    board.stands("oneflight_push_seconds{}", 1.0);
    board.stands("oneflight_landings_total{source=awaited,outcome=ok}", 1.0);

    // One who leaves in the middle of its fill leaves nothing behind either.
    let filling = Arc::new(Notify::new());
    let leaves = tokio::spawn({
        let (filling, leader) = (Arc::clone(&filling), leader.clone());
        async move {
            let fill = |_| {
                filling.notify_one();
                std::future::pending::<Result<u64, String>>()
            };
            leader.key("l").run(fill).await
        }
    });
    soon(filling.notified()).await;
    stand(1.0, 1.0, 0.0);
    leaves.abort();
    soon(leaves).await.unwrap_err();
    leader.close().await;
    stand(0.0, 0.0, 0.0);
    board.stands("oneflight_landings_total{source=none,outcome=left}", 1.0);
    board.stands("oneflight_fill_seconds{result=left}", 1.0);
}

#[tokio::test]
async fn faults_are_counted() {
    let board = Board::new();
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let call = flights.key("k");
    let mut fills = 0;
    let fenced = call.run(|lease| {
        fills += 1;
        let (flights, first) = (flights.clone(), fills == 1);
        async move {
            if first {
                flights.key("k").forget().await.unwrap();
            }
            one(lease).await
        }
    });
    soon(fenced).await.unwrap();
    let overtaken = flights.key("l").lease_ttl(3 * SHORT);
    let mut fills = 0;
    let overtaken = overtaken.run(|lease| {
        fills += 1;
        let (store, first) = (store.clone(), fills == 1);
        async move {
            if first {
                let (lock, token) = ("_dust:sf/l".into(), lease.token().unwrap());
                let lost = oneflight_store::LeaseId { lock, token };
                store.release(lost).await.unwrap();
                lease.taken().await;
            }
            one(lease).await
        }
    });
    soon(overtaken).await.unwrap();
    let call = flights.key("m").fill_timeout(SHORT);
    let overdue = call.run(|lease| async {
        lease.lost().await;
        one(lease).await
    });
    soon(overdue).await.unwrap();
    store.set_deaf(true);
    let count = |fault: &str, expected| {
        board.stands(
            &format!("oneflight_faults_total{{fault={fault}}}"),
            expected,
        );
    };
    count("fenced", 1.0);
    count("overtaken", 1.0);
    count("overdue", 1.0);
    count("gap", 1.0);
    count("lapsed", 0.0);
    count("degraded", 0.0);
}
