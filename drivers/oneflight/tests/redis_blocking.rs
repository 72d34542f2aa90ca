//! The feature `redis-blocking` has all that it takes.

#![cfg(feature = "redis-blocking")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use oneflight::blocking::{RedisStore, SingleFlight};

#[test]
fn a_blocking_store_flies() {
    // Nobody is asked before the first call.
    let store = RedisStore::open("redis://127.0.0.1:6379/0").unwrap();
    drop(SingleFlight::new(store));
}
