//! The blocking flavour, which does without any runtime.
//!
//! One connection for everything, or one to each primary of a cluster, as in the async flavour. Of the two
//! threads of a connection one keeps it and writes all that is to be sent, so that no caller waits for a
//! server that does not read; the other one reads, so that no write keeps an answer waiting. In a cluster
//! one more asks who keeps what.

mod bell;
mod link;
mod node;
mod reader;
mod socket;
mod store;
mod threads;
mod timers;
#[cfg(feature = "tls")]
mod tls;
mod up;
mod wait;
mod wire;

pub use store::RedisStore;
pub(crate) use wire::Wire;
