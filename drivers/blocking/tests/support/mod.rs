//! What the tests of the driver share.

#![allow(
    dead_code,
    reason = "each test file uses a part; a test that unwraps fails as it should"
)]

#[path = "../../../tokio/tests/support/flaky.rs"]
mod flaky;

use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use oneflight_blocking::{Error, Landing};

pub(crate) use flaky::Flaky;

pub(crate) type Result<T> = std::result::Result<Landing<T>, Error<T, String>>;

/// Longer than anything here takes: a test that waits this long has failed.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// Waits until a condition holds, with a bound.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let give_up = Instant::now() + BOUND;
    while !condition() {
        assert!(Instant::now() < give_up, "never came true: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A thread that must end.
pub(crate) struct Caller<T> {
    thread: thread::JoinHandle<()>,
    ended: Receiver<T>,
}

impl<T: Send + 'static> Caller<T> {
    pub(crate) fn start(work: impl FnOnce() -> T + Send + 'static) -> Self {
        let (end, ended) = mpsc::channel();
        let thread = thread::spawn(move || drop(end.send(work())));
        Self { thread, ended }
    }

    /// What came of it, or its panic; with a bound.
    #[track_caller]
    pub(crate) fn join(self) -> thread::Result<T> {
        match self.ended.recv_timeout(BOUND) {
            Ok(result) => {
                self.thread.join()?;
                Ok(result)
            }
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(self.thread.join().unwrap_err()),
        }
    }

    /// What came of it; it must not panic.
    #[track_caller]
    pub(crate) fn result(self) -> T {
        self.join().unwrap()
    }
}

/// Does something that must end, with a bound.
#[track_caller]
pub(crate) fn soon<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    Caller::start(work).result()
}

/// Somebody waits for something, somebody else lets it come.
pub(crate) fn gate() -> (mpsc::Sender<()>, Gate) {
    let (open, opened) = mpsc::channel();
    (open, Gate(opened))
}

/// Opened by a message.
pub(crate) struct Gate(Receiver<()>);

impl Gate {
    #[track_caller]
    pub(crate) fn pass(&self) {
        self.0.recv_timeout(BOUND).unwrap();
    }
}
