//! The server as a pure state machine: frames in, frames out, the time as an argument.

mod channel;

use std::collections::BTreeMap;

use crate::frame::{Frame, Message, Wire};
use crate::store::{Millis, Op, Store};
use crate::token::Token;

/// A connection that sent nothing for so long is closed.
pub const IDLE: Millis = 60_000;

/// Which connection: 1, 2, 3… as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// What the server does next.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "who drives the machine does all of it"
)]
pub enum Step {
    /// Sends a frame.
    Send(ConnectionId, Frame),
    /// Closes a connection, with this code: it is forgotten already.
    Close(ConnectionId, u16),
    /// Goes on with what a channel has begun, and with nothing else of that channel before.
    Later(Later),
}

/// What a channel has yet to do. In the real server each channel is a process of its own, so that
/// anything may happen between the two halves of its work.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "who drives the machine does all of it"
)]
pub enum Later {
    /// It was joined, and hears of what happens; now it is told what happened before.
    CatchUp {
        /// Whose channel.
        to: ConnectionId,
        /// Which one.
        topic: String,
        /// By which join.
        join_ref: Option<String>,
        /// What the client says it knows.
        last: serde_json::Value,
    },
    /// A write is committed; now all who joined the topic are told, and then the writer is answered.
    Tell {
        /// Who wrote.
        writer: ConnectionId,
        /// What was committed: not if nothing was.
        op: Option<Box<Op>>,
        /// The answer.
        answer: Frame,
    },
}

#[derive(Debug)]
struct Connection {
    device_id: String,
    token: usize,
    wire: Wire,
    heard: Millis,
    channels: BTreeMap<String, Channel>,
}

#[derive(Debug)]
struct Channel {
    join_ref: Option<String>,
    store: usize,
}

/// The stores, the tokens, and the connections of one server.
#[derive(Debug, Default)]
#[must_use]
pub struct Dust {
    stores: Vec<Store>,
    tokens: Vec<Token>,
    connections: BTreeMap<ConnectionId, Connection>,
    connected: u64,
}

impl Dust {
    /// One without stores, which lets nobody in.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this store, too.
    pub fn store(mut self, store: Store) -> Self {
        self.stores.push(store);
        self
    }

    /// Lets in who shows this token.
    pub fn token(mut self, token: Token) -> Self {
        self.tokens.push(token);
        self
    }

    /// The store of that name or UUID.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    pub fn store_mut(&mut self, name: &str) -> &mut Store {
        let store = self.find(name);
        &mut self.stores[store.unwrap_or_else(|| panic!("there is no store {name}"))]
    }

    fn find(&self, name: &str) -> Option<usize> {
        let found = |store: &Store| store.name == name || store.uuid == name;
        self.stores.iter().position(found)
    }

    /// Somebody connects, with this query. `None` is HTTP 403, whatever is wrong.
    pub fn connect(&mut self, now: Millis, query: &str) -> Option<ConnectionId> {
        let fields: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).collect();
        let token = fields.get("token")?;
        let token = self
            .tokens
            .iter()
            .position(|known| known.secret == *token)?;
        let device_id = fields
            .get("device_id")
            .filter(|device| !device.is_empty())?;
        if fields.get("capver")?.parse::<u64>().ok()? < 3 {
            return None;
        }
        let wire = match fields.get("vsn")?.as_ref() {
            "2.0.0" => Wire::Json,
            "3.0.0" => Wire::Msgpack,
            _ => return None,
        };
        self.connected += 1;
        let id = ConnectionId(self.connected);
        let connection = Connection {
            device_id: device_id.clone().into_owned(),
            token,
            wire,
            heard: now,
            channels: BTreeMap::new(),
        };
        self.connections.insert(id, connection);
        Some(id)
    }

    /// It is gone. Leases stay.
    pub fn disconnect(&mut self, id: ConnectionId) {
        self.connections.remove(&id);
    }

    /// How the frames of a connection are written, and the `device_id` it gave; nothing if it is gone.
    #[must_use]
    pub fn connection(&self, id: ConnectionId) -> Option<(Wire, &str)> {
        let connection = self.connections.get(&id)?;
        Some((connection.wire, &connection.device_id))
    }

    /// A sign of life that is no frame, such as a WebSocket ping.
    pub fn heard(&mut self, now: Millis, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.heard = connection.heard.max(now);
        }
    }

    /// When [`tick`](Self::tick) closes a connection, if nothing comes from it.
    #[must_use]
    pub fn deadline(&self, id: ConnectionId) -> Option<Millis> {
        Some(self.connections.get(&id)?.heard + IDLE)
    }

    /// Closes who has been silent for too long.
    pub fn tick(&mut self, now: Millis) -> Vec<Step> {
        let mut steps = Vec::new();
        self.connections.retain(|&id, connection| {
            let lives = now < connection.heard + IDLE;
            if !lives {
                steps.push(Step::Close(id, 1002));
            }
            lives
        });
        steps
    }

    /// A message came.
    pub fn receive(&mut self, now: Millis, id: ConnectionId, message: &Message) -> Vec<Step> {
        self.heard(now, id);
        let Some((wire, _)) = self.connection(id) else {
            return Vec::new();
        };
        match Frame::decode(message, wire) {
            Some(frame) => self.handle(now, id, &frame),
            None => {
                self.disconnect(id);
                vec![Step::Close(id, 1011)]
            }
        }
    }

    /// The second half of what a channel does.
    pub fn go_on(&mut self, later: Later) -> Vec<Step> {
        match later {
            Later::CatchUp {
                to,
                topic,
                join_ref,
                last,
            } => self.catch_up(to, &topic, join_ref.as_deref(), &last),
            Later::Tell { writer, op, answer } => {
                let mut steps = op.map_or_else(Vec::new, |op| self.broadcast(&answer.topic, &op));
                if self.connections.contains_key(&writer) {
                    steps.push(Step::Send(writer, answer));
                }
                steps
            }
        }
    }

    /// Tells all who joined that topic: not those who joined the same store by its other name.
    pub fn broadcast(&self, topic: &str, op: &Op) -> Vec<Step> {
        let joined = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.channels.contains_key(topic));
        let frame = Frame::new(None, None, topic, "event", op.event());
        joined
            .map(|(&id, _)| Step::Send(id, frame.clone()))
            .collect()
    }

    /// All that comes of these steps when nothing is late: no [`Step::Later`] is among it.
    pub fn settle(&mut self, steps: Vec<Step>) -> Vec<Step> {
        let mut done = Vec::new();
        for step in steps {
            match step {
                Step::Later(later) => {
                    let steps = self.go_on(later);
                    done.extend(self.settle(steps));
                }
                step => done.push(step),
            }
        }
        done
    }
}
