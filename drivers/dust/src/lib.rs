#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::wildcard_enum_match_arm))]
//! A [`Store`](oneflight_store::Store) on a Dust server, shared with the fleets of Dust's own SDKs.
//!
//! ```no_run
//! let address = "dust+wss://dust.example/acme/flights".parse()?;
//! let token = std::env::var("ONEFLIGHT_DUST_TOKEN").unwrap_or_default();
//! let store = oneflight_dust::DustStore::new(address, &token);
//! # Ok::<(), oneflight_dust::BadAddress>(())
//! ```

mod address;
mod audience;
mod calls;
mod clock;
mod dial;
mod holder;
mod mirror;
mod path;
mod secret;
mod session;
mod shared;
mod store;
mod task;
mod wire;

pub use address::{Address, BadAddress};
pub use store::{Builder, DustStore, read_token};
pub use wire::Wire;
