//! What is on hand: callers, keys, and work for the pump; and how the machine's orders are routed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use oneflight_core::{
    Command, FlightId, Flights, Instant, Judgement, Notice, Order, Outcome, PassengerId, Verdict,
};
use oneflight_store::{Revision, StoreError};
use quick_cache::DefaultHashBuilder;

use super::seat::{Failure, Landed, Mail, Mailbox, post};
use super::{Errand, Hub, Names, Work};
use crate::lease::{Lease, LeaseState};
use crate::observe::{Degraded, Held, Sighting};
use crate::value::{Arrived, Value};

/// What is behind the mutex.
pub(super) struct State {
    pub(super) flights: Flights<Names>,
    /// Of the callers who have not landed. The numbers are ours: no need to hash against an attack.
    pub(super) seats: HashMap<PassengerId, Arc<Mailbox>, DefaultHashBuilder>,
    pub(super) desks: BTreeMap<Names, Desk>,
    pub(super) outbox: Vec<Work>,
    /// When the pump will wake by itself.
    pub(super) armed: Instant,
    /// Wakes the pump, which rests.
    pub(super) pump: Option<Waker>,
    /// The pump has requests at the store.
    pub(super) busy: bool,
    pub(super) closing: bool,
    /// Who waits for the last clean-up.
    pub(super) idle: Vec<Waker>,
    pub(super) stream: Stream,
    /// The flights that hold a lease, for the metrics.
    pub(super) held: Held,
}

/// How the change stream stands. While it is not up, what is read may be out of date unnoticed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    NotYetUp,
    Up { since: std::time::Instant },
    Down,
}

/// What is on hand for one key while somebody flies for it.
#[derive(Default)]
pub(super) struct Desk {
    pub(super) seats: usize,
    pub(super) flights: BTreeSet<u64>,
    pub(super) arrived: Option<Arrived>,
    pub(super) computed: Option<Computed>,
    /// The last revision of which a copy was kept.
    pub(super) copied: Revision,
    pub(super) failure: Option<Failure>,
    pub(super) cause: Option<StoreError>,
    pub(super) lease: Option<Arc<LeaseState>>,
    /// The last revision that the change stream told of.
    pub(super) moved: Revision,
    /// It was told that a fill does without the store.
    pub(super) degraded: bool,
}

/// What a fill has computed.
pub(super) struct Computed {
    pub(super) value: Arc<Value>,
    pub(super) retain: Option<Duration>,
    /// When: before its publish was first asked for.
    pub(super) done: std::time::Instant,
}

/// What is to be done once the mutex is free.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) wakers: Vec<Waker>,
    pub(super) pump: bool,
    /// What callers would say who need not be asked.
    pub(super) judged: Vec<Notice<Names>>,
    /// What operators want to know.
    pub(super) sightings: Vec<Sighting>,
    /// What is to be dropped: a caller's error may hold the last handle, which takes the mutex.
    pub(super) desks: Vec<Desk>,
    pub(super) failures: Vec<Failure>,
}

impl State {
    pub(super) fn carry_out(&mut self, order: Order<Names>, hub: &Hub, calls: &mut Calls) {
        match order {
            Order::Command { flight, command } => self.command(flight, command, calls),
            Order::Judge { key, passenger, .. } => {
                let arrived = self.desks.get(&key).and_then(|desk| desk.arrived.clone());
                let (Some(arrived), Some(seat)) = (arrived, self.seats.get(&passenger)) else {
                    return;
                };
                if seat.takes_any && arrived.value.is_decoded() {
                    let verdict = Verdict {
                        revision: arrived.revision,
                        token: arrived.token,
                        judgement: Judgement::Fresh,
                    };
                    calls.judged.push(Notice::Judged {
                        key,
                        passenger,
                        verdict,
                    });
                } else {
                    self.mail(passenger, Mail::Judge(arrived), calls);
                }
            }
            Order::Fill {
                flight,
                passenger,
                attempt,
                lease,
            } => {
                let Some(desk) = self.desks.get_mut(&flight.key) else {
                    return;
                };
                desk.flights.insert(flight.number);
                calls.failures.extend(desk.failure.take());
                desk.degraded = lease.is_none();
                if desk.degraded {
                    calls.sightings.push(Sighting::Degraded {
                        names: flight.key.clone(),
                        from: Degraded::Fill,
                        cause: desk.cause.clone(),
                    });
                }
                let handle = desk.lease.insert(LeaseState::new(hub.clock));
                let lease = Lease::new(lease, Arc::clone(handle));
                let mail = Mail::Fill {
                    flight,
                    attempt,
                    lease,
                };
                self.mail(passenger, mail, calls);
            }
            Order::Land {
                key,
                passenger,
                outcome,
            } => self.land(&key, passenger, outcome, hub, calls),
            Order::Retired { flight } => {
                if let Some(desk) = self.desks.get_mut(&flight.key) {
                    desk.flights.remove(&flight.number);
                }
                calls.desks.extend(self.clear(&flight.key));
                // The pump tells whoever waits for the last clean-up.
                calls.pump = true;
            }
        }
    }

