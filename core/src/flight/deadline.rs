//! When a flight wants to be told the time, and why.

use super::{Flight, State};
use crate::Instant;

/// When to come back with a `Tick`, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Deadline {
    /// The moment.
    pub at: Instant,
    /// The reason.
    pub why: Why,
}

/// What a deadline is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Why {
    /// The store has not answered for too long.
    StoreTimeout,
    /// The caller will not wait any longer.
    WaitTimeout,
    /// The other's lease must have lapsed by then.
    Lapse,
    /// The pause before the next claim is over.
    Backoff,
    /// The own lease is to be renewed.
    Renewal,
    /// The own lease lapses, by the own clock.
    LeaseExpiry,
    /// The fill has run for too long.
    FillTimeout,
    /// A command is to be repeated.
    Retry,
    /// Repeating it is to be given up.
    GiveUp,
}

impl Flight {
    /// When to come back with a `Tick`, if ever.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        let earliest = |a: Deadline, b: Deadline| if b.at < a.at { b } else { a };
        let at = |at, why| Deadline { at, why };
        let patience = at(self.impatient_at(), Why::WaitTimeout);
        let deadline = match self.state {
            State::Claiming { sent, .. } => earliest(
                at(sent.after(self.store_timeout()), Why::StoreTimeout),
                patience,
            ),
            State::Waiting { lapse } => earliest(at(lapse, Why::Lapse), patience),
            State::BackingOff { until } => earliest(at(until, Why::Backoff), patience),
            State::Filling { hold, .. } => earliest(
                earliest(
                    self.renewal_deadline(hold),
                    at(hold.overdue, Why::FillTimeout),
                ),
                at(hold.lapse(), Why::LeaseExpiry),
            ),
            State::FillingLocally { overdue, .. } => at(overdue, Why::FillTimeout),
            State::Publishing { publishing, hold } => earliest(
                earliest(
                    at(publishing.resend, Why::Retry),
                    at(publishing.give_up, Why::GiveUp),
                ),
                earliest(self.renewal_deadline(hold), patience),
            ),
            State::Departing { until, .. } => at(until, Why::StoreTimeout),
            State::Releasing { resend, until, .. } => {
                earliest(at(resend, Why::Retry), at(until, Why::GiveUp))
            }
            State::Landed => return None,
        };
        (deadline.at < Instant::NEVER).then_some(deadline)
    }

    /// When the caller is to land because its time is over: never while it fills, or publishes what it
    /// has filled.
    pub(crate) fn impatient_at(&self) -> Instant {
        match self.state {
            State::Claiming { .. } | State::Waiting { .. } | State::BackingOff { .. } => {
                self.patience
            }
            State::Publishing { publishing, .. } => self.publishing_patience(publishing),
            State::Filling { .. }
            | State::FillingLocally { .. }
            | State::Departing { .. }
            | State::Releasing { .. }
            | State::Landed => Instant::NEVER,
        }
    }
}
