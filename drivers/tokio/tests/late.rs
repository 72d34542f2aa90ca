//! What comes late, twice, or at an odd moment.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use oneflight_store::{
    AttemptId, ChangeListener, Claim, ClaimRequest, Holder, KeyState, KeyStatus, LeaseId,
    MemoryStore, Pending, Profile, Publication, PutOutcome, Renewal, Revision, Store, StoreError,
    Subscription, WatchEvent, Watcher, blocking, default_lock,
};
use oneflight_tokio::{Error, OnUnavailable, SingleFlight, Source};
use support::{Flaky, Result, soon, until};
use tokio::sync::{Notify, oneshot};

type Publish = Box<dyn FnMut(usize, Pending<Publication>) -> Pending<Publication> + Send>;
type Watch = Box<dyn FnMut(usize, &MemoryStore, &dyn Watcher) + Send>;

/// A memory store whose answers a test may change.
#[derive(Clone, Default)]
struct Odd {
    inner: MemoryStore,
    hooks: Arc<Hooks>,
}

#[derive(Default)]
struct Hooks {
    publishes: AtomicUsize,
    watches: AtomicUsize,
    open_watches: AtomicUsize,
    /// Is given the number of the publish, and its answer.
    publish: Mutex<Option<Publish>>,
    /// Is called when a watch was opened.
    watched: Mutex<Option<Watch>>,
    /// Is called when a watch is about to be closed.
    unwatched: Mutex<Option<Watch>>,
    renew: Mutex<Option<StoreError>>,
    age: Mutex<Option<Duration>>,
}

impl Odd {
    fn new() -> Self {
        Self::default()
    }

    fn on_publish(
        &self,
        hook: impl FnMut(usize, Pending<Publication>) -> Pending<Publication> + Send + 'static,
    ) {
        *self.hooks.publish.lock().unwrap() = Some(Box::new(hook));
    }

    fn publishes(&self) -> usize {
        self.hooks.publishes.load(Ordering::SeqCst)
    }

    fn open_watches(&self) -> usize {
        self.hooks.open_watches.load(Ordering::SeqCst)
    }

    /// Another process takes the lease.
    fn hold(&self) -> LeaseId {
        let lock: Arc<str> = default_lock("k").into();
        let request = ClaimRequest {
            key: "k".into(),
            lock: Arc::clone(&lock),
            ttl: Duration::from_secs(60),
            seen: Revision::new(u64::MAX),
            holder: Holder::this_process(),
            attempt: AttemptId(1),
        };
        match blocking::Store::claim(&self.inner, request).unwrap() {
            Claim::Granted { token, .. } => LeaseId { lock, token },
            other => panic!("{other:?}"),
        }
    }
}

impl Store for Odd {
    fn profile(&self) -> &Profile {
        Store::profile(&self.inner)
    }

