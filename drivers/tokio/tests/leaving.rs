//! Callers that leave, fills that fail or panic: nobody hangs, nothing leaks.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oneflight_tokio::{Error, OnAbort, SingleFlight, Source};
use support::{Flaky, Result, soon, until};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Boards ten callers behind a leader that is filling, one after the other.
async fn ten_passengers(
    flights: &SingleFlight,
    on_abort: OnAbort,
    fills: &Arc<Mutex<Vec<u64>>>,
) -> Vec<JoinHandle<Result<u64>>> {
    let mut passengers = Vec::new();
    for number in 0..10_u64 {
        let (flights, fills) = (flights.clone(), Arc::clone(fills));
        let boarded = Arc::new(Notify::new());
        let signal = Arc::clone(&boarded);
        passengers.push(tokio::spawn(async move {
            let call = flights.key("k").on_abort(on_abort);
            let mut run = std::pin::pin!(call.run(|lease| {
                fills.lock().unwrap().push(lease.token().unwrap().get());
                async move { Ok(number) }
            }));
            std::future::poll_fn(|cx| {
                let poll = run.as_mut().poll(cx);
                signal.notify_one();
                poll
            })
            .await
        }));
        soon(boarded.notified()).await;
    }
    passengers
}

/// A leader that fills until it is told how to end; answers once its fill runs, with its token.
async fn leader(
    flights: &SingleFlight,
    end: impl Fn() -> std::result::Result<u64, String> + Send + Sync + 'static,
) -> (JoinHandle<Result<u64>>, u64, Arc<Notify>) {
    let (token, go) = (Arc::new(Mutex::new(None)), Arc::new(Notify::new()));
    let task = tokio::spawn({
        let (flights, token, go) = (flights.clone(), Arc::clone(&token), Arc::clone(&go));
        async move {
            let fill = |lease: oneflight_tokio::Lease| {
                *token.lock().unwrap() = lease.token();
                let (go, end) = (Arc::clone(&go), &end);
                async move {
                    go.notified().await;
                    end()
                }
            };
            flights.key("k").run(fill).await
        }
    });
    until("the leader fills", || token.lock().unwrap().is_some()).await;
    let token = token.lock().unwrap().unwrap().get();
    (task, token, go)
}

#[tokio::test]
async fn a_dropped_leader_hands_its_lease_to_the_next_passenger() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let (leader, token, _go) = leader(&flights, || Ok(99)).await;
    let fills = Arc::default();
    let passengers = ten_passengers(&flights, OnAbort::Share, &fills).await;
    leader.abort();

    let mut computed = 0;
    for passenger in passengers {
        let landing = soon(passenger).await.unwrap().unwrap();
        assert_eq!(*landing.value, 0, "the first passenger is the next in line");
        computed += usize::from(landing.source == Source::Computed);
    }
    assert_eq!(computed, 1);
    assert_eq!(
        *fills.lock().unwrap(),
        [token],
        "one more fill, under the same lease"
    );
    assert_eq!(
        (store.claims(), store.releases()),
        (1, 0),
        "no trip to the store in between"
    );
    flights.close().await;
    assert_eq!(store.held(), []);
}

#[tokio::test]
async fn the_last_one_to_leave_releases() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let (leader, _, _go) = leader(&flights, || Ok(99)).await;
    let passengers = ten_passengers(&flights, OnAbort::Share, &Arc::default()).await;
    for passenger in &passengers {
        passenger.abort();
    }
    leader.abort();
    until("the lease is released", || store.held().is_empty()).await;
    assert_eq!(store.publishes(), 0);
    // The key is free at once.
    let landing = soon(flights.key("k").run(|_| async { Ok::<_, String>(1_u64) }))
        .await
        .unwrap();
    assert_eq!(landing.source, Source::Computed);
}

