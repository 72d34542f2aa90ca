//! Whatever clients say, and whenever: what always holds.

use std::collections::BTreeMap;

use oneflight_test_dust::{Dust, Frame, Message, Op, Step, Store, Token, Wire};
use proptest::prelude::*;
use serde_json::{Value, json};

const STORE: &str = "test/blog";
const TOPIC: &str = "store:test/blog";

/// A frame that may make sense, after so many milliseconds.
#[derive(Clone, Debug)]
struct Said {
    after: u64,
    event: &'static str,
    payload: Value,
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!("text")),
        Just(json!({"a": {"b": 1}})),
        Just(json!({"_type": "lease", "token": 3, "expires_at": 40})),
        (-2_i64..30).prop_map(|number| json!(number)),
        Just(json!(1.5)),
    ]
}

fn any_said() -> impl Strategy<Value = Said> {
    let event = prop_oneof![
        20 => Just("write"), 2 => Just("phx_join"), 1 => Just("phx_leave"), 1 => Just("status"),
        1 => Just("ack_seq"), 1 => Just("frob"), 1 => Just("heartbeat"),
    ];
    let op = prop::sample::select(vec![
        "lease",
        "lease",
        "lease",
        "renew",
        "release",
        "set",
        "delete",
        "merge",
        "increment",
        "add",
        "remove",
        "?",
    ]);
    let path = prop::sample::select(vec!["k", "l", "k/a", "", "~1"]);
    let fields = prop::sample::subsequence(
        vec![
            "value",
            "token",
            "ttl_ms",
            "holder",
            "fence",
            "if_match",
            "if_absent",
            "last_store_seq",
            "seq",
        ],
        0..=9,
    );
    let values = prop::collection::vec(any_value(), 9);
    (0_u64..20, event, op, path, fields, values).prop_map(
        |(after, event, op, path, fields, values)| {
            let mut payload = json!({"op": op, "path": path, "client_op_id": "op"});
            for (field, value) in fields.into_iter().zip(values) {
                payload[field] = match field {
                    "fence" => json!({"key": "l", "token": value}),
                    "if_absent" => json!(true),
                    _ => value,
                };
            }
            Said {
                after,
                event,
                payload,
            }
        },
    )
}

fn frame(said: &Said) -> Frame {
    let reference = Some("1".to_owned());
    Frame {
        join_ref: reference.clone(),
        reference,
        topic: TOPIC.to_owned(),
        event: said.event.to_owned(),
        payload: said.payload.clone(),
    }
}

/// A lease is granted only when nobody holds the lock; its token is its sequence.
fn assert_one_holder(log: &[Op]) {
    let mut locks: BTreeMap<&str, (Value, u64)> = BTreeMap::new();
    for op in log {
        let path = op.path.text.as_str();
        let holds = locks.get(path).filter(|(_, until)| *until > op.at);
        match op.op.as_str() {
            "lease" => {
                assert_eq!(holds, None, "{op:?}");
                assert_eq!(op.value["token"], op.seq);
            }
            "renew" => assert_eq!(
                holds.map(|(token, _)| token),
                Some(&op.value["token"]),
                "{op:?}"
            ),
            "release" => assert!(holds.is_some(), "{op:?}"),
            // Whatever stands above or below it may be gone, too, or a lease itself.
            _ => {
                locks.retain(|lock, _| !lock.starts_with(path) && !path.starts_with(lock));
                let lease = |path: &str| op.value["_type"] == "lease" && path == op.path.text;
                if lease(path) && matches!(op.op.as_str(), "set" | "merge") {
                    locks.insert(
                        path,
                        (
                            op.value["token"].clone(),
                            op.value["expires_at"].as_u64().unwrap(),
                        ),
                    );
                }
                continue;
            }
        }
        locks.remove(path);
        if op.op != "release" {
            locks.insert(
                path,
                (
                    op.value["token"].clone(),
                    op.value["expires_at"].as_u64().unwrap(),
                ),
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_rules_of_leases_and_of_order(said in prop::collection::vec((0_usize..3, any_said()), 1..40)) {
        let mut dust = Dust::new().store(Store::new(STORE, "uuid")).token(Token::full("t"));
        let mut now = 0;
        let mut connect = |device: usize| {
            let query = format!("token=t&device_id={device}&capver=3&vsn=2.0.0");
            dust.connect(now, &query).unwrap()
        };
        let clients = [connect(0), connect(1), connect(2)];
        let join = Said { after: 0, event: "phx_join", payload: json!({"last_store_seq": 0}) };
        let said = (0..3).map(|client| (client, join.clone())).chain(said);
        for (client, said) in said {
            now += said.after;
            let before = dust.store_mut(STORE).seq();
            let steps = dust.receive(now, clients[client], &frame(&said).encode(Wire::Json));
            let steps = dust.settle(steps);
            let own = steps.iter().filter_map(|step| match step {
                Step::Send(to, frame) if *to == clients[client] => Some(frame),
                _ => None,
            });
            let own: Vec<_> = own.collect();
            // One answer, or the end of the channel.
            let answers = own.iter().filter(|frame| matches!(frame.event.as_str(), "phx_reply" | "phx_error"));
            prop_assert_eq!(answers.count(), 1);
            let after = dust.store_mut(STORE).seq();
            prop_assert!(after == before || after == before + 1);
            if said.event == "write" && after > before {
                let events: Vec<_> = own.iter().map(|frame| frame.event.as_str()).collect();
                prop_assert_eq!(events, ["event", "phx_reply"]);
                prop_assert_eq!(&own[0].payload["store_seq"], after);
                prop_assert_eq!(&own[1].payload["response"]["store_seq"], after);
            }
        }
        let log = dust.store_mut(STORE).log();
        prop_assert!(log.iter().map(|op| op.seq).eq(1..=log.len() as u64));
        assert_one_holder(log);
    }

    #[test]
    fn garbage(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        let mut dust = Dust::new().token(Token::full("t"));
        for vsn in ["2.0.0", "3.0.0"] {
            for message in [Message::Text(text.clone()), Message::Binary(bytes.clone())] {
                let id = dust.connect(0, &format!("token=t&device_id=d&capver=3&vsn={vsn}")).unwrap();
                let steps = dust.receive(0, id, &message);
                let closed = matches!(steps[..], [Step::Close(closed, 1011)] if closed == id);
                prop_assert!(closed);
            }
        }
        dust.connect(0, &text);
    }
}
