//! Patience.

use std::time::{Duration, Instant};

/// Longer than anything takes, however busy the machine: what is not there by then never comes.
pub const BOUND: Duration = Duration::from_secs(120);

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
