//! The hub without a runtime and without waiting: the tests turn the pump and move the clock.
//!
//! Nothing is polled or turned unless its waker was woken or its moment has come, so a wake-up that is
//! forgotten shows as a test with nothing left to happen.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use oneflight_hub::{
    CLOSING_PATIENCE, Call, Driver, Error, Landing, Lease, Look, Loss, OnUnavailable, Pump,
    Settings, Shared, Source, Until,
};
use oneflight_store::{MemoryStore, PutOutcome, Revision, Store, StoreError};
use silent::Silent;

mod silent;

type Result<T> = std::result::Result<Landing<T>, Error<T, String>>;

struct ByHand;

impl Driver for ByHand {
    fn name(&self) -> &'static str {
        "by hand"
    }

    fn clock(&self) -> fn() -> Instant {
        now
    }

    fn start(&self, pump: Pump) -> std::result::Result<(), StoreError> {
        PUMP.replace(Some(pump));
        WOKEN.with(|woken| woken.0.store(true, Ordering::SeqCst));
        Ok(())
    }
}

thread_local! {
    static CLOCK: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static PUMP: RefCell<Option<Pump>> = const { RefCell::new(None) };
    static WOKEN: Arc<Flag> = Arc::default();
    static TURNS: Cell<usize> = const { Cell::new(0) };
}

fn now() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now) + CLOCK.get()
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Turns the pump if it is to be turned, or else lets time pass until it is. `false` if nothing is left
/// to happen.
fn turn(moment: &mut Option<Instant>) -> bool {
    TURNS.set(TURNS.get() + 1);
    assert!(TURNS.get() < 10_000, "turned without end");
    let flag = WOKEN.with(Arc::clone);
    if !flag.0.swap(false, Ordering::SeqCst) {
        let Some(at) = moment.take() else {
            return false;
        };
        CLOCK.set(CLOCK.get() + at.saturating_duration_since(now()));
    }
    let Some(mut pump) = PUMP.take() else {
        return false;
    };
    match pump.turn(&mut Context::from_waker(&Waker::from(flag))) {
        Until::Moment(at) => {
            *moment = at;
            PUMP.replace(Some(pump));
        }
        Until::Ended => *moment = None,
    }
    true
}

/// Runs a future to its end.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut moment = Some(now());
    loop {
        if flag.0.swap(false, Ordering::SeqCst)
            && let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker))
        {
            return result;
        }
        // A store may have woken the caller and nobody else.
        if !flag.0.load(Ordering::SeqCst) {
            assert!(turn(&mut moment), "nothing is left to happen");
        }
    }
}

fn shared(store: impl oneflight_store::Store) -> Arc<Shared> {
    Arc::new(Shared::new(ByHand, Arc::new(store), Settings::default()))
}

async fn fly<F: Future<Output = std::result::Result<u64, String>>>(
    call: &Call<'_>,
    fill: impl FnMut(Lease) -> F,
) -> Result<u64> {
    call.fly(None, || std::future::ready(()), fill).await
}

async fn seven(_: Lease) -> std::result::Result<u64, String> {
    Ok(7)
}

#[test]
fn a_call_needs_no_runtime() {
    let shared = shared(MemoryStore::new());
    let call = Call::new(&shared, "k");
    let landing = run(fly(&call, seven)).unwrap();
    assert_eq!((*landing.value, landing.source), (7, Source::Computed));
    assert!(matches!(call.look_local::<u64>(), Look::Fresh(_)));
    let read = run(call.read::<u64>()).unwrap().unwrap();
    assert_eq!((*read.value, read.source), (7, Source::Cached));
    run(call.forget()).unwrap();
    assert!(matches!(call.look_local::<u64>(), Look::Stale(None)));
    run(shared.idle());
    assert_eq!(CLOCK.get(), Duration::ZERO);
}

#[test]
fn a_silent_store_is_given_up_when_the_clock_says_so() {
    let store = Silent::new();
    store.fall_silent();
    let shared = shared(store.clone());
    let mut call = Call::new(&shared, "k");
    call.options.store_timeout = Some(Duration::from_secs(3));
    call.options.on_unavailable = OnUnavailable::Error;
    let landing = run(fly(&call, seven));
    assert!(matches!(landing, Err(Error::Unavailable(_))), "{landing:?}");
    assert_eq!(CLOCK.get(), Duration::from_secs(3));
    // A late grant is worth to be released, but not for ever.
    assert!(store.unanswered() > 0);
    let mut moment = Some(now());
    while store.unanswered() > 0 {
        assert!(turn(&mut moment), "a request is waited for without end");
    }
    assert!(CLOCK.get() >= Duration::from_secs(60), "{:?}", CLOCK.get());
}

