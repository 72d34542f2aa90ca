//! How a thread waits: for a signal, or for a future.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::sync::thread::{self, Thread};
use crate::sync::{AtomicBool, now};

/// Wakes the thread that has made it.
pub(crate) struct Signal {
    thread: Thread,
    /// The thread's own token would not do: whatever else runs on the thread, a fill for one, may park
    /// and take it.
    given: AtomicBool,
}

impl Signal {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            thread: thread::current(),
            given: AtomicBool::new(false),
        })
    }

    /// Parks this thread until the signal is given, which takes it back; `false` if this moment came
    /// first.
    pub(crate) fn wait_until(&self, moment: Option<Instant>) -> bool {
        while !self.given.swap(false, Ordering::SeqCst) {
            let Some(moment) = moment else {
                thread::park();
                continue;
            };
            let left = moment.saturating_duration_since(now());
            if left.is_zero() {
                return false;
            }
            thread::park_timeout(left);
        }
        true
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.given.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// Waits for a future, however long it takes.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Some(output) = wait_until(future.as_mut(), None) {
            return output;
        }
    }
}

/// Waits for a future; `None` if it takes longer than this.
pub(crate) fn wait_for<T>(timeout: Duration, future: impl Future<Output = T>) -> Option<T> {
    // A moment that cannot be told never comes.
    wait_until(future, now().checked_add(timeout))
}

fn wait_until<T>(future: impl Future<Output = T>, moment: Option<Instant>) -> Option<T> {
    let mut future = pin!(future);
    let signal = Signal::new();
    let waker = Waker::from(Arc::clone(&signal));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
        if !signal.wait_until(moment) {
            return None;
        }
    }
}
