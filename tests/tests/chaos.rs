//! Mixed chaos on a Redis server, for a short while: `examples/chaos.rs` takes longer.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::time::Duration;

use oneflight_tests::chaos::{Plan, chaos};

#[test]
fn a_short_chaos_is_survived() {
    let seed = match std::env::var("ONEFLIGHT_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => fastrand::u64(..),
    };
    println!("ONEFLIGHT_SEED={seed}");
    let plan = Plan {
        time: Duration::from_secs(20),
        processes: 8,
        seed,
    };
    let outcome = chaos(plan, |_| {});
    println!("{outcome}");
    outcome.verdict().unwrap();
    assert!(outcome.tally.orders > 0 && !outcome.faults.is_empty());
}
