//! Many processes on one key: what each of them prints, and how often the command runs.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use oneflight_store::LockState;
use oneflight_tests::ground::{Meeting, Redis, Sqlite};
use oneflight_tests::program::{Place, Process, is_dead};
use oneflight_tests::time::until;
use rustix::process::Signal;

/// A lease that nobody sees lapse within a test.
const LONG: [&str; 4] = ["--lease-ttl", "1h", "--wait-timeout", "30m"];

/// Notes that it runs, waits for a file `go`, and prints its token and its key.
const WHEN_TOLD: &str = "
    echo $ONEFLIGHT_TOKEN >> runs
    until [ -e go ]; do sleep 0.01; done
    echo value of $ONEFLIGHT_KEY, $ONEFLIGHT_TOKEN";

/// Starts this many, and returns when all of them wait.
fn start_waiters<G: Meeting>(
    place: &Place<G>,
    count: usize,
    options: &[&str],
    script: &str,
) -> Vec<Process> {
    let waiters: Vec<_> = (0..count)
        .map(|_| place.start_run(options, "key", script))
        .collect();
    place.await_waiting(&waiters);
    waiters
}

fn forty_processes_on_a_cold_key_make_one_fill<G: Meeting>() {
    let place = Place::<G>::default();
    let script = "echo run >> runs; sleep 1; echo value of $$, $ONEFLIGHT_TOKEN";
    let processes: Vec<_> = (0..40)
        .map(|_| place.start_run(&["-v"], "key", script))
        .collect();
    let ended: Vec<_> = processes.into_iter().map(Process::ended).collect();

    assert_eq!(place.lines("runs"), 1);
    assert!(ended[0].stdout.starts_with("value of "));
    for one in &ended {
        one.prints(&ended[0].stdout);
    }
    let count = |source| ended.iter().filter(|one| one.source() == source).count();
    assert_eq!(count("computed"), 1);
    assert_eq!(count("awaited") + count("cached"), 39);
    place.assert_nothing_held();
}

fn whoever_waits_gets_the_value_pushed<G: Meeting>() {
    let place = Place::<G>::default();
    let leader = place.start_run(&LONG, "key", WHEN_TOLD);
    until("the command", || (place.lines("runs") == 1).then_some(()));
    let mut options = LONG.to_vec();
    options.push("-v");
    let waiters = start_waiters(&place, 10, &options, WHEN_TOLD);
    place.write("go", "");
    let value = leader.ended();
    for waiter in waiters {
        let waiter = waiter.ended();
        waiter.prints(&value.stdout);
        assert_eq!(waiter.source(), "awaited");
    }
    assert_eq!(place.lines("runs"), 1);
}

fn a_leader_that_is_killed_is_taken_over<G: Meeting>() {
    let place = Place::<G>::default();
    let script =
        "echo $ONEFLIGHT_TOKEN >> runs; echo $$ > pid.new; mv pid.new pid; exec sleep 1000";
    let leader = place.start_run(&["--lease-ttl", "2s"], "key", script);
    place.await_file("pid");
    // Their own leases would live for an hour: what counts is the dead one's.
    let script = "echo $ONEFLIGHT_TOKEN >> runs; sleep 0.1; echo second";
    let waiters = start_waiters(&place, 10, &LONG, script);

    leader.signal(Signal::KILL);
    let pid = place.read("pid").trim().to_owned();
    until("the death of the command", || is_dead(&pid).then_some(()));
    assert!(leader.ended().was_killed());
    for waiter in waiters {
        waiter.ended().prints("second\n");
    }
    let runs = place.read("runs");
    let tokens: Vec<u64> = runs.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(tokens.len(), 2);
    assert!(tokens[0] < tokens[1], "{tokens:?}");
    place.get("key").prints("second\n");
    place.assert_nothing_held();
}

/// A leader is stopped past its lease, and overtaken; then it goes on. Its command is done by then,
/// or is still under way.
fn overtaken<G: Meeting>(options: &[&str], command_is_done: bool) -> (Place<G>, Process) {
    let place = Place::<G>::default();
    let mut all = vec!["--lease-ttl", "1s"];
    all.extend(options);
    let script = "
        echo $$ > pid; touch ready
        until [ -e go ]; do sleep 0.01; done
        touch done
        echo old";
    let leader = place.start_run(&all, "key", script);
    place.await_file("ready");
    leader.signal(Signal::STOP);
    leader.await_stopped();

    place.run(&LONG, "key", "echo new").prints("new\n");
    if command_is_done {
        place.write("go", "");
        place.await_file("done");
    }
    leader.signal(Signal::CONT);
    (place, leader)
}

fn a_leader_that_was_stopped_and_overtaken_prints_the_newer_value<G: Meeting>() {
    for command_is_done in [true, false] {
        let (place, leader) = overtaken::<G>(&[], command_is_done);
        leader.ended().prints("new\n");
        place.get("key").prints("new\n");
        let pid = place.read("pid").trim().to_owned();
        until("the death of the command", || is_dead(&pid).then_some(()));
        place.assert_nothing_held();
    }
}

fn a_leader_that_was_stopped_and_overtaken_can_be_told_to_fail<G: Meeting>() {
    for command_is_done in [true, false] {
        let (place, leader) = overtaken::<G>(&["--on-fenced", "error"], command_is_done);
        let leader = leader.ended();
        leader.fails(75);
        assert!(leader.stderr.contains("overtaken"), "{leader:?}");
        place.get("key").prints("new\n");
        place.assert_nothing_held();
    }
}

