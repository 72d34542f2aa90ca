//! The program `oneflight`, from outside: a place for many of it, and how each ends.

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use oneflight_sqlite::SqliteStore;
use oneflight_store::{KeyStatus, LockState};
use rustix::process::{Pid, Signal, kill_process};

use crate::ground::{Meeting, Sqlite};
use crate::time::{BOUND, until};

/// The program, built with the profile that this process was built with.
#[must_use]
pub fn oneflight() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(build)
}

fn build() -> PathBuf {
    // …/<profile>/deps/<test> or …/<profile>/examples/<example>
    let this = std::env::current_exe().unwrap();
    let directory = this.ancestors().nth(2).unwrap().file_name().unwrap();
    let profile = match directory.to_str().unwrap() {
        "debug" => "dev",
        profile => profile,
    };
    let built = Command::new(env!("CARGO"))
        .args(["build", "--package", "oneflight-cli", "--bin", "oneflight"])
        .args(["--profile", profile, "--message-format", "json"])
        .args(["--manifest-path", env!("CARGO_MANIFEST_PATH")])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(built.status.success(), "the program cannot be built");
    // Cargo says where it is, wherever that has been configured to be.
    let messages = String::from_utf8(built.stdout).unwrap();
    let executable = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_it = message["target"]["name"] == "oneflight";
        let path = message["executable"].as_str().filter(|_| is_it)?;
        Some(PathBuf::from(path))
    });
    executable.expect("cargo says where the program is")
}

/// A directory, and a store over which its processes meet: gone with the test.
#[derive(Debug)]
pub struct Place<G = Sqlite> {
    directory: tempfile::TempDir,
    /// Where the store is.
    pub ground: G,
}

impl<G: Meeting> Default for Place<G> {
    fn default() -> Self {
        Self::over(G::new())
    }
}

impl Place {
    /// An empty one, with a SQLite file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The file of the store.
    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        self.ground.path()
    }

    /// The store that the processes here share.
    #[must_use]
    pub fn store(&self) -> SqliteStore {
        self.ground.store()
    }
}

impl<G: Meeting> Place<G> {
    /// An empty one over this ground.
    #[must_use]
    pub fn over(ground: G) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            ground,
        }
    }

    /// The path of a file here.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What is in the store.
    #[must_use]
    pub fn list(&self) -> Vec<KeyStatus> {
        self.ground.list()
    }

    /// Nobody holds a lease.
    #[track_caller]
    pub fn assert_nothing_held(&self) {
        let listed = self.list();
        let is_free = |key: &KeyStatus| key.state == LockState::Free;
        assert!(listed.iter().all(is_free), "{listed:?}");
    }

    /// Waits until all of these wait for somebody else's command.
    #[track_caller]
    pub fn await_waiting<'a>(&self, processes: impl IntoIterator<Item = &'a Process>) {
        let pids: Vec<u32> = processes.into_iter().map(|it| it.child.id()).collect();
        until("programs that wait", || {
            (self.ground.waiting(&pids) >= pids.len()).then_some(())
        });
    }

    /// Makes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// What is in a file; nothing if there is none.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// How many lines a file has.
    #[must_use]
    pub fn lines(&self, name: &str) -> usize {
        self.read(name).lines().count()
    }

    /// Waits until a file is there.
    #[track_caller]
    pub fn await_file(&self, name: &str) {
        until(name, || self.path(name).exists().then_some(()));
    }

    /// Starts the program here.
    pub fn start<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Process {
        let child = Command::new(oneflight())
            .args(arguments)
            .current_dir(self.directory.path())
            .env("ONEFLIGHT_STORE", self.ground.url())
            .env_remove("ONEFLIGHT_KEY")
            .env_remove("ONEFLIGHT_TOKEN")
            // Not in the foreground of whatever terminal this runs at.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Process { child }
    }

    /// Starts `oneflight run` with these options on `key`, with a line of shell.
    pub fn start_run(&self, options: &[&str], key: &str, script: &str) -> Process {
        let head = ["run"].iter().chain(options);
        self.start(head.chain(&[key, "--", "sh", "-c", script]))
    }

    /// Runs `oneflight run` with these options on `key`, with a line of shell.
    #[track_caller]
    pub fn run(&self, options: &[&str], key: &str, script: &str) -> Ended {
        self.start_run(options, key, script).ended()
    }

    /// Runs `oneflight get`.
    #[track_caller]
    pub fn get(&self, key: &str) -> Ended {
        self.start(["get", key]).ended()
    }
}

