//! What the features promise is there.

#[test]
#[cfg(all(feature = "blocking", feature = "redis-blocking"))]
fn the_blocking_store_goes_with_the_blocking_driver() {
    use oneflight::blocking::{RedisStore, SingleFlight};

    // Nothing is connected before the first call.
    let store = RedisStore::open("redis://127.0.0.1:1/0").unwrap();
    drop(SingleFlight::new(store));
}

#[test]
#[cfg(all(feature = "blocking", feature = "metrics"))]
fn the_names_of_the_metrics_come_with_either_driver() {
    assert!(!oneflight::blocking::metrics::ALL.is_empty());
}
