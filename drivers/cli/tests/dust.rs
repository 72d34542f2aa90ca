//! The program over a Dust server.

mod common;

use std::process::Command;

use common::{Ended, Place};
use oneflight_test_dust::{DustServer, STORE, TOKEN};

/// The program, about to meet the others on this server.
fn on(place: &Place, server: &DustServer, arguments: &[&str]) -> Command {
    let mut command = place.command(arguments);
    command
        .env(
            "ONEFLIGHT_STORE",
            format!("dust+ws://{}/{STORE}", server.address()),
        )
        .env("ONEFLIGHT_DUST_TOKEN", TOKEN);
    command
}

fn run(place: &Place, server: &DustServer, arguments: &[&str]) -> Ended {
    Ended::of(&mut on(place, server, arguments))
}

#[test]
fn one_runs_and_all_print() {
    let (place, server) = (Place::new(), DustServer::new());
    run(&place, &server, &["get", "greeting"]).fails(1, &[]);
    run(&place, &server, &["run", "greeting", "--", "echo", "hello"]).prints("hello\n");
    run(&place, &server, &["run", "greeting", "--", "false"]).prints("hello\n");
    run(&place, &server, &["get", "greeting"]).prints("hello\n");
    let status = run(&place, &server, &["status", "--json"]).stdout();
    assert!(status.contains("\"greeting\""), "{status}");
    // The process that published has given up its lease before it ended.
    server.until("a free lock", || {
        server
            .entry(STORE, "_dust:sf/greeting")
            .is_none()
            .then_some(())
    });
    run(&place, &server, &["forget", "greeting"]).prints("");
    run(&place, &server, &["run", "greeting", "--", "echo", "again"]).prints("again\n");
    // Two runs and the forget; every other call was answered by the mirror.
    assert_eq!(server.received("write lease"), 3);
}

#[test]
fn the_token_may_be_in_a_file_and_is_shown_nowhere() {
    let (place, server) = (Place::new(), DustServer::new());
    place.write("token", format!("{TOKEN}\n"));
    let url = format!("dust+ws://{}/{STORE}", server.address());
    let with = |url: &str| {
        let mut command = place.command(["--store", url, "run", "key", "--", "echo", "value"]);
        Ended::of(command.env_remove("ONEFLIGHT_DUST_TOKEN"))
    };
    with(&format!("{url}?token-file=token")).prints("value\n");
    with(&url).fails(125, &["ONEFLIGHT_DUST_TOKEN", "token-file=PATH"]);
    with(&format!("{url}?token-file=none")).fails(125, &["none cannot be read"]);
    let told = with(&format!("{url}?token={TOKEN}"));
    assert!(!told.stderr().contains(TOKEN));
    told.fails(125, &["the token is no part of the address"]);
    server.forbid(true);
    with(&format!("{url}?token-file=token")).fails(125, &["403", "capver"]);
}
