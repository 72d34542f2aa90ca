//! A place of its own for each test, and the program in it.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test file takes what it needs"
)]

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use oneflight_test_servers::time::until;
use rustix::process::{Pid, Signal, kill_process};

/// A directory with a store, gone with the test.
pub struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The program, about to run in this directory.
    pub fn command<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Command {
        let mut command = self.other(env!("CARGO_BIN_EXE_oneflight"));
        command.args(arguments);
        command
    }

    /// A shell, about to run `script` in this directory.
    pub fn shell(&self, script: &str) -> Command {
        let mut command = self.other("sh");
        command.args(["-c", script, "sh"]);
        command
    }

    fn other(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.directory.path())
            .env("ONEFLIGHT_STORE", "sqlite:store.db")
            .env_remove("ONEFLIGHT_KEY")
            .env_remove("ONEFLIGHT_LOG")
            .env_remove("ONEFLIGHT_TOKEN")
            // Not in the foreground of whatever terminal the tests run at.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program with these arguments.
    pub fn oneflight<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Ended {
        Ended(self.command(arguments).output().unwrap())
    }

    /// Starts the program with these arguments.
    pub fn start<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Started {
        Started(self.command(arguments).spawn().unwrap())
    }

    /// Runs the program on `key` with a line of shell.
    pub fn run(&self, key: &str, script: &str) -> Ended {
        self.oneflight(["run", key, "--", "sh", "-c", script])
    }

    /// Waits until this file is there.
    pub fn await_file(&self, name: &str) {
        until(name, || self.has(name).then_some(()));
    }
}

/// The program under way.
pub struct Started(Child);

impl Started {
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.0.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits until the program listens to signals: then it has opened the store and begun its call.
    pub fn await_listening(&self) {
        until("a program that listens", || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
            let caught = status
                .lines()
                .find_map(|line| line.strip_prefix("SigCgt:"))?;
            let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
            let all = [Signal::INT, Signal::TERM, Signal::HUP]
                .iter()
                .all(|signal| caught & (1 << (signal.as_raw() - 1)) != 0);
            all.then_some(())
        });
    }

    pub fn ended(self) -> Ended {
        Ended(self.0.wait_with_output().unwrap())
    }
}

/// How the program has ended.
#[derive(Debug)]
pub struct Ended(Output);

impl Ended {
    /// Runs this.
    pub fn of(command: &mut Command) -> Self {
        Self(command.output().unwrap())
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0.stdout
    }

    pub fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.0.stdout).unwrap()
    }

    /// The exit code; none if a signal killed the program itself.
    pub fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    /// It printed exactly this, and said nothing.
    #[track_caller]
    pub fn prints(&self, stdout: &str) {
        assert_eq!(self.code(), Some(0), "{self:?}");
        assert_eq!(self.stdout(), stdout);
        assert_eq!(self.stderr(), "");
    }

    /// It printed nothing, and ended with this code and one line that has all these words in it.
    #[track_caller]
    pub fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code(), Some(code), "{self:?}");
        assert_eq!(self.stdout(), "");
        let stderr = self.stderr();
        if words.is_empty() {
            assert_eq!(stderr, "");
            return;
        }
        assert!(stderr.starts_with("oneflight: "), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        for word in words {
            assert!(stderr.contains(word), "no {word:?} in: {stderr}");
        }
    }
}
