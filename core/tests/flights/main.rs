//! Many keys, many passengers: [`Flights`](oneflight_core::Flights).
#![allow(
    clippy::let_underscore_must_use,
    clippy::wildcard_enum_match_arm,
    reason = "tests look at what matters to them, and panic when they fail"
)]

mod answers;
mod faults;
mod handover;
mod interleavings;
mod judging;
mod laws;
mod notices;
mod passengers;
mod patience;
mod rare;
mod scenario;
mod store;
mod world;
