//! The command: started, listened to, told to end.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getpgrp, kill_process, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use crate::exit::Code;
use crate::output::Output;
use crate::parent_death::kill_with_parent;

/// How long a command may take to end when it is told to, before it is killed.
const GRACE: Duration = Duration::from_secs(5);
const CHUNK: usize = 64 * 1024;

/// What to run.
pub(crate) struct CommandLine {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    /// The most bytes its output may have.
    pub(crate) max_output: u64,
}

/// How a command has ended by itself.
pub(crate) enum Ended {
    WithOutput(Output),
    /// With a code other than zero, or by a signal.
    Badly(ExitStatus),
    /// Not yet, but it has printed more than it may.
    TooMuch,
}

/// A command under way.
pub(crate) struct Running {
    child: Child,
    stdout: Option<ChildStdout>,
    output: Vec<u8>,
    max_output: u64,
    group: Group,
}

/// Who else hears the signals of the command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    /// The command and what it has started.
    Own,
    /// We do, too: a command that shares our terminal must, or it could not read from it.
    Ours,
}

impl CommandLine {
    /// Starts the command. Must be called on the main thread.
    pub(crate) fn start(&self, environment: &[(&str, Option<String>)]) -> io::Result<Running> {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&self.arguments).stdout(Stdio::piped());
        for (name, value) in environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let group = if in_foreground() {
            Group::Ours
        } else {
            command.process_group(0);
            Group::Own
        };
        kill_with_parent(&mut command);
        let mut child = command.spawn()?;
        Ok(Running {
            stdout: child.stdout.take(),
            child,
            output: Vec::new(),
            max_output: self.max_output,
            group,
        })
    }
}

impl Running {
    /// Waits until the command has ended, and all that holds its output open has, too: as a shell
    /// does for `$(…)`. Can be dropped and called again.
    pub(crate) async fn ended(&mut self) -> io::Result<Ended> {
        let mut succeeded = false;
        loop {
            tokio::select! {
                biased;
                read = read_chunk(&mut self.stdout, &mut self.output), if self.stdout.is_some() => {
                    if read? == 0 {
                        self.stdout = None;
                    }
                    if self.output.len() as u64 > self.max_output {
                        return Ok(Ended::TooMuch);
                    }
                }
                status = self.child.wait(), if !succeeded => {
                    let status = status?;
                    if !status.success() {
                        return Ok(Ended::Badly(status));
                    }
                    succeeded = true;
                }
            }
            if succeeded && self.stdout.is_none() {
                return Ok(Ended::WithOutput(std::mem::take(&mut self.output).into()));
            }
        }
    }

    /// Waits until the command has ended, whatever it prints. Can be dropped and called again.
    pub(crate) async fn exited(&mut self) -> io::Result<ExitStatus> {
        loop {
            self.output.clear();
            tokio::select! {
                status = self.child.wait() => return status,
                read = read_chunk(&mut self.stdout, &mut self.output), if self.stdout.is_some() => {
                    if !matches!(read, Ok(1..)) {
                        self.stdout = None;
                    }
                }
            }
        }
    }

    /// Passes a signal on that was sent to us.
    pub(crate) fn forward(&self, signal: Signal) {
        // Ctrl-C on a terminal is told to all who share it; telling the command twice would make
        // many give up what they do at the first.
        let heard = signal == Signal::INT && self.group == Group::Ours && in_foreground();
        if !heard {
            self.send(signal);
        }
    }

    /// Asks the command to end, and makes it end if it does not.
    pub(crate) async fn terminate(&mut self) -> io::Result<()> {
        self.send(Signal::TERM);
        if timeout(GRACE, self.exited()).await.is_err() {
            self.send(Signal::KILL);
            self.exited().await?;
        }
        Ok(())
    }

    fn send(&self, signal: Signal) {
        // Without an id it has ended and been waited for, and the id may be somebody else's.
        let Some(pid) = self
            .child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
        else {
            return;
        };
        let send = |signal| match self.group {
            Group::Own => kill_process_group(pid, signal),
            Group::Ours => kill_process(pid, signal),
        };
        // A command that is gone, or not ours to signal any more, needs no signal; one that was
        // stopped hears of it only when it goes on.
        send(signal).and_then(|()| send(Signal::CONT)).ok();
    }
}

async fn read_chunk(stdout: &mut Option<ChildStdout>, output: &mut Vec<u8>) -> io::Result<usize> {
    let Some(stdout) = stdout else {
        return std::future::pending().await;
    };
    output.reserve(CHUNK);
    stdout.read_buf(output).await
}

/// Whether the terminal of this process sends Ctrl-C to us.
fn in_foreground() -> bool {
    std::fs::File::open("/dev/tty")
        .ok()
        .and_then(|terminal| rustix::termios::tcgetpgrp(terminal).ok())
        .is_some_and(|foreground| foreground == getpgrp())
}

/// The exit code of a command that did not end well.
pub(crate) fn code_of(status: ExitStatus) -> Code {
    match (status.code(), status.signal()) {
        (Some(code), _) => Code::of_command(u8::try_from(code).unwrap_or(u8::MAX)),
        (None, Some(signal)) => Code::of_signal(signal),
        (None, None) => Code::OWN_ERROR,
    }
}
