#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::wildcard_enum_match_arm))]
//! The tokio driver of oneflight: compute once across the fleet, share with everyone.

mod call;
mod candidate;
mod clock;
mod copies;
mod error;
mod fly;
mod freshness;
mod handle;
mod hub;
mod landing;
mod lease;
mod options;
mod pump;
mod recorder;
mod request;
mod single_flight;
mod value;

pub use call::Call;
pub use error::Error;
pub use freshness::{Always, Freshness, When};
pub use handle::Handle;
pub use landing::{Landing, Source};
pub use lease::{Lease, Loss};
pub use oneflight_core::{OnAbort, OnFenced, OnUnavailable};
pub use oneflight_store::{Holder, Revision, Store, StoreError, Token};
pub use recorder::Recorder;
pub use single_flight::{Builder, SingleFlight};
