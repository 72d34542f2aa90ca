//! What travels: the five fields of a Phoenix channel frame, as JSON text or as msgpack.

use serde_json::{Value, json};

/// A message of one connection.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third kind")]
pub enum Message {
    /// What `vsn=2.0.0` speaks.
    Text(String),
    /// What `vsn=3.0.0` speaks.
    Binary(Vec<u8>),
}

/// How the frames of a connection are written: it says so as it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third kind")]
pub enum Wire {
    /// `vsn=2.0.0`
    Json,
    /// `vsn=3.0.0`
    Msgpack,
}

/// `[join_ref, ref, topic, event, payload]`
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// The `ref` of the join to whose channel it belongs.
    pub join_ref: Option<String>,
    /// What the answer to a frame carries, too.
    pub reference: Option<String>,
    /// `store:ORG/NAME`, `store:UUID`, or `phoenix`.
    pub topic: String,
    /// What it is: `write`, `event`, `phx_reply`…
    pub event: String,
    /// The rest.
    pub payload: Value,
}

impl Frame {
    /// An answer to the frame with that `reference`.
    pub(crate) fn reply(
        join_ref: Option<&str>,
        reference: Option<&str>,
        topic: &str,
        answer: &Result<Value, Value>,
    ) -> Self {
        let payload = match answer {
            Ok(response) => json!({"status": "ok", "response": response}),
            Err(response) => json!({"status": "error", "response": response}),
        };
        Self::new(join_ref, reference, topic, "phx_reply", payload)
    }

    pub(crate) fn new(
        join_ref: Option<&str>,
        reference: Option<&str>,
        topic: &str,
        event: &str,
        payload: Value,
    ) -> Self {
        Self {
            join_ref: join_ref.map(str::to_owned),
            reference: reference.map(str::to_owned),
            topic: topic.to_owned(),
            event: event.to_owned(),
            payload,
        }
    }

    /// As it is sent.
    #[must_use]
    pub fn encode(&self, wire: Wire) -> Message {
        let fields = (
            &self.join_ref,
            &self.reference,
            &self.topic,
            &self.event,
            &self.payload,
        );
        match wire {
            Wire::Json => Message::Text(serde_json::to_string(&fields).unwrap()),
            Wire::Msgpack => Message::Binary(rmp_serde::to_vec(&fields).unwrap()),
        }
    }

    /// What was sent; nothing if it is not a frame, or not one of that kind.
    #[must_use]
    pub fn decode(message: &Message, wire: Wire) -> Option<Self> {
        let (join_ref, reference, topic, event, payload) = match (wire, message) {
            (Wire::Json, Message::Text(text)) => serde_json::from_str(text).ok()?,
            (Wire::Msgpack, Message::Binary(bytes)) => rmp_serde::from_slice(bytes).ok()?,
            _ => return None,
        };
        Some(Self {
            join_ref,
            reference,
            topic,
            event,
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_travels_both_ways() {
        let payload = json!({"a": [1, -1, 1.5, null, true, "x"], "big": u64::MAX});
        let frame = Frame::new(Some("1"), None, "store:a/b", "event", payload);
        for wire in [Wire::Json, Wire::Msgpack] {
            assert_eq!(
                Frame::decode(&frame.encode(wire), wire),
                Some(frame.clone())
            );
        }
    }

    #[test]
    fn what_is_not_a_frame_is_none() {
        let texts = ["", "{", "[]", "[1,2,3,4,5]", r#"[null,null,"t","e",{},6]"#];
        for text in texts {
            let message = Message::Text(text.to_owned());
            assert_eq!(Frame::decode(&message, Wire::Json), None, "{text}");
            assert_eq!(Frame::decode(&message, Wire::Msgpack), None, "{text}");
        }
        let cut = Message::Binary(vec![0x95, 0xa1]);
        assert_eq!(Frame::decode(&cut, Wire::Msgpack), None);
        assert_eq!(Frame::decode(&cut, Wire::Json), None);
    }
}
