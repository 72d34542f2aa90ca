//! Whether a connection still answers.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::times::{QUIET, RESPONSE_TIMEOUT};

/// Questions under way, and when anything was last heard. A server answers in order, so as long as it
/// answers anything it is alive.
pub(crate) struct Pulse {
    start: Instant,
    underway: AtomicUsize,
    /// In milliseconds since the start.
    last: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            underway: AtomicUsize::new(0),
            last: AtomicU64::new(0),
        }
    }
}

/// A question, until it is answered or given up.
pub(crate) struct Question<'a>(&'a Pulse);

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.0.underway.fetch_sub(1, Ordering::Relaxed);
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
    pub(crate) fn ask(&self) -> Question<'_> {
        if self.underway.fetch_add(1, Ordering::Relaxed) == 0 {
            self.beat();
        }
        Question(self)
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

    /// Nothing was asked or heard for long.
    pub(crate) fn is_quiet(&self) -> bool {
        self.underway.load(Ordering::Relaxed) == 0 && self.since_last() > QUIET
    }
}
