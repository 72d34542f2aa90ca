//! The program with a Redis server.

mod common;

use std::process::Command;

use common::Place;
use oneflight_test_servers::{Config, RedisServer};

const PASSWORD: &str = "sesame";

/// Runs the program with this store, and answers its exit code and all it has said.
fn oneflight(place: &Place, url: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command: Command = place.command(arguments.iter().copied());
    let output = command.env("ONEFLIGHT_STORE", url).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(!said.contains(PASSWORD), "{said}");
    (output.status.code(), said)
}

#[test]
fn every_order_is_obeyed() {
    let server: RedisServer = Config::new().password(PASSWORD).start();
    let (place, url) = (Place::new(), server.url());
    let run = ["run", "key", "--", "echo", "value"];
    assert_eq!(
        oneflight(&place, &url, &run),
        (Some(0), "value\n".to_owned())
    );
    let again = ["run", "key", "--", "false"];
    assert_eq!(
        oneflight(&place, &url, &again),
        (Some(0), "value\n".to_owned())
    );
    let get = oneflight(&place, &url, &["get", "key"]);
    assert_eq!(get, (Some(0), "value\n".to_owned()));
    let (code, status) = oneflight(&place, &url, &["status"]);
    assert_eq!(code, Some(0));
    assert!(status.contains("key"), "{status}");
    assert_eq!(oneflight(&place, &url, &["forget", "key"]).0, Some(0));
    assert_ne!(oneflight(&place, &url, &["get", "key"]).0, Some(0));
    // Nothing was found by looking at everything at once.
    assert_eq!(server.calls().get("keys"), None);
    assert!(server.calls()["scan"] > 0);
}

#[test]
fn a_server_that_is_not_there_is_done_without() {
    let mut server = Config::new().password(PASSWORD).start();
    server.kill();
    let (place, url) = (Place::new(), server.url());
    let (code, said) = oneflight(&place, &url, &["run", "key", "--", "echo", "value"]);
    assert_eq!(code, Some(0));
    assert!(
        said.contains("value\n") && said.contains("not coordinated"),
        "{said}"
    );
    assert_ne!(oneflight(&place, &url, &["status"]).0, Some(0));
}

#[test]
fn a_password_is_never_shown() {
    let server = Config::new().password("another").start();
    let place = Place::new();
    let urls = [
        format!("redis://:{PASSWORD}@{}/", server.address()),
        format!("redis://:{PASSWORD}@host:port/"),
        format!("redis://user:{PASSWORD}@host/x"),
        format!("nats://user:{PASSWORD}@host/"),
    ];
    for url in urls {
        for order in [&["status"][..], &["run", "key", "--", "echo", "value"]] {
            let (code, said) = oneflight(&place, &url, order);
            assert_ne!(code, Some(0), "{said}");
        }
    }
}