    fn command(&mut self, flight: FlightId<Names>, command: Command, calls: &mut Calls) {
        let desk = self.desks.get_mut(&flight.key);
        let mut value = None;
        match command {
            Command::WarnLeaseLost { token, warning } => {
                let names = flight.key;
                calls.sightings.push(Sighting::Warned {
                    names,
                    token,
                    warning,
                });
                if let Some(lease) = desk.and_then(|desk| desk.lease.as_ref()) {
                    calls.wakers.extend(lease.warn(warning));
                }
                return;
            }
            Command::Claim { .. } => {
                if let Some(desk) = desk {
                    desk.flights.insert(flight.number);
                    desk.cause = None;
                }
            }
            Command::Publish { .. } | Command::Put { .. } => {
                value = desk
                    .and_then(|desk| desk.computed.as_ref())
                    .map(|computed| (computed.value.bytes(), computed.retain));
            }
            Command::Watch
            | Command::Unwatch
            | Command::Renew { .. }
            | Command::Release { .. }
            | Command::Fill { .. }
            | Command::Land(_) => {}
        }
        let policy = self.flights.policy(&flight).unwrap_or_default();
        self.outbox.push(Work::Errand(Errand {
            flight,
            command,
            ttl: policy.lease_ttl,
            // The other half is for the claim that follows.
            patience: policy.store_timeout / 2,
            value,
        }));
        calls.pump = true;
    }

    fn land(
        &mut self,
        names: &Names,
        passenger: PassengerId,
        outcome: Outcome,
        hub: &Hub,
        calls: &mut Calls,
    ) {
        let Some(desk) = self.desks.get_mut(names) else {
            return;
        };
        let revision = outcome.revision();
        let arrived = desk
            .arrived
            .as_ref()
            .filter(|arrived| Some(arrived.revision) == revision);
        if let Some(arrived) = arrived
            && arrived.revision >= desk.moved
            && arrived.revision > desk.copied
            && !matches!(outcome, Outcome::Cached { stale: true, .. })
            && let Some(copy) = arrived.copy(hub)
        {
            desk.copied = arrived.revision;
            hub.copies.insert(&names.key, copy);
            // A change before the stream was up may have come after what was asked for even earlier.
            if let Stream::Up { since } = self.stream
                && arrived.times.was_asked_before(since)
            {
                let keys = vec![Arc::clone(&names.key)];
                self.outbox.push(Work::Revalidate(keys));
                calls.pump = true;
            }
        }
        if matches!(outcome, Outcome::Computed { revision: None }) && !desk.degraded {
            desk.degraded = true;
            calls.sightings.push(Sighting::Degraded {
                names: names.clone(),
                from: Degraded::Publish,
                cause: desk.cause.clone(),
            });
        }
        let landed = Landed {
            outcome,
            arrived: arrived.cloned(),
            computed: desk
                .computed
                .as_ref()
                .map(|computed| Arc::clone(&computed.value)),
            failure: desk.failure.clone(),
            cause: desk.cause.clone(),
        };
        if let Some(mailbox) = self.seats.remove(&passenger) {
            desk.seats -= 1;
            post(&mailbox, Mail::Land(landed), calls);
        }
        calls.desks.extend(self.clear(names));
    }

    /// Has these keys looked at again, unless nobody is left to be served a copy.
    pub(super) fn look_at(&mut self, keys: Vec<Arc<str>>) {
        if !keys.is_empty() && !self.closing {
            self.outbox.push(Work::Revalidate(keys));
        }
    }

    /// Somebody is to be served, or something is to be cleaned up.
    pub(super) fn has_work(&self) -> bool {
        !self.flights.is_idle() || !self.outbox.is_empty()
    }

    fn mail(&self, passenger: PassengerId, mail: Mail, calls: &mut Calls) {
        if let Some(mailbox) = self.seats.get(&passenger) {
            post(mailbox, mail, calls);
        }
    }

    /// Takes away a desk that nobody needs any more: to be dropped when the mutex is free.
    pub(super) fn clear(&mut self, names: &Names) -> Option<Desk> {
        let desk = self.desks.get(names)?;
        if desk.seats > 0 || !desk.flights.is_empty() {
            return None;
        }
        self.desks.remove(names)
    }
}
