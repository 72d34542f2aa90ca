//! What comes along with the driver.

use std::process::Command;

/// The names of what is built with these packages and features, development aside.
fn tree(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--locked", "--edges", "normal,build"])
        .args(["--prefix", "none", "--format", "{p}"])
        .args(arguments)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn there_is_no_tokio_in_the_tree() {
    let facade = ["--package", "oneflight", "--no-default-features"];
    let with = |features| [&facade[..], &["--features", features]].concat();
    for (arguments, expected) in [
        (vec!["--package", "oneflight-blocking"], false),
        (with("blocking,sqlite"), false),
        (with("blocking,redis-blocking,metrics"), false),
        (with("blocking,redis-blocking-tls"), false),
        // The test can tell.
        (with("tokio"), true),
    ] {
        let tree = tree(&arguments);
        assert!(tree.contains("oneflight-hub"), "{tree}");
        let tokio = tree.lines().any(|line| line.starts_with("tokio"));
        assert_eq!(tokio, expected, "{arguments:?}:\n{tree}");
    }
}