/// Found in chaos: it was told that the store was unavailable.
#[test]
fn who_judges_while_its_time_is_over_lands_with_what_it_had() {
    let store = MemoryStore::new();
    let put = |value: &'static str, seen| {
        let put = Store::put(&store, "k".into(), value.into(), None, seen);
        match run(put).unwrap() {
            PutOutcome::Written(revision) => revision,
            PutOutcome::Newer(revision) => panic!("there is {revision}"),
        }
    };
    let first = put("1", Revision::NEVER);
    let shared = shared(store.clone());
    let mut call = Call::new(&shared, "k");
    call.options.wait_timeout = Some(Duration::from_secs(10));
    let call = call.fresh(|value: &u64| {
        if *value == 1 {
            put("2", first);
            return false;
        }
        // Judging takes so long that the call is told to land meanwhile.
        CLOCK.set(CLOCK.get() + Duration::from_secs(10));
        WOKEN.with(|woken| woken.0.store(true, Ordering::SeqCst));
        assert!(turn(&mut None));
        true
    });
    let landing = run(call.fly(None, || std::future::ready(()), seven)).unwrap();
    assert_eq!((*landing.value, landing.source), (1, Source::Cached));
    assert!(landing.stale && landing.coordinated);
}

#[test]
fn who_waits_for_the_loss_of_a_lease_hears_of_it() {
    let store = Silent::new();
    let shared = shared(store.clone());
    let mut call = Call::new(&shared, "k");
    call.options.lease_ttl = Some(Duration::from_secs(30));
    let landing = run(fly(&call, |lease| {
        let store = &store;
        async move {
            assert_eq!((lease.is_live(), lease.loss()), (true, None));
            store.fall_silent();
            let loss = lease.lost().await;
            assert_eq!(lease.loss(), Some(loss));
            assert_eq!((lease.is_live(), loss), (false, Loss::Lapsed));
            Err(String::from("it was lost"))
        }
    }));
    assert!(matches!(landing, Err(Error::Aborted(_))), "{landing:?}");
    assert!(CLOCK.get() >= Duration::from_secs(30), "{:?}", CLOCK.get());
}

#[test]
fn who_waits_for_the_loss_no_more_leaves_nothing_behind() {
    let shared = shared(MemoryStore::new());
    run(fly(&Call::new(&shared, "k"), |lease| async move {
        let flag = Arc::new(Flag::default());
        let waker = Waker::from(Arc::clone(&flag));
        let mut lost = Box::pin(lease.lost());
        let polled = lost.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        drop((lost, waker));
        assert_eq!(Arc::strong_count(&flag), 1);
        Ok(7)
    }))
    .unwrap();
}

#[test]
fn the_pump_ends_with_the_last_handle() {
    let shared = shared(MemoryStore::new());
    run(fly(&Call::new(&shared, "k"), seven)).unwrap();
    let mut moment = None;
    while turn(&mut moment) {}
    assert!(PUMP.with_borrow(Option::is_some));
    drop(shared);
    while turn(&mut moment) {}
    assert!(PUMP.with_borrow(Option::is_none));
    assert_eq!(CLOCK.get(), Duration::ZERO);
}

#[test]
fn the_pump_ends_in_time_though_the_store_is_silent() {
    let store = Silent::new();
    let shared = shared(store.clone());
    let mut call = Call::new(&shared, "k");
    call.options.lease_ttl = Some(Duration::from_secs(3600));
    let left = run(futures_util::future::select(
        Box::pin(fly(&call, |_| {
            store.fall_silent();
            std::future::pending()
        })),
        std::future::ready(()),
    ));
    // The caller leaves in the middle of its fill, and the release goes unanswered.
    drop(left);
    drop(shared);
    let mut moment = Some(now());
    while turn(&mut moment) {}
    assert!(PUMP.with_borrow(Option::is_none));
    assert_eq!(CLOCK.get(), CLOSING_PATIENCE);
    assert_eq!(store.unanswered(), 0);
}
