//! How often a fleet of clients that fly as Dust's SDKs do fills a key twice:
//!
//!     cargo run --package oneflight-test-dust --example seeds
//!
//! 8 callers, fills of 0 to 5 ms, callers up to 50 ms apart, and copies that are so far behind.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use oneflight_test_dust::{DustServer, STORE, Seed, SeedPolicy, TOKEN};
use serde_json::Value;

const CALLERS: usize = 8;
const KEYS: usize = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for behind in [0, 10, 100].map(Duration::from_millis) {
        let fills = fly(behind).await;
        let again = fills.iter().filter(|&&fills| fills > 1).count();
        let all: u64 = fills.iter().sum();
        let percent = 100.0 * again as f64 / KEYS as f64;
        println!(
            "copies {behind:?} behind: {all} fills of {KEYS} keys; {percent:.1} % filled again"
        );
    }
}

/// How often each key was filled.
async fn fly(behind: Duration) -> Vec<u64> {
    let server = DustServer::new();
    let fills: Vec<_> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
    let mut seeds = Vec::new();
    for caller in 0..CALLERS {
        let device = caller.to_string();
        seeds.push(Seed::connect(&server.url(), TOKEN, &device, STORE).await);
        server.delay_events(&device, behind);
    }
    for (key, fills) in fills.iter().enumerate() {
        let key = format!("key/{key}");
        let call = async |seed: &Seed| {
            pause(50).await;
            let fill = async |_| {
                fills.fetch_add(1, Ordering::Relaxed);
                pause(5).await;
                Ok(Value::from(1))
            };
            let policy = SeedPolicy::default();
            seed.single_flight(&key, policy, fill).await.unwrap();
        };
        futures_util::future::join_all(seeds.iter().map(call)).await;
    }
    fills.into_iter().map(AtomicU64::into_inner).collect()
}

/// Up to so many milliseconds.
async fn pause(most: u64) {
    tokio::time::sleep(Duration::from_micros(fastrand::u64(..1000 * most))).await;
}
