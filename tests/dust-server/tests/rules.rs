//! What is known of the real server beside the recordings, and what is assumed.

use oneflight_test_dust::{
    ConnectionId, Dust, Frame, IDLE, Later, Message, Step, Store, Token, Wire,
};
use serde_json::{Value, json};

const T: &str = "store:test/blog";
const BY_UUID: &str = "store:uuid-of-blog";

struct World {
    dust: Dust,
    now: u64,
    reference: u64,
}

/// The answer that the frame's sender gets, and what everybody is sent besides.
type Said = (Result<Value, Value>, Vec<(u64, Frame)>);

impl World {
    fn new() -> Self {
        Self::with(Token::full("full"), Store::new("test/blog", "uuid-of-blog"))
    }

    fn with(token: Token, store: Store) -> Self {
        let dust = Dust::new().store(store).token(token);
        Self {
            dust,
            now: 1_000_000,
            reference: 0,
        }
    }

    fn connect(&mut self) -> ConnectionId {
        let query = "token=full&device_id=d&capver=3&vsn=2.0.0";
        self.dust.connect(self.now, query).unwrap()
    }

    fn joined(&mut self, topic: &str) -> ConnectionId {
        let id = self.connect();
        self.push(id, topic, "phx_join", json!({"last_store_seq": 0}))
            .0
            .unwrap();
        id
    }

    fn begin(&mut self, id: ConnectionId, topic: &str, event: &str, payload: Value) -> Vec<Step> {
        self.reference += 1;
        let reference = Some(self.reference.to_string());
        let frame = Frame {
            join_ref: reference.clone(),
            reference,
            topic: topic.to_owned(),
            event: event.to_owned(),
            payload,
        };
        self.dust.receive(self.now, id, &frame.encode(Wire::Json))
    }

    fn push(&mut self, id: ConnectionId, topic: &str, event: &str, payload: Value) -> Said {
        let steps = self.begin(id, topic, event, payload);
        self.finish(id, steps)
    }

    fn finish(&mut self, id: ConnectionId, steps: Vec<Step>) -> Said {
        let mut answer = None;
        let mut others = Vec::new();
        for step in self.dust.settle(steps) {
            let Step::Send(to, frame) = step else {
                panic!("{step:?}");
            };
            if to == id && frame.event == "phx_reply" {
                let response = frame.payload["response"].clone();
                let ok = frame.payload["status"] == "ok";
                answer = Some(if ok { Ok(response) } else { Err(response) });
            } else {
                others.push((to.0, frame));
            }
        }
        (answer.unwrap(), others)
    }

    fn write(&mut self, id: ConnectionId, payload: Value) -> Result<Value, Value> {
        self.write_to(id, T, payload).0
    }

    fn write_to(&mut self, id: ConnectionId, topic: &str, mut payload: Value) -> Said {
        payload["client_op_id"] = json!("op");
        self.push(id, topic, "write", payload)
    }
}

fn reason(reason: &str) -> Result<Value, Value> {
    Err(json!({"reason": reason}))
}

fn lease(path: &str, ttl: u64) -> Value {
    json!({"op": "lease", "path": path, "ttl_ms": ttl})
}

#[test]
fn a_lease_lapses_at_its_end_and_not_before() {
    let mut world = World::new();
    let id = world.joined(T);
    let lease_again = |world: &mut World| world.write(id, lease("l", 1000));
    let first = lease_again(&mut world).unwrap();
    assert_eq!(
        (&first["token"], &first["expires_at"]),
        (&json!(1), &json!(1_001_000))
    );
    world.now += 999;
    assert_eq!(lease_again(&mut world), reason("held"));
    world.now += 1;
    assert_eq!(lease_again(&mut world).unwrap()["token"], 2);
}

#[test]
fn a_lapsed_lease_is_not_held_by_its_holder_either() {
    let mut world = World::new();
    let id = world.joined(T);
    world.write(id, lease("l", 1000)).unwrap();
    world.now += 1000;
    let renewed = world.write(id, json!({"op": "renew", "path": "l", "token": 1}));
    assert_eq!(renewed, reason("not_held"));
    let fence = json!({"key": "l", "token": 1});
    let set = world.write(
        id,
        json!({"op": "set", "path": "k", "value": 1, "fence": fence}),
    );
    assert_eq!(set, reason("fenced"));
    let released = world.write(id, json!({"op": "release", "path": "l", "token": 1}));
    assert_eq!(released, Ok(json!({"released": false})));
}

