//! Time as the machine knows it.

use core::time::Duration;

/// A moment: nanoseconds since an epoch of the driver's choosing, on a clock that never goes back.
///
/// The machine owns no clock; every call tells it the time. An [`Instant`] is only meaningful beside
/// others of the same driver. Arithmetic saturates: the far future is `u64::MAX`, 584 years on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Instant(u64);

impl Instant {
    /// The moment that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment this many nanoseconds after the driver's epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the driver's epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This moment plus a duration, or [`Instant::NEVER`] if that is too far off.
    #[must_use]
    pub const fn after(self, wait: Duration) -> Self {
        // `Duration::as_nanos` is 128-bit arithmetic; this is on the machine's hot path.
        let nanos = wait
            .as_secs()
            .saturating_mul(1_000_000_000)
            .saturating_add(wait.subsec_nanos() as u64);
        Self(self.0.saturating_add(nanos))
    }

    /// How long after `earlier` this moment is; zero if it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
