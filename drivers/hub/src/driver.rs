//! What a driver brings along.

use std::time::Instant;

use oneflight_store::StoreError;

use crate::pump::Pump;

/// What a driver brings along: how it tells the time, and who turns the pump.
pub trait Driver: Send + Sync + 'static {
    /// What a recording calls it.
    fn name(&self) -> &'static str;

    /// Its clock, which never goes back.
    fn clock(&self) -> fn() -> Instant;

    /// Sees to it that this pump is turned from now on. Called in the middle of a caller's work, so it
    /// must not turn the pump in place. The pump is to be dropped when it has ended or will not be turned
    /// any more, for then another is started when there is need.
    ///
    /// # Errors
    ///
    /// That it cannot be turned, and why: a caller who has to wait is told instead.
    fn start(&self, pump: Pump) -> Result<(), StoreError>;

    /// The last handle is gone, and the pump has been told: it ends soon.
    fn closed(&self) {}
}
