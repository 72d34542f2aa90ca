//! Arbitrary schedules, cuts, and garbage.

use std::collections::BTreeMap;

use oneflight_store::Token;
use oneflight_test_dust::recordings::{self, Line};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::pair::World;
use super::*;
use crate::mirror::What;
use crate::wire::Condition;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Act {
    Take(u8, u8),
    GoOn(u8),
    Hear(u8),
    Pass(u16),
    Cut(u8),
    Http(u8),
    Compact,
    Lease(u8, u8),
    Publish(u8),
    Release(u8),
    Put(u8, u8),
    CatchUp(u8),
    Abandon(u8),
}

fn act() -> impl Strategy<Value = Act> {
    let n = any::<u8>;
    prop_oneof![
        12 => (n(), n()).prop_map(|(c, which)| Act::Take(c, which)),
        12 => n().prop_map(Act::GoOn),
        16 => n().prop_map(Act::Hear),
        3 => (0..400_u16).prop_map(Act::Pass),
        2 => n().prop_map(Act::Cut),
        1 => n().prop_map(Act::Http),
        1 => Just(Act::Compact),
        6 => (n(), n()).prop_map(|(c, k)| Act::Lease(c, k)),
        4 => n().prop_map(Act::Publish),
        2 => n().prop_map(Act::Release),
        2 => (n(), n()).prop_map(|(c, k)| Act::Put(c, k)),
        2 => n().prop_map(Act::CatchUp),
        1 => n().prop_map(Act::Abandon),
    ]
}

const CLIENTS: usize = 3;
const KEYS: u8 = 2;

/// What a client has asked for.
struct Asked {
    client: usize,
    ticket: Ticket,
    write: Write,
    left: bool,
}

struct Run {
    world: World,
    asked: Vec<Asked>,
}

impl Run {
    fn ask(&mut self, client: usize, write: Write) {
        let ticket = self
            .world
            .client(client, |session, now| session.write(now, write.clone()));
        self.asked.push(Asked {
            client,
            ticket,
            write,
            left: false,
        });
    }

    /// A lease that was granted to a client, which may have lost it since.
    fn granted(&self, which: u8) -> Option<(usize, Path, Token)> {
        let granted = self.asked.iter().filter_map(|asked| {
            let Deed::Lease { .. } = asked.write.deed else {
                return None;
            };
            let Some(Ok(Done {
                token: Some(token), ..
            })) = self.world.answer(asked.client, asked.ticket)
            else {
                return None;
            };
            Some((asked.client, asked.write.path.clone(), Token::new(*token)?))
        });
        let granted: Vec<_> = granted.collect();
        granted
            .get(usize::from(which) % granted.len().max(1))
            .cloned()
    }

    fn act(&mut self, act: Act) {
        let of = |n: u8| usize::from(n) % CLIENTS;
        let world = &mut self.world;
        match act {
            Act::Take(n, which) => drop(world.take(of(n), usize::from(which))),
            Act::GoOn(which) => drop(world.go_on(usize::from(which))),
            Act::Hear(n) => drop(world.hear(of(n))),
            Act::Pass(by) => world.pass(u64::from(by)),
            Act::Cut(n) => world.cut(of(n)),
            Act::Http(key) => {
                let path = format!("k/{}", key % KEYS);
                let write =
                    json!({"op": "set", "path": path, "value": "http", "client_op_id": "h"});
                world.store().write(0, "http", &write).unwrap();
            }
            Act::Compact => world.store().compact(),
            Act::Lease(n, key) => {
                let attempt = self.asked.len();
                let holder = format!(
                    r#"{{"user":"u","host":"h","pid":1,"attempt":"{attempt}","ttl_ms":60000}}"#
                );
                self.ask(of(n), lease(&format!("l/{}", key % KEYS), 60_000, &holder));
            }
            Act::Publish(n) => {
                if let Some((client, lock, token)) = self.granted(n) {
                    let key = path(&lock.text().replace("l/", "k/"));
                    let only = Condition::Fence { lock, token };
                    let deed = Deed::Set {
                        value: format!("under {token}"),
                        only,
                    };
                    self.ask(client, Write { path: key, deed });
                }
            }
            Act::Release(n) => {
                if let Some((client, lock, token)) = self.granted(n) {
                    self.ask(
                        client,
                        Write {
                            path: lock,
                            deed: Deed::Release { token },
                        },
                    );
                }
            }
            Act::Put(n, key) => {
                let deed = Deed::Set {
                    value: format!("put {n}"),
                    only: Condition::Absent,
                };
                self.ask(
                    of(n),
                    Write {
                        path: path(&format!("k/{}", key % KEYS)),
                        deed,
                    },
                );
            }
            Act::CatchUp(n) => drop(world.client(of(n), |session, now| session.catch_up(now))),
            Act::Abandon(n) => {
                let count = self.asked.len();
                if let Some(asked) = self.asked.get_mut(usize::from(n) % count.max(1)) {
                    let unanswered = self.world.answer(asked.client, asked.ticket).is_none();
                    asked.left |= unanswered;
                    let ticket = asked.ticket;
                    self.world
                        .client(asked.client, |session, _| session.abandon(ticket));
                }
            }
        }
        self.mirrors_are_true();
    }

