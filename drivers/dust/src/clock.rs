//! The server's clock, as far as it shows.

use std::time::Duration;

/// A moment: the time since an epoch of the driver's choosing.
pub(crate) type Moment = Duration;

/// How far the server's clock is ahead of the driver's, within bounds, in milliseconds.
///
/// The server tells its time only where a lease lapses. What is known of this process's own leases, which
/// it was asked for at one moment and answered at another, bounds it; until there is one, the time of day
/// here is taken for the server's, unless the server has told another when the connection was opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerClock {
    low: i64,
    high: i64,
    measured: bool,
}

/// Milliseconds of a moment.
pub(crate) fn ms(moment: Moment) -> i64 {
    i64::try_from(moment.as_millis()).unwrap_or(i64::MAX / 4)
}

impl ServerClock {
    /// `wall`: milliseconds since 1970 at `now`, by the clock of this machine.
    pub(crate) fn new(now: Moment, wall: i64) -> Self {
        let ahead = wall.saturating_sub(ms(now));
        Self {
            low: ahead,
            high: ahead,
            measured: false,
        }
    }

    /// The server has told the time, in whole seconds since 1970, between these moments.
    pub(crate) fn told(&mut self, asked: Moment, answered: Moment, seconds: i64) {
        let told = seconds.saturating_mul(1000);
        let low = told.saturating_sub(ms(answered));
        let high = told.saturating_add(1000).saturating_sub(ms(asked));
        if self.measured || (low <= self.low && self.high <= high) {
            return;
        }
        self.low = low;
        self.high = high;
    }

    /// It was `server` at some time between these moments.
    pub(crate) fn measured(&mut self, asked: Moment, answered: Moment, server: i64) {
        let low = server.saturating_sub(ms(answered).saturating_add(1));
        let high = server.saturating_add(1).saturating_sub(ms(asked));
        let (both_low, both_high) = (low.max(self.low), high.min(self.high));
        // Where the two do not meet, one of the clocks has been set, or has drifted that far.
        (self.low, self.high) = if self.measured && both_low <= both_high {
            (both_low, both_high)
        } else {
            (low, high)
        };
        self.measured = true;
    }

    /// The server's time is at least this…
    pub(crate) fn at_least(&self, now: Moment) -> i64 {
        ms(now).saturating_add(self.low)
    }

    /// …and at most this.
    pub(crate) fn at_most(&self, now: Moment) -> i64 {
        ms(now).saturating_add(self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Moment {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_time_of_day_counts_until_there_is_better() {
        let mut clock = ServerClock::new(at(0), 1_000_400);
        assert_eq!(clock.at_least(at(100)), 1_000_500);
        // The server's second may be this one.
        clock.told(at(10), at(20), 1000);
        assert_eq!(clock.at_most(at(100)), 1_000_500);
        // It cannot be that one.
        clock.told(at(10), at(20), 990);
        assert_eq!(clock.at_least(at(20)), 990_000);
        assert_eq!(clock.at_most(at(10)), 991_000);
        clock.measured(at(50), at(60), 990_700);
        assert_eq!(clock.at_least(at(60)), 990_699);
        assert_eq!(clock.at_most(at(50)), 990_701);
    }

    #[test]
    fn bounds_meet_or_the_last_ones_count() {
        let mut clock = ServerClock::new(at(0), 0);
        clock.measured(at(0), at(100), 5000);
        clock.measured(at(1000), at(1010), 6050);
        assert_eq!(
            (clock.at_least(at(0)), clock.at_most(at(0))),
            (5039, 5001 + 50)
        );
        clock.measured(at(2000), at(2001), 9000);
        assert_eq!((clock.at_least(at(0)), clock.at_most(at(0))), (6998, 7001));
    }
}
