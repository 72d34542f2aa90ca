//! `oneflight run`: what it prints and what the command sees.

mod common;

use common::Place;

const ALL_BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut index = 0;
    while index < 256 {
        bytes[index] = index as u8;
        index += 1;
    }
    bytes
};

#[test]
fn a_value_is_computed_once() {
    let place = Place::new();
    place.run("key", "echo first").prints("first\n");
    place.run("key", "echo second").prints("first\n");
}

#[test]
fn any_bytes_come_out_as_they_went_in() {
    let place = Place::new();
    place.write("bytes", ALL_BYTES);
    for _ in 0..2 {
        let ended = place.oneflight(["run", "key", "--", "cat", "bytes"]);
        assert_eq!(ended.bytes(), ALL_BYTES);
    }
    assert_eq!(place.oneflight(["get", "key"]).bytes(), ALL_BYTES);
}

#[test]
fn nothing_is_a_value_too() {
    let place = Place::new();
    place.run("key", ":").prints("");
    place.run("key", "echo again").prints("");
    place.oneflight(["get", "key"]).prints("");
}

#[test]
fn the_command_knows_its_key_and_its_token() {
    let place = Place::new();
    let script = r#"echo "$ONEFLIGHT_KEY" "$ONEFLIGHT_TOKEN""#;
    let ended = place.run("a key", script).stdout();
    let token = |line: &str| -> u64 {
        let token = line.strip_prefix("a key ").unwrap();
        token.trim().parse().unwrap()
    };
    let first = token(&ended);
    place.oneflight(["forget", "a key"]).prints("");
    assert!(token(&place.run("a key", script).stdout()) > first);
}

#[test]
fn the_command_reads_what_we_are_given_and_speaks_for_itself() {
    let place = Place::new();
    place.write("input", "from stdin\n");
    let output = place
        .command(["run", "key", "--", "sh", "-c", "echo aside >&2; cat"])
        .stdin(std::fs::File::open(place.path("input")).unwrap())
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"from stdin\n");
    assert_eq!(output.stderr, b"aside\n");
}

#[test]
fn the_value_is_all_that_is_printed_even_after_the_command_has_ended() {
    let place = Place::new();
    place
        .run("key", "(sleep 0.2; echo late) & echo early")
        .prints("early\nlate\n");
}

#[test]
fn json_tells_all() {
    let place = Place::new();
    let run = |script| {
        let ended = place.oneflight(["run", "--json", "key", "--", "sh", "-c", script]);
        assert_eq!(ended.stdout().lines().count(), 1);
        ended.json()
    };
    let computed = run("printf 'a\\n\"'");
    let fields: Vec<&String> = computed.as_object().unwrap().keys().collect();
    // As a map of serde_json sorts them.
    let mut expected = [
        "key",
        "value",
        "source",
        "stale",
        "coordinated",
        "token",
        "elapsed_ms",
    ];
    expected.sort_unstable();
    assert_eq!(fields, expected);
    assert_eq!(computed["key"], "key");
    assert_eq!(computed["value"], "a\n\"");
    assert_eq!(computed["source"], "computed");
    assert_eq!(computed["stale"], false);
    assert_eq!(computed["coordinated"], true);
    assert!(computed["token"].is_u64());
    assert!(computed["elapsed_ms"].is_u64());

    let cached = run("echo other");
    assert_eq!(cached["value"], "a\n\"");
    assert_eq!(cached["source"], "cached");
    assert_eq!(cached["token"], computed["token"]);
}

#[test]
fn json_holds_bytes_as_base64() {
    let place = Place::new();
    place.write("bytes", b"\xff\x00");
    let ended = place.oneflight(["run", "--json", "key", "--", "cat", "bytes"]);
    assert_eq!(
        ended.json()["value"],
        serde_json::json!({ "base64": "/wA=" })
    );
}

