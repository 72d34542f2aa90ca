//! The examples do what they say: run as programs, and as two processes of a fleet.

use std::process::Command;

#[test]
fn each_prints_that_six_callers_took_one_fill() {
    let said = [
        ("threads", "6 threads, 1 fill\n"),
        ("smol", "6 tasks, 1 fill\n"),
        ("poll", "6 calls, 1 fill\n"),
    ];
    for (example, said) in said {
        let run = Command::new(env!("CARGO"))
            .args(["run", "--quiet", "--example", example])
            .args(["--manifest-path", env!("CARGO_MANIFEST_PATH")])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{example}: {errors}");
        assert_eq!(String::from_utf8(run.stdout).unwrap(), said, "{errors}");
    }
}
