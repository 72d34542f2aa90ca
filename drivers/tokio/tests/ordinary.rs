//! The ordinary ways of a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oneflight_store::MemoryStore;
use oneflight_tokio::{Error, OnAbort, SingleFlight, Source};
use tokio::sync::Notify;
use tokio::time::timeout;

type Failure = Error<String, String>;

#[tokio::test]
async fn computed_once_then_cached() {
    let flights = SingleFlight::new(MemoryStore::new());
    let fill = |lease: oneflight_tokio::Lease| async move {
        assert!(lease.is_live());
        assert!(lease.token().is_some());
        Ok::<_, String>(String::from("value"))
    };
    let first = flights.key("k").run(fill).await.unwrap();
    assert_eq!(
        (first.source, first.value.as_str()),
        (Source::Computed, "value")
    );
    let second = flights.key("k").run(fill).await.unwrap();
    assert_eq!(
        (second.source, second.value.as_str()),
        (Source::Cached, "value")
    );
    assert_eq!(second.revision, first.revision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tasks_make_one_fill() {
    stampede().await;
}

#[tokio::test]
async fn a_thousand_tasks_make_one_fill_on_one_thread() {
    stampede().await;
}

async fn stampede() {
    let flights = SingleFlight::new(MemoryStore::new());
    let fills = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..1_000)
        .map(|_| {
            let (flights, fills) = (flights.clone(), Arc::clone(&fills));
            tokio::spawn(async move {
                let fill = |_| async {
                    fills.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    Ok::<_, String>(7_u64)
                };
                flights
                    .key("k")
                    .run(fill)
                    .await
                    .map(|landing| *landing.value)
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(
            timeout(Duration::from_secs(10), task)
                .await
                .unwrap()
                .unwrap()
                .unwrap(),
            7
        );
    }
    assert_eq!(fills.load(Ordering::Relaxed), 1);
    flights.close().await;
}

#[tokio::test]
async fn two_processes_share_a_fill() {
    let store = MemoryStore::new();
    let (one, two) = (SingleFlight::new(store.clone()), SingleFlight::new(store));
    let (filling, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let leader = tokio::spawn({
        let (filling, go) = (Arc::clone(&filling), Arc::clone(&go));
        async move {
            let fill = |_| async {
                filling.notify_one();
                go.notified().await;
                Ok::<_, String>(String::from("one"))
            };
            one.key("k").run(fill).await
        }
    });
    filling.notified().await;
    let follower = tokio::spawn(async move {
        let fill = |_| async { Ok::<_, String>(String::from("two")) };
        two.key("k").run(fill).await
    });
    tokio::task::yield_now().await;
    go.notify_one();
    assert_eq!(leader.await.unwrap().unwrap().source, Source::Computed);
    let landing = timeout(Duration::from_secs(5), follower)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(*landing.value, "one");
}

#[tokio::test]
async fn an_abort_is_shared_or_promotes() {
    let flights = SingleFlight::new(MemoryStore::new());
    let aborted = flights
        .key("k")
        .run(|_| async { Err::<String, _>(String::from("no")) })
        .await;
    assert!(matches!(aborted, Err(Failure::Aborted(error)) if *error == "no"));
    let landing = flights
        .key("k")
        .on_abort(OnAbort::Promote)
        .run(|_| async { Ok::<_, String>(String::from("yes")) })
        .await
        .unwrap();
    assert_eq!(landing.source, Source::Computed);
}
