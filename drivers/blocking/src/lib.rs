#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::wildcard_enum_match_arm))]
//! The driver of oneflight for threads: compute once across the fleet, share with everyone.
//!
//! The same as the tokio driver, without `async` and without a runtime: a call blocks its thread, its
//! fill runs on that thread, and one thread of the driver renews leases, hears of changes and keeps the
//! time.
//!
//! ```
//! use std::time::Duration;
//! use oneflight_blocking::{Error, SingleFlight, Source};
//! use oneflight_store::MemoryStore;
//!
//! let flights = SingleFlight::new(MemoryStore::new());
//! let call = flights.key("report").fresh_for(Duration::from_secs(60));
//! let landing = call.run(|lease| {
//!     // Runs on this thread, in one process of the fleet.
//!     assert!(lease.is_live());
//!     Ok::<_, std::io::Error>(String::from("s3://reports/42"))
//! })?;
//! assert_eq!((landing.source, landing.value.as_str()), (Source::Computed, "s3://reports/42"));
//! assert_eq!(call.run(|_| Err(std::io::ErrorKind::Other.into()))?.source, Source::Cached);
//! # Ok::<(), Error<String, std::io::Error>>(())
//! ```

mod call;
mod handle;
mod lease;
mod pump;
mod single_flight;
mod wait;

/// What threads meet in, and the time. A test puts `shuttle`'s in its place.
mod sync {
    use std::time::Instant;

    pub(crate) use std::sync::atomic::AtomicBool;
    pub(crate) use std::sync::{Mutex, MutexGuard, mpsc};
    pub(crate) use std::thread;

    pub(crate) fn now() -> Instant {
        Instant::now()
    }
}

pub use call::Call;
pub use handle::Handle;
pub use lease::Lease;
pub use oneflight_core::{OnAbort, OnFenced, OnUnavailable};
#[cfg(feature = "metrics")]
pub use oneflight_hub::metrics;
pub use oneflight_hub::{Always, Error, Freshness, Landing, Loss, Recorder, Source, When};
pub use oneflight_store::{Holder, Offload, Revision, Store, StoreError, Token};
pub use single_flight::{Builder, SingleFlight};