#[test]
fn a_forged_lease_is_a_lease() {
    let mut world = World::new();
    let id = world.joined(T);
    let forged = json!({"_type": "lease", "expires_at": world.now + 1000});
    world
        .write(id, json!({"op": "set", "path": "l", "value": forged}))
        .unwrap();
    assert_eq!(world.write(id, lease("l", 1000)), reason("held"));
    world.now += 1000;
    world.write(id, lease("l", 1000)).unwrap();
    // What is written over it frees it, whoever it was.
    world
        .write(id, json!({"op": "set", "path": "l", "value": 1}))
        .unwrap();
    assert_eq!(world.write(id, lease("l", 1000)), reason("occupied"));
    let renewed = world.write(id, json!({"op": "renew", "path": "l", "token": 2}));
    assert_eq!(renewed, reason("not_held"));
}

#[test]
fn a_disconnect_releases_nothing() {
    let mut world = World::new();
    let (holder, other) = (world.joined(T), world.joined(T));
    world.write(holder, lease("l", 1000)).unwrap();
    world.dust.disconnect(holder);
    assert_eq!(world.write(other, lease("l", 1000)), reason("held"));
}

#[test]
fn tokens_are_those_of_the_lease_and_grow() {
    let mut world = World::new();
    let id = world.joined(T);
    world.write(id, lease("l", 1000)).unwrap();
    let renewed = world
        .write(
            id,
            json!({"op": "renew", "path": "l", "token": 1, "ttl_ms": 5000}),
        )
        .unwrap();
    assert_eq!(
        (&renewed["token"], &renewed["store_seq"]),
        (&json!(1), &json!(2))
    );
    let wrong = world.write(id, json!({"op": "release", "path": "l", "token": 2}));
    assert_eq!(wrong, Ok(json!({"released": false})));
    world
        .write(id, json!({"op": "release", "path": "l", "token": 1}))
        .unwrap();
    assert_eq!(world.write(id, lease("l", 1000)).unwrap()["token"], 4);
    let log = world.dust.store_mut("test/blog").log();
    let ops: Vec<_> = log.iter().map(|op| op.op.as_str()).collect();
    assert_eq!(ops, ["lease", "renew", "release", "lease"]);
}

#[test]
fn conditions_hold_or_nothing_is_written() {
    let mut world = World::new();
    let id = world.joined(T);
    let set = |condition: &str, value: Value| json!({"op": "set", "path": "k", "value": 1, condition: value});
    assert_eq!(
        world.write(id, set("if_match", json!(0))),
        reason("conflict")
    );
    world.write(id, set("if_absent", json!(true))).unwrap();
    assert_eq!(
        world.write(id, set("if_absent", json!(true))),
        reason("exists")
    );
    world.write(id, set("if_match", json!(1))).unwrap();
    assert_eq!(
        world.write(id, set("if_match", json!(1))),
        reason("conflict")
    );
    assert_eq!(world.dust.store_mut("test/blog").seq(), 2);
    // A fence does not bind a lease.
    let mut fenced = lease("l", 1);
    fenced["fence"] = json!({"key": "nothing", "token": 1});
    world.write(id, fenced).unwrap();
}

#[test]
fn names_and_uuids_do_not_cross() {
    let mut world = World::new();
    let (a, b) = (world.joined(T), world.joined(BY_UUID));
    let (answer, told) = world.write_to(b, BY_UUID, lease("l", 1000));
    answer.unwrap();
    assert_eq!(told.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [b.0]);
    assert_eq!(world.write(a, lease("l", 1000)), reason("held"));
}

#[test]
fn who_writes_by_http_tells_nobody_until_they_join_again() {
    let mut world = World::new();
    let id = world.joined(T);
    let write = json!({"op": "set", "path": "k", "value": 1, "client_op_id": "http"});
    world
        .dust
        .store_mut("test/blog")
        .write(0, "http", &write)
        .unwrap();
    let (joined, told) = world.push(id, T, "phx_join", json!({"last_store_seq": 0}));
    assert_eq!(joined.unwrap()["store_seq"], 1);
    let events: Vec<_> = told.iter().map(|(_, frame)| frame.event.as_str()).collect();
    assert_eq!(events, ["phx_close", "event", "catch_up_complete"]);
}

