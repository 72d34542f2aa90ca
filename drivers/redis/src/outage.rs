//! How long there has been no connection, and when the next one is tried.

use std::time::{Duration, Instant};

use oneflight_store::StoreError;

use crate::fault::Place;
use crate::hub::Hub;
use crate::times::{FIRST_DELAY, LAST_DELAY};

/// From the loss of a connection to the next one; what follows at once upon a connection that did not
/// last is the same outage still, as far as delays go.
pub(crate) struct Outage {
    since: Instant,
    delay: Duration,
}

impl Outage {
    /// There was no connection yet.
    pub(crate) fn new() -> Self {
        Self {
            since: Instant::now(),
            delay: FIRST_DELAY,
        }
    }

    /// Nobody wanted a connection until now.
    pub(crate) fn is_felt(&mut self) {
        self.since = Instant::now();
    }

    /// The connection is lost that was made then, and was silent for so long; how long to wait before the next
    /// one.
    pub(crate) fn begins(&mut self, made: Instant, silence: Duration) -> Duration {
        let now = Instant::now();
        self.since = now.checked_sub(silence).unwrap_or(now);
        if made.elapsed() > LAST_DELAY {
            self.delay = FIRST_DELAY;
            return Duration::ZERO;
        }
        self.next_delay()
    }

    /// One more connection could not be made: those who watch are told so, if they are not to wait; how long to
    /// wait before the next one.
    pub(crate) fn goes_on(&mut self, hub: &Hub, error: &StoreError) -> Duration {
        if matches!(error, StoreError::Refused(_)) {
            hub.ended(error);
        } else {
            hub.out_of_reach(self.since.elapsed(), error);
        }
        hub.leave_idle(Instant::now(), drop);
        self.next_delay()
    }

    /// There is no connection yet: those who watch are told so whose patience is over.
    pub(crate) fn lasts(&self, hub: &Hub, place: &Place) {
        let outage = self.since.elapsed();
        hub.outlasts(outage, || {
            let outage = outage.as_millis();
            StoreError::unavailable(format_args!("{place}: no connection for {outage} ms"))
        });
    }

    fn next_delay(&mut self) -> Duration {
        let delay = self.delay;
        self.delay = (delay * 2).min(LAST_DELAY);
        delay
    }
}
