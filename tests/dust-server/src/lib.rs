//! A stand-in for the Dust server, for tests.

pub mod recordings;
