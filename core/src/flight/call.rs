//! A call, and the flight it takes off with.

use super::{Flight, State};
use crate::{Commands, Instant, Policy, Revision, Token, Verdict};

/// A call that takes off now, though it may have begun before, aboard another's flight.
pub(crate) struct Call {
    pub(crate) policy: Policy,
    pub(crate) known: Verdict,
    pub(crate) started: Instant,
    pub(crate) floor: Option<Token>,
    pub(crate) now: Instant,
}

impl Call {
    /// Starts its flight with a claim.
    pub(crate) fn claim(self) -> (Flight, Commands) {
        let mut flight = self.flight();
        let mut out = Commands::none();
        flight.claim(&mut out);
        (flight, out)
    }

    /// Starts its flight where it would be after the store was found unreachable: for a caller that
    /// has shared another's attempt to reach it.
    pub(crate) fn degrade(self) -> (Flight, Commands) {
        let mut flight = self.flight();
        let mut out = Commands::none();
        flight.degrade(&mut out);
        (flight, out)
    }

    fn flight(self) -> Flight {
        let mut flight = Flight {
            state: State::Landed,
            now: self.now,
            patience: patience(&self.policy, self.started),
            dice: self.policy.seed,
            seen: Revision::NEVER,
            stale: Revision::NEVER,
            floor: self.floor,
            attempts: 0,
            boarded: 0,
            strikes: 0,
            watching: false,
            waited: self.started < self.now,
            rode: false,
            policy: self.policy,
        };
        flight.note(self.known);
        flight
    }
}

/// When a call that began at `started` will not wait any longer. A call that never waits has no such
/// moment: it lands as soon as it would have to wait.
pub(super) fn patience(policy: &Policy, started: Instant) -> Instant {
    if policy.wait_timeout.is_zero() {
        Instant::NEVER
    } else {
        started.after(policy.wait_timeout)
    }
}