#[tokio::test]
async fn an_error_is_shared_with_those_aboard() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let (leader, _, go) = leader(&flights, || Err(String::from("no ink"))).await;
    let fills = Arc::default();
    let passengers = ten_passengers(&flights, OnAbort::Share, &fills).await;
    go.notify_one();
    let mut errors = Vec::new();
    for caller in passengers.into_iter().chain([leader]) {
        match soon(caller).await.unwrap() {
            Err(Error::Aborted(error)) => errors.push(error),
            other => panic!("expected the shared error, got {other:?}"),
        }
    }
    assert!(
        errors.iter().all(|error| Arc::ptr_eq(error, &errors[0])),
        "one error, shared"
    );
    assert_eq!(*errors[0], "no ink");
    assert_eq!(*fills.lock().unwrap(), [0_u64; 0]);
    until("the lease is released", || store.held().is_empty()).await;
}

#[tokio::test]
async fn an_error_promotes_the_next_under_a_new_lease() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let (leader, token, go) = leader(&flights, || Err(String::from("no ink"))).await;
    let fills = Arc::default();
    let passengers = ten_passengers(&flights, OnAbort::Promote, &fills).await;
    go.notify_one();
    assert!(matches!(
        soon(leader).await.unwrap(),
        Err(Error::Aborted(_))
    ));
    for passenger in passengers {
        assert_eq!(*soon(passenger).await.unwrap().unwrap().value, 0);
    }
    let fills = fills.lock().unwrap().clone();
    assert!(
        matches!(fills[..], [next] if next > token),
        "one fill under a newer lease: {fills:?}"
    );
}

#[tokio::test]
async fn a_panic_goes_on_in_its_caller_and_is_told_to_those_aboard() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let (leader, _, go) = leader(&flights, || panic!("on purpose")).await;
    let passengers = ten_passengers(&flights, OnAbort::Share, &Arc::default()).await;
    go.notify_one();
    assert!(soon(leader).await.unwrap_err().is_panic());
    for passenger in passengers {
        assert!(matches!(
            soon(passenger).await.unwrap(),
            Err(Error::Panicked)
        ));
    }
    until("the lease is released", || store.held().is_empty()).await;
}

#[tokio::test]
async fn a_panic_promotes_the_next() {
    let flights = SingleFlight::new(Flaky::new());
    let (leader, token, go) = leader(&flights, || panic!("on purpose")).await;
    let fills = Arc::default();
    let passengers = ten_passengers(&flights, OnAbort::Promote, &fills).await;
    go.notify_one();
    assert!(soon(leader).await.unwrap_err().is_panic());
    for passenger in passengers {
        assert_eq!(*soon(passenger).await.unwrap().unwrap().value, 0);
    }
    let fills = fills.lock().unwrap().clone();
    assert!(matches!(fills[..], [next] if next > token), "{fills:?}");
}

#[tokio::test]
async fn a_caller_that_leaves_while_it_waits_closes_its_watch() {
    let store = Flaky::new();
    let (one, two) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    let (leader, _, go) = leader(&one, || Ok(1)).await;
    let waiting = tokio::spawn(async move {
        let landing = two.key("k").run(|_| async { Ok::<_, String>(2_u64) }).await;
        (landing, two)
    });
    until("the follower watches", || store.open_watches() == 1).await;
    waiting.abort();
    until("the watch is closed", || store.open_watches() == 0).await;
    go.notify_one();
    assert_eq!(*soon(leader).await.unwrap().unwrap().value, 1);
}

#[tokio::test]
async fn a_caller_that_leaves_while_its_claim_is_out_leaks_no_lease() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    for _ in 0..50 {
        let call = flights.key("k");
        let mut run = Box::pin(call.run(|_| async { Ok::<_, String>(1_u64) }));
        // Poll once: the claim is on its way. Then leave.
        std::future::poll_fn(|cx| {
            drop(run.as_mut().poll(cx));
            std::task::Poll::Ready(())
        })
        .await;
        drop(run);
        flights.close().await;
        assert_eq!(store.held(), []);
    }
}

