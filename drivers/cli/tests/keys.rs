//! `oneflight get`, `forget` and `status`, and where the store is.

mod common;

use std::io::{BufRead as _, BufReader};

use common::Place;
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn get_prints_what_is_published() {
    let place = Place::new();
    place.oneflight(["get", "key"]).fails(1, &[]);
    place.run("key", "echo value").prints("value\n");
    place.oneflight(["get", "key"]).prints("value\n");
}

#[test]
fn forget_removes_a_value() {
    let place = Place::new();
    place.oneflight(["forget", "key"]).prints("");
    place.run("key", "echo value").prints("value\n");
    place.oneflight(["forget", "key"]).prints("");
    place.oneflight(["get", "key"]).fails(1, &[]);
    place.run("key", "echo newer").prints("newer\n");
}

#[test]
fn status_lists_values_and_holders() {
    let place = Place::new();
    assert_eq!(place.oneflight(["status", "--json"]).stdout(), "[]\n");
    place.run("a\u{1b}[2J", "printf 1234").prints("1234");
    let script = "touch ready; until [ -e go ]; do sleep 0.01; done";
    let leader = place.start(["run", "b", "--", "sh", "-c", script]);
    place.await_file("ready");

    let text = place.oneflight(["status"]).stdout();
    let lines: Vec<&str> = text.lines().collect();
    let header: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(
        header,
        [
            "KEY", "HOLDER", "TOKEN", "TIME", "LEFT", "REVISION", "AGE", "SIZE"
        ]
    );
    assert!(lines[1].starts_with("a\\u{1b}[2J "), "{text}");
    assert!(lines[1].contains(" 6 B"), "{text}");
    let pid = leader.pid();
    assert!(lines[2].starts_with("b "), "{text}");
    assert!(lines[2].contains(&format!("(pid {pid})")), "{text}");

    let json = place.oneflight(["status", "--json"]).json();
    assert_eq!(json[0]["key"], "a\u{1b}[2J");
    assert_eq!(json[0]["holder"], serde_json::Value::Null);
    assert_eq!(json[1]["holder"]["pid"], pid);
    assert!(json[1]["time_left_ms"].as_u64().unwrap() <= 30_000);
    assert!(json[1]["token"].is_u64());

    place.write("go", "");
    leader.ended().prints("");
}

#[test]
fn status_can_be_watched_until_ctrl_c() {
    let place = Place::new();
    let mut child = place
        .command(["status", "--json", "--watch"])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "[]");
    place.run("key", "echo value").prints("value\n");
    let shown = lines
        .map(Result::unwrap)
        .find(|line| line.contains("\"key\""))
        .unwrap();
    assert!(shown.starts_with('['), "{shown}");
    let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn watching_ends_with_its_reader() {
    let place = Place::new();
    let mut child = place.command(["status", "--watch"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
}

#[test]
fn the_store_is_in_the_users_state_directory_by_default() {
    let place = Place::new();
    let run = |variable: &str, value: &str| {
        let status = place
            .command(["run", "key", "--", "echo", "x"])
            .env_remove("ONEFLIGHT_STORE")
            .env_remove("XDG_STATE_HOME")
            .env("HOME", "relative")
            .env(variable, place.path(value))
            .status()
            .unwrap();
        assert!(status.success());
    };
    run("XDG_STATE_HOME", "state");
    assert!(place.has("state/oneflight/flights.db"));
    run("HOME", "home");
    assert!(place.has("home/.local/state/oneflight/flights.db"));
}

#[test]
fn an_option_names_another_store() {
    let place = Place::new();
    place
        .oneflight(["--store", "sqlite:x.db", "run", "key", "--", "echo", "x"])
        .prints("x\n");
    place.oneflight(["get", "key"]).fails(1, &[]);
    place
        .oneflight(["get", "key", "--store", "sqlite:x.db"])
        .prints("x\n");
}
