//! What an operator sees: a span per call and events through `tracing`, and, with the feature `metrics`,
//! counters, histograms and gauges through the facade of that name.
//!
//! ```text
//!   a call ──▶ Journey ─────┬──▶ a span
//!   the hub ─▶ Sighting ────┼──▶ events
//!   requests ─▶ Reply ──────┴──▶ Meters (nothing without the feature)
//! ```
//!
//! Names, targets, levels and labels are those of `docs/operations.md`, and stable. They tell of keys,
//! tokens and revisions, of times, and of what stores say when they fail; never of a value, nor of an
//! error of the caller's own, which may hold one. No event is told under the hub's mutex: who listens may
//! take its time, or call the driver.

mod journey;
#[cfg(feature = "metrics")]
mod meters;
#[cfg(not(feature = "metrics"))]
#[path = "no_meters.rs"]
mod meters;
#[cfg(feature = "metrics")]
pub(crate) mod names;
#[cfg_attr(
    not(feature = "metrics"),
    expect(dead_code, reason = "answers are only counted")
)]
mod reply;
mod sighting;
mod words;

pub(crate) use journey::{Journey, hits_are_told, tell_hit};
pub(crate) use meters::{Held, Meters, Pushes, Up};
pub(crate) use reply::Reply;
pub(crate) use sighting::{Degraded, Sighting};
pub(crate) use words::{Ending, Fault, StoreCall};
