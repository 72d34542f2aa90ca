//! Real servers for tests, and what happens to them.
//!
//! * [`RedisServer`]: a `redis-server` of a test's own, to be killed, restarted, paused and asked;
//! * [`Cluster`]: several of them, with the slots of a Redis Cluster among them;
//! * [`Proxy`]: the way to a server, which delays, falls silent, breaks, loses answers, and counts.
//!
//! What goes wrong here panics and says why: a test has no use for a server that does not start.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "all of this is for tests: what cannot go on is to fail"
)]

mod cluster;
mod config;
mod proxy;
mod redis;
mod resp;
pub mod time;
mod watchdog;

pub use cluster::Cluster;
pub use config::Config;
pub use proxy::{Direction, Lost, Proxy, Traffic};
pub use redis::RedisServer;
