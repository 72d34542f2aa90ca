//! A store that fails, a lease that is lost, a value that does not decode.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use oneflight_store::{LeaseId, Store};
use oneflight_tokio::{Error, Lease, OnFenced, OnUnavailable, SingleFlight, Source, StoreError};
use support::{BOUND, Flaky, Result, soon, until};
use tokio::sync::Notify;

const SHORT: Duration = Duration::from_millis(100);

async fn one(_: Lease) -> std::result::Result<u64, String> {
    Ok(1)
}

#[tokio::test]
async fn an_unreachable_store_does_not_stop_a_caller() {
    let store = Flaky::new();
    store.set_down(true);
    let flights = SingleFlight::new(store.clone());
    let landing = soon(flights.key("k").run(|lease| async move {
        assert_eq!(lease.token(), None);
        assert!(!lease.is_live());
        Ok::<_, String>(1_u64)
    }))
    .await
    .unwrap();
    assert_eq!(
        (landing.source, landing.coordinated),
        (Source::Computed, false)
    );
    flights.close().await;
    assert_eq!(store.puts(), 1, "tried to share it all the same");
    // Nothing uncoordinated is kept as if the fleet shared it.
    store.set_down(false);
    let landing = soon(flights.key("k").run(one)).await.unwrap();
    assert!(landing.coordinated);
}

#[tokio::test]
async fn a_store_that_falls_silent_is_given_up_in_time() {
    let store = Flaky::new();
    store.set_silent(true);
    let flights = SingleFlight::new(store);
    let begun = Instant::now();
    let landing = soon(flights.key("k").store_timeout(SHORT).run(one))
        .await
        .unwrap();
    assert!(!landing.coordinated);
    assert!(begun.elapsed() >= SHORT);
    let call = flights
        .key("k")
        .store_timeout(SHORT)
        .on_unavailable(OnUnavailable::Error);
    let error: Result<u64> = soon(call.run(|_| async { panic!("must not run") })).await;
    assert!(
        matches!(error, Err(Error::Unavailable(StoreError::Unavailable(_)))),
        "{error:?}"
    );
}

#[tokio::test]
async fn callers_of_one_process_degrade_together() {
    let store = Flaky::new();
    store.set_silent(true);
    let flights = SingleFlight::new(store);
    let fills = Arc::new(AtomicUsize::new(0));
    let mut callers = Vec::new();
    for number in 0..10 {
        let (flights, fills) = (flights.clone(), Arc::clone(&fills));
        let choice = if number % 2 == 0 {
            OnUnavailable::RunLocal
        } else {
            OnUnavailable::Error
        };
        callers.push(tokio::spawn(async move {
            let call = flights.key("k").store_timeout(SHORT).on_unavailable(choice);
            call.run(|_| async {
                fills.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(SHORT).await;
                Ok::<_, String>(1_u64)
            })
            .await
        }));
    }
    for (number, caller) in callers.into_iter().enumerate() {
        match soon(caller).await.unwrap() {
            Ok(landing) if number % 2 == 0 => assert!(!landing.coordinated),
            Err(Error::Unavailable(_)) if number % 2 == 1 => {}
            other => panic!("caller {number}: {other:?}"),
        }
    }
    assert_eq!(fills.load(Ordering::SeqCst), 1, "one local fill for all");
}

#[tokio::test]
async fn a_refusal_is_an_error_and_never_degrades() {
    let store = Flaky::new();
    store.set_refusing(true);
    let flights = SingleFlight::new(store);
    let refused: Result<u64> =
        soon(flights.key("k").run(|_| async { panic!("must not run") })).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
}

#[tokio::test]
async fn a_lost_answer_to_a_publish_is_not_a_fence() {
    let store = Flaky::new();
    store.lose_publish_answers(2);
    let flights = SingleFlight::new(store.clone());
    let landing = soon(flights.key("k").on_fenced(OnFenced::Error).run(one))
        .await
        .unwrap();
    assert_eq!(
        (landing.source, landing.coordinated),
        (Source::Computed, true)
    );
    assert_eq!(store.publishes(), 3);
}

