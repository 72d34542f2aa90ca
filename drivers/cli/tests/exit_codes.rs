//! The exit codes of `oneflight run`, each with its message.

mod common;

use std::os::unix::fs::PermissionsExt as _;

use common::Place;

#[test]
fn a_failing_command_ends_us_with_its_own_code_and_publishes_nothing() {
    let place = Place::new();
    place.run("key", "echo no; exit 7").fails(7, &[]);
    place.oneflight(["get", "key"]).fails(1, &[]);
    place
        .oneflight(["run", "--wait-timeout", "0s", "key", "--", "echo", "yes"])
        .prints("yes\n");
}

#[test]
fn a_command_killed_by_a_signal_is_told_as_shells_do() {
    Place::new().run("key", "kill -KILL $$").fails(137, &[]);
}

#[test]
fn when_a_command_fails_the_next_one_who_waits_runs_its_own() {
    let place = Place::new();
    let script = "touch ready; until [ -e go ]; do sleep 0.01; done; exit 3";
    let leader = place.start(["run", "key", "--", "sh", "-c", script]);
    place.await_file("ready");
    let waiter = place.start(["run", "key", "--", "echo", "own"]);
    waiter.await_listening();
    place.write("go", "");
    leader.ended().fails(3, &[]);
    waiter.ended().prints("own\n");
}

#[test]
fn bad_arguments_are_2() {
    let place = Place::new();
    for arguments in [
        &["run", "key"] as &[&str],
        &["run", "key", "echo"],
        &["run", "--lease-ttl", "0s", "key", "--", "echo"],
        &["status", "--store", "memory:"],
        &["nonsense"],
    ] {
        let ended = place.oneflight(arguments);
        assert_eq!(ended.code(), Some(2), "{arguments:?}");
        assert!(ended.stderr().starts_with("oneflight: "), "{ended:?}");
    }
    let ended = place.oneflight(["status", "--store", "etcd://x"]);
    assert!(
        ended
            .stderr()
            .contains("unknown scheme \"etcd\"; this program knows sqlite:")
    );
}

#[test]
fn waiting_in_vain_is_124() {
    let place = Place::new();
    let script = "touch ready; until [ -e go ]; do sleep 0.01; done";
    let leader = place.start(["run", "key", "--", "sh", "-c", script]);
    place.await_file("ready");
    place
        .oneflight(["run", "--wait-timeout", "50ms", "key", "--", "echo", "own"])
        .fails(124, &["key: ", "50ms (--wait-timeout)"]);
    place.write("go", "");
    leader.ended().prints("");
}

#[test]
fn a_command_that_takes_too_long_is_ended_124() {
    let place = Place::new();
    place
        .oneflight([
            "run",
            "--fill-timeout",
            "50ms",
            "key",
            "--",
            "sleep",
            "1000",
        ])
        .fails(
            124,
            &["key: ", "50ms (--fill-timeout)", "nothing was published"],
        );
    place
        .oneflight(["run", "--wait-timeout", "0s", "key", "--", "echo", "x"])
        .prints("x\n");
}

#[test]
fn a_command_that_will_not_end_is_killed() {
    let place = Place::new();
    let script = "trap '' TERM; while :; do sleep 0.05; done";
    place
        .oneflight([
            "run",
            "--fill-timeout",
            "50ms",
            "key",
            "--",
            "sh",
            "-c",
            script,
        ])
        .fails(124, &["--fill-timeout"]);
}

#[test]
fn too_much_output_is_125() {
    let place = Place::new();
    let run = |size: &str, script: &str| {
        place.oneflight(["run", "--max-value", size, "key", "--", "sh", "-c", script])
    };
    run("4B", "yes").fails(
        125,
        &["key: ", "4 B (--max-value)", "nothing was published"],
    );
    run("4B", "printf 12345").fails(125, &["--max-value"]);
    place.oneflight(["get", "key"]).fails(1, &[]);
    run("4B", "printf 1234").prints("1234");
}

#[test]
fn a_file_that_cannot_be_executed_is_126() {
    let place = Place::new();
    place.write("script", "#!/bin/sh\n");
    let path = place.path("script");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    for program in ["./script", "."] {
        place
            .oneflight(["run", "key", "--", program])
            .fails(126, &["key: ", program, "cannot be started"]);
    }
    place
        .oneflight(["run", "--wait-timeout", "0s", "key", "--", "echo", "x"])
        .prints("x\n");
}

#[test]
fn a_command_that_is_not_there_is_127() {
    let place = Place::new();
    place
        .oneflight(["run", "key", "--", "no-such-command"])
        .fails(127, &["key: ", "no-such-command was not found"]);
    place
        .oneflight(["run", "key", "--", "ls | wc"])
        .fails(127, &["ls | wc was not found", "sh -c"]);
    place
        .oneflight(["run", "--wait-timeout", "0s", "key", "--", "echo", "x"])
        .prints("x\n");
}

#[test]
fn a_file_that_is_no_store_is_125_and_left_alone() {
    let place = Place::new();
    let garbage = "not a database, but long enough to be taken for the header of one";
    place.write("store.db", garbage);
    place.run("key", "echo x").fails(125, &["store.db"]);
    place.oneflight(["get", "key"]).fails(125, &["store.db"]);
    place.oneflight(["forget", "key"]).fails(125, &["store.db"]);
    place.oneflight(["status"]).fails(125, &["store.db"]);
    assert_eq!(place.read("store.db"), garbage);
}

/// A place for a store where none can be, for reasons that may pass.
const NO_STORE: &str = "sqlite:/proc/self/oneflight/store.db";

#[test]
fn no_store_is_75_when_that_counts() {
    let place = Place::new();
    let run = ["run", "--store", NO_STORE, "--on-unavailable", "error"];
    place
        .oneflight(run.iter().chain(&["key", "--", "echo", "x"]))
        .fails(75, &["/proc/self/oneflight"]);
    place
        .oneflight(["get", "--store", NO_STORE, "key"])
        .fails(75, &["/proc/self/oneflight"]);
}

#[test]
fn without_a_store_the_command_runs_here() {
    let place = Place::new();
    let script = r#"echo "$ONEFLIGHT_KEY ${ONEFLIGHT_TOKEN-none}""#;
    let run = [
        "run", "--json", "--store", NO_STORE, "key", "--", "sh", "-c", script,
    ];
    let ended = place.oneflight(run);
    assert_eq!(ended.code(), Some(0));
    assert_eq!(ended.json()["value"], "key none\n");
    assert_eq!(ended.json()["coordinated"], false);
    assert_eq!(ended.json()["token"], serde_json::Value::Null);
    let stderr = ended.stderr();
    assert!(
        stderr.starts_with("oneflight: key: not coordinated: "),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn an_overtaken_command_is_75_when_that_counts() {
    let place = Place::new();
    let options = ["run", "--on-fenced", "error", "--lease-ttl", "300ms", "key"];
    let leader = place.start(
        options
            .iter()
            .chain(&["--", "sh", "-c", "touch ready; sleep 1000"]),
    );
    place.await_file("ready");
    place.oneflight(["forget", "key"]).prints("");
    leader
        .ended()
        .fails(75, &["key: ", "overtaken (--on-fenced error)"]);
}