    fn claim(&self, request: ClaimRequest) -> Pending<Claim> {
        let mut answer = blocking::Store::claim(&self.inner, request);
        if let (Ok(Claim::Newer { entry, .. }), Some(age)) =
            (&mut answer, *self.hooks.age.lock().unwrap())
        {
            entry.age = age;
        }
        Box::pin(std::future::ready(answer))
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Pending<Renewal> {
        match &*self.hooks.renew.lock().unwrap() {
            Some(error) => Box::pin(std::future::ready(Err(error.clone()))),
            None => Store::renew(&self.inner, lease, ttl),
        }
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Pending<Publication> {
        let number = self.hooks.publishes.fetch_add(1, Ordering::SeqCst) + 1;
        let store = self.inner.clone();
        let answer: Pending<_> =
            Box::pin(async move { Store::publish(&store, lease, key, value, retain).await });
        match &mut *self.hooks.publish.lock().unwrap() {
            Some(hook) => hook(number, answer),
            None => answer,
        }
    }

    fn release(&self, lease: LeaseId) -> Pending<()> {
        Store::release(&self.inner, lease)
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Pending<PutOutcome> {
        Store::put(&self.inner, key, value, retain, seen)
    }

    fn read(&self, key: Arc<str>) -> Pending<KeyState> {
        Store::read(&self.inner, key)
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Pending<Revision> {
        Store::forget(&self.inner, key, lock)
    }

    fn list(&self) -> Pending<Vec<KeyStatus>> {
        Store::list(&self.inner)
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        let number = self.hooks.watches.fetch_add(1, Ordering::SeqCst) + 1;
        self.hooks.open_watches.fetch_add(1, Ordering::SeqCst);
        let to_inner = Arc::clone(&watcher);
        let inner = Store::watch(
            &self.inner,
            key,
            lock,
            Arc::new(move |event| to_inner.notify(event)),
        );
        if let Some(hook) = &mut *self.hooks.watched.lock().unwrap() {
            hook(number, &self.inner, &*watcher);
        }
        let this = self.clone();
        Subscription::new(move || {
            if let Some(hook) = &mut *this.hooks.unwatched.lock().unwrap() {
                hook(number, &this.inner, &*watcher);
            }
            drop(inner);
            this.hooks.open_watches.fetch_sub(1, Ordering::SeqCst);
        })
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        Store::changes(&self.inner, listener)
    }
}

fn never<T: Send + 'static>() -> Pending<T> {
    Box::pin(std::future::pending())
}

#[tokio::test]
async fn a_watch_that_has_ended_is_closed() {
    let store = Odd::new();
    let lease = store.hold();
    *store.hooks.watched.lock().unwrap() = Some(Box::new(move |_, inner, watcher| {
        blocking::Store::release(inner, lease.clone()).unwrap();
        watcher.notify(WatchEvent::Ended(StoreError::unavailable("cut off")));
    }));
    let flights = SingleFlight::new(store.clone());
    let call = flights.key("k");
    let landing: Result<u64> = soon(call.run(|_| async { Ok(1) })).await;
    assert_eq!(*landing.unwrap().value, 1);
    flights.close().await;
    assert_eq!(store.open_watches(), 0);
}

#[tokio::test]
async fn a_fill_is_not_lost_to_a_value_that_comes_as_the_watch_is_closed() {
    let store = Odd::new();
    let lease = store.hold();
    // Somebody who could not reach the store puts its value in just then.
    *store.hooks.unwatched.lock().unwrap() = Some(Box::new(|_, inner, _| {
        blocking::Store::put(inner, "k".into(), "7".into(), None, Revision::NEVER).unwrap();
    }));
    let flights = SingleFlight::new(store.clone());
    let waiting = tokio::spawn({
        let flights = flights.clone();
        async move {
            let call = flights.key("k").fresh(|value: &u64| *value == 1);
            let landing: Result<u64> = call.run(|_| async { Ok(1) }).await;
            landing
        }
    });
    until("the caller waits", || store.open_watches() == 1).await;
    blocking::Store::release(&store.inner, lease).unwrap();
    let landing = soon(waiting).await.unwrap().unwrap();
    assert_eq!((*landing.value, landing.source), (1, Source::Computed));
}

#[tokio::test]
async fn a_publish_that_is_answered_twice_does_not_lend_its_revision_to_another_value() {
    let store = Odd::new();
    let (late, held) = oneshot::channel::<()>();
    let mut late = Some(late);
    let (hold, holding) = oneshot::channel();
    let mut hold = Some(hold);
    let mut gate = Some(held);
    store.on_publish(move |number, answer| match number {
        // Committed at once, and answered much later.
        1 => {
            let gate = gate.take().unwrap();
            let hold = hold.take().unwrap();
            Box::pin(async move {
                let answer = answer.await;
                gate.await.ok();
                hold.send(()).ok();
                answer
            })
        }
        2 => answer,
        _ => never(),
    });
    let flights = SingleFlight::builder(store.clone()).local_copies(0).build();
    let short = Duration::from_millis(50);
    let first: Result<u64> = soon(
        flights
            .key("k")
            .store_timeout(short)
            .run(|_| async { Ok(1) }),
    )
    .await;
    assert_eq!(*first.unwrap().value, 1);

    let second = tokio::spawn({
        let flights = flights.clone();
        async move {
            let call = flights.key("k").fresh(|value: &u64| *value == 2);
            let call = call.on_unavailable(OnUnavailable::Error);
            let landing: Result<u64> = call.run(|_| async { Ok(2) }).await;
            landing
        }
    });
    until("the second value is on its way", || store.publishes() == 3).await;
    drop(late.take());
    soon(holding).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let third: Result<u64> = soon(flights.key("k").run(|_| async { Ok(3) })).await;
    let third = third.unwrap();
    assert_eq!(*third.value, 1, "the second value was never published");
    second.abort();
}

#[tokio::test]
async fn a_value_whose_publish_was_repeated_counts_from_the_first() {
    let store = Odd::new();
    store.on_publish(|number, answer| match number {
        // Committed, and never answered.
        1 => Box::pin(async move {
            drop(answer.await);
            std::future::pending().await
        }),
        _ => answer,
    });
    let flights = SingleFlight::new(store.clone());
    let timeout = Duration::from_millis(500);
    let call = flights.key("k").store_timeout(timeout);
    let landing: Result<u64> = soon(call.run(|_| async { Ok(1) })).await;
    assert_eq!(landing.unwrap().source, Source::Computed);
    let young = flights.key("k").fresh_for(timeout / 2);
    let landing = soon(young.get::<u64>()).await.unwrap();
    assert!(landing.is_none(), "published half a second ago");
}

#[tokio::test]
async fn what_may_have_been_published_is_not_told_to_be_refused() {
    let store = Odd::new();
    *store.hooks.renew.lock().unwrap() = Some(StoreError::refused("no renewals for you"));
    store.on_publish(|_, _| never());
    let flights = SingleFlight::new(store.clone());
    let call = flights
        .key("k")
        .lease_ttl(Duration::from_millis(150))
        .store_timeout(Duration::from_millis(100))
        .on_unavailable(OnUnavailable::Error);
    let landing: Result<u64> = soon(call.run(|_| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(1)
    }))
    .await;
    match landing.unwrap_err() {
        Error::Unpublished {
            cause: StoreError::Unavailable(_),
            ..
        } => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_age_beyond_all_measure_is_old() {
    let store = Odd::new();
    blocking::Store::put(&store.inner, "k".into(), "7".into(), None, Revision::NEVER).unwrap();
    *store.hooks.age.lock().unwrap() = Some(Duration::MAX);
    let flights = SingleFlight::new(store.clone());
    let landing: Result<u64> = soon(flights.key("k").run(|_| async { Ok(1) })).await;
    assert_eq!(*landing.unwrap().value, 7);
    let call = flights.key("k").fresh_for(Duration::from_secs(1));
    let landing: Result<u64> = soon(call.run(|_| async { Ok(1) })).await;
    assert_eq!(*landing.unwrap().value, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_forgotten_here_does_not_come_back_while_the_stream_is_late() {
    let store = Flaky::new();
    Store::put(&store, "k".into(), "7".into(), None, Revision::NEVER)
        .await
        .unwrap();
    let flights = SingleFlight::new(store.clone());
    // The change stream is open, and late from now on.
    let other: Result<u64> = soon(flights.key("other").run(|_| async { Ok(0) })).await;
    other.unwrap();
    store.set_deaf(true);
    let judging = Arc::new(Notify::new());
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let gone = Mutex::new(gone);
    let reader = tokio::spawn({
        let (flights, judging) = (flights.clone(), Arc::clone(&judging));
        async move {
            let call = flights.key("k").fresh(|_: &u64| {
                judging.notify_one();
                gone.lock().unwrap().recv().ok();
                true
            });
            let landing: Result<u64> = call.run(|_| async { Ok(1) }).await;
            landing
        }
    });
    soon(judging.notified()).await;
    soon(flights.key("k").forget()).await.unwrap();
    drop(go);
    soon(reader).await.unwrap().unwrap();
    // This call began after the forget had returned.
    let landing: Result<u64> = soon(flights.key("k").run(|_| async { Ok(8) })).await;
    assert_eq!(*landing.unwrap().value, 8);
}

#[test]
fn a_lease_that_was_given_up_as_the_runtime_ended_is_released_by_close() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    let filling = Arc::new(Notify::new());
    let mut call = Box::pin({
        let (flights, filling) = (flights.clone(), Arc::clone(&filling));
        async move {
            let call = flights.key("k");
            let landing: Result<u64> = call
                .run(|_| {
                    filling.notify_one();
                    std::future::pending()
                })
                .await;
            landing
        }
    });
    first.block_on(async {
        tokio::select! {
            _ = &mut call => panic!("it never ends"),
            () = filling.notified() => {}
        }
    });
    drop(first);
    drop(call);
    runtime().block_on(flights.close());
    assert_eq!(store.held(), []);
}

#[tokio::test]
async fn any_number_of_copies_may_be_asked_for() {
    let store = Odd::new();
    for copies in [1, 2, usize::MAX] {
        let flights = SingleFlight::builder(store.clone())
            .local_copies(copies)
            .build();
        let landing: Result<u64> = soon(flights.key("k").run(|_| async { Ok(1) })).await;
        assert_eq!(*landing.unwrap().value, 1);
        assert!(flights.key("k").handle::<u64>().hit().is_some(), "{copies}");
    }
}

#[tokio::test]
async fn copies_are_looked_at_until_the_store_has_answered() {
    let store = Flaky::new();
    let flights = SingleFlight::new(store.clone());
    let landing: Result<u64> = soon(flights.key("k").run(|_| async { Ok(1) })).await;
    let first = landing.unwrap();
    // Another process publishes while the change stream is down; when it is up again, the store does
    // not answer the first questions.
    store.set_deaf(true);
    let seen = first.revision.unwrap();
    Store::put(&store, "k".into(), "2".into(), None, seen)
        .await
        .unwrap();
    store.set_down(true);
    store.set_deaf(false);
    tokio::time::sleep(Duration::from_millis(50)).await;
    store.set_down(false);
    let handle = flights.key("k").handle::<u64>();
    until("the old copy is gone", || handle.hit().is_none()).await;
}