#[tokio::test]
async fn a_value_that_cannot_be_published_comes_with_the_error() {
    for (choice, coordinated) in [
        (OnUnavailable::Error, None),
        (OnUnavailable::RunLocal, Some(false)),
    ] {
        let store = Flaky::new();
        let flights = SingleFlight::new(store.clone());
        let call = flights.key("k").store_timeout(SHORT).on_unavailable(choice);
        let outcome = soon(call.run(|_| {
            store.set_silent(true);
            async { Ok::<_, String>(String::from("precious")) }
        }))
        .await;
        match (outcome, coordinated) {
            (Err(Error::Unpublished { value, .. }), None) => assert_eq!(*value, "precious"),
            (Ok(landing), Some(coordinated)) => {
                assert_eq!(*landing.value, "precious");
                assert_eq!(landing.coordinated, coordinated);
            }
            (other, _) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_forget_voids_the_fill_under_way_which_runs_again() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let (filling, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let call = tokio::spawn({
        let (flights, filling, go) = (flights.clone(), Arc::clone(&filling), Arc::clone(&go));
        async move {
            let mut fills = 0_u64;
            let fill = |_| {
                fills += 1;
                let (fill, filling, go) = (fills, Arc::clone(&filling), Arc::clone(&go));
                async move {
                    filling.notify_one();
                    go.notified().await;
                    Ok::<_, String>(fill)
                }
            };
            flights.key("k").run(fill).await
        }
    });
    soon(filling.notified()).await;
    let forgotten = flights.key("k").forget().await.unwrap();
    go.notify_one();
    soon(filling.notified()).await;
    go.notify_one();
    let landing = soon(call).await.unwrap().unwrap();
    assert_eq!((landing.source, *landing.value), (Source::Computed, 2));
    assert!(landing.revision.unwrap() > forgotten);
}

#[tokio::test]
async fn an_overtaken_fill_is_warned_and_rides_the_newer_value() {
    let store = Flaky::new();
    let (slow, quick) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    let ttl = 3 * SHORT;
    let call = slow.key("k").lease_ttl(ttl);
    let (taken, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let mut overtaken = Box::pin(call.run(|lease| {
        let (taken, go) = (Arc::clone(&taken), Arc::clone(&go));
        let store = store.clone();
        async move {
            // Somebody else releases our lease, as a lapse would.
            let (lock, token) = ("_dust:sf/k".into(), lease.token().unwrap());
            store.release(LeaseId { lock, token }).await.unwrap();
            taken.notify_one();
            lease.taken().await;
            assert!(!lease.is_live());
            go.notified().await;
            Ok::<_, String>(String::from("old"))
        }
    }));
    let newer = async {
        taken.notified().await;
        let fill = |_| async { Ok::<_, String>(String::from("new")) };
        let landing = quick.key("k").run(fill).await.unwrap();
        go.notify_one();
        landing
    };
    let (old, new) = soon(async { tokio::join!(&mut overtaken, newer) }).await;
    let old = old.unwrap();
    assert_eq!((old.source, old.value.as_str()), (Source::Awaited, "new"));
    assert_eq!(old.revision, new.revision);
}

#[tokio::test]
async fn an_overtaken_fill_is_an_error_if_told_so() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let call = flights.key("k").on_fenced(OnFenced::Error);
    let outcome = soon(call.run(|_| {
        let flights = flights.clone();
        async move {
            flights.key("k").forget().await.unwrap();
            Ok::<_, String>(1_u64)
        }
    }))
    .await;
    assert!(matches!(outcome, Err(Error::Fenced)), "{outcome:?}");
}

#[tokio::test]
async fn a_value_of_another_shape_is_an_error_or_absent() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let text = |_| async { Ok::<_, String>(String::from("text")) };
    soon(flights.key("k").run(text)).await.unwrap();
    for flights in [flights.clone(), SingleFlight::new(store.clone())] {
        let error: Result<u64> = soon(flights.key("k").run(|_| async { panic!("must not") })).await;
        let message = error.unwrap_err().to_string();
        assert!(
            message.contains("\"k\"") && message.contains("invalid type"),
            "{message}"
        );
    }
    let landing = soon(flights.key("k").malformed_as_absent().run(one))
        .await
        .unwrap();
    assert_eq!((landing.source, *landing.value), (Source::Computed, 1));
    // The key is healed, and the copies of the other shape are gone everywhere.
    assert_eq!(*soon(flights.key("k").run(one)).await.unwrap().value, 1);
}

#[tokio::test]
async fn a_value_that_does_not_encode_is_an_error() {
    use std::collections::BTreeMap;
    let flights = SingleFlight::new(Flaky::new());
    let outcome = soon(
        flights
            .key("k")
            .run(|_| async { Ok::<_, String>(BTreeMap::from([((1_u8, 2_u8), 3_u8)])) }),
    )
    .await;
    let message = outcome.unwrap_err().to_string();
    assert!(message.contains("key must be a string"), "{message}");
}

#[tokio::test]
async fn a_predicate_that_panics_wedges_nobody() {
    let store = Flaky::new();
    let (filler, flights) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    soon(filler.key("k").run(one)).await.unwrap();
    let call = tokio::spawn({
        let flights = flights.clone();
        async move {
            let call = flights.key("k").fresh(|_: &u64| panic!("on purpose"));
            call.run(one).await
        }
    });
    assert!(soon(call).await.unwrap_err().is_panic());
    assert_eq!(*soon(flights.key("k").run(one)).await.unwrap().value, 1);
    assert_eq!(store.held(), []);
}

#[tokio::test]
async fn a_caller_who_waits_notices_that_the_store_is_gone() {
    let store = Flaky::new();
    let (leader, follower) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    let ttl = 3 * SHORT;
    let hung = tokio::spawn(async move {
        let fill = |_| std::future::pending::<std::result::Result<u64, String>>();
        leader.key("k").lease_ttl(ttl).run(fill).await
    });
    until("the leader fills", || !store.held().is_empty()).await;
    let waiting = tokio::spawn(async move {
        let call = follower
            .key("k")
            .lease_ttl(ttl)
            .store_timeout(SHORT)
            .wait_timeout(BOUND);
        call.run(one).await
    });
    until("the follower watches", || store.open_watches() == 1).await;
    store.set_silent(true);
    let landing = soon(waiting).await.unwrap().unwrap();
    assert!(!landing.coordinated);
    hung.abort();
}

#[tokio::test]
async fn a_hung_fill_does_not_hold_the_key_for_ever() {
    let store = Flaky::new();
    let (hung, next) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    let warned = Arc::new(Notify::new());
    let task = tokio::spawn({
        let warned = Arc::clone(&warned);
        async move {
            let call = hung.key("k").lease_ttl(3 * SHORT).fill_timeout(SHORT);
            call.run(|lease| {
                let warned = Arc::clone(&warned);
                async move {
                    lease.lost().await;
                    warned.notify_one();
                    std::future::pending::<std::result::Result<u64, String>>().await
                }
            })
            .await
        }
    });
    soon(warned.notified()).await;
    let landing = soon(next.key("k").run(one)).await.unwrap();
    assert_eq!(landing.source, Source::Computed);
    task.abort();
}

#[tokio::test]
async fn what_was_answered_in_time_is_no_silence_however_late_it_is_heard() {
    const CALLS: usize = 1_000;
    const TIMEOUT: Duration = Duration::from_secs(2);
    let store = Flaky::new();
    store.hold_answers(true);
    let flights = SingleFlight::new(store.clone());
    let calls: Vec<_> = (0..CALLS)
        .map(|number| {
            let flights = flights.clone();
            tokio::spawn(async move {
                let key = format!("k{number}");
                let call = flights.key(&key).store_timeout(TIMEOUT);
                soon(call.run(one)).await
            })
        })
        .collect();
    until("all claims", || store.claims() == CALLS).await;
    // All are answered; but nobody has a turn here for as long as the store may take.
    store.hold_answers(false);
    std::thread::sleep(TIMEOUT);
    for call in calls {
        assert!(call.await.unwrap().unwrap().coordinated);
    }
}
