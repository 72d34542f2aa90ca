//! The machine of one call: [`Flight`](oneflight_core::Flight).
#![allow(
    clippy::let_underscore_must_use,
    clippy::wildcard_enum_match_arm,
    reason = "tests look at what matters to them, and panic when they fail"
)]

mod scenario;

mod backing_off;
mod claiming;
mod commands;
mod departing;
mod filling;
mod filling_locally;
mod landed;
mod ledger;
mod machine;
mod publishing;
mod releasing;
mod strategies;
mod table;
mod waiting;
#[cfg(feature = "serde")]
mod wire;
