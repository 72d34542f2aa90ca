//! The five fields of a Phoenix channel frame, as JSON text or as msgpack.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

/// How deep what is read may go, so that the stack holds it: as deep as JSON may.
const MOST_DEEP: usize = 128;

/// How frames are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third kind")]
pub enum Wire {
    /// As JSON text: what Dust's SDKs speak unless told otherwise.
    #[default]
    Json,
    /// As msgpack, which is a little shorter.
    Msgpack,
}

impl Wire {
    /// The `vsn` that a client names as it connects.
    pub(crate) const fn vsn(self) -> &'static str {
        match self {
            Self::Json => "2.0.0",
            Self::Msgpack => "3.0.0",
        }
    }
}

/// A WebSocket message with a frame in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Text(String),
    Binary(Bytes),
}

/// What came is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Garbled;

/// `[join_ref, ref, topic, event, payload]`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    /// The `ref` of the join it belongs to.
    pub(crate) join_ref: Option<String>,
    /// What the answer to it will carry, too.
    pub(crate) reference: Option<String>,
    pub(crate) topic: String,
    pub(crate) event: String,
    pub(crate) payload: Value,
}

impl Frame {
    pub(crate) fn encode(&self, wire: Wire) -> Result<Message, Garbled> {
        let fields = (
            &self.join_ref,
            &self.reference,
            &self.topic,
            &self.event,
            &self.payload,
        );
        match wire {
            Wire::Json => serde_json::to_string(&fields)
                .map(Message::Text)
                .map_err(|_| Garbled),
            Wire::Msgpack => rmp_serde::to_vec(&fields)
                .map(|bytes| Message::Binary(bytes.into()))
                .map_err(|_| Garbled),
        }
    }

    /// Whichever way it is written.
    pub(crate) fn decode(message: &Message) -> Result<Self, Garbled> {
        let (join_ref, reference, topic, event, payload) = match message {
            Message::Text(text) => serde_json::from_str(text).map_err(|_| Garbled)?,
            Message::Binary(bytes) => {
                let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
                deserializer.set_max_depth(MOST_DEEP);
                Deserialize::deserialize(&mut deserializer).map_err(|_| Garbled)?
            }
        };
        Ok(Self {
            join_ref,
            reference,
            topic,
            event,
            payload,
        })
    }
}
