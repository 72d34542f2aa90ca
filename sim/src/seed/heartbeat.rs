//! What renews a lease while a fill runs: a process of its own, linked to the caller's.

use oneflight_core::Token;

use crate::trace::{Answer, Nanos};

/// A heartbeat: it renews every third of the lease, until it is told to stop or an answer is anything
/// but a renewal. Nobody hears that it has quit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heartbeat {
    pub(crate) token: Token,
    interval: Nanos,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Sleeping { until: Nanos },
    Renewing { stopped: bool },
    Quit,
}

impl Heartbeat {
    pub(crate) fn start(now: Nanos, token: Token, ttl: Nanos) -> Self {
        let interval = (ttl / 3).max(1);
        let until = now + interval;
        Self {
            token,
            interval,
            state: State::Sleeping { until },
        }
    }

    /// When it renews next.
    pub(crate) fn timer(&self) -> Option<Nanos> {
        match self.state {
            State::Sleeping { until } => Some(until),
            State::Renewing { .. } | State::Quit => None,
        }
    }

    /// Whether it renews now.
    pub(crate) fn tick(&mut self, now: Nanos) -> bool {
        let due = self.timer().is_some_and(|until| until <= now);
        if due {
            self.state = State::Renewing { stopped: false };
        }
        due
    }

    /// A renewal that is at the store is not called back.
    pub(crate) fn stop(&mut self) {
        self.state = match self.state {
            State::Renewing { .. } => State::Renewing { stopped: true },
            State::Sleeping { .. } | State::Quit => State::Quit,
        };
    }

    pub(crate) fn answered(&mut self, now: Nanos, answer: Answer) {
        self.state = match (self.state, answer) {
            (State::Renewing { stopped: false }, Answer::Renewed) => State::Sleeping {
                until: now + self.interval,
            },
            _ => State::Quit,
        };
    }
}
