//! A client that knows how to speak, and nothing else.

use std::net::TcpStream;
use std::time::Duration;

use oneflight_test_dust::{DustServer, Frame, Message, STORE, TOKEN, Wire};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::{self, Message as WsMessage, WebSocket};

/// Longer than anything takes.
const BOUND: Duration = Duration::from_secs(120);

pub(crate) struct Client {
    pub(crate) socket: WebSocket<TcpStream>,
    wire: Wire,
    topic: String,
    said: u64,
}

impl Client {
    pub(crate) fn connect(server: &DustServer, device: &str) -> Self {
        Self::connect_as(server, device, TOKEN, Wire::Json).unwrap()
    }

    pub(crate) fn connect_as(
        server: &DustServer,
        device: &str,
        token: &str,
        wire: Wire,
    ) -> tungstenite::Result<Self> {
        let request = Self::url(server, device, token, wire).into_client_request();
        Self::open(server, request?, wire)
    }

    pub(crate) fn url(server: &DustServer, device: &str, token: &str, wire: Wire) -> String {
        let vsn = if wire == Wire::Json { "2.0.0" } else { "3.0.0" };
        format!(
            "{}?token={token}&device_id={device}&capver=3&vsn={vsn}",
            server.url()
        )
    }

    pub(crate) fn open(
        server: &DustServer,
        request: Request,
        wire: Wire,
    ) -> tungstenite::Result<Self> {
        let stream = TcpStream::connect(server.address())?;
        stream.set_read_timeout(Some(BOUND))?;
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Self {
                socket,
                wire,
                topic: format!("store:{STORE}"),
                said: 0,
            }),
            Err(tungstenite::HandshakeError::Failure(error)) => Err(error),
            Err(tungstenite::HandshakeError::Interrupted(_)) => panic!("no answer in time"),
        }
    }

    /// One that has joined, and knows all.
    pub(crate) fn joined(server: &DustServer, device: &str) -> Self {
        let mut client = Self::connect(server, device);
        client.join(0);
        client
    }

    /// What it is told until it has caught up, and with it.
    pub(crate) fn join(&mut self, last: u64) -> Vec<Frame> {
        self.send("phx_join", json!({"last_store_seq": last}));
        let mut told = vec![self.next()];
        while told.last().unwrap().event != "catch_up_complete" {
            told.push(self.next());
        }
        told
    }

    pub(crate) fn send(&mut self, event: &str, payload: Value) {
        let topic = self.topic.clone();
        self.send_to(&topic, event, payload);
    }

    pub(crate) fn send_to(&mut self, topic: &str, event: &str, payload: Value) {
        self.said += 1;
        let reference = Some(self.said.to_string());
        let frame = Frame {
            join_ref: reference.clone(),
            reference,
            topic: topic.to_owned(),
            event: event.to_owned(),
            payload,
        };
        let message = match frame.encode(self.wire) {
            Message::Text(text) => WsMessage::text(text),
            Message::Binary(bytes) => WsMessage::binary(bytes),
        };
        self.socket.send(message).unwrap();
    }

    pub(crate) fn write(&mut self, op: &str, path: &str, more: Value) {
        let mut write = json!({"op": op, "path": path, "client_op_id": "op"});
        for (name, value) in more.as_object().unwrap() {
            write[name] = value.clone();
        }
        self.send("write", write);
    }

    /// What comes next, if the connection does not end.
    pub(crate) fn hear(&mut self) -> tungstenite::Result<Frame> {
        loop {
            let message = match self.socket.read()? {
                WsMessage::Text(text) => Message::Text(text.as_str().to_owned()),
                WsMessage::Binary(bytes) => Message::Binary(bytes.to_vec()),
                _ => continue,
            };
            return Ok(Frame::decode(&message, self.wire).unwrap());
        }
    }

    #[track_caller]
    pub(crate) fn next(&mut self) -> Frame {
        self.hear().unwrap()
    }

    /// The next event's sequence.
    #[track_caller]
    pub(crate) fn next_seq(&mut self) -> u64 {
        let frame = self.next();
        assert_eq!(frame.event, "event", "{frame:?}");
        frame.payload["store_seq"].as_u64().unwrap()
    }

    /// The next answer: nothing else may come before.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Value {
        let frame = self.next();
        assert_eq!(frame.event, "phx_reply", "{frame:?}");
        frame.payload
    }

    /// Whether nothing has come: what was sent before the answer to a heartbeat would have.
    #[track_caller]
    pub(crate) fn assert_silent(&mut self) {
        self.send_to("phoenix", "heartbeat", json!({}));
        let frame = self.next();
        assert_eq!(
            (frame.topic.as_str(), frame.event.as_str()),
            ("phoenix", "phx_reply"),
            "{frame:?}"
        );
    }

    /// How the connection ends: with which code, if any.
    pub(crate) fn end(&mut self) -> Option<u16> {
        let mut code = None;
        loop {
            match self.socket.read() {
                Ok(WsMessage::Close(goodbye)) => code = goodbye.map(|goodbye| goodbye.code.into()),
                Ok(_) => {}
                Err(tungstenite::Error::Io(error))
                    if error.kind() == std::io::ErrorKind::WouldBlock =>
                {
                    panic!("it does not end")
                }
                Err(_) => return code,
            }
        }
    }
}
