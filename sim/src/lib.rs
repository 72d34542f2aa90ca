//! A deterministic simulator of oneflight, and a checker of its invariants over traces.

mod answers;
pub mod batch;
pub mod bugs;
pub mod canaries;
pub mod check;
pub mod coverage;
pub mod draw;
pub mod fates;
pub mod impossible;
pub mod minimize;
pub mod model;
mod phases;
pub mod plan;
pub mod rare;
pub mod replay;
pub mod seed;
pub mod stats;
pub mod steps;
pub mod timeline;
pub mod words;
pub mod world;

/// The trace: a crate of its own, which the drivers know, too.
pub use oneflight_trace as trace;
