//! Values on their way: bytes, and what they decode to.

use std::any::Any;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use oneflight_store::{Entry, Revision, Token};
use oneflight_trace::Digest;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::copies::Copy;
use crate::hub::Hub;

/// A value that came from the store or from a fill, decoded at most once per type in practice: the
/// first caller's decoding is shared with the others.
pub(crate) struct Value {
    bytes: Bytes,
    decoded: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Value {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self {
            bytes,
            decoded: OnceLock::new(),
        }
    }

    /// What a fill computed, passed through the codec, so that every source returns the same shape.
    pub(crate) fn encode<V>(value: &V) -> Result<(Self, Arc<V>), serde_json::Error>
    where
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let encoded = Self::new(serde_json::to_vec(value)?.into());
        let decoded = encoded.decode()?;
        Ok((encoded, decoded))
    }

    pub(crate) fn decode<V>(&self) -> Result<Arc<V>, serde_json::Error>
    where
        V: DeserializeOwned + Send + Sync + 'static,
    {
        if let Some(decoded) = self.decoded.get()
            && let Ok(decoded) = Arc::clone(decoded).downcast()
        {
            return Ok(decoded);
        }
        let decoded: Arc<V> = Arc::new(serde_json::from_slice(&self.bytes)?);
        // Another type's decoding may stand there already: then this one is not shared.
        let shared: Arc<dyn Any + Send + Sync> = Arc::clone(&decoded) as _;
        drop(self.decoded.set(shared));
        Ok(decoded)
    }

    /// Whether somebody has decoded it.
    pub(crate) fn is_decoded(&self) -> bool {
        self.decoded.get().is_some()
    }

    /// What stands for it in a recording.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    pub(crate) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }
}

/// A value with a revision.
#[derive(Clone)]
pub(crate) struct Arrived {
    pub(crate) value: Arc<Value>,
    pub(crate) revision: Revision,
    pub(crate) token: Option<Token>,
    pub(crate) times: Times,
}

impl Arrived {
    pub(crate) fn new(entry: Entry, asked: Instant) -> Self {
        Self {
            value: Arc::new(Value::new(entry.value)),
            revision: entry.revision,
            token: entry.token,
            times: Times::new(entry.age, asked),
        }
    }

    /// A copy to keep, once somebody has decoded the value.
    pub(crate) fn copy(&self, hub: &Hub) -> Option<Copy> {
        let value = Arc::clone(self.value.decoded.get()?);
        Some(Copy {
            value,
            digest: hub.digest(&self.value),
            revision: self.revision,
            token: self.token,
            times: self.times,
        })
    }
}

/// When a value was read, and how old it was then.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    /// The age by the store's clock when it was read…
    age: Duration,
    /// …which was then, by the local clock.
    read: Instant,
}

impl Times {
    /// Whether it was asked for before this moment.
    pub(crate) fn was_asked_before(&self, moment: Instant) -> bool {
        self.read < moment
    }

    /// Of a value that the store was asked for at this moment. It was read a little later, so it counts
    /// as older than it is, never as younger: what was published before a call began does not pass as
    /// published since. (A push is not asked for: there it is the moment the store told of it.)
    pub(crate) fn new(age: Duration, asked: Instant) -> Self {
        Self { age, read: asked }
    }

    /// How old the value is, or was, at a moment: the store's age when it was read, and the time
    /// between by the local clock.
    pub(crate) fn age_at(self, moment: Instant) -> Duration {
        if moment >= self.read {
            self.age.saturating_add(moment - self.read)
        } else {
            self.age.saturating_sub(self.read - moment)
        }
    }

    /// How old it was when it was read.
    pub(crate) fn age_when_read(self) -> Duration {
        self.age
    }

    /// How long ago it was read.
    pub(crate) fn unread_for(self, now: Instant) -> Duration {
        now.saturating_duration_since(self.read)
    }
}