    /// What a mirror says it knows, it does know.
    fn mirrors_are_true(&mut self) {
        let log: Vec<_> = self
            .world
            .store()
            .log()
            .iter()
            .map(|op| (op.seq, op.path.text.clone(), op.value.clone()))
            .collect();
        for client in &self.world.clients {
            let mirror = &client.said.session.mirror;
            let through = mirror.seqs.through();
            assert!(through <= log.len() as u64);
            let mut last: BTreeMap<&str, (u64, &Value)> = BTreeMap::new();
            for (seq, path, value) in &log[..through as usize] {
                last.insert(path, (*seq, value));
            }
            for (key, (seq, value)) in last {
                let Some(row) = mirror.row(&path(key)) else {
                    assert!(
                        value.is_null() && mirror.revision(&path(key)).get() >= seq,
                        "{key} is unknown"
                    );
                    continue;
                };
                // A snapshot does not tell that the same was written again.
                assert!(
                    row.seq >= seq || !row.exact,
                    "{key} is at {} and should be at {seq}",
                    row.seq
                );
                if row.seq == seq && row.exact {
                    let known = match &row.what {
                        What::Gone => Value::Null,
                        What::Text(text) => json!(String::from_utf8_lossy(&text.value)),
                        What::Lease(lease) => json!({"token": lease.token.get()}),
                        other => panic!("{key} holds {other:?}"),
                    };
                    let told = value
                        .get("token")
                        .map_or_else(|| value.clone(), |token| json!({"token": token}));
                    assert_eq!(known, told, "{key} at {seq}");
                }
            }
        }
    }

