//! The machine of one call: [`Flight`](oneflight_core::Flight).
#![allow(missing_docs, reason = "tests")]

mod scenario;

mod backing_off;
mod claiming;
mod departing;
mod filling;
mod filling_locally;
mod landed;
mod laws;
mod publishing;
mod releasing;
mod table;
mod waiting;
#[cfg(feature = "serde")]
mod wire;
