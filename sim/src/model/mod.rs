//! A search through *all* that a few processes, callers and faults can do with one key.
//!
//! Random runs find what is likely; this finds what is possible, within small bounds. The machines
//! are the real ones, and so is the store of the simulator; the world around them is as small as it
//! can be. See `docs/model.md` for what is left out.

mod canaries;
mod choices;
mod driver;
mod encode;
mod invariants;
mod machine;
mod network;
mod news;
mod places;
mod same;
mod search;
mod setup;
mod state;
mod step;
mod words;

pub use canaries::setup as canary;
pub use search::{Broken, Found, explore};
pub use setup::{Kind, Setup, Start, Wants};

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name.
    pub invariant: &'static str,
    /// What is wrong.
    pub story: String,
}
