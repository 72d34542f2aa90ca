//! Every recorded frame through the session, in both directions.

use std::collections::BTreeMap;

use oneflight_store::Token;
use oneflight_test_dust::recordings::{self, Line, Side};
use serde_json::{Value, json};

use super::*;
use crate::mirror::What;
use crate::wire::Condition;

/// The frame of a line, as the wire would carry it.
fn message(text: &str, binary: bool) -> Option<Message> {
    let value: Value = serde_json::from_str(&bigints(text)).ok()?;
    if !binary {
        return Some(Message::Text(value.to_string()));
    }
    Some(Message::Binary(rmp_serde::to_vec(&value).unwrap().into()))
}

/// 64-bit integers of msgpack frames were written down as `"BIGINT(N)"`.
fn bigints(text: &str) -> String {
    text.replace("\"BIGINT(", "").replace(")\"", "")
}

#[test]
fn every_frame_is_read_and_written_back() {
    let mut frames = 0;
    for (name, recording) in recordings::ALL {
        for line in recordings::lines(recording) {
            let Line::Frame(frame) = line else { continue };
            let Some(message) = message(frame.text, frame.binary.is_some()) else {
                assert_eq!((name, frame.text), ("raw-edge-cases", "not json"));
                continue;
            };
            let read = Frame::decode(&message).unwrap();
            let fields: Value = serde_json::from_str(&bigints(frame.text)).unwrap();
            let again = json!([
                read.join_ref,
                read.reference,
                read.topic,
                read.event,
                read.payload
            ]);
            assert_eq!(again, fields, "{name}");
            for wire in [Wire::Json, Wire::Msgpack] {
                let encoded = read.encode(wire).unwrap();
                assert_eq!(Frame::decode(&encoded).as_ref(), Ok(&read));
                // The TypeScript SDK spends two bytes more than it has to on a map.
                if let (
                    Wire::Msgpack,
                    Message::Binary(bytes),
                    Side::Server,
                    Some((length, first)),
                ) = (wire, &encoded, frame.from, frame.binary)
                {
                    assert_eq!(bytes.len(), length, "{name}: {}", frame.text);
                    let head: String = bytes
                        .iter()
                        .take(first.len() / 2)
                        .map(|byte| format!("{byte:02x}"))
                        .collect();
                    assert_eq!(head, first);
                }
            }
            frames += 1;
        }
    }
    assert!(frames > 350, "{frames} frames");
}

/// What the client of a recording writes, in this crate's words; `None` for what it has none for.
fn write_of(payload: &Value) -> Option<Write> {
    let token = |value: &Value| Token::new(value.as_u64()?);
    let ttl = payload["ttl_ms"].as_u64().map(Duration::from_millis);
    let deed = match payload["op"].as_str()? {
        "lease" => Deed::Lease {
            ttl: ttl?,
            holder: payload["holder"].as_str().unwrap_or_default().to_owned(),
        },
        "renew" => Deed::Renew {
            token: token(&payload["token"])?,
            ttl: ttl?,
        },
        "release" => Deed::Release {
            token: token(&payload["token"])?,
        },
        "delete" => Deed::Delete,
        "set" => {
            let fence = &payload["fence"];
            let only = if let Some(key) = fence["key"].as_str() {
                Condition::Fence {
                    lock: path(key),
                    token: token(&fence["token"])?,
                }
            } else if payload["if_absent"] == true {
                Condition::Absent
            } else {
                Condition::Match(payload["if_match"].as_u64()?)
            };
            Deed::Set {
                value: payload["value"].as_str()?.to_owned(),
                only,
            }
        }
        _ => return None,
    };
    Some(Write {
        path: path(payload["path"].as_str()?),
        deed,
    })
}

/// What is the same for all clients: not how they call themselves and their operations.
fn essence(frame: &Frame) -> Value {
    let mut payload = frame.payload.clone();
    if let Some(fields) = payload.as_object_mut() {
        fields.retain(|name, value| name != "client_op_id" && !value.is_null() && value != "");
    }
    json!([frame.topic, frame.event, payload])
}

