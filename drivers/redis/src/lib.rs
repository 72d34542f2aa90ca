#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::wildcard_enum_match_arm))]
//! A oneflight store on a Redis or Valkey server, shared by all processes that reach it.

mod answer;
#[cfg(feature = "blocking")]
pub mod blocking;
mod call;
mod fault;
mod hub;
mod layout;
mod list;
mod message;
mod profile;
mod script;
mod slot;
mod target;
mod times;
#[cfg(feature = "tokio")]
mod tokio;

#[cfg(feature = "tokio")]
pub use crate::tokio::RedisStore;
