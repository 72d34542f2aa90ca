//! The blocking flavour, which does without any runtime.
//!
//! One connection for everything, as in the async flavour. Of the two threads of an open store one keeps
//! the connection and writes all that is to be sent, so that no caller waits for a server that does not
//! read; the other one reads, so that no write keeps an answer waiting.

mod bell;
mod link;
mod reader;
mod socket;
mod store;
#[cfg(feature = "tls")]
mod tls;
mod up;
mod wait;
mod wire;

pub use store::RedisStore;
pub(crate) use wire::Wire;