/// Replays the connections of a recording: joins where it joins, writes what it writes, is told what it is
/// told, under this session's own references; answers how many writes were sent as recorded, and what
/// came of them.
fn replay(recording: &str) -> BTreeMap<u64, (Said, Vec<Result<Done, Failure>>)> {
    let mut clients: BTreeMap<u64, (Said, Vec<Result<Done, Failure>>)> = BTreeMap::new();
    // The recorded references, by those of the session.
    let mut references: BTreeMap<(u64, String), String> = BTreeMap::new();
    let mut now = ms(0);
    for line in recordings::lines(recording) {
        let Line::Frame(recorded) = line else {
            continue;
        };
        now += ms(1);
        let number = recorded.connection;
        let Some(message) = message(recorded.text, recorded.binary.is_some()) else {
            continue;
        };
        let mut frame = Frame::decode(&message).unwrap();
        let wire = if recorded.binary.is_some() {
            Wire::Msgpack
        } else {
            Wire::Json
        };
        let (said, outcomes) = clients
            .entry(number)
            .or_insert_with(|| (Said::new(settings(&frame.topic, wire)), Vec::new()));
        let translate = |reference: &Option<String>| {
            let reference = reference.as_ref()?;
            Some(
                references
                    .get(&(number, reference.clone()))
                    .cloned()
                    .unwrap_or_else(|| format!("?{reference}")),
            )
        };
        match (recorded.from, &*frame.event) {
            (Side::Client, "phx_join") => {
                let last = frame.payload["last_store_seq"].as_u64().unwrap();
                said.session.mirror.seqs.know_through(last);
                said.with(|session| session.reach(now, 0));
                let (_, sent) = said.with(|session| session.opened(now, now, None));
                assert_eq!(essence(&sent[0]), essence(&frame));
                references.insert(
                    (number, frame.reference.unwrap()),
                    sent[0].reference.clone().unwrap(),
                );
            }
            (Side::Client, "write") => {
                let Some(write) = write_of(&frame.payload) else {
                    continue;
                };
                let own = said
                    .frames
                    .iter()
                    .any(|sent| essence(sent) == essence(&frame))
                    && matches!(write.deed, Deed::Release { .. });
                if own {
                    // The lease that was published under was released by itself, under a reference of
                    // this session's own.
                    let sent = said
                        .frames
                        .iter()
                        .find(|sent| essence(sent) == essence(&frame))
                        .unwrap();
                    references.insert(
                        (number, frame.reference.unwrap()),
                        sent.reference.clone().unwrap(),
                    );
                    continue;
                }
                let (ticket, sent) = said.with(|session| session.write(now, write));
                assert_eq!(sent.len(), 1, "{}", recorded.text);
                assert_eq!(essence(&sent[0]), essence(&frame));
                assert_eq!(sent[0].join_ref.as_deref(), said.session.link.join());
                references.insert(
                    (number, frame.reference.unwrap()),
                    sent[0].reference.clone().unwrap(),
                );
                // So that the operation is known by the recorded name.
                let id = frame.payload["client_op_id"].as_str().unwrap().to_owned();
                references.insert(
                    (number, format!("op {id}")),
                    sent[0].payload["client_op_id"].as_str().unwrap().to_owned(),
                );
                outcomes.push(Err(Failure::unavailable(ticket)));
            }
            (Side::Client, _) => {}
            (Side::Server, _) => {
                frame.join_ref = translate(&frame.join_ref);
                frame.reference = translate(&frame.reference);
                let id = format!(
                    "op {}",
                    frame.payload["client_op_id"].as_str().unwrap_or_default()
                );
                if let Some(ours) = references.get(&(number, id)) {
                    frame.payload["client_op_id"] = json!(ours);
                }
                let before = said.answers.len();
                said.receive(now, &frame.encode(wire).unwrap());
                let answers = said.answers[before..]
                    .iter()
                    .map(|(_, answer)| answer.clone());
                let pending = outcomes
                    .iter_mut()
                    .filter(|outcome| matches!(outcome, Err(Failure::Store(_))));
                for (slot, answer) in
                    pending.zip(answers.filter(|answer| *answer != Ok(Done::default())))
                {
                    *slot = answer;
                }
            }
        }
    }
    clients
}

fn done(seq: u64) -> Result<Done, Failure> {
    Ok(Done {
        seq: Some(seq),
        ..Done::default()
    })
}

fn leased(seq: u64, token: u64, expires_at: i64) -> Result<Done, Failure> {
    Ok(Done {
        seq: Some(seq),
        token: Some(token),
        expires_at: Some(expires_at),
    })
}

#[test]
fn the_elixir_sdk() {
    let mut clients = replay(recordings::REAL_ELIXIR);
    let (said, outcomes) = clients.remove(&1).unwrap();
    assert_eq!(said.session.mirror.seqs.through(), 34);
    assert_eq!(
        said.text("ex/sf").as_deref(),
        Some("{\"n\":1}"),
        "what the seed's single-flight published"
    );
    assert_eq!(said.text("ex/state").as_deref(), Some("v1"));
    assert_eq!(said.text("state/x").as_deref(), Some("v1"));
    assert_eq!(said.text("posts/hello"), None);
    assert_eq!(said.text("posts/hello/title").as_deref(), Some("Hi"));
    let lock = said.session.mirror.row(&path("_dust:sf/ex/sf")).unwrap();
    assert_eq!((&lock.what, lock.latest), (&What::Gone, Token::new(32)));
    // The token of what others publish is that of the lease they hold.
    let What::Text(text) = &said.session.mirror.row(&path("ex/sf")).unwrap().what else {
        panic!()
    };
    assert_eq!(text.token, Token::new(32));
    assert!(
        outcomes.contains(&leased(28, 28, 1_795_466_699_186)),
        "{outcomes:?}"
    );
    assert!(outcomes.contains(&Err(Failure::Held)));
    assert!(outcomes.contains(&leased(29, 28, 1_795_466_699_201)));
    assert!(outcomes.contains(&done(30)));
    assert!(outcomes.contains(&Err(Failure::Fenced)));
    assert!(outcomes.contains(&Err(Failure::NotHeld)));
    assert!(outcomes.contains(&Err(Failure::Exists)));
}

