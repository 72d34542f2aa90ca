//! The machine's clock: nanoseconds since the driver was made.

use std::time::Duration;

use oneflight_core::Instant;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: tokio::time::Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            epoch: tokio::time::Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        let since = self.epoch.elapsed();
        Instant::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The runtime's name for a moment of the machine.
    pub(crate) fn moment(&self, at: Instant) -> tokio::time::Instant {
        // A timer that far off never fires anyway, and the sum may overflow.
        const FAR: Duration = Duration::from_secs(86_400 * 365);
        self.epoch + Duration::from_nanos(at.as_nanos()).min(self.epoch.elapsed() + FAR)
    }
}
