#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::wildcard_enum_match_arm))]
#![no_std]
#![forbid(unsafe_code)]
//! The pure state machine of oneflight: compute once across the fleet, share with everyone.

extern crate alloc;

mod command;
mod event;
pub mod flight;
pub mod flights;
mod ids;
mod policy;
mod time;

pub use command::{Command, Commands, Lease, Outcome, Unpublished, Warning};
pub use event::{Event, FillResult, Judgement, Verdict};
pub use flight::{Deadline, Flight, Phase, Why};
pub use flights::{Arrival, FlightId, Flights, Notice, Order, PassengerId};
pub use ids::{Attempt, Revision, Token};
pub use policy::{OnAbort, OnFenced, OnUnavailable, Policy};
pub use time::Instant;
