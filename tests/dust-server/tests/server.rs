//! The server on its port, and everything that can happen to it.

mod network;

use std::time::{Duration, Instant};

use network::Client;
use oneflight_test_dust::{DustServer, Fate, READ_ONLY, STORE, TOKEN, Which, Wire, rate_limited};
use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message as WsMessage};

#[test]
fn both_ways_of_writing() {
    let server = DustServer::new();
    let mut json = Client::joined(&server, "a");
    let mut msgpack = Client::connect_as(&server, "b", TOKEN, Wire::Msgpack).unwrap();
    msgpack.join(0);
    json.write("lease", "l", json!({"ttl_ms": 60_000, "holder": "a"}));
    let (echo, told) = (json.next(), msgpack.next());
    assert_eq!(echo, told);
    let answer = json.answer();
    assert_eq!(answer["response"]["token"], 1);
    assert_eq!(
        answer["response"]["expires_at"],
        told.payload["value"]["expires_at"]
    );
    msgpack.write("lease", "l", json!({}));
    assert_eq!(msgpack.answer()["response"]["reason"], "held");
}

#[test]
fn who_is_not_let_in_is_told_nothing() {
    let server = DustServer::new();
    let refusal = |token: &str| match Client::connect_as(&server, "a", token, Wire::Json) {
        Err(Error::Http(response)) => (
            response.status().as_u16(),
            response.body().clone().unwrap_or_default(),
        ),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("let in"),
    };
    assert_eq!(refusal("bad"), (403, Vec::new()));
    server.forbid(true);
    assert_eq!(refusal(TOKEN), (403, Vec::new()));
    server.forbid(false);
    let mut request = Client::url(&server, "a", TOKEN, Wire::Json)
        .into_client_request()
        .unwrap();
    request
        .headers_mut()
        .insert("Origin", "http://localhost".parse().unwrap());
    assert!(matches!(
        Client::open(&server, request, Wire::Json),
        Err(Error::Http(_))
    ));
    assert_eq!(server.traffic(), []);
}

#[test]
fn who_may_only_read() {
    let server = DustServer::new();
    let mut client = Client::connect_as(&server, "a", READ_ONLY, Wire::Json).unwrap();
    let joined = client.join(0);
    assert_eq!(
        joined[0].payload["response"]["permissions"],
        json!({"read": true, "write": false})
    );
    client.write("lease", "l", json!({}));
    assert_eq!(client.answer()["response"]["reason"], "missing_scope");
}

#[test]
fn a_silent_connection_is_closed_and_a_ping_keeps_it() {
    let server = DustServer::new();
    let mut silent = Client::joined(&server, "silent");
    let mut pinging = Client::joined(&server, "pinging");
    server.advance(Duration::from_secs(50));
    pinging.socket.send(WsMessage::Ping("x".into())).unwrap();
    server.until("a ping", || (server.received("ping") == 1).then_some(()));
    server.advance(Duration::from_secs(11));
    assert_eq!(silent.end(), Some(1002));
    pinging.assert_silent();
}

#[test]
fn what_is_not_json_ends_the_connection() {
    let server = DustServer::new();
    let mut client = Client::joined(&server, "a");
    client.socket.send(WsMessage::text("not json")).unwrap();
    assert_eq!(client.end(), Some(1011));
}

#[test]
fn the_dead_say_nothing_and_come_back_with_what_was_committed() {
    let server = DustServer::new();
    let mut client = Client::joined(&server, "a");
    client.write("lease", "l", json!({"ttl_ms": 50_000}));
    client.next();
    client.answer();
    server.kill();
    assert_eq!(client.end(), None);
    assert!(matches!(
        Client::connect_as(&server, "a", TOKEN, Wire::Json),
        Err(Error::Io(_))
    ));
    assert_eq!(server.open(), 0);
    server.restart();
    let mut client = Client::joined(&server, "a");
    client.write("lease", "l", json!({}));
    assert_eq!(client.answer()["response"]["reason"], "held");
    server.advance(Duration::from_secs(50));
    client.write("lease", "l", json!({}));
    assert_eq!(client.next_seq(), 2);
}

