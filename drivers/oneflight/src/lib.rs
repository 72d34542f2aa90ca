#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    all(feature = "tokio", feature = "blocking", feature = "sqlite"),
    doc = include_str!("../README.md")
)]
#![cfg_attr(
    not(all(feature = "tokio", feature = "blocking", feature = "sqlite")),
    doc = "Compute once across the fleet, share with everyone. Its parts come by feature: `tokio`, `blocking`, `sqlite`, `redis`, `dust`."
)]

/// The driver for threads: the same calls, without `async` and without a runtime; and what is made for it.
#[cfg(feature = "blocking")]
pub mod blocking {
    #[doc(inline)]
    pub use oneflight_blocking::*;
    #[cfg(feature = "redis-blocking")]
    pub use oneflight_redis::blocking::RedisStore;
}
/// The pure state machine, for embedding it in a runtime of your own.
pub use oneflight_core as core;
/// The store contract, the in-process store, and the conformance suite.
pub use oneflight_store as store;

pub use oneflight_store::{Holder, MemoryStore, Revision, Store, StoreError, Token};

/// The Dust store: its address and its options.
#[cfg(feature = "dust")]
pub use oneflight_dust as dust;

#[cfg(feature = "dust")]
pub use oneflight_dust::DustStore;
#[cfg(feature = "redis")]
pub use oneflight_redis::RedisStore;
#[cfg(feature = "sqlite")]
pub use oneflight_sqlite::{OpenError, SqliteStore};
#[cfg(all(feature = "metrics", feature = "tokio"))]
pub use oneflight_tokio::metrics;
#[cfg(feature = "tokio")]
pub use oneflight_tokio::{
    Always, Builder, Call, Error, Freshness, Handle, Landing, Lease, Loss, OnAbort, OnFenced,
    OnUnavailable, Recorder, SingleFlight, Source, When,
};
