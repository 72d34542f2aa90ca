//! The signals that ask this program to end.

use std::io;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

/// Hears of `SIGINT`, `SIGTERM` and `SIGHUP`, but for those that whoever started the program wants
/// ignored (`nohup`, a shell's background job).
pub(crate) struct Signals {
    interrupt: Option<unix::Signal>,
    terminate: Option<unix::Signal>,
    hangup: Option<unix::Signal>,
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        let ignored = ignored();
        let listen = |signal: Signal| {
            let number = signal.as_raw();
            if ignored & (1 << (number - 1)) != 0 {
                return Ok(None);
            }
            unix::signal(SignalKind::from_raw(number)).map(Some)
        };
        Ok(Self {
            interrupt: listen(Signal::INT)?,
            terminate: listen(Signal::TERM)?,
            hangup: listen(Signal::HUP)?,
        })
    }

    /// The next one to come. Dropping the future misses none.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            () = heard(&mut self.interrupt) => Signal::INT,
            () = heard(&mut self.terminate) => Signal::TERM,
            () = heard(&mut self.hangup) => Signal::HUP,
        }
    }
}

async fn heard(signal: &mut Option<unix::Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}

/// The signals this process was started to ignore, one bit for each.
#[cfg(target_os = "linux")]
fn ignored() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| mask(&status))
        .unwrap_or(0)
}

#[cfg(not(target_os = "linux"))]
fn ignored() -> u64 {
    0
}

#[cfg(any(target_os = "linux", test))]
fn mask(status: &str) -> Option<u64> {
    let hex = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_status_of_the_process() {
        assert_eq!(mask("Name:\tx\nSigIgn:\t0000000000001001\n"), Some(0x1001));
        assert_eq!(mask("Name:\tx\n"), None);
    }
}