#[test]
fn two_typescript_sdks() {
    let clients = replay(recordings::REAL_JSON);
    for (number, (said, _)) in &clients {
        let expected = if *number < 3 { 12 } else { 13 };
        assert_eq!(
            said.session.mirror.seqs.through(),
            expected,
            "connection {number}"
        );
    }
    let (b, _) = &clients[&1];
    let (a, outcomes) = &clients[&2];
    assert_eq!(a.text("state/x").as_deref(), Some("v1"));
    assert_eq!(b.text("state/x").as_deref(), Some("v1"));
    for said in [a, b] {
        let What::Lease(lease) = &said.session.mirror.row(&path("locks/steal")).unwrap().what
        else {
            panic!()
        };
        assert_eq!(lease.token.get(), 9, "the thief's");
    }
    assert_eq!(outcomes[0], leased(2, 2, 1_795_466_480_355));
    for failure in [
        Failure::Fenced,
        Failure::NotHeld,
        Failure::Occupied,
        Failure::Exists,
        Failure::Conflict,
    ] {
        assert!(
            outcomes.contains(&Err(failure.clone())),
            "{failure:?} in {outcomes:?}"
        );
    }
}

#[test]
fn a_reconnect_and_a_write_too_early() {
    let clients = replay(recordings::REAL_RECONNECT);
    let (said, _) = &clients[&2];
    assert_eq!(said.session.mirror.seqs.through(), 12);
    assert_eq!(said.text("rc/x").as_deref(), Some("missed"));
    assert_eq!(
        said.session.mirror.row(&path("rc/lock")).unwrap().what,
        What::Gone
    );
}

#[test]
fn a_hundred_msgpack_frames() {
    let clients = replay(recordings::REAL_MSGPACK);
    let (said, _) = &clients[&1];
    assert!(
        said.session.mirror.seqs.through() >= 100,
        "{}",
        said.session.mirror.seqs.through()
    );
    let What::Lease(lease) = &said.session.mirror.row(&path("locks/job")).unwrap().what else {
        panic!()
    };
    assert_eq!(
        (lease.token.get(), lease.expires_at),
        (2, 1_795_466_545_836)
    );
}

#[test]
fn a_snapshot_is_unwrapped() {
    let mut said = Said::new(settings("store:test/integration", Wire::Json));
    said.with(|session| session.reach(ms(0), 0));
    said.with(|session| session.opened(ms(0), ms(1), None));
    for line in recordings::lines(recordings::REAL_SNAPSHOT) {
        let Line::Frame(frame) = line else { continue };
        said.receive(ms(2), &Message::Text(frame.text.to_owned()));
    }
    assert!(said.session.is_up());
    assert_eq!(said.session.mirror.seqs.through(), 12);
    assert_eq!(said.text("rc/x").as_deref(), Some("missed"));
    assert_eq!(said.text("integration.test").as_deref(), Some("hello"));
    assert_eq!(
        said.session.mirror.row(&path("b/1")).unwrap().what,
        What::Other("a number")
    );
    // Of what is not in it, all that is known is that it has been nothing since.
    assert_eq!(said.session.mirror.revision(&path("rc/lock")).get(), 12);
}

#[test]
fn every_recorded_refusal_has_a_name() {
    let mut told = BTreeMap::new();
    for (_, recording) in recordings::ALL {
        for line in recordings::lines(recording) {
            let Line::Frame(frame) = line else { continue };
            let Ok(Value::Array(fields)) = serde_json::from_str(frame.text) else {
                continue;
            };
            let mut payload = fields[4].clone();
            if fields[3] == "phx_reply"
                && let Err(failure) = crate::wire::read_reply(&mut payload)
            {
                let reason = payload["response"]["reason"].as_str().unwrap().to_owned();
                told.insert(reason, failure);
            }
        }
    }
    assert!(told.len() >= 14, "{told:?}");
    for (reason, failure) in told {
        let refused = matches!(
            &failure,
            Failure::Store(oneflight_store::StoreError::Refused(_))
        );
        let by_name = [
            "missing_scope",
            "store_not_allowed",
            "unauthorized",
            "missing_path",
            "empty_segment",
        ];
        assert_eq!(
            refused,
            by_name.contains(&&*reason),
            "{reason}: {failure:?}"
        );
    }
}
