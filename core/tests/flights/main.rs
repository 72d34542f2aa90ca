//! Many keys, many passengers: [`Flights`](oneflight_core::Flights).
#![allow(missing_docs, reason = "tests")]

mod passengers;
mod scenario;
