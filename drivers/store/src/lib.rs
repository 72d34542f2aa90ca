#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::wildcard_enum_match_arm))]
//! The contract a oneflight store keeps.
//!
//! A store holds, for every key, at most one published [`Entry`] and at most one live lease. Each
//! call of the contract is **one atomic step** in the store, and all time is the store's own. The
//! contract comes in two flavours that say the same: [`Store`] for async callers and
//! [`blocking::Store`] for threads; a blocking store serves async callers through [`Offload`].
//!
//! What a store cannot keep it says in its [`Profile`]; no store pretends.
//!
//! [`MemoryStore`] is the reference: the contract in one process, in a page of code. A store author
//! checks theirs against the same tests with the `conformance` feature.

mod contract;
mod errand;
mod error;
mod memory;
mod offload;
mod profile;
mod types;
mod watch;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use bytes::Bytes;
pub use contract::{Pending, Store, blocking, default_lock};
pub use errand::{Errand, News, Sent};
pub use error::StoreError;
pub use memory::MemoryStore;
pub use offload::Offload;
pub use oneflight_core::{Revision, Token};
pub use profile::{Loss, Profile};
pub use types::{
    AttemptId, Claim, ClaimRequest, Entry, Holder, KeyState, KeyStatus, LeaseId, LockState,
    Publication, PutOutcome, Renewal,
};
pub use watch::{Change, ChangeListener, Subscription, WatchEvent, Watcher};
