//! Servers are what they were configured to be, and suffer what they are to suffer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::path::Path;
use std::time::Duration;

use oneflight_test_servers::time::until;
use oneflight_test_servers::{Config, RedisServer};
use redis::{Connection, RedisResult};

fn client(url: &str) -> RedisResult<Connection> {
    redis::Client::open(url).unwrap().get_connection()
}

fn set(connection: &mut Connection, key: &str, value: &str) -> RedisResult<()> {
    redis::cmd("SET").arg(key).arg(value).query(connection)
}

fn get(connection: &mut Connection, key: &str) -> RedisResult<Option<String>> {
    redis::cmd("GET").arg(key).query(connection)
}

fn code<T: std::fmt::Debug>(result: RedisResult<T>) -> String {
    result.unwrap_err().code().unwrap_or_default().to_owned()
}

#[test]
fn what_is_on_disk_survives_a_kill() {
    for (config, kept) in [
        (Config::new().append_only(), Some("value".to_owned())),
        (Config::new(), None),
    ] {
        let mut server = config.start();
        let mut before = client(&server.url()).unwrap();
        set(&mut before, "key", "value").unwrap();
        let address = server.address();
        server.kill();
        assert!(get(&mut before, "key").is_err());
        assert!(client(&server.url()).is_err());
        server.restart();
        assert_eq!(server.address(), address);
        let mut after = client(&server.url()).unwrap();
        assert_eq!(get(&mut after, "key").unwrap(), kept);
    }
}

#[test]
fn a_password_is_asked_for() {
    let server = Config::new().password("secret").start();
    let mut inside = client(&server.url()).unwrap();
    set(&mut inside, "key", "value").unwrap();
    let address = server.address();
    let mut outside = client(&format!("redis://{address}/")).unwrap();
    assert_eq!(code(get(&mut outside, "key")), "NOAUTH");
    assert!(client(&format!("redis://:wrong@{address}/")).is_err());
}

#[test]
fn an_access_list_is_kept_to() {
    let config = Config::new().user("limited on >secret ~* &* +@all -evalsha");
    let server = config.start();
    let url = format!("redis://limited:secret@{}/", server.address());
    let mut limited = client(&url).unwrap();
    set(&mut limited, "key", "value").unwrap();
    let mut evalsha = redis::cmd("EVALSHA");
    let evalsha = evalsha.arg("0".repeat(40)).arg(0);
    assert_eq!(code(evalsha.query::<()>(&mut limited)), "NOPERM");
    let mut default = client(&server.url()).unwrap();
    assert_eq!(code(evalsha.query::<()>(&mut default)), "NOSCRIPT");
}

#[test]
fn memory_runs_out() {
    let server = Config::new().max_memory(3_000_000).start();
    let mut client = client(&server.url()).unwrap();
    set(&mut client, "small", "value").unwrap();
    let filled = (0..100).find_map(|number| {
        let set = set(
            &mut client,
            &format!("large {number}"),
            &"x".repeat(100_000),
        );
        set.err()
    });
    assert_eq!(filled.unwrap().code(), Some("OOM"));
    assert_eq!(get(&mut client, "small").unwrap().as_deref(), Some("value"));
}

#[test]
fn a_replica_follows_and_is_promoted() {
    let mut primary = Config::new().password("secret").start();
    let replica = Config::new().replica_of(&primary).start();
    set(&mut client(&primary.url()).unwrap(), "key", "value").unwrap();
    let mut client = client(&replica.url()).unwrap();
    until("the replica", || get(&mut client, "key").ok()?.map(drop));
    assert_eq!(code(set(&mut client, "key", "other")), "READONLY");
    assert_eq!(primary.clients().len(), 0);

    primary.kill();
    replica.command::<()>(&["REPLICAOF", "NO", "ONE"]).unwrap();
    set(&mut client, "key", "other").unwrap();
}

#[test]
fn who_is_paused_answers_later() {
    let server = RedisServer::new();
    let mut client = client(&server.url()).unwrap();
    set(&mut client, "key", "value").unwrap();
    server.pause();
    let patience = Some(Duration::from_millis(50));
    client.set_read_timeout(patience).unwrap();
    assert!(get(&mut client, "key").unwrap_err().is_timeout());
    server.resume();
    assert_eq!(server.command::<String>(&["GET", "key"]).unwrap(), "value");
}

#[test]
fn clients_are_listed_and_killed() {
    let server = RedisServer::new();
    assert_eq!(server.clients().len(), 0);
    let mut one = client(&server.url()).unwrap();
    let mut two = client(&(server.url() + "?protocol=resp3")).unwrap();
    // It is answered by a push, which is not waited for.
    two.subscribe_resp3("channel").unwrap();
    until("a subscriber", || {
        let channels = server.command::<Vec<String>>(&["PUBSUB", "CHANNELS"]);
        (channels.unwrap() == ["channel"]).then_some(())
    });
    assert_eq!(server.clients().len(), 2);
    server.kill_clients();
    assert!(get(&mut one, "key").is_err());
    assert_eq!(server.clients().len(), 0);
}

#[test]
fn calls_are_counted() {
    let server = RedisServer::new();
    let mut client = client(&server.url()).unwrap();
    for _ in 0..3 {
        get(&mut client, "key").unwrap();
    }
    assert_eq!(server.calls()["get"], 3);
    server.command::<()>(&["CONFIG", "RESETSTAT"]).unwrap();
    assert_eq!(server.calls().get("get"), None);
}

#[test]
fn it_sleeps_when_told() {
    let server = RedisServer::new();
    server.command::<()>(&["DEBUG", "SLEEP", "0.01"]).unwrap();
}

#[test]
fn nothing_is_left_of_it() {
    let server = RedisServer::new();
    let info: String = server.command(&["INFO", "server"]).unwrap();
    let pid = info
        .lines()
        .find_map(|line| line.strip_prefix("process_id:"));
    let process = format!("/proc/{}", pid.unwrap());
    let directory: Vec<String> = server.command(&["CONFIG", "GET", "dir"]).unwrap();
    let there = || [&process, &directory[1]].map(|path| Path::new(path).exists());
    assert_eq!(there(), [true, true]);
    drop(server);
    assert_eq!(there(), [false, false]);
}