#[tokio::test]
async fn the_last_handle_takes_everything_along() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let (leader, _, _go) = leader(&flights, || Ok(1)).await;
    drop(flights);
    leader.abort();
    until("the lease is released", || store.held().is_empty()).await;
    // The driver's task is gone, too: nothing holds on to the store but this test.
    until("the store is let go", || store.is_last()).await;
}

#[tokio::test]
async fn a_fill_that_blocks_its_thread_keeps_its_lease() {
    // On many threads only: the docs say what to do on one.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let ttl = Duration::from_millis(200);
    let fills = Arc::new(AtomicUsize::new(0));
    let task = runtime.spawn({
        let (flights, fills) = (flights.clone(), Arc::clone(&fills));
        async move {
            let fill = |lease: oneflight_tokio::Lease| {
                fills.fetch_add(1, Ordering::SeqCst);
                async move {
                    std::thread::sleep(5 * ttl);
                    Ok::<_, String>(lease.is_live())
                }
            };
            flights.key("k").lease_ttl(ttl).run(fill).await
        }
    });
    let landing = soon(task).await.unwrap().unwrap();
    assert!(
        *landing.value,
        "the lease was live after five ttls of a blocked thread"
    );
    assert!(store.renewals() >= 8, "renewed {} times", store.renewals());
    assert_eq!(fills.load(Ordering::SeqCst), 1);
    runtime.shutdown_background();
}

#[tokio::test]
async fn callers_outlive_the_runtime_of_the_driver() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let first = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let started = {
        let flights = flights.clone();
        first.spawn(async move {
            let landing = flights
                .key("a")
                .run(|_| async { Ok::<_, String>(1_u64) })
                .await;
            *landing.unwrap().value
        })
    };
    assert_eq!(soon(started).await.unwrap(), 1);
    // This caller waits here for a lease that the other process holds, served by the task over there.
    let other = SingleFlight::new(store.clone());
    let (leader, _, go) = leader(&other, || Ok(7)).await;
    let waiting = tokio::spawn(async move {
        let call = flights.key("k").lease_ttl(Duration::from_secs(2));
        call.run(|_| async { Ok::<_, String>(8_u64) }).await
    });
    until("the follower watches", || store.open_watches() == 1).await;
    let end = tokio::task::spawn_blocking(move || first.shutdown_timeout(support::BOUND));
    soon(end).await.unwrap();
    go.notify_one();
    assert_eq!(*soon(leader).await.unwrap().unwrap().value, 7);
    assert_eq!(*soon(waiting).await.unwrap().unwrap().value, 7);
}

#[tokio::test]
async fn copies_are_looked_at_again_though_the_runtime_ends_meanwhile() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let first = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let run = |key: &'static str, value: u64| {
        let flights = flights.clone();
        async move {
            let call = flights.key(key);
            *call
                .run(|_| async move { Ok::<_, String>(value) })
                .await
                .unwrap()
                .value
        }
    };
    assert_eq!(soon(first.spawn(run("k", 1))).await.unwrap(), 1);
    // A change is missed, and the look at the copy is not answered before its runtime ends.
    store.set_deaf(true);
    let other = SingleFlight::new(store.clone());
    soon(other.key("k").forget()).await.unwrap();
    store.hold_answers(true);
    store.set_deaf(false);
    until("the copy is looked at", || store.reads() > 0).await;
    let end = tokio::task::spawn_blocking(move || first.shutdown_timeout(support::BOUND));
    soon(end).await.unwrap();
    store.hold_answers(false);
    let handle = flights.key("k").handle::<u64>();
    assert!(handle.hit().is_some(), "it is served meanwhile");
    assert_eq!(soon(run("l", 2)).await, 2);
    until("the copy is gone", || handle.hit().is_none()).await;
}
