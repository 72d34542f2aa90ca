#![no_std]
#![forbid(unsafe_code)]
//! stub
mod ids;
pub use ids::{Attempt, Revision, Token};
