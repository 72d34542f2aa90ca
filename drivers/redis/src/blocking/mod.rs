//! The blocking flavour, which does without any runtime.
//!
//! Calls go over a few connections, each of one caller at a time; what is pushed comes over one more,
//! which a thread reads. That thread subscribes to all keys by a pattern: it cannot be woken from its
//! read to subscribe to one.

mod desk;
mod ear;
mod store;

pub use store::RedisStore;
