//! The flight recorder under many callers of few processes, with each driver: local hits, passengers,
//! failures, panics, callers who leave.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use oneflight_blocking as blocking;
use oneflight_sim::check::Checker;
use oneflight_sim::replay::replay;
use oneflight_sim::trace::{What, read};
use oneflight_store::MemoryStore;
use oneflight_tests::time::soon;
use oneflight_tokio::{OnAbort, Recorder, SingleFlight};
use tokio::time::{sleep, timeout};

const DRIVERS: usize = 3;
const CALLERS: usize = 40;
const CALLS: usize = 12;

/// What a caller is up to.
struct Plan {
    seed: u64,
    key: &'static str,
    what: u8,
    takes: Duration,
    short: Duration,
    patience: Duration,
    fails: bool,
    panics: bool,
    even: bool,
}

impl Plan {
    fn draw(random: &mut Rng) -> Self {
        let few = random.u8(..4) == 0;
        Self {
            seed: random.u64(..),
            key: ["a", "b", "c"][random.usize(..3)],
            what: match random.u8(..6) {
                3 | 4 if !few => 5,
                what => what,
            },
            takes: Duration::from_micros(random.u64(..3_000)),
            short: Duration::from_millis(random.u64(..4)),
            patience: match random.u8(..6) {
                0 => Duration::from_micros(random.u64(..5_000)),
                _ => Duration::from_secs(10),
            },
            fails: random.u8(..8) == 0,
            panics: random.u8(..30) == 0,
            even: random.u8(..5) == 0,
        }
    }

    /// How its fill ends.
    fn fill(&self) -> Result<u64, &'static str> {
        if self.panics {
            // As a panic, but without its noise.
            std::panic::resume_unwind(Box::new("as planned"));
        }
        if self.fails {
            Err("failed")
        } else {
            Ok(self.seed)
        }
    }
}

fn is_even(value: &u64) -> bool {
    value.is_multiple_of(2)
}

/// The same for the calls of each driver.
macro_rules! options {
    ($flights:ident, $plan:ident) => {{
        let call = $flights.key($plan.key).lease_ttl(Duration::from_secs(5));
        match $plan.what {
            0 => call.fresh_for($plan.short),
            1 => call.on_abort(OnAbort::Promote),
            2 => call.wait_timeout($plan.short),
            _ => call,
        }
    }};
}

async fn task(flights: &SingleFlight, plan: Plan) {
    let call = options!(flights, plan);
    match plan.what {
        3 => return drop(call.forget().await),
        4 => return drop(call.get::<u64>().await),
        _ => {}
    }
    let fill = |_| async {
        sleep(plan.takes).await;
        plan.fill()
    };
    if plan.even {
        drop(timeout(plan.patience, call.fresh(is_even).run(fill)).await);
    } else {
        drop(timeout(plan.patience, call.run(fill)).await);
    }
}

/// Threads cannot leave.
fn thread(flights: &blocking::SingleFlight, plan: &Plan) {
    let call = options!(flights, plan);
    match plan.what {
        3 => return drop(call.forget()),
        4 => return drop(call.get::<u64>()),
        _ => {}
    }
    let fill = |_| {
        std::thread::sleep(plan.takes);
        plan.fill()
    };
    if plan.even {
        drop(call.fresh(is_even).run(fill));
    } else {
        drop(call.run(fill));
    }
}

async fn storm_of_tasks(path: &Path, seed: u64) {
    let store = Arc::new(MemoryStore::new());
    let mut random = Rng::with_seed(seed);
    let mut callers = tokio::task::JoinSet::new();
    let mut drivers = Vec::new();
    for _ in 0..DRIVERS {
        let recorder = Recorder::append(path, |error| panic!("{error}")).unwrap();
        let builder = SingleFlight::builder(Arc::clone(&store)).recorder(recorder);
        let flights = builder.build();
        for _ in 0..CALLERS {
            let (flights, mut random) = (flights.clone(), random.fork());
            callers.spawn(async move {
                for _ in 0..CALLS {
                    task(&flights, Plan::draw(&mut random)).await;
                }
                let handle = flights.key("a").handle::<u64>();
                drop((handle.hit(), handle.hit()));
            });
        }
        drivers.push(flights);
    }
    // Those who panicked are told as errors.
    while callers.join_next().await.is_some() {}
    for flights in drivers {
        flights.close().await;
    }
}

fn storm_of_threads(path: &Path, seed: u64) {
    let store = Arc::new(MemoryStore::new());
    let mut random = Rng::with_seed(seed);
    let mut callers = Vec::new();
    for _ in 0..DRIVERS {
        let recorder = Recorder::append(path, |error| panic!("{error}")).unwrap();
        let builder = blocking::SingleFlight::builder(Arc::clone(&store)).recorder(recorder);
        let flights = builder.build();
        for _ in 0..CALLERS {
            let (flights, mut random) = (flights.clone(), random.fork());
            callers.push(std::thread::spawn(move || {
                for _ in 0..CALLS {
                    thread(&flights, &Plan::draw(&mut random));
                }
                let handle = flights.key("a").handle::<u64>();
                drop((handle.hit(), handle.hit()));
            }));
        }
    }
    for caller in callers {
        // Some died of a panic. The last of a process has seen to its end.
        caller.join().ok();
    }
}

/// Judges a recording.
fn is_sound(path: &Path, driver: &str) {
    let trace = read(std::fs::read(path).unwrap().as_slice()).unwrap();
    let mut drivers = trace.headers.iter().map(|header| &*header.recorder);
    assert!(drivers.all(|it| it == driver));
    let violations = Checker::check(&trace);
    assert!(violations.is_empty(), "{violations:#?}");
    let (told, differences) = replay(&trace);
    assert!(told > 0 && differences.is_empty(), "{differences:#?}");
    let count = |is: fn(&What<_>) -> bool| {
        let records = trace.records.iter();
        records.filter(|record| is(&record.what)).count()
    };
    let hits = count(|what| matches!(what, What::Landed { local: true, .. }));
    let left = count(|what| matches!(what, What::Left { .. }));
    let closed = count(|what| matches!(what, What::Down { crashed: false }));
    let records = trace.records.len();
    println!("{records} records, {hits} local hits, {left} left");
    assert!(hits > 0);
    // Threads cannot: of them only those leave that panic at the right moment.
    assert!(left > 0 || driver == "blocking");
    assert_eq!(closed, DRIVERS);
}

fn seed() -> u64 {
    let seed = match std::env::var("ONEFLIGHT_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => fastrand::u64(..),
    };
    println!("ONEFLIGHT_SEED={seed}");
    seed
}

#[test]
fn what_many_tasks_do_is_recorded_truly() {
    let seed = seed();
    let place = tempfile::tempdir().unwrap();
    for workers in [1, 2] {
        let path = place.path().join(format!("{workers}.jsonl"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(soon("the storm", storm_of_tasks(&path, seed)));
        drop(runtime);
        is_sound(&path, "tokio");
    }
}

#[test]
fn what_many_threads_do_is_recorded_truly() {
    let seed = seed();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("threads.jsonl");
    storm_of_threads(&path, seed);
    is_sound(&path, "blocking");
}
