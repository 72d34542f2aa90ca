//! What wakes the thread that keeps a connection.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::time::{Duration, Instant};

/// Says that there is something to do, or that all is over.
#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    heard: Condvar,
}

#[derive(Default)]
struct State {
    is_rung: bool,
    is_over: bool,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ring(&self) {
        self.lock().is_rung = true;
        self.heard.notify_all();
    }

    pub(crate) fn end(&self) {
        self.lock().is_over = true;
        self.heard.notify_all();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.lock().is_over
    }

    /// Until it rings, or all is over.
    pub(crate) fn wait(&self) {
        let is_quiet = |state: &mut State| !state.is_rung && !state.is_over;
        let waited = self.heard.wait_while(self.lock(), is_quiet);
        waited.unwrap_or_else(PoisonError::into_inner).is_rung = false;
    }

    /// The same, or until this moment.
    pub(crate) fn wait_until(&self, moment: Instant) {
        let at_most = moment.saturating_duration_since(Instant::now());
        let is_quiet = |state: &mut State| !state.is_rung && !state.is_over;
        let waited = self
            .heard
            .wait_timeout_while(self.lock(), at_most, is_quiet);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_rung = false;
    }

    /// For so long, however it rings, unless all is over.
    pub(crate) fn pause(&self, time: Duration) {
        let goes_on = |state: &mut State| !state.is_over;
        let waited = self.heard.wait_timeout_while(self.lock(), time, goes_on);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
