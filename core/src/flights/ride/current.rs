//! The flight that is under way, and for whom.

use crate::flights::due;
use crate::{Attempt, Flight, Instant, PassengerId, Revision, Token};

#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub(super) struct Current {
    pub(super) number: u64,
    pub(super) flight: Flight,
    /// `None` while a value is being published whose caller is gone.
    pub(super) pilot: Option<PassengerId>,
    /// The passengers below were aboard when the last claim was sent.
    pub(super) claim_line: (Attempt, PassengerId),
    /// The passengers below were aboard when the fill began.
    pub(super) fill_line: PassengerId,
    /// The claim that was answered by a value which the pilot has yet to judge.
    pub(super) newer: Option<(Attempt, Option<Token>)>,
    /// The fill may begin, but its pilot is judging what might satisfy it: for how long that is waited for.
    pub(super) held: Option<Instant>,
    /// The token of the lease last held.
    pub(super) token: Option<Token>,
    /// The revision its fill was published under.
    pub(super) published: Option<Revision>,
}

impl Current {
    pub(super) fn due(&self) -> Instant {
        if self.newer.is_some() {
            // The store has answered: only the pilot's patience counts until it has judged. One that
            // does not wait has none; it is given the time that the store would be.
            let patience = self.flight.patience();
            if patience < Instant::NEVER {
                return patience;
            }
        }
        let flight = due(&self.flight);
        self.held.map_or(flight, |until| flight.min(until))
    }

    /// How long the pilot may judge before its fill: for as long as it would wait. One that does not wait is
    /// given the time that the store would be.
    pub(super) fn judges_until(&self, now: Instant) -> Instant {
        let patience = self.flight.patience();
        if patience < Instant::NEVER {
            patience
        } else {
            now.after(self.flight.store_timeout())
        }
    }
}