#[test]
fn the_paused_answer_later() {
    let server = DustServer::new();
    let mut client = Client::joined(&server, "a");
    server.pause();
    client.write("set", "k", json!({"value": 1}));
    std::thread::scope(|scope| {
        let newcomer = scope.spawn(|| Client::connect(&server, "b"));
        std::thread::sleep(Duration::from_millis(20));
        assert!(server.log(STORE).is_empty());
        assert!(!newcomer.is_finished());
        server.resume();
    });
    assert_eq!(client.next_seq(), 1);
}

#[test]
fn nothing_gets_through_a_black_hole() {
    let server = DustServer::new();
    let (mut lost, mut other) = (
        Client::joined(&server, "lost"),
        Client::joined(&server, "other"),
    );
    server.black_hole("lost");
    lost.write("set", "a", json!({"value": 1}));
    other.write("set", "b", json!({"value": 1}));
    assert_eq!(other.next_seq(), 1);
    other.answer();
    assert_eq!(server.log(STORE).len(), 1);
    server.heal("lost");
    assert_eq!((lost.next_seq(), lost.next_seq()), (1, 2));
}

#[test]
fn a_connection_is_cut_and_leases_stay() {
    let server = DustServer::new();
    let (mut cut, mut other) = (
        Client::joined(&server, "cut"),
        Client::joined(&server, "other"),
    );
    cut.write("lease", "l", json!({"ttl_ms": 60_000}));
    cut.next();
    cut.answer();
    server.cut("cut");
    assert_eq!(cut.end(), None);
    other.next();
    other.assert_silent();
    other.write("lease", "l", json!({}));
    assert_eq!(other.answer()["response"]["reason"], "held");
    server.cut_all();
    assert_eq!(other.end(), None);
    server.until("no connection", || (server.open() == 0).then_some(()));
}

#[test]
fn the_copy_of_a_slow_device_is_behind_but_not_its_own_echo() {
    let server = DustServer::new();
    let (mut slow, mut other) = (
        Client::joined(&server, "slow"),
        Client::joined(&server, "other"),
    );
    let delay = Duration::from_millis(300);
    server.delay_events("slow", delay);
    let since = Instant::now();
    other.write("set", "a", json!({"value": 1}));
    assert_eq!(other.next_seq(), 1);
    slow.write("set", "b", json!({"value": 1}));
    assert_eq!(slow.next_seq(), 2);
    slow.answer();
    assert_eq!(slow.next_seq(), 1);
    assert!(since.elapsed() >= delay);
}

#[test]
fn writes_are_told_out_of_order_and_each_before_its_answer() {
    let server = DustServer::new();
    server.reorder(Duration::from_millis(5), 7);
    let mut watcher = Client::joined(&server, "watcher");
    const WRITES: u64 = 20;
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let server = &server;
            scope.spawn(move || {
                let mut client = Client::joined(server, &format!("w{writer}"));
                for _ in 0..WRITES {
                    client.write("set", "k", json!({"value": writer}));
                    let reference = |frame: &oneflight_test_dust::Frame| {
                        frame.payload["device_id"] == format!("w{writer}")
                    };
                    while !reference(&client.next()) {}
                    while client.next().event != "phx_reply" {}
                }
            });
        }
    });
    let mut told: Vec<_> = (0..4 * WRITES).map(|_| watcher.next_seq()).collect();
    assert!(!told.is_sorted(), "{told:?}");
    told.sort_unstable();
    assert_eq!(told, (1..=4 * WRITES).collect::<Vec<_>>());
}

#[test]
fn who_catches_up_slowly_is_told_twice() {
    let server = DustServer::new();
    server.delay_catch_up(Duration::from_millis(50));
    let mut joiner = Client::connect(&server, "joiner");
    joiner.send("phx_join", json!({"last_store_seq": 0}));
    joiner.answer();
    // What is written meanwhile waits, but not for the writer.
    joiner.write("set", "own", json!({"value": 1}));
    server
        .write(
            "other",
            STORE,
            &json!({"op": "set", "path": "k", "value": 1, "client_op_id": "x"}),
        )
        .unwrap();
    assert_eq!((joiner.next_seq(), joiner.next_seq()), (1, 1));
    assert_eq!(joiner.next().event, "catch_up_complete");
    assert_eq!(joiner.next_seq(), 2);
}

