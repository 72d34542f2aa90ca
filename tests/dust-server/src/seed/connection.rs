//! The connection of a client, and the copy of the store that its events make.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as WsMessage;

use super::SeedError;
use crate::frame::{Frame, Message, Wire};

const HEARTBEAT: Duration = Duration::from_secs(30);
const RECONNECT: Duration = Duration::from_millis(50);

/// The `ref` of the join, which is the first that is said.
const JOIN_REF: &str = "1";

type Socket = WebSocketStream<TcpStream>;
type Answer = Result<Value, SeedError>;
type Waiting = BTreeMap<String, oneshot::Sender<Answer>>;

/// Something happened to a path.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) path: String,
    pub(super) op: String,
}

/// What a client knows of its store.
#[derive(Debug, Default)]
pub(super) struct Copy {
    /// With the sequence of the last operation: the value is gone, but that is not forgotten.
    entries: BTreeMap<String, (u64, Option<Value>)>,
    /// The highest that was seen, whatever is missing below.
    seq: u64,
}

impl Copy {
    pub(super) fn get(&self, path: &str) -> Option<Value> {
        self.entries.get(path)?.1.clone()
    }

    fn apply(&mut self, event: &Value) -> Option<Event> {
        let (path, op) = (event["path"].as_str()?, event["op"].as_str()?);
        let seq = event["store_seq"].as_u64()?;
        self.seq = self.seq.max(seq);
        let entry = self.entries.entry(path.to_owned()).or_default();
        if seq > entry.0 {
            let gone = matches!(op, "delete" | "release");
            *entry = (seq, (!gone).then(|| event["value"].clone()));
        }
        Some(Event {
            path: path.to_owned(),
            op: op.to_owned(),
        })
    }

    fn replace(&mut self, snapshot: &Value) {
        self.seq = snapshot["snapshot_seq"].as_u64().unwrap_or(0);
        let entries = snapshot["entries"].as_object().into_iter().flatten();
        let unwrapped = entries.map(|(path, entry)| {
            let value = &entry["value"];
            let value = value.get("_scalar").unwrap_or(value);
            (path.clone(), (self.seq, Some(value.clone())))
        });
        self.entries = unwrapped.collect();
    }
}

/// What a client has to say.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    writes: mpsc::UnboundedSender<(Value, oneshot::Sender<Answer>)>,
    name: Arc<str>,
}

impl Handle {
    /// Writes, and waits for the answer: for ever, if it does not come and the connection does not break.
    pub(super) async fn write(&self, path: &str, mut write: Value) -> Answer {
        write["path"] = json!(path);
        write["path_segments"] = path.split('/').collect();
        write["client_op_id"] = json!(format!("{}-{:016x}", self.name, fastrand::u64(..)));
        let (answer, answered) = oneshot::channel();
        let gone = |_| SeedError::Unavailable;
        self.writes
            .send((write, answer))
            .map_err(|_| SeedError::Unavailable)?;
        answered.await.map_err(gone)?
    }
}

/// It connects as long as it is not dropped.
#[derive(Debug)]
pub(super) struct Connection {
    handle: Handle,
    copy: Arc<Mutex<Copy>>,
    events: broadcast::Sender<Event>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    pub(super) async fn open(url: String, device: &str, store: &str) -> Self {
        let (writes, requests) = mpsc::unbounded_channel();
        let events = broadcast::Sender::new(1024);
        let copy = Arc::new(Mutex::new(Copy::default()));
        let caught_up = watch::Sender::new(false);
        let mut ready = caught_up.subscribe();
        let line = Line {
            url,
            topic: format!("store:{store}"),
            copy: Arc::clone(&copy),
            events: events.clone(),
            caught_up,
            requests,
        };
        let connection = Self {
            handle: Handle {
                writes,
                name: device.into(),
            },
            copy,
            events,
            task: tokio::spawn(line.keep()),
        };
        let ready = tokio::time::timeout(crate::server::BOUND, ready.wait_for(|ready| *ready));
        assert!(
            ready.await.is_ok_and(|ready| ready.is_ok()),
            "the server is not there"
        );
        connection
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub(super) fn copy(&self) -> std::sync::MutexGuard<'_, Copy> {
        self.copy.lock().unwrap()
    }

