//! What crosses the crates of oneflight.
//!
//! * [`fleet`]: many callers in what might be many processes, with any driver and over any store;
//! * [`program`]: the real program, many of it at once, over one store;
//! * [`participant`]: processes that use the library, by either driver;
//! * [`squad`]: several of these over one store, recorded, and [`judge`]d;
//! * [`chaos`]: all that befalls a fleet on a Redis server, mixed;
//! * [`ground`]: the stores over which all of them meet;
//! * `examples/bars.rs`: the bars, measured on the machine it runs on.
//!
//! The tests are in `tests/`, and `tests/run` runs all there are in the workspace.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "all of this is for tests: what cannot go on is to fail"
)]

pub mod chaos;
pub mod fleet;
pub mod ground;
pub mod judge;
pub mod participant;
pub mod program;
pub mod squad;
pub mod storm;
pub mod time;
