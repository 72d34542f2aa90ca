//! A stand-in for the Dust server, for tests.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "all of this is for tests: what cannot go on is to fail"
)]

mod dust;
mod frame;
mod path;
pub mod recordings;
mod seed;
mod server;
mod store;
mod token;

pub use dust::{ConnectionId, Dust, IDLE, Later, Step};
pub use frame::{Frame, Message, Wire};
pub use path::Path;
pub use seed::{Seed, SeedError, SeedLease, SeedPolicy, SeedSource};
pub use server::{DustServer, Fate, READ_ONLY, STORE, STORE_UUID, TOKEN, Traffic, Which};
pub use store::{Entry, Millis, Op, Store, Written};
pub use token::{Token, rate_limited};