#[test]
fn fates_of_writes() {
    let server = DustServer::new();
    let mut other = Client::joined(&server, "other");
    let set = |client: &mut Client, path: &str| client.write("set", path, json!({"value": 1}));
    let fate = |path: &str, fate| server.next(Which::any().op("set").device("a").path(path), fate);

    let mut client = Client::joined(&server, "a");
    fate("lost", Fate::Lost);
    set(&mut client, "lost");
    assert_eq!(client.end(), None);
    assert!(server.log(STORE).is_empty());

    let mut client = Client::joined(&server, "a");
    fate("unanswered", Fate::AnswerLost);
    set(&mut client, "unanswered");
    assert!(client.hear().is_err());
    assert_eq!(other.next_seq(), 1);

    let mut client = Client::joined(&server, "a");
    fate("refused", Fate::Refused(rate_limited(50)));
    set(&mut client, "refused");
    assert_eq!(
        client.answer()["response"],
        json!({"reason": "rate_limited", "retry_after_ms": 50})
    );

    fate("unacknowledged", Fate::AckLost);
    set(&mut client, "unacknowledged");
    assert_eq!((client.next_seq(), other.next_seq()), (2, 2));
    client.assert_silent();

    fate("held", Fate::Held);
    set(&mut client, "held");
    set(&mut client, "behind");
    server.until("a commit", || (server.log(STORE).len() == 3).then_some(()));
    client.assert_silent();
    other.assert_silent();
    server.let_go();
    assert_eq!((client.next_seq(), other.next_seq()), (3, 3));
    client.answer();
    assert_eq!((client.next_seq(), other.next_seq()), (4, 4));
    client.answer();

    fate("crash", Fate::Crash);
    assert_eq!(server.fates_left(), 1);
    set(&mut other, "crash");
    assert_eq!((client.next_seq(), other.next_seq()), (5, 5));
    set(&mut client, "crash");
    assert_eq!(client.next().event, "phx_error");
    assert_eq!(server.fates_left(), 0);
}

#[test]
fn joins_are_refused() {
    let server = DustServer::new();
    server.refuse_joins(Some(json!({"reason": "unauthorized"})));
    let mut client = Client::connect(&server, "a");
    client.send("phx_join", json!({"last_store_seq": 0}));
    assert_eq!(client.answer()["response"]["reason"], "unauthorized");
    server.refuse_joins(None);
    client.join(0);
}

#[test]
fn what_others_do_besides() {
    let server = DustServer::new();
    let mut client = Client::joined(&server, "a");
    let set = |path: &str| json!({"op": "set", "path": path, "value": 1, "client_op_id": "x"});
    server.http_write(STORE, &set("http")).unwrap();
    server.write("other", STORE, &set("told")).unwrap();
    assert_eq!(client.next_seq(), 2);
    assert_eq!(
        server.http_write(STORE, &json!({"op": "?"})),
        Err(json!({"reason": "invalid op"}))
    );
    assert_eq!(server.entry(STORE, "http").unwrap().seq, 1);
    server.compact(STORE);
    let events: Vec<_> = client
        .join(0)
        .into_iter()
        .map(|frame| frame.event)
        .collect();
    assert_eq!(
        events,
        ["phx_reply", "phx_close", "snapshot", "catch_up_complete"]
    );
    server.archive(STORE);
    client.write("set", "k", json!({}));
    assert_eq!(client.answer()["response"]["reason"], "store_archived");
}

#[test]
fn frames_are_counted() {
    let server = DustServer::new();
    let mut client = Client::joined(&server, "a");
    client.write("lease", "l", json!({}));
    client.next();
    client.answer();
    client.assert_silent();
    drop(client);
    server.until("an end", || (server.open() == 0).then_some(()));
    let [traffic] = &server.traffic()[..] else {
        panic!("one connection");
    };
    assert_eq!((traffic.device_id.as_str(), traffic.open), ("a", false));
    let count = |kinds: &[(&str, u64)]| {
        kinds
            .iter()
            .map(|&(kind, count)| (kind.to_owned(), count))
            .collect()
    };
    assert_eq!(
        traffic.received,
        count(&[("phx_join", 1), ("write lease", 1), ("heartbeat", 1)])
    );
    assert_eq!(
        traffic.sent,
        count(&[("phx_reply", 3), ("catch_up_complete", 1), ("event", 1)])
    );
    assert_eq!(server.received("write lease"), 1);
}

#[test]
fn nothing_is_left_of_it() {
    let server = DustServer::new();
    let mut client = Client::joined(&server, "a");
    let address = server.address();
    drop(server);
    assert_eq!(client.end(), None);
    assert!(std::net::TcpStream::connect(address).is_err());
}
