//! The clock that all processes share, and patience.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Longer than anything takes, however busy the machine: what is not there by then never comes.
pub const BOUND: Duration = Duration::from_secs(120);

/// Nanoseconds on the monotonic clock, which is the same for all processes of a machine.
#[must_use]
pub fn now() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Waits until `state` is there, with a bound.
#[track_caller]
pub fn until<T>(what: &str, mut state: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = state() {
            return found;
        }
        assert!(since.elapsed() < BOUND, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
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
