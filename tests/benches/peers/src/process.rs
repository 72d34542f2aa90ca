//! A process that makes one call, seen from outside.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::Result;
use crate::clock::nanos;

/// Longer than any call here takes.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// A running participant; killed when dropped.
pub(crate) struct Participant {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    read: Vec<u8>,
}

/// What a participant tells of its call.
#[derive(Default)]
pub(crate) struct Told {
    /// When its own fill began, if it had one.
    pub(crate) began: Option<i64>,
    /// When its own fill ended, if it did.
    pub(crate) ended: Option<i64>,
    /// When the call was over, and the value or the error.
    pub(crate) over: Option<(i64, std::result::Result<String, String>)>,
}

impl Participant {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or("no standard output")?;
        Ok(Self {
            child,
            stdin,
            stdout,
            read: Vec::new(),
        })
    }

    /// What its value is if it fills.
    pub(crate) fn value(&self) -> String {
        self.child.id().to_string()
    }

    /// Waits until it has set itself up.
    pub(crate) fn await_ready(&mut self) -> Result<()> {
        match self.line(BOUND)? {
            Some(line) if line == "ready" => Ok(()),
            other => Err(format!("not ready: {other:?}").into()),
        }
    }

    /// Tells it when to call and for what.
    pub(crate) fn go(&mut self, start: i64, key: &str, fill: Duration) -> Result<()> {
        let stdin = self.stdin.as_mut().ok_or("already told to end")?;
        writeln!(stdin, "go {start} {key} {}", fill.as_millis())?;
        Ok(())
    }

    /// Reads what it tells until its call is over, or `until` says that this is enough; at most
    /// `patience` long.
    pub(crate) fn listen(
        &mut self,
        told: &mut Told,
        patience: Duration,
        until: impl Fn(&Told) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + patience;
        while told.over.is_none() && !until(told) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(line) = self.line(left)? else {
                return Ok(());
            };
            let mut words = line.splitn(3, ' ');
            let (Some(what), Some(at)) = (words.next(), words.next()) else {
                return Err(format!("unheard of: {line:?}").into());
            };
            let at = at.parse()?;
            let rest = words.next().unwrap_or_default().to_owned();
            match what {
                "began" => told.began = Some(at),
                "ended" => told.ended = Some(at),
                "returned" => told.over = Some((at, Ok(rest))),
                "failed" => told.over = Some((at, Err(rest))),
                _ => return Err(format!("unheard of: {line:?}").into()),
            }
        }
        Ok(())
    }

    /// Lets it end in an orderly way. All are told before any is waited for.
    pub(crate) fn end_all(mut all: Vec<Self>) -> Result<()> {
        for participant in &mut all {
            drop(participant.stdin.take());
        }
        for participant in &mut all {
            // The end of its output is the end of it.
            while participant.line(BOUND)?.is_some() {}
            let status = participant.child.wait()?;
            if !status.success() {
                return Err(format!("a participant ended with {status}").into());
            }
        }
        Ok(())
    }

    /// Kills it (SIGKILL).
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// The next line; `None` if there is none in time, or never will be.
    ///
    /// Nothing of this program runs while it waits, and it waits for one participant after another: the
    /// more often it woke, the more it would take from what it measures.
    fn line(&mut self, patience: Duration) -> Result<Option<String>> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(Some(String::from_utf8(line)?.trim_end().to_owned()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec {
                tv_sec: nanos(left) / 1_000_000_000,
                tv_nsec: nanos(left) % 1_000_000_000,
            };
            let mut fds = [PollFd::new(&self.stdout, PollFlags::IN)];
            if poll(&mut fds, Some(&left))? == 0 {
                return Ok(None);
            }
            let mut some = [0; 4096];
            let length = self.stdout.read(&mut some)?;
            if length == 0 {
                return Ok(None);
            }
            self.read.extend_from_slice(&some[..length]);
        }
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        // An error says that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