    /// In the end every call is answered, with what has become of it.
    fn end(mut self) {
        self.world.rest();
        self.world.rest();
        self.mirrors_are_true();
        let log = self.world.store().log().to_vec();
        for asked in &self.asked {
            let answer = self.world.answer(asked.client, asked.ticket);
            let Some(answer) = answer else {
                assert!(asked.left, "{:?} is not answered", asked.write);
                continue;
            };
            match answer {
                Ok(Done { seq: Some(seq), .. }) => {
                    let op = &log[*seq as usize - 1];
                    assert_eq!(op.path.text, **asked.write.path.text());
                    let name = asked.write.deed.name();
                    // A lease that a snapshot shows may have been renewed since.
                    assert_eq!(op.op, name);
                }
                Ok(Done { seq: None, .. }) => {
                    assert!(matches!(asked.write.deed, Deed::Release { .. }))
                }
                // After a while without a connection nobody knows.
                Err(_) => {}
            }
        }
        // Nobody holds a lease without having been told.
        for n in 0..KEYS {
            let Some(entry) = self.world.store().entry(&format!("l/{n}")).cloned() else {
                continue;
            };
            let token = entry.value["token"].as_u64();
            let told = self.asked.iter().any(|asked| {
                let answer = self.world.answer(asked.client, asked.ticket);
                matches!(answer, Some(Ok(done)) if done.token == token)
            });
            assert!(told, "a ghost lease on l/{n}: {:?}", entry.value);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_cut_late_or_out_of_order(acts in proptest::collection::vec(act(), 1..250)) {
        let mut run = Run { world: World::new(CLIENTS), asked: Vec::new() };
        for n in 0..CLIENTS {
            run.world.client(n, |session, now| session.reach(now, 0));
        }
        for act in acts {
            run.act(act);
        }
        run.end();
    }

    #[test]
    fn recorded_frames_in_any_order_with_anything_in_them(
        picks in proptest::collection::vec((any::<u16>(), any::<u8>(), any::<u16>(), any::<u8>()), 1..120),
        joined in any::<bool>(),
    ) {
        let frames: Vec<_> = recordings::ALL
            .iter()
            .flat_map(|(_, recording)| recordings::lines(recording))
            .filter_map(|line| match line { Line::Frame(frame) => Some(frame.text), _ => None })
            .collect();
        let mut said = Said::new(settings("store:test/blog", Wire::Json));
        said.with(|session| session.write(ms(0), lease("l", 1000, "me")));
        said.with(|session| session.opened(ms(0), ms(0), None));
        if joined {
            let ok = json!(["1", "1", "store:test/blog", "phx_reply", {"status": "ok", "response": {}}]);
            said.receive(ms(0), &Message::Text(ok.to_string()));
            let done = json!(["1", null, "store:test/blog", "catch_up_complete", {"through_seq": 0}]);
            said.receive(ms(0), &Message::Text(done.to_string()));
        }
        let mut now = ms(0);
        for (pick, kind, at, with) in picks {
            now += ms(u64::from(with));
            let text = frames[usize::from(pick) % frames.len()].as_bytes();
            let mut bytes = text.to_vec();
            let at = usize::from(at) % bytes.len();
            match kind % 5 {
                0 => bytes[at] = with,
                1 => bytes.truncate(at),
                2 => drop(bytes.remove(at)),
                _ => {}
            }
            let message = match (kind % 7, String::from_utf8(bytes.clone())) {
                (0, _) | (_, Err(_)) => Message::Binary(bytes.into()),
                (1, Ok(text)) => match serde_json::from_str::<Value>(&text) {
                    Ok(value) => Message::Binary(rmp_serde::to_vec(&value).unwrap().into()),
                    Err(_) => Message::Text(text),
                },
                (_, Ok(text)) => Message::Text(text),
            };
            said.receive(now, &message);
            said.with(|session| session.tick(now));
            if let Some(deadline) = said.session.deadline() {
                prop_assert!(deadline > now || said.with(|session| { session.tick(now); session.deadline() }).0 > Some(now), "a deadline that is over");
            }
        }
    }

    /// However deep it goes: what reads it must not run out of stack.
    #[test]
    fn any_depth(depth in 0..5000_usize, list in any::<bool>(), open in any::<bool>()) {
        let mut said = Said::new(settings("store:test/blog", Wire::Json));
        said.with(|session| session.reach(ms(0), 0));
        said.with(|session| session.opened(ms(0), ms(0), None));
        let level: (&[u8], &str, &str) = if list { (&[0x91], "[", "]") } else { (&[0x81, 0xa1, b'a'], "{\"a\":", "}") };
        let mut bytes = b"\x95\xc0\xc0\xafstore:test/blog\xa5event\x82\xa9store_seq\x01\xa5value".to_vec();
        bytes.extend(level.0.repeat(depth));
        bytes.push(0xc0);
        said.receive(ms(1), &Message::Binary(bytes.into()));
        let close = if open { String::new() } else { level.2.repeat(depth) };
        let value = format!("{}1{close}", level.1.repeat(depth));
        let text = format!(r#"[null,null,"store:test/blog","event",{{"store_seq":2,"op":"set","path":"k","value":{value}}}]"#);
        said.receive(ms(1), &Message::Text(text));
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC*") {
        let mut said = Said::new(settings("store:test/blog", Wire::Json));
        said.with(|session| session.reach(ms(0), 0));
        said.with(|session| session.opened(ms(0), ms(0), None));
        said.receive(ms(1), &Message::Binary(bytes.into()));
        said.receive(ms(1), &Message::Text(text));
    }
}
