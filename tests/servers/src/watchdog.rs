//! A server must not outlive the test that started it, however that ends.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// A shell that kills a process as soon as this one is gone: then nobody holds the other end of its
/// standard input any more. It is gone when it is dropped, and has killed nobody.
#[derive(Debug)]
pub(crate) struct Watchdog(Child);

impl Watchdog {
    pub(crate) fn over(pid: u32) -> Self {
        let child = Command::new("sh")
            .args(["-c", "read _; kill -KILL \"$0\"", &pid.to_string()])
            // What kills this process and all of its group is not to kill the watchdog.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Its input is still open here, so it does not bite.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    fn sleeper() -> Child {
        Command::new("sleep").arg("1000").spawn().unwrap()
    }

    #[test]
    fn it_bites_when_nobody_holds_it() {
        let mut sleeper = sleeper();
        let mut watchdog = Watchdog::over(sleeper.id());
        drop(watchdog.0.stdin.take());
        assert_eq!(sleeper.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn it_does_not_bite_when_it_is_sent_away() {
        let mut sleeper = sleeper();
        drop(Watchdog::over(sleeper.id()));
        assert_eq!(sleeper.try_wait().unwrap(), None);
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
    }
}
