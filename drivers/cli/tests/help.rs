//! The help, and that what it shows works.

mod common;

use std::path::Path;
use std::process::Command;

use common::Place;

const ORDERS: [&str; 5] = ["run", "get", "forget", "status", "completions"];

fn examples(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Examples:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .map(|line| line.trim().to_owned())
        .collect()
}

#[test]
fn every_example_can_be_copied_and_run() {
    let program = Path::new(env!("CARGO_BIN_EXE_oneflight"));
    let mut path = std::ffi::OsString::from(program.parent().unwrap());
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    for order in [None].into_iter().chain(ORDERS.map(Some)) {
        let place = Place::new();
        for flag in ["-h", "--help"] {
            let help = place.oneflight(order.into_iter().chain([flag])).stdout();
            let examples = examples(&help);
            assert!(!examples.is_empty(), "{order:?} {flag} has no examples");
            for example in examples {
                place.run("greeting", "echo hello").prints("hello\n");
                let output = Command::new("bash")
                    .args(["-c", &example])
                    .current_dir(place.path("."))
                    .env("ONEFLIGHT_STORE", "sqlite:store.db")
                    .env("PATH", &path)
                    .output()
                    .unwrap();
                let expected = if example.starts_with("timeout ") {
                    124
                } else {
                    0
                };
                assert_eq!(
                    output.status.code(),
                    Some(expected),
                    "{example}: {output:?}"
                );
            }
        }
    }
}

#[test]
fn every_shell_has_its_completions() {
    let place = Place::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = place.oneflight(["completions", shell]).stdout();
        for order in ORDERS {
            assert!(script.contains(order), "{shell} knows no {order}");
        }
    }
}

#[test]
fn a_forgotten_separator_is_told() {
    let place = Place::new();
    let ended = place.oneflight(["run", "greeting", "echo"]);
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    let told = ended.stderr();
    assert!(told.contains("oneflight run KEY -- COMMAND"), "{told}");
}
