//! What a channel does with the frames of its topic, and what happens to those of no channel.

use serde_json::{Map, Value, json};

use super::{Channel, ConnectionId, Dust, Later, Step};
use crate::frame::Frame;
use crate::store::Millis;

impl Dust {
    /// The connection is there.
    pub(super) fn handle(&mut self, now: Millis, id: ConnectionId, frame: &Frame) -> Vec<Step> {
        let channel = self.connections[&id].channels.get(&frame.topic);
        let joined = channel.map(|channel| (channel.join_ref.clone(), channel.store));
        match (frame.event.as_str(), joined) {
            ("phx_join", _) => self.join(id, frame),
            ("heartbeat", _) if frame.topic == "phoenix" => {
                vec![reply(id, None, frame, &Ok(json!({})))]
            }
            // Phoenix says goodbye also to those whom it does not know.
            ("phx_leave", None) => {
                vec![reply(id, frame.join_ref.as_deref(), frame, &Ok(json!({})))]
            }
            (_, None) => vec![reply(id, None, frame, &Err(reason("unmatched topic")))],
            ("phx_leave", Some((join_ref, _))) => {
                self.end(id, &frame.topic);
                let left = reply(id, join_ref.as_deref(), frame, &Ok(json!({})));
                vec![
                    left,
                    ended(id, join_ref.as_deref(), &frame.topic, "phx_close"),
                ]
            }
            ("write", Some((join_ref, store))) if frame.payload.is_object() => {
                self.write(now, id, join_ref.as_deref(), store, frame)
            }
            ("ack_seq", Some((join_ref, _))) if frame.payload["seq"].is_u64() => {
                vec![reply(id, join_ref.as_deref(), frame, &Ok(json!({})))]
            }
            ("status", Some((join_ref, store))) => {
                let mut status = self.stores[store].describe();
                for (name, value) in self.tokens[self.connections[&id].token].describe() {
                    status[name] = value;
                }
                vec![reply(id, join_ref.as_deref(), frame, &Ok(status))]
            }
            // The process of the channel does not know what to do, and dies of it.
            (_, Some((join_ref, _))) => {
                self.end(id, &frame.topic);
                vec![ended(id, join_ref.as_deref(), &frame.topic, "phx_error")]
            }
        }
    }

    fn join(&mut self, id: ConnectionId, frame: &Frame) -> Vec<Step> {
        let join_ref = frame.join_ref.as_deref();
        let Some(name) = frame.topic.strip_prefix("store:") else {
            return vec![reply(id, None, frame, &Err(reason("unmatched topic")))];
        };
        let (store, response) = match self.admit(id, name, &frame.payload) {
            Ok(admitted) => admitted,
            Err(refusal) => return vec![reply(id, join_ref, frame, &Err(refusal))],
        };
        let channel = Channel {
            join_ref: frame.join_ref.clone(),
            store,
        };
        let channels = self
            .connections
            .get_mut(&id)
            .map(|connection| &mut connection.channels);
        let before = channels.and_then(|channels| channels.insert(frame.topic.clone(), channel));
        let mut steps = vec![reply(id, join_ref, frame, &Ok(response))];
        if let Some(before) = before {
            steps.push(ended(
                id,
                before.join_ref.as_deref(),
                &frame.topic,
                "phx_close",
            ));
        }
        steps.push(Step::Later(Later::CatchUp {
            to: id,
            topic: frame.topic.clone(),
            join_ref: frame.join_ref.clone(),
            last: frame.payload["last_store_seq"].clone(),
        }));
        steps
    }

    /// Which store it is, and what the client is told of it.
    fn admit(
        &self,
        id: ConnectionId,
        name: &str,
        payload: &Value,
    ) -> Result<(usize, Value), Value> {
        if payload.get("last_store_seq").is_none() {
            return Err(reason("join crashed"));
        }
        let store = self.find(name).ok_or_else(|| reason("unauthorized"))?;
        let token = &self.tokens[self.connections[&id].token];
        token.may_enter(&self.stores[store].uuid)?;
        token.may("entries:read")?;
        let mut response = Map::from_iter([
            ("store_seq".to_owned(), json!(self.stores[store].seq())),
            ("capver".to_owned(), json!(3)),
            ("capver_min".to_owned(), json!(3)),
        ]);
        response.extend(
            token
                .describe()
                .map(|(name, value)| (name.to_owned(), value)),
        );
        Ok((store, Value::Object(response)))
    }

    pub(super) fn catch_up(
        &self,
        id: ConnectionId,
        topic: &str,
        join_ref: Option<&str>,
        last: &Value,
    ) -> Vec<Step> {
        let connection = self.connections.get(&id);
        let channel = connection.and_then(|connection| connection.channels.get(topic));
        let Some(channel) = channel.filter(|channel| channel.join_ref.as_deref() == join_ref)
        else {
            return Vec::new();
        };
        let caught = self.stores[channel.store].catch_up(last);
        let send = |event: &str, payload| {
            Step::Send(id, Frame::new(join_ref, None, topic, event, payload))
        };
        let snapshot = caught.snapshot.map(|payload| send("snapshot", payload));
        let ops = caught.ops.iter().map(|op| send("event", op.event()));
        let complete = send("catch_up_complete", json!({"through_seq": caught.through}));
        snapshot.into_iter().chain(ops).chain([complete]).collect()
    }

    fn write(
        &mut self,
        now: Millis,
        id: ConnectionId,
        join_ref: Option<&str>,
        store: usize,
        frame: &Frame,
    ) -> Vec<Step> {
        let connection = &self.connections[&id];
        let token = &mut self.tokens[connection.token];
        let allowed = token.may("entries:write").and_then(|()| token.spend(now));
        let device = &connection.device_id;
        let written = allowed.and_then(|()| self.stores[store].write(now, device, &frame.payload));
        let answer =
            |answer| Frame::reply(join_ref, frame.reference.as_deref(), &frame.topic, answer);
        match written {
            Ok(written) => vec![Step::Later(Later::Tell {
                writer: id,
                op: written.op.map(Box::new),
                answer: answer(&Ok(written.response)),
            })],
            Err(refusal) => vec![Step::Send(id, answer(&Err(refusal)))],
        }
    }

    fn end(&mut self, id: ConnectionId, topic: &str) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.channels.remove(topic);
        }
    }
}

fn reason(reason: &str) -> Value {
    json!({"reason": reason})
}

fn reply(
    id: ConnectionId,
    join_ref: Option<&str>,
    frame: &Frame,
    answer: &Result<Value, Value>,
) -> Step {
    let reference = frame.reference.as_deref();
    Step::Send(id, Frame::reply(join_ref, reference, &frame.topic, answer))
}

/// A channel is over: its last word carries the `ref` of its join.
fn ended(id: ConnectionId, join_ref: Option<&str>, topic: &str, event: &str) -> Step {
    Step::Send(id, Frame::new(join_ref, join_ref, topic, event, json!({})))
}
