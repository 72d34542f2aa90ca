#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::wildcard_enum_match_arm))]
//! A oneflight store on a Redis or Valkey server, or a cluster of them, shared by all processes that reach
//! it.
//!
//! Every call is one script, leases are judged by the server's clock, and what is published is pushed to
//! whoever waits for it. The two flavours say the same over the same layout, and may share a server:
//! [`RedisStore`] for async callers on tokio, and, with the feature `blocking`, one that does without.
//!
//! ```no_run
//! # #[cfg(feature = "tokio")]
//! let store = oneflight_redis::RedisStore::open("redis://localhost:6379/0")?;
//! # Ok::<(), oneflight_store::StoreError>(())
//! ```
//!
//! * **Nothing hangs**: connecting takes at most 3 s, and a server that has been asked and says nothing at
//!   all for 5 s is given up. A watch does not wait for either: it ends when its watcher's patience is
//!   over, whether there is no connection or only no answer.
//! * **What was in doubt is made sure of**: a call that may be repeated is made again when its
//!   connection breaks; a watch begins anew with a snapshot when the connection is back.
//! * **Tokens and revisions** are the server's clock in microseconds, and above the last of their lock
//!   and key: they grow across eviction, restart and fail-over, unless data is lost and the clock steps
//!   back as well.
//! * **What a fail-over may lose**, the layout, what a user must be permitted, and what all of it costs
//!   stand in `docs/redis.md`.

mod answer;
#[cfg(feature = "blocking")]
pub mod blocking;
mod call;
mod cluster;
mod fault;
mod flavour;
mod home;
mod hub;
mod layout;
mod line;
mod list;
mod message;
mod moment;
mod outage;
mod pace;
mod profile;
mod pulse;
mod script;
mod sentinel;
mod slot;
mod source;
mod times;
#[cfg(feature = "tokio")]
mod tokio;
mod url;

#[cfg(feature = "tokio")]
pub use crate::tokio::RedisStore;
