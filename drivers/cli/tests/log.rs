//! `--log` and `ONEFLIGHT_LOG`.

mod common;

use common::Place;

const COMMAND: [&str; 5] = ["--", "sh", "-c", "echo hunter$((1 + 1))", "sh"];

#[test]
fn nothing_is_told_unless_asked_for() {
    let place = Place::new();
    let run = ["run", "key"].into_iter().chain(COMMAND);
    place.oneflight(run).prints("hunter2\n");
}

#[test]
fn a_call_is_told_of_but_not_its_value() {
    for by_variable in [false, true] {
        let place = Place::new();
        let run = ["run", "key"].into_iter().chain(COMMAND);
        let mut command = place.command(run);
        if by_variable {
            command.env("ONEFLIGHT_LOG", "oneflight=debug");
        } else {
            command = place.command(["--log", "debug", "run", "key"].into_iter().chain(COMMAND));
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout, b"hunter2\n");
        let told = String::from_utf8(output.stderr).unwrap();
        let granted = told.lines().find(|line| line.contains("lease granted"));
        assert!(
            granted.is_some_and(|line| line.contains("key=\"key\"")),
            "{told}"
        );
        let call = told.lines().last().unwrap();
        for word in [
            "oneflight::call",
            "source=\"computed\"",
            "waited=",
            "filled=",
        ] {
            assert!(call.contains(word), "no {word} in: {told}");
        }
        assert!(!told.contains("hunter"), "{told}");
    }
}

#[test]
fn a_filter_picks() {
    let place = Place::new();
    let told = |filter, key| {
        let run = ["--log", filter, "run", key].into_iter().chain(COMMAND);
        place.oneflight(run).stderr()
    };
    assert_eq!(told("warn", "a"), "");
    assert!(!told("oneflight::lease=debug", "b").contains("oneflight::call"));
}

#[test]
fn a_filter_that_makes_no_sense_is_explained() {
    let place = Place::new();
    let refused = place.oneflight(["status", "--log", "oneflight=loud"]);
    assert_eq!(refused.code(), Some(2));
    let said = refused.stderr();
    for word in ["--log", "oneflight=loud", "debug", "oneflight::lease=debug"] {
        assert!(said.contains(word), "no {word} in: {said}");
    }
    let refused = place.oneflight(["status", "--log", "dbug"]);
    assert_eq!(refused.code(), Some(2));
    let said = refused.stderr();
    for word in ["no level \"dbug\"", "info"] {
        assert!(said.contains(word), "no {word} in: {said}");
    }
}
