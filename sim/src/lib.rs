//! A deterministic simulator of oneflight, and a checker of its invariants over traces.

pub mod trace;
