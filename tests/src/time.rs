//! The clock that all processes share, and patience.

pub use oneflight_test_servers::time::{BOUND, until};
use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds on the monotonic clock, which is the same for all processes of a machine.
#[must_use]
pub fn now() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Waits for what must happen, with a bound.
///
/// # Panics
///
/// If it does not.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(BOUND, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