#[test]
fn who_joins_between_commit_and_broadcast_is_told_twice() {
    let mut world = World::new();
    let writer = world.joined(T);
    let write = json!({"op": "set", "path": "k", "value": 1, "client_op_id": "op"});
    let late = world.begin(writer, T, "write", write);
    let joiner = world.connect();
    let (_, told) = world.push(joiner, T, "phx_join", json!({"last_store_seq": 0}));
    assert_eq!(told[0].1.payload["store_seq"], 1);
    let (answer, told) = world.finish(writer, late);
    answer.unwrap();
    assert_eq!(
        told.iter().map(|(to, _)| *to).collect::<Vec<_>>(),
        [writer.0, joiner.0]
    );
}

#[test]
fn a_channel_that_is_joined_again_catches_up_once() {
    let mut world = World::new();
    let id = world.connect();
    let first = world.begin(id, T, "phx_join", json!({"last_store_seq": 0}));
    world
        .push(id, T, "phx_join", json!({"last_store_seq": 0}))
        .0
        .unwrap();
    let (_, told) = world.finish(id, first);
    assert_eq!(told, []);
}

#[test]
fn one_write_too_many_in_a_minute() {
    let store = Store::new("test/blog", "uuid-of-blog");
    let mut world = World::with(Token::full("full").writes_per_minute(2), store);
    let id = world.joined(T);
    world.write(id, lease("l", 1000)).unwrap();
    assert_eq!(world.write(id, lease("l", 1000)), reason("held"));
    world.now += 1000;
    let limited = Err(json!({"reason": "rate_limited", "retry_after_ms": 60_000}));
    assert_eq!(world.write(id, lease("m", 1000)), limited);
    world.now += 60_000;
    world.write(id, lease("m", 1000)).unwrap();
}

#[test]
fn a_plan_has_its_limit() {
    let store = Store::new("test/blog", "uuid-of-blog").key_limit(2);
    let mut world = World::with(Token::full("full"), store);
    let id = world.joined(T);
    world
        .write(
            id,
            json!({"op": "set", "path": "a", "value": {"x": 1, "y": 1}}),
        )
        .unwrap();
    assert_eq!(world.write(id, lease("l", 1)), reason("limit_exceeded"));
    world
        .write(id, json!({"op": "set", "path": "a/x", "value": 2}))
        .unwrap();
    world
        .write(id, json!({"op": "delete", "path": "a/y"}))
        .unwrap();
    world.write(id, lease("l", 1)).unwrap();
}

#[test]
fn an_archived_store_is_read_only() {
    let mut world = World::new();
    let id = world.joined(T);
    world.dust.store_mut("test/blog").archive();
    assert_eq!(world.write(id, lease("l", 1)), reason("store_archived"));
}

#[test]
fn who_may_not_read_does_not_get_in() {
    let store = Store::new("test/blog", "uuid-of-blog");
    let mut world = World::with(Token::powerless("full"), store);
    let id = world.connect();
    let (refused, _) = world.push(id, T, "phx_join", json!({"last_store_seq": 0}));
    assert_eq!(refused.unwrap_err()["scope"], "entries:read");
}

#[test]
fn a_map_is_its_leaves() {
    let mut world = World::new();
    let id = world.joined(T);
    world
        .write(
            id,
            json!({"op": "set", "path": "a", "value": {"b/c": {"d": 1}, "e": [1]}}),
        )
        .unwrap();
    world
        .write(id, json!({"op": "set", "path": "ab", "value": 1}))
        .unwrap();
    let store = world.dust.store_mut("test/blog");
    assert_eq!(store.entry("a/b~1c/d").unwrap().value, 1);
    assert_eq!(store.entry("a"), None);
    world
        .write(id, json!({"op": "merge", "path": "a", "value": {"f": 1}}))
        .unwrap();
    world
        .write(id, json!({"op": "set", "path": "a", "value": {"g": 1}}))
        .unwrap();
    let store = world.dust.store_mut("test/blog");
    let there = ["a/b~1c/d", "a/e", "a/f", "a/g", "ab"].map(|path| store.entry(path).is_some());
    assert_eq!(there, [false, false, false, true, true]);
}

#[test]
fn numbers_add_up_and_sets_have_no_twins() {
    let mut world = World::new();
    let id = world.joined(T);
    for (op, path, value) in [
        ("increment", "n", 5),
        ("increment", "n", -2),
        ("add", "s", 1),
        ("add", "s", 2),
        ("add", "s", 1),
        ("remove", "s", 2),
    ] {
        world
            .write(id, json!({"op": op, "path": path, "value": value}))
            .unwrap();
    }
    let store = world.dust.store_mut("test/blog");
    assert_eq!(store.entry("n").unwrap().value, 3);
    assert_eq!(store.entry("s").unwrap().value, json!([1]));
}

