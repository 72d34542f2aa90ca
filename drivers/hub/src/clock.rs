//! The clock of a driver, and the machine's view of it: nanoseconds since the driver was made.

use std::time::{Duration, Instant};

use oneflight_core as core;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Instant,
    read: fn() -> Instant,
}

impl Clock {
    pub(crate) fn new(read: fn() -> Instant) -> Self {
        Self {
            epoch: read(),
            read,
        }
    }

    /// The moment as the driver tells it.
    #[inline]
    pub(crate) fn read(&self) -> Instant {
        (self.read)()
    }

    /// The moment as the machine wants to be told it.
    pub(crate) fn now(&self) -> core::Instant {
        let since = self.read().saturating_duration_since(self.epoch);
        core::Instant::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The driver's name for a moment of the machine.
    pub(crate) fn moment(&self, at: core::Instant) -> Instant {
        // A timer that far off never fires anyway, and the sum may overflow.
        const FAR: Duration = Duration::from_secs(86_400 * 365);
        let since = Duration::from_nanos(self.now().as_nanos());
        self.epoch + Duration::from_nanos(at.as_nanos()).min(since + FAR)
    }
}
