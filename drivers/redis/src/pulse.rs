//! Whether a connection still answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::times::SHORTEST_OUTAGE;

/// Questions under way, and when anything was last heard. A server answers in order, so as long as it
/// answers anything it is alive.
pub(crate) struct Pulse {
    start: Instant,
    underway: AtomicUsize,
    /// A question was given up before it was answered.
    given_up: AtomicBool,
    /// When anything was last heard, in milliseconds since the start.
    heard: AtomicU64,
    /// When something was asked while nothing was under way, the same.
    asked: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            underway: AtomicUsize::new(0),
            given_up: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            asked: AtomicU64::new(0),
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
        self.heard.store(self.now(), Ordering::Relaxed);
    }

    /// Something is asked.
    pub(crate) fn ask(self: &Arc<Self>) -> Question {
        if self.underway.fetch_add(1, Ordering::Relaxed) == 0 {
            self.asked.store(self.now(), Ordering::Relaxed);
        }
        Question {
            pulse: Arc::clone(self),
            is_answered: false,
        }
    }

    fn since(&self, moment: u64) -> Duration {
        Duration::from_millis(self.now().saturating_sub(moment))
    }

    /// How long nothing was heard. Not even of what is under way: but who asked may be too busy to hear the
    /// answer.
    pub(crate) fn unheard(&self) -> Duration {
        self.since(self.heard.load(Ordering::Relaxed))
    }

    /// How long nothing was heard although something was asked.
    pub(crate) fn unanswered(&self) -> Duration {
        if self.underway.load(Ordering::Relaxed) == 0 {
            return Duration::ZERO;
        }
        let asked = self.since(self.asked.load(Ordering::Relaxed));
        self.unheard().min(asked)
    }

    /// How long there may have been nobody, if what was asked is unanswered for so long: who is silent was
    /// asked halfway, and had as long to answer. An answer may take [`SHORTEST_OUTAGE`].
    pub(crate) fn outage(&self, unanswered: Duration) -> Duration {
        if unanswered < SHORTEST_OUTAGE {
            return Duration::ZERO;
        }
        self.unheard().min(unanswered.saturating_mul(2))
    }

    /// Whether a question was given up since the last time: its caller was too impatient to find out
    /// whether there is still somebody, so that is to be asked.
    pub(crate) fn was_given_up(&self) -> bool {
        self.given_up.swap(false, Ordering::Relaxed)
    }
}
