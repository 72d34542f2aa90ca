//! How `oneflight run` ends before its time.

#![cfg(target_os = "linux")]
mod common;

use common::Place;
use oneflight_test_servers::time::until;
use rustix::process::{Pid, Signal, kill_process};

/// A command that says when it is ready, and what it hears.
const LISTENER: &str = "
    trap 'echo TERM >> heard; exit 9' TERM
    trap 'echo INT >> heard; exit 9' INT
    trap 'echo HUP >> heard; exit 9' HUP
    touch ready
    while :; do sleep 0.01; done";

#[test]
fn a_signal_goes_to_the_command_and_the_lease_is_released() {
    for (signal, name) in [
        (Signal::TERM, "TERM\n"),
        (Signal::INT, "INT\n"),
        (Signal::HUP, "HUP\n"),
    ] {
        let place = Place::new();
        let leader = place.start(["run", "key", "--", "sh", "-c", LISTENER]);
        place.await_file("ready");
        leader.signal(signal);
        // Its shell may say something about the signal, too.
        assert_eq!(leader.ended().code(), Some(9));
        assert_eq!(place.read("heard"), name);
        place
            .oneflight(["run", "--wait-timeout", "0s", "key", "--", "echo", "x"])
            .prints("x\n");
    }
}

#[test]
fn a_command_that_dies_of_the_signal_is_told_as_shells_do() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let place = Place::new();
        let script = "touch ready; exec sleep 1000";
        let leader = place.start(["run", "key", "--", "sh", "-c", script]);
        place.await_file("ready");
        leader.signal(signal);
        leader.ended().fails(code, &[]);
    }
}

#[test]
fn a_command_that_ends_well_all_the_same_has_no_value() {
    let place = Place::new();
    let script = "trap 'echo partial; exit 0' TERM; touch ready; while :; do sleep 0.01; done";
    let leader = place.start(["run", "key", "--", "sh", "-c", script]);
    place.await_file("ready");
    leader.signal(Signal::TERM);
    let leader = leader.ended();
    assert_eq!(leader.code(), Some(143));
    assert_eq!(leader.stdout(), "");
    place.oneflight(["get", "key"]).fails(1, &[]);
}

#[test]
fn the_lease_is_kept_for_as_long_as_the_command_goes_on() {
    let place = Place::new();
    let script = "
        trap 'touch heard; until [ -e go ]; do sleep 0.01; done; exit 5' TERM
        touch ready
        while :; do sleep 0.01; done";
    let leader = place.start(["run", "key", "--", "sh", "-c", script]);
    place.await_file("ready");
    leader.signal(Signal::TERM);
    place.await_file("heard");
    let now = [
        "run",
        "--wait-timeout",
        "0s",
        "key",
        "--",
        "echo",
        "too early",
    ];
    assert_eq!(place.start(now).ended().code(), Some(124));
    let next = place.start(["run", "key", "--", "echo", "next"]);
    next.await_listening();
    place.write("go", "");
    assert_eq!(leader.ended().code(), Some(5));
    next.ended().prints("next\n");
}

#[test]
fn whoever_waits_leaves_at_once() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let place = Place::new();
        let script = "touch ready; until [ -e go ]; do sleep 0.01; done; echo done";
        let leader = place.start(["run", "key", "--", "sh", "-c", script]);
        place.await_file("ready");
        let waiter = place.start(["run", "key", "--", "echo", "own"]);
        waiter.await_listening();
        waiter.signal(signal);
        waiter.ended().fails(code, &[]);
        place.write("go", "");
        leader.ended().prints("done\n");
    }
}

#[test]
fn what_we_were_started_to_ignore_is_ignored() {
    let place = Place::new();
    let script = "touch ready; until [ -e go ]; do sleep 0.01; done; echo done";
    let run = place.command(["run", "key", "--", "sh", "-c", script]);
    let child = place
        .shell("trap '' HUP; exec \"$@\"")
        .arg(run.get_program())
        .args(run.get_args())
        .spawn()
        .unwrap();
    place.await_file("ready");
    let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    place.write("go", "");
    assert_eq!(child.wait_with_output().unwrap().stdout, b"done\n");
}

#[test]
fn a_command_does_not_outlive_us() {
    let place = Place::new();
    let script = "echo $$ > pid.new; mv pid.new pid; exec sleep 1000";
    let leader = place.start(["run", "--lease-ttl", "1s", "key", "--", "sh", "-c", script]);
    place.await_file("pid");
    let pid = place.read("pid").trim().to_owned();
    leader.signal(Signal::KILL);
    until("the death of the command", || is_dead(&pid).then_some(()));
    assert_eq!(leader.ended().code(), None);
    // Nobody released its lease: it lapses.
    place.run("key", "echo next").prints("next\n");
}

/// Gone, or waiting for whoever has inherited it.
fn is_dead(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| {
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" Z"))
    })
}
