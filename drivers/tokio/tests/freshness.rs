//! What counts as fresh, and what the local copies show.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use oneflight_tokio::{Error, SingleFlight, Source, Store as _};
use support::{Flaky, soon, until};
use tokio::sync::Notify;

const HOUR: Duration = Duration::from_secs(3600);

/// A fill that counts.
struct Counter(AtomicU64);

impl Counter {
    fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    async fn next(&self) -> Result<u64, String> {
        Ok(self.0.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

#[tokio::test]
async fn a_value_is_fresh_for_as_long_as_the_caller_says() {
    let flights = SingleFlight::new(Flaky::new());
    let fills = Counter::new();
    let first = soon(flights.key("k").fresh_for(HOUR).run(|_| fills.next()))
        .await
        .unwrap();
    let again = soon(flights.key("k").fresh_for(HOUR).run(|_| fills.next()))
        .await
        .unwrap();
    assert_eq!(
        (*first.value, *again.value, again.source),
        (1, 1, Source::Cached)
    );
    let newer = soon(
        flights
            .key("k")
            .fresh_for(Duration::ZERO)
            .run(|_| fills.next()),
    )
    .await
    .unwrap();
    assert_eq!((*newer.value, newer.source), (2, Source::Computed));
    // Another process judges by the store's age, not by when it first saw the value.
    let call = flights.key("k").fresh_for(HOUR);
    assert_eq!(*soon(call.get::<u64>()).await.unwrap().unwrap().value, 2);
}

#[tokio::test]
async fn a_predicate_decides() {
    let flights = SingleFlight::new(Flaky::new());
    let fills = Counter::new();
    for wanted in [1, 1, 2, 3, 3] {
        let call = flights.key("k").fresh(|value: &u64| *value >= wanted);
        assert_eq!(
            *soon(call.run(|_| fills.next())).await.unwrap().value,
            wanted
        );
    }
    assert_eq!(fills.0.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn zero_freshness_shares_a_fill_under_way_across_processes() {
    let store = Flaky::new();
    let (leader, follower) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    let go = Arc::new(Notify::new());
    let filling = tokio::spawn({
        let go = Arc::clone(&go);
        async move {
            let call = leader.key("k").fresh_for(Duration::ZERO);
            call.run(|_| async {
                go.notified().await;
                Ok::<_, String>(1_u64)
            })
            .await
        }
    });
    until("the leader fills", || !store.held().is_empty()).await;
    let waiting = tokio::spawn(async move {
        let call = follower.key("k").fresh_for(Duration::ZERO);
        call.run(|_| async { Ok::<_, String>(2_u64) }).await
    });
    until("the follower watches", || store.open_watches() == 1).await;
    go.notify_one();
    assert_eq!(*soon(filling).await.unwrap().unwrap().value, 1);
    let landing = soon(waiting).await.unwrap().unwrap();
    assert_eq!((*landing.value, landing.source), (1, Source::Awaited));
}

#[tokio::test]
async fn time_out_serves_the_stale_value_or_is_an_error() {
    let store = Flaky::new();
    let (holder, flights) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    let fills = Counter::new();
    soon(holder.key("old").run(|_| fills.next())).await.unwrap();
    for key in ["old", "new"] {
        let holder = holder.clone();
        let held = store.held().len();
        tokio::spawn(async move {
            let fill = |_| std::future::pending::<Result<u64, String>>();
            holder.key(key).fresh_for(Duration::ZERO).run(fill).await
        });
        until("the holder fills", || store.held().len() > held).await;
    }
    for wait in [Duration::ZERO, Duration::from_millis(50)] {
        let call = |key| {
            flights
                .key(key)
                .fresh_for(Duration::ZERO)
                .wait_timeout(wait)
        };
        let landing = soon(call("old").run(|_| fills.next())).await.unwrap();
        assert_eq!(
            (*landing.value, landing.source, landing.stale),
            (1, Source::Cached, true)
        );
        let error = soon(call("new").run(|_| fills.next())).await.unwrap_err();
        assert!(matches!(error, Error::TimedOut), "{error:?}");
    }
    until("the watches are closed", || store.open_watches() == 0).await;
}

#[tokio::test]
async fn copies_follow_what_other_processes_do() {
    let store = Flaky::new();
    let (here, there) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    let fills = Counter::new();
    let handle = here.key("k").handle::<u64>();
    assert_eq!(*soon(handle.run(|_| fills.next())).await.unwrap().value, 1);
    assert_eq!(handle.hit().map(|landing| *landing.value), Some(1));
    let trips = store.claims();
    assert_eq!(
        *soon(here.key("k").run(|_| fills.next()))
            .await
            .unwrap()
            .value,
        1
    );
    assert_eq!(
        store.claims(),
        trips,
        "a fresh hit does not touch the store"
    );

    let call = there.key("k").fresh_for(Duration::ZERO);
    assert_eq!(*soon(call.run(|_| fills.next())).await.unwrap().value, 2);
    assert!(handle.hit().is_none(), "the old copy is gone with the push");
    assert_eq!(*soon(handle.run(|_| fills.next())).await.unwrap().value, 2);
    there.key("k").forget().await.unwrap();
    assert!(
        handle.hit().is_none(),
        "a forgotten copy is gone with the push"
    );
    assert_eq!(
        *soon(here.key("k").run(|_| fills.next()))
            .await
            .unwrap()
            .value,
        3
    );
}

#[tokio::test]
async fn a_fresh_hit_needs_no_store() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let fills = Counter::new();
    soon(flights.key("k").run(|_| fills.next())).await.unwrap();
    store.set_silent(true);
    let mut hit = std::pin::pin!(async { flights.key("k").run(|_| fills.next()).await });
    let landing = std::future::poll_fn(|cx| match hit.as_mut().poll(cx) {
        std::task::Poll::Ready(landing) => std::task::Poll::Ready(landing),
        std::task::Poll::Pending => panic!("a fresh hit waits for nothing"),
    })
    .await;
    assert_eq!(landing.unwrap().source, Source::Cached);
}

#[tokio::test]
async fn copies_are_bounded_and_can_be_limited_in_age() {
    let store = Flaky::new();
    let flights = SingleFlight::builder(store.clone())
        .local_copies(10)
        .build();
    let fills = Counter::new();
    for key in 0..100 {
        soon(flights.key(&key.to_string()).run(|_| fills.next()))
            .await
            .unwrap();
    }
    let trips = store.claims();
    for key in 0..100 {
        let landing = soon(flights.key(&key.to_string()).run(|_| fills.next()))
            .await
            .unwrap();
        assert_eq!(landing.source, Source::Cached);
    }
    assert!(store.claims() >= trips + 90, "most copies had to go");
    let call = flights.key("0").local_max_age(Duration::ZERO);
    soon(call.run(|_| fills.next())).await.unwrap();
    let trips = store.claims();
    soon(call.run(|_| fills.next())).await.unwrap();
    assert_eq!(store.claims(), trips + 1, "a copy of no age is not served");
    assert_eq!(fills.0.load(Ordering::SeqCst), 100);
}

#[tokio::test]
async fn what_was_missed_before_the_change_stream_was_up_is_made_good() {
    let store = Flaky::new();
    store.set_deaf(true);
    missed_and_made_good(store, || {}).await;
}

#[tokio::test]
async fn what_was_missed_in_a_gap_is_made_good() {
    let store = Flaky::new();
    missed_and_made_good(store.clone(), || store.set_deaf(true)).await;
}

/// An answer that was asked for before the stream was up may be older than a change which nobody told.
#[tokio::test]
async fn what_was_missed_while_an_answer_was_on_its_way_is_made_good() {
    let store = Flaky::new();
    let there = SingleFlight::builder(store.clone()).local_copies(0).build();
    let fills = Counter::new();
    soon(there.key("k").run(|_| fills.next())).await.unwrap();
    store.set_deaf(true);
    store.hold_answers(true);
    let here = SingleFlight::new(store.clone());
    let handle = here.key("k").handle::<u64>();
    let claims = store.claims();
    let missed = async {
        until("the claim", || store.claims() > claims).await;
        drop(store.forget("k".into(), "_dust:sf/k".into()));
        store.set_deaf(false);
        store.hold_answers(false);
    };
    let (landing, ()) = tokio::join!(soon(handle.run(|_| fills.next())), missed);
    assert_eq!(*landing.unwrap().value, 1);
    until("the copy is gone", || handle.hit().is_none()).await;
}

async fn missed_and_made_good(store: Flaky, break_off: impl Fn()) {
    let here = SingleFlight::new(store.clone());
    let there = SingleFlight::builder(store.clone()).local_copies(0).build();
    let fills = Counter::new();
    let handle = here.key("k").handle::<u64>();
    assert_eq!(*soon(handle.run(|_| fills.next())).await.unwrap().value, 1);
    break_off();
    let call = there.key("k").fresh_for(Duration::ZERO);
    assert_eq!(*soon(call.run(|_| fills.next())).await.unwrap().value, 2);
    // While the stream is down, copies are still served.
    assert_eq!(handle.hit().map(|landing| *landing.value), Some(1));
    store.set_deaf(false);
    until("the copy is gone", || handle.hit().is_none()).await;
    assert_eq!(*soon(handle.run(|_| fills.next())).await.unwrap().value, 2);
}