    pub(super) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}

/// The task's.
struct Line {
    url: String,
    topic: String,
    copy: Arc<Mutex<Copy>>,
    events: broadcast::Sender<Event>,
    caught_up: watch::Sender<bool>,
    requests: mpsc::UnboundedReceiver<(Value, oneshot::Sender<Answer>)>,
}

impl Line {
    async fn keep(mut self) {
        loop {
            if let Some(socket) = self.connect().await {
                // That it broke is seen by those who wait for answers.
                self.speak(socket).await;
            }
            self.caught_up.send_replace(false);
            let reconnect = tokio::time::sleep(RECONNECT);
            tokio::pin!(reconnect);
            loop {
                tokio::select! {
                    () = &mut reconnect => break,
                    // Nobody hears it.
                    Some((_, answer)) = self.requests.recv() => drop(answer),
                }
            }
        }
    }

    async fn connect(&self) -> Option<Socket> {
        let address = self.url.strip_prefix("ws://")?.split('/').next()?;
        let stream = TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let (socket, _) = tokio_tungstenite::client_async(&self.url, stream)
            .await
            .ok()?;
        Some(socket)
    }

    /// Until the connection breaks.
    async fn speak(&mut self, mut socket: Socket) -> Option<()> {
        let mut waiting = Waiting::new();
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        let mut said = 0_u64;
        let (mut event, mut payload) = ("phx_join", json!({"last_store_seq": self.seq()}));
        loop {
            said += 1;
            socket.send(self.frame(said, event, &payload)).await.ok()?;
            (event, payload) = loop {
                tokio::select! {
                    _ = heartbeat.tick() => break ("heartbeat", json!({})),
                    request = self.requests.recv() => {
                        let (write, answer) = request?;
                        waiting.insert((said + 1).to_string(), answer);
                        break ("write", write);
                    }
                    message = socket.next() => {
                        if self.hear(message?.ok()?, &mut waiting)? {
                            break ("ack_seq", json!({"seq": self.seq()}));
                        }
                    }
                }
            };
        }
    }

    fn seq(&self) -> u64 {
        self.copy.lock().unwrap().seq
    }

    fn frame(&self, reference: u64, event: &str, payload: &Value) -> WsMessage {
        let (join_ref, topic) = match event {
            "heartbeat" => (None, "phoenix"),
            _ => (Some(JOIN_REF), self.topic.as_str()),
        };
        let reference = reference.to_string();
        let frame = Frame::new(join_ref, Some(&reference), topic, event, payload.clone());
        match frame.encode(Wire::Json) {
            Message::Text(text) => WsMessage::text(text),
            Message::Binary(bytes) => WsMessage::binary(bytes),
        }
    }

    /// Whether it has caught up with that; nothing if there is nothing more to hear.
    fn hear(&self, message: WsMessage, waiting: &mut Waiting) -> Option<bool> {
        let WsMessage::Text(text) = message else {
            return Some(false);
        };
        let frame = Frame::decode(&Message::Text(text.as_str().to_owned()), Wire::Json)?;
        match frame.event.as_str() {
            "event" => {
                let event = self.copy.lock().unwrap().apply(&frame.payload)?;
                // If anybody listens.
                self.events.send(event).ok();
            }
            "snapshot" => self.copy.lock().unwrap().replace(&frame.payload),
            "phx_reply" => {
                let waits = frame
                    .reference
                    .and_then(|reference| waiting.remove(&reference));
                if let Some(waits) = waits {
                    // If it still does.
                    waits.send(answer(frame.payload)).ok();
                }
            }
            "catch_up_complete" => {
                self.caught_up.send_replace(true);
                return Some(true);
            }
            // The channel is over.
            _ => return None,
        }
        Some(false)
    }
}

fn answer(mut reply: Value) -> Answer {
    let response = reply["response"].take();
    if reply["status"] == "ok" {
        return Ok(response);
    }
    let reason = response["reason"].as_str().unwrap_or_default();
    Err(SeedError::Refused(reason.to_owned()))
}
