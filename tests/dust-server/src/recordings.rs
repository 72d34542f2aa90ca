//! What was recorded between the real Dust server and its clients, frame by frame.
//!
//! A line is `C>S FRAME` (from the client) or `S>C FRAME` (from the server), in the order in which the
//! recorder saw them; where several connections were open, `#N DEVICE` stands before it. `[bin 50B …]`
//! stands before a msgpack frame, which is then written as JSON, its 64-bit integers as `BIGINT(N)`.

/// The name of a recording, and its text.
pub const ALL: [(&str, &str); 6] = [
    ("raw-edge-cases", RAW_EDGE_CASES),
    ("real-elixir", REAL_ELIXIR),
    ("real-json", REAL_JSON),
    ("real-msgpack", REAL_MSGPACK),
    ("real-reconnect", REAL_RECONNECT),
    ("real-snapshot", REAL_SNAPSHOT),
];

/// A raw client that tries everything that a client should not do; JSON.
pub const RAW_EDGE_CASES: &str = include_str!("../frames/raw-edge-cases.log");
/// The Elixir SDK: leases, fences, and its single-flight; JSON.
pub const REAL_ELIXIR: &str = include_str!("../frames/real-elixir.log");
/// Two TypeScript SDKs on one store: leases, fences, a steal, a reconnect; JSON.
pub const REAL_JSON: &str = include_str!("../frames/real-json.log");
/// A TypeScript SDK catching up with 117 operations; msgpack.
pub const REAL_MSGPACK: &str = include_str!("../frames/real-msgpack.log");
/// A TypeScript SDK that loses its connection, and writes before it has joined again; JSON.
pub const REAL_RECONNECT: &str = include_str!("../frames/real-reconnect.log");
/// A client that is behind the compaction of its store; JSON, only what the server said.
pub const REAL_SNAPSHOT: &str = include_str!("../frames/real-snapshot.log");
