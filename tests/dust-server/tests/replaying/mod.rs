//! A recording in one hand, the stand-in in the other.

use std::collections::{BTreeMap, VecDeque};

use oneflight_test_dust::recordings::{Line, Recorded, Side, lines};
use oneflight_test_dust::{ConnectionId, Dust, Frame, Message, Millis, Step, Wire};
use serde_json::{Value, json};

use crate::{BEYOND, UNRECORDED};

/// Before anything that was recorded.
const DAWN: Millis = 1_795_466_000_000;

pub(crate) struct World {
    pub(crate) dust: Dust,
    compared: usize,
    now: Millis,
    /// By the number that the recording gives them.
    connections: BTreeMap<u64, Connection>,
}

struct Connection {
    id: ConnectionId,
    wire: Wire,
    said: VecDeque<Frame>,
    closed: Option<u16>,
}

impl World {
    pub(crate) fn new(dust: Dust) -> Self {
        Self {
            dust,
            compared: 0,
            now: DAWN,
            connections: BTreeMap::new(),
        }
    }

    /// The client whose answers `real-snapshot` shows, which has not recorded what it asked.
    pub(crate) fn join(&mut self, store: &str, last: u64) {
        self.open(1, "token=dust_tok_…&device_id=raw1&capver=3&vsn=2.0.0");
        let join =
            json!(["1", "1", format!("store:{store}"), "phx_join", {"last_store_seq": last}]);
        self.say(1, &join.to_string());
    }

    /// Everything that clients say in it is said, and everything that the server says is expected.
    pub(crate) fn replay(&mut self, name: &str, recording: &str) {
        let lines = lines(recording);
        if name == "raw-edge-cases" {
            self.open(1, "token=dust_tok_…&device_id=raw1&capver=3&vsn=2.0.0");
        }
        let mut section = "";
        for (number, line) in lines.iter().enumerate() {
            let place = format!("{name}: {section}: {line:?}");
            match line {
                Line::Section(title) => {
                    section = title;
                    self.begin(title);
                }
                Line::Http(answer) => {
                    assert_eq!(*answer, "HTTP 403 body=\"\"");
                    assert_eq!(
                        self.dust.connect(self.now, refused(section)),
                        None,
                        "{place}"
                    );
                }
                Line::Open(connection, query) => self.open(*connection, query),
                Line::Closed(connection, side, code) => {
                    self.close(*connection, *side, *code, &place)
                }
                Line::Frame(frame) if frame.from == Side::Client => {
                    let following = &lines[number + 1..];
                    self.do_what_was_not_recorded(name, frame, following);
                    self.set_clock(frame, following);
                    self.say(frame.connection, frame.text);
                }
                Line::Frame(frame) => self.expect(frame, &place),
                _ => unreachable!(),
            }
        }
        let unheard = if name == "real-msgpack" { BEYOND } else { 0 };
        for connection in std::mem::take(&mut self.connections).into_values() {
            let said = connection.said;
            assert_eq!(
                said.len(),
                unheard,
                "{name}: said more than was recorded: {said:?}"
            );
            self.dust.disconnect(connection.id);
        }
        assert_eq!(
            std::mem::take(&mut self.compared),
            recording.matches("S>C ").count()
        );
    }

    /// The raw client opens connections without a word in the recording.
    fn begin(&mut self, section: &str) {
        match section {
            "read-only token write" => {
                self.open(2, "token=of-blog&device_id=raw2&capver=3&vsn=2.0.0")
            }
            "token for other store" => {
                self.open(3, "token=of-other&device_id=raw3&capver=3&vsn=2.0.0")
            }
            _ => {}
        }
    }

    fn open(&mut self, connection: u64, query: &str) {
        let id = self.dust.connect(self.now, query);
        let id = id.unwrap_or_else(|| panic!("not let in: {query}"));
        let connected = Connection {
            id,
            wire: self.dust.connection(id).unwrap().0,
            said: VecDeque::new(),
            closed: None,
        };
        assert!(self.connections.insert(connection, connected).is_none());
    }

    fn close(&mut self, connection: u64, side: Side, code: u16, place: &str) {
        let Some(connection) = self.connections.remove(&connection) else {
            // The other end has closed it.
            assert_eq!((side, code), (Side::Server, 1000), "{place}");
            return;
        };
        assert_eq!(connection.said, [], "{place}");
        if code == 1011 {
            assert_eq!(connection.closed, Some(code), "{place}");
        } else {
            assert_eq!(connection.closed, None, "{place}");
            self.dust.disconnect(connection.id);
        }
    }

    fn say(&mut self, connection: u64, text: &str) {
        let Connection { id, wire, .. } = self.connections[&connection];
        let frame = |text| Frame::decode(&Message::Text(text), Wire::Json);
        let message = match (wire, frame(text.to_owned())) {
            (Wire::Msgpack, Some(frame)) => frame.encode(wire),
            _ => Message::Text(text.to_owned()),
        };
        let steps = self.dust.receive(self.now, id, &message);
        for step in self.dust.settle(steps) {
            match step {
                Step::Send(to, frame) => self.connection(to).said.push_back(frame),
                Step::Close(to, code) => self.connection(to).closed = Some(code),
                Step::Later(_) => unreachable!("it is settled"),
            }
        }
    }

    fn connection(&mut self, id: ConnectionId) -> &mut Connection {
        let mut connections = self.connections.values_mut();
        connections.find(|connection| connection.id == id).unwrap()
    }

