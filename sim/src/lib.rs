//! A deterministic simulator of oneflight, and a checker of its invariants over traces.

pub mod bugs;
pub mod coverage;
pub mod draw;
pub mod fates;
pub mod plan;
pub mod trace;
pub mod world;
