//! What the notifier sleeps on.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::signal::Bell;

/// How often to look without having been woken, where changes are heard of: only for what nobody rang
/// for, having died before or having another pipe.
#[cfg(target_os = "linux")]
const BACKSTOP: Duration = Duration::from_millis(200);

/// How often to look where they are not.
const POLL: Duration = Duration::from_millis(5);

/// Waits for changes, and can be woken.
#[derive(Debug)]
pub(crate) enum Ear {
    /// Hears the bell.
    #[cfg(target_os = "linux")]
    Hearing(linux::Hearing),
    /// Has to look often: the bell is mute, or the system has nothing left to listen with.
    Deaf(Deaf),
}

impl Ear {
    /// Listens from now on.
    #[cfg(target_os = "linux")]
    pub(crate) fn new(bell: &Bell) -> Self {
        match bell.pipe().map(linux::Hearing::new) {
            Some(Ok(hearing)) => Self::Hearing(hearing),
            Some(Err(_)) | None => Self::Deaf(Deaf::default()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn new(_: &Bell) -> Self {
        Self::Deaf(Deaf::default())
    }

    /// How often to look, woken or not.
    pub(crate) fn interval(&self) -> Duration {
        match self {
            #[cfg(target_os = "linux")]
            Self::Hearing(_) => backstop(),
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

#[cfg(all(target_os = "linux", not(test)))]
fn backstop() -> Duration {
    BACKSTOP
}

/// A test may do without, to see that everything is heard.
#[cfg(all(target_os = "linux", test))]
fn backstop() -> Duration {
    if WITHOUT_BACKSTOP.load(std::sync::atomic::Ordering::SeqCst) {
        Duration::from_secs(600)
    } else {
        BACKSTOP
    }
}

#[cfg(all(target_os = "linux", test))]
pub(crate) static WITHOUT_BACKSTOP: std::sync::atomic::AtomicBool =
    std::sync::atomic::AtomicBool::new(false);

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
    use std::sync::Arc;
    use std::time::Duration;

    use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
    use rustix::event::{EventfdFlags, Timespec, eventfd};
    use rustix::io::{Errno, write};

    use crate::signal::linux::Pipe;

    /// The pipe, and an eventfd for our own threads.
    ///
    /// Both are edge-triggered: every write to either ends one wait, and nothing is ever read.
    #[derive(Debug)]
    pub(crate) struct Hearing {
        edges: OwnedFd,
        wakes: OwnedFd,
        /// Listened at only as long as it is open.
        _pipe: Arc<Pipe>,
    }

    impl Hearing {
        pub(super) fn new(pipe: &Arc<Pipe>) -> Result<Self, Errno> {
            let edges = epoll::create(CreateFlags::CLOEXEC)?;
            let wakes = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            let edge = EventFlags::IN | EventFlags::ET;
            epoll::add(&edges, pipe, EventData::new_u64(0), edge)?;
            epoll::add(&edges, &wakes, EventData::new_u64(0), edge)?;
            let hearing = Self {
                edges,
                wakes,
                _pipe: Arc::clone(pipe),
            };
            // What was rung before is no news: whoever listens from now on looks first.
            hearing.wait(Duration::ZERO);
            Ok(hearing)
        }

        pub(super) fn wait(&self, at_most: Duration) -> bool {
            let timeout = Timespec {
                tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(at_most.subsec_nanos()),
            };
            let none = Event {
                flags: EventFlags::empty(),
                data: EventData::new_u64(0),
            };
            // Room for both: an edge that is left behind would end the next wait.
            let mut events = [none; 2];
            // An interrupted wait is a short one.
            epoll::wait(&self.edges, &mut events, Some(&timeout)).unwrap_or(0) > 0
        }

        pub(super) fn wake(&self) {
            // Fails only after 2^64 wakes.
            write(&self.wakes, &1_u64.to_ne_bytes()).ok();
        }
    }
}