    fn expect(&mut self, recorded: &Recorded<'_>, place: &str) {
        let connection = self.connections.get_mut(&recorded.connection).unwrap();
        let said = connection.said.pop_front();
        let said = said.unwrap_or_else(|| panic!("{place}: said nothing"));
        let message = said.encode(connection.wire);
        if let Some((length, first)) = recorded.binary {
            let Message::Binary(bytes) = &message else {
                panic!("{place}: said {message:?}");
            };
            assert_eq!(bytes.len(), length, "{place}");
            // The map comes next, whose order has no meaning.
            let same = first.len().min(2 * 8);
            let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hexadecimal[..same], *first, "{place}");
        }
        let travelled = Frame::decode(&message, connection.wire).unwrap();
        assert_eq!(
            comparable(travelled),
            comparable(parse(recorded)),
            "{place}"
        );
        self.compared += 1;
    }

    /// When a lease was granted or renewed is told by the answer.
    fn set_clock(&mut self, frame: &Recorded<'_>, following: &[Line<'_>]) {
        let Ok(asked) = serde_json::from_str::<Value>(frame.text) else {
            return;
        };
        let mut answers =
            said_to(frame.connection, following).filter(|answer| answer.event == "phx_reply");
        let answer = answers.find(|answer| answer.reference.as_deref() == asked[1].as_str());
        let expires_at =
            answer.and_then(|answer| answer.payload["response"]["expires_at"].as_u64());
        if let Some(expires_at) = expires_at {
            let then = expires_at - asked[4]["ttl_ms"].as_u64().unwrap_or(30_000);
            assert!(then >= self.now, "time goes back: {frame:?}");
            self.now = then;
        }
    }

    /// Before a client joins, others have done what it will be told.
    fn do_what_was_not_recorded(
        &mut self,
        name: &str,
        frame: &Recorded<'_>,
        following: &[Line<'_>],
    ) {
        let ranges: Vec<_> = UNRECORDED.iter().filter(|(of, ..)| *of == name).collect();
        if ranges.is_empty() || !frame.text.contains("phx_join") {
            return;
        }
        let mut answers = said_to(frame.connection, following);
        let joined = answers.next().unwrap();
        let store = joined.topic.strip_prefix("store:").unwrap();
        let through = joined.payload["response"]["store_seq"].as_u64().unwrap();
        let caught_up =
            answers.filter(|answer| answer.event == "event" && answer.join_ref.is_some());
        let mut events: BTreeMap<_, _> = caught_up
            .map(|event| (event.payload["store_seq"].as_u64().unwrap(), event.payload))
            .collect();
        for seq in self.dust.store_mut(store).seq() + 1..=through {
            let listed = ranges
                .iter()
                .any(|&&(_, first, last)| (first..=last).contains(&seq));
            assert!(listed, "{name}: {seq} was never written");
            // What is behind the end of the recording is anything.
            let event = events.remove(&seq).unwrap_or_else(|| {
                json!({"op": "set", "path": "s/0", "client_op_id": "?", "value": 0, "device_id": "?"})
            });
            self.redo(store, seq, &event);
        }
    }

    fn redo(&mut self, store: &str, seq: u64, event: &Value) {
        let store = self.dust.store_mut(store);
        let entry = store
            .entry(event["path"].as_str().unwrap())
            .map(|entry| entry.value.clone());
        let mut write = event.clone();
        match event["op"].as_str().unwrap() {
            "increment" => {
                let before = entry.and_then(|value| value.as_i64()).unwrap_or(0);
                write["value"] = json!(event["value"].as_i64().unwrap() - before);
            }
            "lease" => {
                let expires_at = event["value"]["expires_at"].as_u64().unwrap();
                write["ttl_ms"] = json!(expires_at - self.now);
                write["holder"] = event["value"]["holder"].clone();
            }
            "release" => write["token"] = entry.unwrap()["token"].clone(),
            _ => {}
        }
        let device = event["device_id"].as_str().unwrap();
        let written = store.write(self.now, device, &write).unwrap();
        assert_eq!(written.op.unwrap().seq, seq);
    }
}

/// What the server says to a connection from there on.
fn said_to<'a>(connection: u64, following: &'a [Line<'a>]) -> impl Iterator<Item = Frame> + 'a {
    following.iter().filter_map(move |line| match line {
        Line::Frame(frame) if frame.from == Side::Server && frame.connection == connection => {
            Some(parse(frame))
        }
        _ => None,
    })
}

/// The frame as it was meant: the recorder has written large integers of msgpack as strings.
fn parse(recorded: &Recorded<'_>) -> Frame {
    let text = recorded.text.replace("\"BIGINT(", "").replace(")\"", "");
    let text = if recorded.text.contains("BIGINT") {
        text
    } else {
        recorded.text.to_owned()
    };
    Frame::decode(&Message::Text(text), Wire::Json).unwrap()
}

/// Without what only the real server's database knows.
fn comparable(mut frame: Frame) -> Frame {
    let Some(response) = frame.payload.get_mut("response") else {
        return frame;
    };
    if let Some(size) = response.get_mut("db_size_bytes") {
        *size = Value::Null;
    }
    let operations = response.get_mut("recent_ops").and_then(Value::as_array_mut);
    for operation in operations.into_iter().flatten() {
        operation["inserted_at"] = Value::Null;
    }
    frame
}

/// What a client asked that was not let in.
fn refused(section: &str) -> &'static str {
    match section {
        "bad token" => "token=bad&device_id=raw1&capver=3&vsn=2.0.0",
        "capver 2" => "token=dust_tok_…&device_id=raw1&capver=2&vsn=2.0.0",
        "no device_id" => "token=dust_tok_…&capver=3&vsn=2.0.0",
        "no vsn" => "token=dust_tok_…&device_id=raw1&capver=3",
        "vsn 1.0.0" => "token=dust_tok_…&device_id=raw1&capver=3&vsn=1.0.0",
        _ => panic!("what was refused? {section}"),
    }
}
