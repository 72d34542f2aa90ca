//! What the notifier sleeps on.

use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often to look without having been woken, where changes are heard of: only for what cannot be
/// heard, such as the signal file being deleted.
const BACKSTOP: Duration = Duration::from_millis(200);

/// How often to look where they are not.
const POLL: Duration = Duration::from_millis(5);

/// Waits for changes, and can be woken.
#[derive(Debug)]
pub(crate) enum Ear {
    /// Hears of changes by inotify.
    #[cfg(target_os = "linux")]
    Hearing(linux::Hearing),
    /// Has to look often: this system has no inotify, or no more of it to give.
    Deaf(Deaf),
}

impl Ear {
    /// Listens at the signal file, from now on.
    pub(crate) fn new(signal: &Path) -> Self {
        #[cfg(target_os = "linux")]
        if let Ok(hearing) = linux::Hearing::new(signal) {
            return Self::Hearing(hearing);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = signal;
        Self::deaf()
    }

    pub(crate) fn deaf() -> Self {
        Self::Deaf(Deaf::default())
    }

    /// How often to look, woken or not.
    pub(crate) fn interval(&self) -> Duration {
        match self {
            #[cfg(target_os = "linux")]
            Self::Hearing(_) => BACKSTOP,
            Self::Deaf(_) => POLL,
        }
    }

    /// Sleeps until a change, a [`wake`](Self::wake) or the end of this time. Says whether it was
    /// woken.
    pub(crate) fn wait(&self, at_most: Duration) -> bool {
        match self {
            #[cfg(target_os = "linux")]
            Self::Hearing(hearing) => hearing.wait(at_most),
            Self::Deaf(deaf) => deaf.wait(at_most),
        }
    }

    /// Ends a wait: this one, or the next.
    pub(crate) fn wake(&self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Hearing(hearing) => hearing.wake(),
            Self::Deaf(deaf) => deaf.wake(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Deaf {
    woken: Mutex<bool>,
    waking: Condvar,
}

impl Deaf {
    fn wait(&self, at_most: Duration) -> bool {
        let woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut woken, _) = self
            .waking
            .wait_timeout_while(woken, at_most, |woken| !*woken)
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *woken)
    }

    fn wake(&self) {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.waking.notify_one();
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::OwnedFd;
    use std::path::Path;
    use std::time::Duration;

    use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
    use rustix::fs::inotify;
    use rustix::io::{Errno, read, write};

    /// An inotify watch on the signal file, and an eventfd for our own threads.
    #[derive(Debug)]
    pub(crate) struct Hearing {
        changes: OwnedFd,
        wakes: OwnedFd,
    }

    impl Hearing {
        pub(super) fn new(signal: &Path) -> Result<Self, Errno> {
            let changes =
                inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
            inotify::add_watch(&changes, signal, inotify::WatchFlags::MODIFY)?;
            let wakes = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            Ok(Self { changes, wakes })
        }

        pub(super) fn wait(&self, at_most: Duration) -> bool {
            let timeout = Timespec {
                tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(at_most.subsec_nanos()),
            };
            let mut sources = [
                PollFd::new(&self.changes, PollFlags::IN),
                PollFd::new(&self.wakes, PollFlags::IN),
            ];
            // An interrupted wait is a short one.
            if poll(&mut sources, Some(&timeout)).unwrap_or(0) == 0 {
                return false;
            }
            drain(&self.changes);
            drain(&self.wakes);
            true
        }

        pub(super) fn wake(&self) {
            // Fails only if there are 2^64 wakes to be heard already.
            write(&self.wakes, &1_u64.to_ne_bytes()).ok();
        }
    }

    fn drain(source: &OwnedFd) {
        let mut events = [0; 1024];
        while matches!(read(source, &mut events), Ok(length) if length == events.len()) {}
    }
}
