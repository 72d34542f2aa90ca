//! What an answer of the store means to a machine.

use std::time::Duration;

use oneflight_core::{Arrival, Attempt, Event, FlightId, Notice};

use crate::trace::{Answer, Key};

/// The answer to a command of a flight, as its machine is told it; `None` if it is none of its business.
pub(crate) fn notice(
    flight: FlightId<Key>,
    attempt: Attempt,
    answer: Answer,
) -> Option<Notice<Key>> {
    let event = match answer {
        Answer::Granted {
            token,
            remaining,
            generation,
        } => Event::LeaseGranted {
            attempt,
            token,
            remaining: Duration::from_nanos(remaining),
            generation,
        },
        Answer::Held { token, remaining } => Event::Held {
            attempt,
            token: Some(token),
            remaining: remaining.map(Duration::from_nanos),
        },
        Answer::Newer {
            revision,
            token,
            latest,
            ..
        } => {
            return Some(Notice::Arrived {
                flight,
                attempt: Some(attempt),
                latest,
                arrival: Arrival {
                    revision,
                    token,
                    value: true,
                },
            });
        }
        Answer::Renewed => Event::Renewed { attempt },
        Answer::Lost => Event::LeaseLost { attempt },
        Answer::Published { revision } => Event::Published { attempt, revision },
        Answer::Fenced => Event::Fenced { attempt },
        Answer::Released { .. } => Event::Released { attempt },
        Answer::Refused => Event::Refused { attempt },
        Answer::Malformed => Event::Malformed { attempt },
        Answer::Unavailable => Event::Unavailable { attempt },
        Answer::Written { .. } | Answer::Kept { .. } | Answer::State { .. } => return None,
    };
    Some(Notice::Answered { flight, event })
}