fn a_command_that_fails_hands_over_at_once<G: Meeting>() {
    let place = Place::<G>::default();
    let script = "
        echo failing >> runs
        until [ -e go ]; do sleep 0.01; done
        echo half a value
        exit 7";
    let leader = place.start_run(&LONG, "key", script);
    until("the command", || (place.lines("runs") == 1).then_some(()));
    let waiters = start_waiters(&place, 5, &LONG, "echo next >> runs; echo value");

    place.write("go", "");
    leader.ended().fails(7);
    // The lease would have lived for an hour: whoever ends within the bound was told.
    for waiter in waiters {
        waiter.ended().prints("value\n");
    }
    assert_eq!(place.read("runs"), "failing\nnext\n");
    place.assert_nothing_held();
}

fn what_is_forgotten_during_a_fill_does_not_come_back<G: Meeting>() {
    let place = Place::<G>::default();
    place.write("data", "old");
    let script = "
        read -r data < data
        echo $data >> runs
        until [ -e go ]; do sleep 0.01; done
        echo $data";
    let leader = place.start_run(&LONG, "key", script);
    until("the command", || (place.lines("runs") == 1).then_some(()));
    let waiters = start_waiters(&place, 3, &LONG, script);

    place.write("data", "new");
    place.start(["forget", "key"]).ended().prints("");
    place.get("key").fails(1);
    place.write("go", "");
    leader.ended().prints("new\n");
    for waiter in waiters {
        waiter.ended().prints("new\n");
    }
    place.get("key").prints("new\n");
    assert_eq!(place.read("runs"), "old\nnew\n");
    place.assert_nothing_held();
}

fn a_leader_that_was_stopped_does_not_bring_back_what_was_forgotten<G: Meeting>() {
    let place = Place::<G>::default();
    place.write("data", "old");
    let script = "
        read -r data < data
        echo $data >> runs
        until [ -e go ]; do sleep 0.01; done
        touch done
        echo $data";
    let leader = place.start_run(&LONG, "key", script);
    until("the command", || (place.lines("runs") == 1).then_some(()));
    leader.signal(Signal::STOP);
    leader.await_stopped();
    place.write("data", "new");
    place.start(["forget", "key"]).ended().prints("");
    place.write("go", "");
    place.await_file("done");
    leader.signal(Signal::CONT);
    leader.ended().prints("new\n");
    place.get("key").prints("new\n");
    place.assert_nothing_held();
}

fn whoever_waits_too_long_leaves_the_fill_alone<G: Meeting>() {
    let place = Place::<G>::default();
    let leader = place.start_run(&LONG, "key", WHEN_TOLD);
    until("the command", || (place.lines("runs") == 1).then_some(()));
    let waiter = place.run(&["--wait-timeout", "200ms"], "key", WHEN_TOLD);
    waiter.fails(124);
    place.get("key").fails(1);
    place.write("go", "");
    let leader = leader.ended();
    assert_eq!(leader.code(), Some(0));
    place.get("key").prints(&leader.stdout);
    assert_eq!(place.lines("runs"), 1);
    place.assert_nothing_held();
}

fn whoever_is_interrupted_while_it_waits_leaves_no_trace<G: Meeting>() {
    let place = Place::<G>::default();
    let leader = place.start_run(&LONG, "key", WHEN_TOLD);
    until("the command", || (place.lines("runs") == 1).then_some(()));
    let before = place.list();
    let waiters = start_waiters(&place, 3, &LONG, WHEN_TOLD);
    for waiter in &waiters {
        waiter.signal(Signal::INT);
    }
    for waiter in waiters {
        let waiter = waiter.ended();
        waiter.fails(130);
        assert_eq!(waiter.stderr, "");
    }
    // The leader's lease is as it was, but for its time.
    let held = |listed: &[oneflight_store::KeyStatus]| -> Vec<_> {
        let state = |key: &oneflight_store::KeyStatus| match &key.state {
            LockState::Held { token, holder, .. } => Some((*token, holder.clone())),
            LockState::Free => None,
        };
        listed
            .iter()
            .map(|key| (key.key.clone(), state(key)))
            .collect()
    };
    assert_eq!(held(&place.list()), held(&before));
    place.write("go", "");
    let leader = leader.ended();
    assert_eq!(leader.code(), Some(0));
    assert_eq!(place.lines("runs"), 1);
    place.assert_nothing_held();
}

macro_rules! meetings {
    ($($store:ident: $ground:ty;)*) => { $(
        mod $store {
            use super::*;

            meetings!(of $ground:
                forty_processes_on_a_cold_key_make_one_fill
                whoever_waits_gets_the_value_pushed
                a_leader_that_is_killed_is_taken_over
                a_leader_that_was_stopped_and_overtaken_prints_the_newer_value
                a_leader_that_was_stopped_and_overtaken_can_be_told_to_fail
                a_command_that_fails_hands_over_at_once
                what_is_forgotten_during_a_fill_does_not_come_back
                a_leader_that_was_stopped_does_not_bring_back_what_was_forgotten
                whoever_waits_too_long_leaves_the_fill_alone
                whoever_is_interrupted_while_it_waits_leaves_no_trace
            );
        }
    )* };
    (of $ground:ty: $($scenario:ident)*) => { $(
        #[test]
        fn $scenario() {
            super::$scenario::<$ground>();
        }
    )* };
}

meetings! {
    sqlite: Sqlite;
    redis: Redis;
}
