//! What the tests of the driver share.

#![allow(
    dead_code,
    reason = "each test file uses a part; a test that unwraps fails as it should"
)]

mod flaky;

use std::future::Future;
use std::time::Duration;

use oneflight_tokio::{Error, Landing};

pub(crate) use flaky::Flaky;

pub(crate) type Result<T> = std::result::Result<Landing<T>, Error<T, String>>;

/// Longer than anything here takes: a test that waits this long has failed.
pub(crate) const BOUND: Duration = Duration::from_secs(10);

/// Waits for something that must happen, with a bound.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, future)
        .await
        .expect("nothing happened for ten seconds")
}

/// Waits until a condition holds, with a bound.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let give_up = std::time::Instant::now() + BOUND;
    while !condition() {
        assert!(
            std::time::Instant::now() < give_up,
            "never came true: {what}"
        );
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