/// The program under way. It is killed when it is dropped, and its command with it.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Sends a signal to the program, not to its command.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits until the program listens to signals: then it has opened the store and begins its call.
    #[track_caller]
    pub fn await_listening(&self) {
        let all = [Signal::INT, Signal::TERM, Signal::HUP];
        let all = all
            .iter()
            .fold(0_u64, |mask, one| mask | 1 << (one.as_raw() - 1));
        until("a program that listens", || {
            let caught = self.status("SigCgt")?;
            let caught = u64::from_str_radix(&caught, 16).ok()?;
            (caught & all == all).then_some(())
        });
    }

    /// Waits until the program is stopped.
    #[track_caller]
    pub fn await_stopped(&self) {
        await_stopped(self.child.id());
    }

    fn status(&self, field: &str) -> Option<String> {
        status(self.child.id(), field)
    }

    /// How it has ended, if it has.
    pub fn try_ended(&mut self) -> Option<Ended> {
        let status = self.child.try_wait().unwrap()?;
        Some(self.collect(status))
    }

    /// Waits until it has ended, and for nothing else: what it has printed is read later. So it must
    /// not be more than a pipe holds.
    pub fn reap(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Waits until it has ended, with a bound.
    #[track_caller]
    pub fn ended(mut self) -> Ended {
        let since = Instant::now();
        let mut pause = Duration::from_micros(500);
        loop {
            if let Some(ended) = self.try_ended() {
                return ended;
            }
            assert!(since.elapsed() < BOUND, "it does not end");
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }

    /// What there is to tell about it, once it was reaped.
    pub fn collect(&mut self, status: ExitStatus) -> Ended {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        // The command is gone, too, or about to be: nobody else holds these open.
        if let Some(mut pipe) = self.child.stdout.take() {
            pipe.read_to_end(&mut stdout).unwrap();
        }
        if let Some(mut pipe) = self.child.stderr.take() {
            pipe.read_to_end(&mut stderr).unwrap();
        }
        Ended {
            status,
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, or is to end now.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// How the program has ended.
#[derive(Debug)]
pub struct Ended {
    /// How, in the words of the system.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
}

impl Ended {
    /// The exit code; none if a signal has killed it.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// It was killed.
    #[must_use]
    pub fn was_killed(&self) -> bool {
        self.status.signal() == Some(Signal::KILL.as_raw())
    }

    /// What it said on where its value came from (`-v`).
    #[must_use]
    pub fn source(&self) -> &str {
        let said = self
            .stderr
            .split_once(": ")
            .and_then(|(_, rest)| rest.split_once(": "));
        said.and_then(|(_, rest)| rest.split_whitespace().next())
            .unwrap_or_default()
    }

    /// The object it printed (`--json`).
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// It ended well, and printed exactly this.
    #[track_caller]
    pub fn prints(&self, stdout: &str) {
        assert_eq!(self.code(), Some(0), "{self:?}");
        assert_eq!(self.stdout, stdout, "{self:?}");
    }

    /// It printed nothing, and ended with this code.
    #[track_caller]
    pub fn fails(&self, code: i32) {
        assert_eq!(self.code(), Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
    }
}

/// Waits until a process is stopped.
#[track_caller]
pub fn await_stopped(pid: u32) {
    until("a process that is stopped", || {
        status(pid, "State")?.starts_with('T').then_some(())
    });
}

/// What the system says of a process.
#[must_use]
pub fn status(pid: u32, field: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let lines = status.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.into_iter().find(|(name, _)| *name == field)?;
    Some(value.trim().to_owned())
}

/// Whether a process is gone, or waits for whoever has inherited it.
#[must_use]
pub fn is_dead(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| {
        let state = stat.rsplit(')').next();
        state.is_some_and(|rest| rest.starts_with(" Z") || rest.starts_with(" X"))
    })
}
