#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::wildcard_enum_match_arm))]
//! The tokio driver of oneflight: compute once across the fleet, share with everyone.

mod call;
mod handle;
mod pump;
mod single_flight;

pub use call::Call;
pub use handle::Handle;
pub use oneflight_core::{OnAbort, OnFenced, OnUnavailable};
#[cfg(feature = "metrics")]
pub use oneflight_hub::metrics;
pub use oneflight_hub::{Always, Error, Freshness, Landing, Lease, Loss, Recorder, Source, When};
pub use oneflight_store::{Holder, Revision, Store, StoreError, Token};
pub use single_flight::{Builder, SingleFlight};
