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

/// A line of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Line<'a> {
    /// What is tried next.
    Section(&'a str),
    /// What a client that is not let in is answered, all of it.
    Http(&'a str),
    /// A client connects, with this query.
    Open(u64, &'a str),
    /// A frame.
    Frame(Recorded<'a>),
    /// A connection is closed: by whom, with which code.
    Closed(u64, Side, u16),
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two ends")]
pub enum Side {
    /// `C>S`
    Client,
    /// `S>C`
    Server,
}

/// A frame as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded<'a> {
    /// Connections are counted in each recording, in the order in which they are opened.
    pub connection: u64,
    /// Who sent it.
    pub from: Side,
    /// Of a msgpack frame: its length in bytes, and the first of them in hexadecimal.
    pub binary: Option<(usize, &'a str)>,
    /// The frame as JSON, unless it is none.
    pub text: &'a str,
}

/// The lines of a recording.
///
/// # Panics
///
/// If it is none.
#[must_use]
pub fn lines(recording: &str) -> Vec<Line<'_>> {
    // Where connections are not numbered, there is one after the other.
    let mut current = 1;
    let parse = |line| {
        parse(line, &mut current).unwrap_or_else(|| panic!("not a line of a recording: {line}"))
    };
    recording
        .lines()
        .filter(|line| !line.is_empty())
        .map(parse)
        .collect()
}

fn parse<'a>(line: &'a str, current: &mut u64) -> Option<Line<'a>> {
    if let Some(section) = line.strip_prefix("### ") {
        return Some(Line::Section(section));
    }
    if line.starts_with("HTTP ") {
        return Some(Line::Http(line));
    }
    if let Some(code) = line.strip_prefix("-- closed ") {
        *current += 1;
        return Some(Line::Closed(
            *current - 1,
            Side::Server,
            code.trim().parse().ok()?,
        ));
    }
    let (connection, line) = match line.strip_prefix('#') {
        Some(numbered) => {
            let (number, rest) = numbered.split_once(' ')?;
            (number.parse().ok()?, rest.split_once(' ')?.1)
        }
        None => (*current, line),
    };
    let (what, rest) = line.split_once(' ')?;
    let from = match what {
        "C>S" => Side::Client,
        "S>C" => Side::Server,
        "OPEN" => {
            let query = rest.split_once('?')?.1.split_once(' ')?.0;
            return Some(Line::Open(connection, query));
        }
        "CLOSE" => {
            let (side, code) = rest.strip_prefix("by ")?.split_once(' ')?;
            let by = if side == "client" {
                Side::Client
            } else {
                Side::Server
            };
            return Some(Line::Closed(connection, by, code.trim().parse().ok()?));
        }
        _ => return None,
    };
    let (binary, text) = match rest.strip_prefix("[bin ") {
        Some(rest) => {
            let (head, text) = rest.split_once("] ")?;
            let (length, first) = head.split_once("B ")?;
            (Some((length.parse().ok()?, first)), text)
        }
        None => (None, rest),
    };
    Some(Line::Frame(Recorded {
        connection,
        from,
        binary,
        text,
    }))
}
