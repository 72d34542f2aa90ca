//! What the mirror knows of one path.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oneflight_store::{Entry, LockState, Revision, Token};
use serde_json::Value;

use crate::clock::{Moment, ServerClock, ms};
use crate::holder::Label;

/// One path: what stands there, and since which operation.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The operation that wrote it last. The true one may be lower if it comes from a snapshot, which
    /// tells no more than that nothing happened since.
    pub(crate) seq: u64,
    pub(crate) exact: bool,
    pub(crate) what: What,
    /// The highest token that was granted here.
    pub(crate) latest: Option<Token>,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// Nothing any more.
    Gone,
    /// A string: a value as all implementations of the protocol write it.
    Text(Text),
    /// A string that the mirror has no room for.
    Unkept,
    /// A lease, live or lapsed.
    Lease(Lease),
    /// Something else, which is called this.
    Other(&'static str),
}

#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) value: Bytes,
    pub(crate) token: Option<Token>,
    /// When it was written or a little before, in milliseconds of the driver's clock; `None` if that is
    /// not known.
    pub(crate) written: Option<i64>,
}

/// What is known beside the bytes does not make it another value.
impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) token: Token,
    /// Milliseconds since 1970, by the server's clock.
    pub(crate) expires_at: i64,
    /// Whose it is, if it is one of ours.
    pub(crate) label: Option<Arc<Label>>,
    /// Which client took it, or renewed it last.
    pub(crate) device: Box<str>,
}

/// A snapshot does not tell whose it is.
impl PartialEq for Lease {
    fn eq(&self, other: &Self) -> bool {
        (self.token, self.expires_at) == (other.token, other.expires_at)
    }
}

impl What {
    /// What an event, or an entry of a snapshot, says that a leaf is.
    pub(crate) fn of(value: Value) -> Self {
        match value {
            Value::String(text) => Self::Text(Text {
                value: text.into(),
                token: None,
                written: None,
            }),
            Value::Object(map) if map.get("_type").is_some_and(|kind| kind == "lease") => {
                let value = Value::Object(map);
                match Lease::read(&value) {
                    Some(lease) => Self::Lease(lease),
                    None => Self::Other("a lease without a token"),
                }
            }
            Value::Object(_) => Self::Other("a map"),
            Value::Array(_) => Self::Other("a list"),
            Value::Null => Self::Other("null"),
            Value::Bool(_) => Self::Other("a boolean"),
            Value::Number(_) => Self::Other("a number"),
        }
    }
}

impl Lease {
    fn read(value: &Value) -> Option<Self> {
        let holder = value["holder"].as_str();
        Some(Self {
            token: Token::new(value["token"].as_u64()?)?,
            // A forged one may be beyond what a signed number counts.
            expires_at: value["expires_at"].as_i64().unwrap_or(i64::MAX),
            label: holder.and_then(Label::parse).map(Arc::new),
            device: "".into(),
        })
    }

    /// How long until it has surely lapsed; `None` if it has.
    pub(crate) fn remaining(&self, clock: &ServerClock, now: Moment) -> Option<Duration> {
        let left = self.expires_at.saturating_sub(clock.at_least(now));
        u64::try_from(left)
            .ok()
            .filter(|left| *left > 0)
            .map(Duration::from_millis)
    }

    /// How long its holder may count on it.
    pub(crate) fn assured(&self, clock: &ServerClock, now: Moment) -> Duration {
        let left = self.expires_at.saturating_sub(clock.at_most(now));
        Duration::from_millis(u64::try_from(left).unwrap_or(0))
    }

    /// How a watcher is told of it.
    pub(crate) fn state(&self, clock: &ServerClock, now: Moment) -> LockState {
        match self.remaining(clock, now) {
            Some(remaining) => LockState::Held {
                token: self.token,
                remaining: Some(remaining),
                holder: self.label.as_ref().map(|label| label.holder()),
            },
            None => LockState::Free,
        }
    }

    /// When it was granted or last renewed, at the earliest, in milliseconds since 1970: if that shows.
    pub(crate) fn since(&self) -> Option<i64> {
        let ttl = self.label.as_ref()?.ttl();
        Some(self.expires_at.saturating_sub(ms(ttl)))
    }
}

impl Row {
    pub(crate) fn revision(&self) -> Revision {
        Revision::new(self.seq)
    }

    /// The value as the contract tells it.
    pub(crate) fn entry(&self, text: &Text, now: Moment) -> Entry {
        // What is of unknown age is older than anybody wants it: a caller who cares fills again.
        let age = text.written.map_or(Duration::MAX, |written| {
            let age = ms(now).saturating_sub(written);
            Duration::from_millis(u64::try_from(age).unwrap_or(0))
        });
        Entry {
            value: text.value.clone(),
            revision: self.revision(),
            token: text.token,
            age,
        }
    }

    /// What it weighs in the mirror's memory, beside its name.
    pub(crate) fn weight(&self) -> usize {
        match &self.what {
            What::Text(text) => text.value.len(),
            What::Gone | What::Unkept | What::Lease(_) | What::Other(_) => 0,
        }
    }
}
