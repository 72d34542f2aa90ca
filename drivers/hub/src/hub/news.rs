//! What the hub is told: answers to requests, and what the store tells by itself.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use oneflight_core::{Arrival, Attempt, Command, Event, FlightId, Notice};
use oneflight_store::{Change, KeyState, LockState, Revision, StoreError, Token, WatchEvent};
use oneflight_trace::What;

use super::state::Stream;
use super::{Errand, Hub, Names, Work};
use crate::observe::{Sighting, StoreCall};
use crate::value::{Arrived, Times};

impl Hub {
    /// A command was answered, or the watch tells of the lock.
    pub(crate) fn answered(self: &Arc<Self>, flight: FlightId<Names>, event: Event) {
        let renewed = matches!(event, Event::Renewed { .. });
        self.with(|_, _| {
            let notice = Notice::Answered {
                flight: flight.clone(),
                event,
            };
            ((), Some(notice))
        });
        if renewed {
            let state = self.state();
            if let Some(lease) = state.flights.lease(&flight)
                && let Some(handle) = state
                    .desks
                    .get(&flight.key)
                    .and_then(|desk| desk.lease.as_ref())
            {
                handle.set_expiry(lease.expires);
            }
        }
    }

    /// A command failed.
    pub(crate) fn failed(
        self: &Arc<Self>,
        flight: FlightId<Names>,
        attempt: Attempt,
        call: StoreCall,
        error: StoreError,
    ) {
        let event = match error {
            StoreError::Refused(_) => Event::Refused { attempt },
            StoreError::Malformed { .. } => Event::Malformed { attempt },
            StoreError::Unavailable(_) | _ => Event::Unavailable { attempt },
        };
        self.note_cause(&flight.key, error.clone());
        self.saw(&Sighting::Failed {
            names: flight.key.clone(),
            call,
            error,
        });
        self.answered(flight, event);
    }

    fn note_cause(&self, names: &Names, error: StoreError) {
        if let Some(desk) = self.state().desks.get_mut(names) {
            desk.cause = Some(error);
        }
    }

    /// A fill's value stands.
    pub(crate) fn published(
        self: &Arc<Self>,
        flight: FlightId<Names>,
        attempt: Attempt,
        revision: Revision,
        token: Token,
    ) {
        self.with(|state, _| {
            // A publish that was repeated is answered twice, and by the second answer the desk may hold
            // the value of another fill.
            let lease = state.flights.lease(&flight);
            if lease.is_some_and(|lease| lease.token == token)
                && let Some(desk) = state.desks.get_mut(&flight.key)
                && let Some(computed) = &desk.computed
            {
                desk.arrived = Some(Arrived {
                    value: Arc::clone(&computed.value),
                    revision,
                    token: Some(token),
                    // Not since this answer was asked for: an earlier request may have done it.
                    times: Times::new(Duration::ZERO, computed.done),
                });
            }
            let event = Event::Published { attempt, revision };
            ((), Some(Notice::Answered { flight, event }))
        });
    }

    /// A state of the key has come.
    pub(crate) fn arrived(
        self: &Arc<Self>,
        flight: FlightId<Names>,
        attempt: Option<Attempt>,
        latest: Option<Token>,
        key: KeyState,
        asked: std::time::Instant,
    ) {
        self.with(|state, _| {
            let arrival = Arrival {
                revision: key.revision,
                token: key.entry.as_ref().and_then(|entry| entry.token),
                value: key.entry.is_some(),
            };
            if let Some(desk) = state.desks.get_mut(&flight.key)
                && let Some(entry) = key.entry
                && desk
                    .arrived
                    .as_ref()
                    .is_none_or(|known| known.revision < entry.revision)
            {
                desk.arrived = Some(Arrived::new(entry, asked));
            }
            let notice = Notice::Arrived {
                flight,
                attempt,
                latest,
                arrival,
            };
            ((), Some(notice))
        });
    }

    /// The watch tells something.
    pub(crate) fn watched(self: &Arc<Self>, flight: FlightId<Names>, event: WatchEvent) {
        let event = match event {
            WatchEvent::Key(key) => {
                return self.arrived(flight, None, None, key, self.clock.read());
            }
            WatchEvent::Lock(LockState::Free) => Event::LockReleased,
            WatchEvent::Lock(LockState::Held { remaining, .. }) => Event::LockHeld { remaining },
            WatchEvent::Ended(error) => return self.watch_ended(flight, error),
        };
        self.answered(flight, event);
    }

    /// The watch can tell no more. The machine takes it for closed, so nobody else would close it.
    fn watch_ended(self: &Arc<Self>, flight: FlightId<Names>, error: StoreError) {
        let event = match error {
            StoreError::Refused(_) => Event::WatchRefused,
            StoreError::Unavailable(_) | StoreError::Malformed { .. } | _ => Event::WatchLost,
        };
        self.saw(&Sighting::WatchEnded {
            names: flight.key.clone(),
            error: error.clone(),
        });
        self.with(|state, _| {
            if let Some(desk) = state.desks.get_mut(&flight.key) {
                desk.cause = Some(error);
            }
            state.outbox.push(Work::Errand(Errand {
                flight: flight.clone(),
                command: Command::Unwatch,
                ttl: Duration::ZERO,
                patience: Duration::ZERO,
                value: None,
            }));
            ((), Some(Notice::Answered { flight, event }))
        });
    }

    /// The change stream tells something: local copies follow.
    pub(crate) fn changed(self: &Arc<Self>, change: Change) {
        let mut sighting = None;
        self.with(|state, hub| {
            match change {
                Change::Moved { key, revision } => {
                    hub.copies.outdate(&key, revision);
                    // Not only the default lock's desk: a key may be flown for under several.
                    let first = Names { key, lock: None };
                    for (names, desk) in state.desks.range_mut(first.clone()..) {
                        if names.key != first.key {
                            break;
                        }
                        desk.moved = desk.moved.max(revision);
                    }
                }
                Change::Gap(error) => {
                    if mem::replace(&mut state.stream, Stream::Down) != Stream::Down {
                        sighting = Some(Sighting::Gap { error });
                    }
                    hub.note(What::Changes { connected: false });
                }
                Change::Connected => {
                    sighting = match state.stream {
                        Stream::NotYetUp => Some(Sighting::Connected),
                        Stream::Down => Some(Sighting::Reconnected),
                        Stream::Up { .. } => None,
                    };
                    hub.note(What::Changes { connected: true });
                    // What was read before is looked at again; what is on its way, when it is kept.
                    if sighting.is_some() {
                        let since = hub.clock.read();
                        state.stream = Stream::Up { since };
                        state.look_at(hub.copies.keys());
                    }
                }
            }
            ((), None)
        });
        sighting.iter().for_each(|sighting| self.saw(sighting));
    }
}
