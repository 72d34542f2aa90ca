//! The fill: the command under a lease.

use std::ffi::OsStr;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use bytesize::ByteSize;
use oneflight_tokio::Lease;
use rustix::process::Signal;
use tokio::sync::{Mutex, mpsc, watch};

use crate::command::{CommandLine, Ended, Running, code_of};
use crate::exit::{Code, Failure};
use crate::human::{Shown, exact};
use crate::output::Output;

/// Runs the command whenever the driver asks for a value.
pub(crate) struct Filler {
    pub(crate) key: String,
    pub(crate) line: CommandLine,
    pub(crate) timeout: Option<Duration>,
    pub(crate) interrupts: Interrupts,
}

/// Signals on their way to the command, and what became of it.
///
/// An interrupted command is seen off before the call is given up: the lease is kept for as long as the
/// command goes on.
pub(crate) struct Interrupts {
    signals: mpsc::UnboundedSender<Signal>,
    /// Taken by the fill for as long as the command runs.
    heard: Mutex<mpsc::UnboundedReceiver<Signal>>,
    /// The code to end with, once the command has ended after a signal.
    seen_off: watch::Sender<Option<Code>>,
}

impl Interrupts {
    pub(crate) fn new() -> Self {
        let (signals, heard) = mpsc::unbounded_channel();
        Self {
            signals,
            heard: heard.into(),
            seen_off: watch::Sender::new(None),
        }
    }

    /// Waits until the command has ended after a signal.
    pub(crate) async fn seen_off(&self) -> Code {
        let mut seen_off = self.seen_off.subscribe();
        let code = seen_off.wait_for(Option::is_some).await.map(|code| *code);
        match code {
            Ok(Some(code)) => code,
            // INVARIANT: the sender is ours, and only a code is waited for.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

/// Why there is no value.
#[derive(Debug)]
pub(crate) enum Failed {
    NotStarted(io::Error),
    Badly(ExitStatus),
    TooMuch,
    TimedOut(Duration),
    /// Nobody hears of this: the call rides the newer value, or lands `Fenced`.
    Overtaken,
    /// The system would not say how the command fares.
    OutOfSight(io::Error),
}

impl Filler {
    pub(crate) async fn fill(&self, lease: Lease) -> Result<Output, Failed> {
        let token = lease.token().map(|token| token.to_string());
        let environment = [
            ("ONEFLIGHT_KEY", Some(self.key.clone())),
            ("ONEFLIGHT_TOKEN", token),
        ];
        let mut heard = self.interrupts.heard.lock().await;
        let mut running = self.line.start(&environment).map_err(Failed::NotStarted)?;
        tokio::select! {
            biased;
            // First, because a command that was interrupted may look as if it were done.
            Some(signal) = heard.recv() => self.see_off(signal, running, &mut heard).await,
            result = self.accompany(&mut running, &lease) => result,
        }
    }

    /// Whether the command is under way.
    pub(crate) fn is_running(&self) -> bool {
        self.interrupts.heard.try_lock().is_err()
    }

    /// Passes a signal on to the command, if it is under way.
    pub(crate) fn interrupt(&self, signal: Signal) -> bool {
        self.is_running() && self.interrupts.signals.send(signal).is_ok()
    }

    /// Waits for a command that was interrupted, and then to be given up.
    async fn see_off(
        &self,
        signal: Signal,
        mut running: Running,
        heard: &mut mpsc::UnboundedReceiver<Signal>,
    ) -> Result<Output, Failed> {
        running.forward(signal);
        let status = loop {
            tokio::select! {
                status = running.exited() => break status,
                Some(signal) = heard.recv() => running.forward(signal),
            }
        };
        let code = match status {
            Ok(status) if !status.success() => code_of(status),
            // It has ended well, but after it was told to give up: there is nothing to be had from us.
            Ok(_) | Err(_) => Code::of_signal(signal.as_raw()),
        };
        self.interrupts.seen_off.send_replace(Some(code));
        std::future::pending().await
    }

    async fn accompany(&self, running: &mut Running, lease: &Lease) -> Result<Output, Failed> {
        let failed = tokio::select! {
            ended = running.ended() => match ended.map_err(Failed::OutOfSight)? {
                Ended::WithOutput(output) => return Ok(output),
                Ended::Badly(status) => return Err(Failed::Badly(status)),
                Ended::TooMuch => Failed::TooMuch,
            },
            // A lease that has merely lapsed may still be published under.
            () = lease.taken() => Failed::Overtaken,
            timeout = over(self.timeout) => Failed::TimedOut(timeout),
        };
        running.terminate().await.map_err(Failed::OutOfSight)?;
        Err(failed)
    }

    /// What to tell about a failed fill.
    pub(crate) fn tell(&self, failed: &Failed) -> Failure {
        let key = Shown(&self.key);
        let program = self.line.program.to_string_lossy();
        let program = Shown(&program);
        match failed {
            Failed::Badly(status) => Failure::silent(code_of(*status)),
            Failed::NotStarted(error) => {
                let code = code_of_start(error);
                let message = if code == Code::NOT_FOUND {
                    format!(
                        "{key}: the command {program} was not found{}",
                        hint(&self.line.program)
                    )
                } else {
                    format!("{key}: the command {program} cannot be started: {error}")
                };
                Failure::new(code, message)
            }
            Failed::TooMuch => Failure::own(format!(
                "{key}: the command printed more than {} (--max-value), so nothing was published; \
                 raise the limit, or print the name of a file instead",
                ByteSize(self.line.max_output).display().iec()
            )),
            Failed::TimedOut(timeout) => Failure::new(
                Code::TIMED_OUT,
                format!(
                    "{key}: the command was ended after {} (--fill-timeout), and nothing was published",
                    exact(*timeout)
                ),
            ),
            Failed::Overtaken => Failure::new(
                Code::TRY_AGAIN,
                format!("{key}: the command was overtaken; run again for the newer value"),
            ),
            Failed::OutOfSight(error) => Failure::own(format!(
                "{key}: the command {program} got out of sight: {error}"
            )),
        }
    }
}

async fn over(timeout: Option<Duration>) -> Duration {
    match timeout {
        Some(timeout) => {
            tokio::time::sleep(timeout).await;
            timeout
        }
        None => std::future::pending().await,
    }
}

fn code_of_start(error: &io::Error) -> Code {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is open, and all else is not about the file"
    )]
    match error.kind() {
        io::ErrorKind::NotFound => Code::NOT_FOUND,
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::ExecutableFileBusy
        | io::ErrorKind::ArgumentListTooLong
        | io::ErrorKind::InvalidInput => Code::NOT_EXECUTABLE,
        _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
            Code::NOT_EXECUTABLE
        }
        _ => Code::OWN_ERROR,
    }
}

/// A command that was meant for a shell cannot be found whole.
fn hint(program: &OsStr) -> &'static str {
    let of_a_shell = |byte: &u8| b" |;&<>$".contains(byte);
    if program.as_encoded_bytes().iter().any(of_a_shell) {
        "; for a line of shell use: -- sh -c '…'"
    } else {
        ""
    }
}
