#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::wildcard_enum_match_arm))]
//! What the drivers of oneflight share: all but how they wait.
//!
//! A program uses a driver, not this crate. A driver is made of a [`Driver`] (its clock, and how it
//! starts what turns the [`Pump`]), and of futures that its callers wait for in its own way:
//!
//! ```text
//!   callers ── Call::fly ──▶ Hub ◀── what it orders and hears ──▶ Pump ◀── turned by the driver
//!      ▲                      │                                     │
//!      └───── mailboxes ──────┘                                     └──▶ the store
//! ```
//!
//! No runtime is needed: wakers wake, the pump says when it wants to be turned, and the futures run on
//! any executor. What is private to a driver is how a caller waits for a future, how the pump's turns
//! are waited for, and what of this crate it shows under its own name.

mod call;
mod call_options;
mod candidate;
mod clock;
mod copies;
mod driver;
mod error;
mod fly;
mod freshness;
mod handle;
mod hub;
mod landing;
mod lease;
mod observe;
mod options;
mod pump;
mod recorder;
mod request;
mod shared;
mod timers;
mod value;

/// The metrics: their names, units and labels. Install a recorder before the first call.
#[cfg(feature = "metrics")]
pub mod metrics {
    pub use crate::observe::names::{ALL, Kind, Metric, describe};
}

pub use call::Call;
pub use candidate::{Candidate, Look};
pub use driver::Driver;
pub use error::Error;
pub use fly::no_answer;
pub use freshness::{Always, Freshness, When};
pub use handle::Handle;
pub use hub::Hub;
pub use landing::{Landing, Source};
pub use lease::{Lease, Loss};
pub use oneflight_core::{OnAbort, OnFenced, OnUnavailable};
pub use options::Options;
pub use pump::{CLOSING_PATIENCE, Pump, Until};
pub use recorder::Recorder;
pub use shared::{Settings, Shared};
