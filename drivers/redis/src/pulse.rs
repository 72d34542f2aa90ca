//! Whether a connection still answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::times::{QUIET, RESPONSE_TIMEOUT};

/// Questions under way, and when anything was last heard. A server answers in order, so as long as it
/// answers anything it is alive.
pub(crate) struct Pulse {
    start: Instant,
    underway: AtomicUsize,
    /// A question was given up before it was answered.
    given_up: AtomicBool,
    /// In milliseconds since the start.
    last: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            underway: AtomicUsize::new(0),
            given_up: AtomicBool::new(false),
            last: AtomicU64::new(0),
        }
    }
}

/// A question, until it is answered or given up.
pub(crate) struct Question {
    pulse: Arc<Pulse>,
    is_answered: bool,
}

impl Question {
    pub(crate) fn answered(mut self) {
        self.is_answered = true;
        self.pulse.beat();
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.pulse.underway.fetch_sub(1, Ordering::Relaxed);
        if !self.is_answered {
            self.pulse.given_up.store(true, Ordering::Relaxed);
        }
    }
}

impl Pulse {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Something was heard.
    pub(crate) fn beat(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    /// Something is asked.
    pub(crate) fn ask(self: &Arc<Self>) -> Question {
        if self.underway.fetch_add(1, Ordering::Relaxed) == 0 {
            self.beat();
        }
        Question {
            pulse: Arc::clone(self),
            is_answered: false,
        }
    }

    fn since_last(&self) -> Duration {
        let last = self.last.load(Ordering::Relaxed);
        Duration::from_millis(self.now().saturating_sub(last))
    }

    /// How long the answer to a question is overdue.
    pub(crate) fn silence(&self) -> Option<Duration> {
        let silence = self.since_last();
        let is_asked = self.underway.load(Ordering::Relaxed) > 0;
        (is_asked && silence > RESPONSE_TIMEOUT).then_some(silence)
    }

    /// Whether a question was given up since the last time: its caller was too impatient to find out
    /// whether there is still somebody, so that is to be asked.
    pub(crate) fn was_given_up(&self) -> bool {
        self.given_up.swap(false, Ordering::Relaxed)
    }

    /// Nothing was asked or heard for long.
    pub(crate) fn is_quiet(&self) -> bool {
        self.underway.load(Ordering::Relaxed) == 0 && self.since_last() > QUIET
    }
}
