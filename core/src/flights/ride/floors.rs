//! Which leases are known to have been granted before a passenger's call.

use super::Ride;
use crate::flights::PassengerId;
use crate::{Attempt, Event, Token};

impl Ride {
    /// The first answer to a claim sent since a passenger boarded tells which leases were granted
    /// before its call.
    pub(super) fn raise_floors(&mut self, attempt: Attempt, token: Option<Token>) {
        let Some(current) = self.flight.as_ref().filter(|it| it.claim_line.0 == attempt) else {
            return;
        };
        let line = current.claim_line.1;
        self.raise_floors_below(line, token);
    }

    /// The same for the passengers below a line.
    pub(in crate::flights) fn raise_floors_below(
        &mut self,
        line: PassengerId,
        token: Option<Token>,
    ) {
        for (_, passenger) in self.passengers.range_mut(..line) {
            passenger.floor = passenger.floor.or(token);
        }
    }
}

/// The last token known to have been granted, by an answer to a claim that was not met by a value.
pub(in crate::flights) fn told_of_grants(event: &Event) -> Option<(Attempt, Option<Token>)> {
    if let Event::LeaseGranted { attempt, token, .. } = *event {
        Some((attempt, Some(token)))
    } else if let Event::Held { attempt, token, .. } = *event {
        Some((attempt, token))
    } else {
        None
    }
}
