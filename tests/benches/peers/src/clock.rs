//! The clock that all processes of a machine share.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds on the monotonic clock.
pub(crate) fn now() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// What is left until `moment`; nothing if it is over.
pub(crate) fn until(moment: i64) -> Duration {
    Duration::from_nanos(u64::try_from(moment - now()).unwrap_or(0))
}

/// A duration in nanoseconds.
pub(crate) fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