#[test]
fn verbose_tells_where_the_value_came_from() {
    let place = Place::new();
    let run = || {
        place
            .oneflight(["run", "-v", "re\nport", "--", "echo", "x"])
            .stderr()
    };
    let computed = run();
    assert!(
        computed.starts_with("oneflight: re\\nport: computed in "),
        "{computed}"
    );
    let cached = run();
    assert!(
        cached.starts_with("oneflight: re\\nport: cached (published "),
        "{cached}"
    );
    assert!(cached.contains(" ago) in "), "{cached}");
}

#[test]
fn an_old_value_is_computed_again() {
    let place = Place::new();
    let run = |age: &str, value: &str| {
        place.oneflight(["run", "--fresh-for", age, "key", "--", "echo", value])
    };
    run("1h", "first").prints("first\n");
    run("1h", "second").prints("first\n");
    run("0s", "third").prints("third\n");
    place.run("key", "echo fourth").prints("third\n");
}

#[test]
fn whoever_waits_gets_what_is_published_meanwhile() {
    let place = Place::new();
    let script = "touch ready; until [ -e go ]; do sleep 0.01; done; echo shared";
    let leader = place.start(["run", "key", "--", "sh", "-c", script]);
    place.await_file("ready");
    let waiter = place.start(["run", "--json", "key", "--", "echo", "own"]);
    waiter.await_listening();
    place.write("go", "");
    leader.ended().prints("shared\n");
    let waiter = waiter.ended().json();
    assert_eq!(waiter["value"], "shared\n");
    // It listens a moment before it asks the store.
    assert!(
        ["awaited", "cached"]
            .map(Some)
            .contains(&waiter["source"].as_str())
    );
}

#[test]
fn a_stale_value_is_served_when_nobody_has_a_newer_one_in_time() {
    let place = Place::new();
    place.run("key", "echo old").prints("old\n");
    let script = "touch ready; until [ -e go ]; do sleep 0.01; done; echo new";
    let fresh = ["run", "--fresh-for", "0s", "key"];
    let leader = place.start(fresh.iter().chain(&["--", "sh", "-c", script]));
    place.await_file("ready");
    let waiter = place.oneflight(fresh.iter().chain(&[
        "--json",
        "--wait-timeout",
        "50ms",
        "--",
        "echo",
        "own",
    ]));
    assert_eq!(waiter.json()["value"], "old\n");
    assert_eq!(waiter.json()["stale"], true);
    assert!(
        waiter.stderr().contains("oneflight: key: stale"),
        "{waiter:?}"
    );
    place.write("go", "");
    leader.ended().prints("new\n");
}

#[test]
fn an_overtaken_command_is_ended_and_its_caller_gets_the_newer_value() {
    let place = Place::new();
    let script = "echo run >> runs; [ $(wc -l < runs) -gt 1 ] || exec sleep 1000; echo value";
    let options = [
        "run",
        "--lease-ttl",
        "300ms",
        "key",
        "--",
        "sh",
        "-c",
        script,
    ];
    let leader = place.start(options);
    place.await_file("runs");
    place.oneflight(["forget", "key"]).prints("");
    leader.ended().prints("value\n");
    assert_eq!(place.read("runs"), "run\nrun\n");
}

#[test]
fn two_keys_can_share_one_lease() {
    let place = Place::new();
    let script = "touch ready; until [ -e go ]; do sleep 0.01; done";
    let locked = |key| {
        [
            "run",
            "--lock-key",
            "nightly",
            "--wait-timeout",
            "0s",
            key,
            "--",
        ]
    };
    let leader = place.start(locked("a").iter().chain(&["sh", "-c", script]));
    place.await_file("ready");
    let other = place.oneflight(locked("b").iter().chain(&["echo", "b"]));
    assert_eq!(other.code(), Some(124));
    place.write("go", "");
    leader.ended().prints("");
    place
        .oneflight(locked("b").iter().chain(&["echo", "b"]))
        .prints("b\n");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let place = Place::new();
    let mut child = place
        .command([
            "run",
            "key",
            "--",
            "sh",
            "-c",
            "until [ -e go ]; do sleep 0.01; done; echo x",
        ])
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    place.write("go", "");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
}
