#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::wildcard_enum_match_arm))]
//! A [`Store`](oneflight_store::Store) on a Dust server, shared with the fleets of Dust's own SDKs.
//!
//! ```no_run
//! use oneflight_dust::DustStore;
//!
//! let address = "dust+wss://dust.example/acme/flights".parse()?;
//! let store = DustStore::from_env(address)?.mirror("reports").build();
//! # Ok::<(), Box<dyn std::error::Error>>(())
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
pub use store::{Builder, DustStore};
pub use wire::Wire;
