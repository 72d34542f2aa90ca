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
//!
//! # What it promises
//!
//! * **A look costs no network**: the process keeps a mirror of the store, which events keep true. It may
//!   be one push behind; [`DustStore::catch_up`] is not.
//! * **A grant counts only once every operation before it is known**, so a value that was published just
//!   before it is not computed again.
//! * **An answer that is lost with the connection is found in the past** when it is joined again; nothing
//!   is sent twice blindly, and a lease that nobody wants is given up.
//! * Claim, publish and forget are **not atomic**: the [profile](oneflight_store::Profile) says so, and
//!   `docs/dust.md` what can be seen of it, also by the clients of other SDKs.
//! * Values are UTF-8 of at most 1 MiB, kept for good; keys are Dust's paths.
//! * The token is in no message, no log and no `Debug`.
//!
//! # How it is made
//!
//! ```text
//!   calls ──▶ Desk ──▶ Session (pure: link, writes, waits) ──▶ task ──▶ WebSocket
//!                         └── Mirror (pure) ──▶ Audience: those who watch
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
