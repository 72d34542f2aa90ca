//! The flight recorder under many callers of few processes: local hits, passengers, failures, panics,
//! callers who leave.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use oneflight_sim::check::Checker;
use oneflight_sim::replay::replay;
use oneflight_sim::trace::{Trace, What, read};
use oneflight_store::MemoryStore;
use oneflight_tests::time::soon;
use oneflight_tokio::{OnAbort, Recorder, SingleFlight};
use tokio::time::{sleep, timeout};

const DRIVERS: usize = 3;
const CALLERS: usize = 40;
const CALLS: usize = 12;

async fn call(flights: &SingleFlight, seed: u64) {
    let mut random = Rng::with_seed(seed);
    let key = ["a", "b", "c"][random.usize(..3)];
    let mut call = flights.key(key).lease_ttl(Duration::from_secs(5));
    match random.u8(..6) {
        0 => call = call.fresh_for(Duration::from_millis(random.u64(..4))),
        1 => call = call.on_abort(OnAbort::Promote),
        2 => call = call.wait_timeout(Duration::from_millis(random.u64(..3))),
        3 if random.u8(..4) == 0 => return drop(call.forget().await),
        4 if random.u8(..4) == 0 => return drop(call.get::<u64>().await),
        _ => {}
    }
    let (fails, panics) = (random.u8(..8) == 0, random.u8(..30) == 0);
    let takes = Duration::from_micros(random.u64(..3_000));
    let patience = match random.u8(..6) {
        0 => Duration::from_micros(random.u64(..5_000)),
        _ => Duration::from_secs(10),
    };
    let even = random.u8(..5) == 0;
    let fill = |_| async move {
        sleep(takes).await;
        if panics {
            // As a panic, but without its noise.
            std::panic::resume_unwind(Box::new("as planned"));
        }
        if fails { Err("failed") } else { Ok(seed) }
    };
    if even {
        let call = call.fresh(|value: &u64| value.is_multiple_of(2));
        drop(timeout(patience, call.run(fill)).await);
    } else {
        drop(timeout(patience, call.run(fill)).await);
    }
}

async fn storm(path: &std::path::Path, seed: u64) {
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
                    call(&flights, random.u64(..)).await;
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

fn is_sound(path: &std::path::Path) -> Trace {
    let trace = read(std::fs::read(path).unwrap().as_slice()).unwrap();
    let violations = Checker::check(&trace);
    assert!(violations.is_empty(), "{violations:#?}");
    let (told, differences) = replay(&trace);
    assert!(told > 0 && differences.is_empty(), "{differences:#?}");
    trace
}

#[test]
fn what_many_callers_do_is_recorded_truly() {
    let seed = match std::env::var("ONEFLIGHT_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => fastrand::u64(..),
    };
    println!("ONEFLIGHT_SEED={seed}");
    let place = tempfile::tempdir().unwrap();
    for workers in [1, 2] {
        let path = place.path().join(format!("{workers}.jsonl"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(soon("the storm", storm(&path, seed)));
        drop(runtime);
        let trace = is_sound(&path);
        let count = |is: fn(&What<_>) -> bool| {
            let records = trace.records.iter();
            records.filter(|record| is(&record.what)).count()
        };
        let hits = count(|what| matches!(what, What::Landed { local: true, .. }));
        let left = count(|what| matches!(what, What::Left { .. }));
        let closed = count(|what| matches!(what, What::Down { crashed: false }));
        println!(
            "{} records, {hits} local hits, {left} left",
            trace.records.len()
        );
        assert!(hits > 0 && left > 0);
        assert_eq!(closed, DRIVERS);
    }
}