#[test]
fn behind_a_snapshot_and_before_it() {
    let mut world = World::new();
    let id = world.joined(T);
    world
        .write(id, json!({"op": "set", "path": "a", "value": 1}))
        .unwrap();
    world.write(id, lease("l", 1000)).unwrap();
    world.dust.store_mut("test/blog").compact();
    world
        .write(id, json!({"op": "set", "path": "b", "value": 1}))
        .unwrap();
    let mut told = |last: Value| {
        let (_, told) = world.push(id, T, "phx_join", json!({"last_store_seq": last}));
        let told = told
            .into_iter()
            .skip(1)
            .map(|(_, frame)| (frame.event, frame.payload));
        told.collect::<Vec<_>>()
    };
    let behind = told(json!(1));
    assert_eq!(behind[0].0, "snapshot");
    let lease = json!({"_type": "lease", "expires_at": 1_001_000, "holder": null, "token": 2});
    let entries = json!({
        "a": {"type": "integer", "value": {"_scalar": 1}},
        "l": {"type": "lease", "value": lease},
    });
    assert_eq!(behind[0].1, json!({"snapshot_seq": 2, "entries": entries}));
    assert_eq!(behind[1].1["store_seq"], 3);
    assert_eq!(behind[2].1, json!({"through_seq": 3}));
    let before = told(json!(2));
    assert_eq!(
        before
            .iter()
            .map(|(event, _)| event.as_str())
            .collect::<Vec<_>>(),
        ["event", "catch_up_complete"]
    );
    assert_eq!(told(json!(3)).len(), 1);
    assert_eq!(told(json!("x"))[0].1, json!({"through_seq": "x"}));
    assert_eq!(told(json!(-1)).len(), 3);
}

#[test]
fn silence_is_ended() {
    let mut world = World::new();
    let (a, b) = (world.joined(T), world.joined(T));
    world.now += IDLE - 1;
    assert!(world.dust.tick(world.now).is_empty());
    world.dust.heard(world.now, b);
    world.now += 1;
    let closed = world.dust.tick(world.now);
    assert!(
        matches!(closed[..], [Step::Close(id, 1002)] if id == a),
        "{closed:?}"
    );
    assert_eq!(world.dust.connection(a), None);
    assert_eq!(world.dust.deadline(b), Some(world.now - 1 + IDLE));
}

#[test]
fn what_nobody_understands_ends_the_channel_or_the_connection() {
    let mut world = World::new();
    let id = world.connect();
    let heartbeat = world.push(id, T, "heartbeat", json!({})).0;
    assert_eq!(heartbeat, reason("unmatched topic"));
    let other = world.joined(T);
    for (event, payload) in [
        ("write", json!(1)),
        ("ack_seq", json!({})),
        ("frob", json!({})),
    ] {
        let id = world.joined(T);
        let steps = world.begin(id, T, event, payload);
        assert!(
            matches!(&steps[..], [Step::Send(to, frame)] if *to == id && frame.event == "phx_error")
        );
        assert_eq!(world.write(id, lease("l", 1)), reason("unmatched topic"));
    }
    let steps = world
        .dust
        .receive(world.now, id, &Message::Binary(vec![0xc1]));
    assert!(
        matches!(steps[..], [Step::Close(closed, 1011)] if closed == id),
        "{steps:?}"
    );
    assert!(
        world
            .dust
            .receive(world.now, id, &Message::Text(String::new()))
            .is_empty()
    );
    world.write(other, lease("l", 1)).unwrap();
}

#[test]
fn an_answer_to_nobody_goes_nowhere() {
    let mut world = World::new();
    let (writer, other) = (world.joined(T), world.joined(T));
    let write = json!({"op": "set", "path": "k", "value": 1, "client_op_id": "op"});
    let mut steps = world.begin(writer, T, "write", write);
    world.dust.disconnect(writer);
    let Some(Step::Later(later @ Later::Tell { .. })) = steps.pop() else {
        panic!("nothing to tell");
    };
    let told = world.dust.go_on(later);
    assert!(matches!(&told[..], [Step::Send(to, frame)] if *to == other && frame.event == "event"));
}
