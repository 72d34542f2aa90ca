//! A stand-in for the Dust server, for tests: it answers what was recorded of the
//! real one.
//!
//! * [`Dust`] is the server as a pure state machine: frames in, frames out, the time as an argument;
//! * [`DustServer`] is that on a port of this machine, to be killed, paused, cut, delayed and counted;
//! * [`Seed`] is a client that flies as Dust's own SDKs do, for fleets that are mixed;
//! * [`recordings`] are the frames that went between the real server and its clients.
//!
//! It shares no code with the client that it tests, so that no mistake is made twice.
//!
//! # How faithful it is
//!
//! **Recorded**, and compared frame by frame by `tests/replay.rs`, which also lists what it does not
//! compare: everything in [`recordings`]. That is what a client is told at connect, join, catch-up, leave
//! and second join; leases, renewals, releases, steals; fences that hold, and fences that are ignored
//! because their token is no integer; `if_absent` and `if_match` that fail; events as they happen and at
//! catch-up; snapshots; every refusal that a raw client could provoke; the length of each msgpack frame.
//!
//! **Observed**, but not in the recordings: a connection is closed with 1002 after 60 s without a word,
//! and pings keep it; the 101st write of a minute is refused; own echoes come before the answer; events
//! of several writers come out of order; what happens during a catch-up is told twice; writes by HTTP are
//! not told; names and UUIDs of a store do not cross; a restart keeps leases, lapses and tokens.
//!
//! **Read in the source** of the real server by those who recorded it: a disconnect releases nothing; a
//! fence does not bind lease operations; a channel hears of events before it catches up, and broadcasts
//! after the commit, in a process of its own (hence [`Later`]); an `Origin` that it does not know is not
//! let in (here: any); `store_archived` and `limit_exceeded` exist.
//!
//! **Inferred**: a `last_store_seq` that is no number is above all numbers, as `null` was recorded to be; a
//! channel that gets something it does not know dies of it, whatever it is; bytes that are not msgpack end
//! a connection like text that is not JSON; who may not read is refused at the join like who may not
//! write at the write; a leave of what is not joined is answered kindly, as Phoenix does.
//!
//! **Invented**, because nobody has seen it; no test of a client should lean on it:
//!
//! * which refusal comes first if a write deserves several;
//! * that a lapsed lease nobody has taken is lost to its holder as well (`not_held`, `fenced`,
//!   `"released":false`);
//! * that a `set` or `delete` removes what is below its path, and a `merge`, lease or release does not;
//! * that `delete` of nothing is an operation; what `merge`, `add` and `remove` tell; that `if_match` of
//!   nothing is a `conflict`;
//! * that minutes for the limit of writes are those of the clock, and that refused writes count;
//! * that an archived store can still be joined, and that a lease needs room in the plan;
//! * the types `float`, `boolean`, `null`, `list`, `set` and `lease` in snapshots, and that a lease is not
//!   wrapped in `_scalar` there;
//! * `device_id` `http` of writes by HTTP.
//!
//! ```
//! use oneflight_test_dust::{DustServer, Fate, STORE, TOKEN, Which};
//!
//! let server = DustServer::new();
//! let url = format!("{}?token={TOKEN}&device_id=me&capver=3&vsn=2.0.0", server.url());
//! // The next lease is granted, but whoever asked for it is cut off before the answer.
//! server.next(Which::any().op("lease"), Fate::AnswerLost);
//! // … clients connect to the URL …
//! assert_eq!(server.received("write lease"), 0);
//! assert!(server.log(STORE).is_empty());
//! # drop(url);
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "all of this is for tests: what cannot go on is to fail"
)]

mod dust;
mod frame;
mod path;
pub mod recordings;
mod seed;
mod server;
mod store;
mod token;

pub use dust::{ConnectionId, Dust, IDLE, Later, Step};
pub use frame::{Frame, Message, Wire};
pub use path::Path;
pub use seed::{Seed, SeedError, SeedLease, SeedPolicy, SeedSource};
pub use server::{DustServer, Fate, READ_ONLY, STORE, STORE_UUID, TOKEN, Traffic, Which};
pub use store::{Entry, Millis, Op, Store, Written};
pub use token::{Token, rate_limited};
