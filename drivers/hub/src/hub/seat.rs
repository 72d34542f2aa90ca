//! A caller's place aboard, and what the machine has for it.

use std::any::Any;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use oneflight_core::{Attempt, Event, FillResult, FlightId, Notice, Outcome, PassengerId, Verdict};
use oneflight_store::StoreError;
use oneflight_trace::{Digest, What};

use super::state::Computed;
use super::{Calls, Hub, Names};
use crate::lease::Lease;
use crate::observe::Up;
use crate::value::{Arrived, Value};

/// What the machine has for a caller.
pub(crate) enum Mail {
    Judge(Arrived),
    Fill {
        flight: FlightId<Names>,
        attempt: Attempt,
        lease: Lease,
    },
    Land(Landed),
}

/// An outcome, and what the driver knows beside it.
pub(crate) struct Landed {
    pub(crate) outcome: Outcome,
    pub(crate) arrived: Option<Arrived>,
    pub(crate) computed: Option<Arc<Value>>,
    pub(crate) failure: Option<Failure>,
    pub(crate) cause: Option<StoreError>,
}

/// How a fill failed.
#[derive(Clone)]
pub(crate) enum Failure {
    /// With the caller's own error.
    Error(Arc<dyn Any + Send + Sync>),
    /// With a value that does not go through the codec.
    Codec(Arc<str>),
}

/// How a fill ended.
pub(crate) enum Filled {
    Value {
        value: Arc<Value>,
        retain: Option<Duration>,
    },
    Failed(Failure),
    Panicked,
}

impl Filled {
    pub(crate) fn result(&self) -> FillResult {
        match self {
            Self::Value { .. } => FillResult::Value,
            Self::Failed(_) => FillResult::Error,
            Self::Panicked => FillResult::Panic,
        }
    }

    fn value(&self) -> Option<&Value> {
        match self {
            Self::Value { value, .. } => Some(value),
            Self::Failed(_) | Self::Panicked => None,
        }
    }
}

/// What the machine has for one caller. Its mutex may be taken under the hub's, never the other way
/// round: a caller fetches its mail without disturbing the others.
pub(super) struct Mailbox {
    /// Any value that decodes will do: no need to ask.
    pub(super) takes_any: bool,
    slot: Mutex<Slot>,
}

#[derive(Default)]
pub(super) struct Slot {
    /// A value to judge. It does not take the place of a fill, nor a fill its: the machine counts on an
    /// answer to both.
    judge: Option<Arrived>,
    /// A fill to run, or how the call ended.
    mail: Option<Mail>,
    pub(super) waker: Option<Waker>,
}

impl Mailbox {
    pub(super) fn new(takes_any: bool) -> Self {
        let slot = Mutex::default();
        Self { takes_any, slot }
    }

    pub(super) fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A mailbox holds one letter of a kind: what comes later counts more.
pub(super) fn post(mailbox: &Mailbox, mail: Mail, calls: &mut Calls) {
    let mut slot = mailbox.slot();
    match mail {
        Mail::Judge(arrived) => slot.judge = Some(arrived),
        Mail::Fill { .. } => slot.mail = Some(mail),
        Mail::Land(_) => {
            slot.judge = None;
            slot.mail = Some(mail);
        }
    }
    calls.wakers.extend(slot.waker.take());
}

/// A caller's place aboard. Dropping it leaves the flight.
pub(crate) struct Seat {
    pub(super) hub: Arc<Hub>,
    pub(super) names: Names,
    pub(super) id: PassengerId,
    pub(super) mailbox: Arc<Mailbox>,
    /// The last letter has been read: there is nothing left to leave.
    pub(super) landed: bool,
    /// Counts it.
    pub(super) _aboard: Up,
}

impl Seat {
    /// The next letter of the machine; or why there will be none, for the driver cannot serve this
    /// caller. Cancel-safe.
    pub(crate) fn poll_mail(&mut self, cx: &mut Context<'_>) -> Poll<Result<Mail, StoreError>> {
        let mut slot = self.mailbox.slot();
        if let Some(arrived) = slot.judge.take() {
            return Poll::Ready(Ok(Mail::Judge(arrived)));
        }
        if let Some(mail) = slot.mail.take() {
            self.landed = matches!(mail, Mail::Land(_));
            return Poll::Ready(Ok(mail));
        }
        match self.listen(slot, cx) {
            Ok(()) => Poll::Pending,
            Err(unserved) => Poll::Ready(Err(unserved)),
        }
    }

    /// Stays reachable, and leaves the mail where it is.
    pub(crate) fn stay(&self, cx: &mut Context<'_>) {
        // Who cannot be served has something to do meanwhile, and hears of it when it has to wait.
        drop(self.listen(self.mailbox.slot(), cx));
    }

    fn listen(
        &self,
        mut slot: MutexGuard<'_, Slot>,
        cx: &mut Context<'_>,
    ) -> Result<(), StoreError> {
        match &mut slot.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => slot.waker = Some(cx.waker().clone()),
        }
        drop(slot);
        // Read after the waker is left: a pump that ends takes the wakers after it has said so, so it
        // is noticed here or wakes this task.
        if self.hub.pump_runs.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.hub.revive()
    }

    pub(crate) fn judged(&self, verdict: Verdict) {
        self.hub.with_sending(|_, _| {
            let notice = Notice::Judged {
                key: self.names.clone(),
                passenger: self.id,
                verdict,
            };
            ((), Some(notice))
        });
    }

    /// A fill is about to begin.
    pub(crate) fn fill_begins(&self, flight: &FlightId<Names>, attempt: Attempt, lease: &Lease) {
        if let Some(recorder) = &self.hub.recorder {
            recorder.write(What::FillBegan {
                key: flight.key.clone(),
                passenger: self.id,
                flight: flight.number,
                attempt,
                token: lease.token(),
            });
        }
    }

    /// The call has ended with this.
    pub(crate) fn landed(&self, outcome: Outcome, digest: Option<Digest>) {
        if let Some(recorder) = &self.hub.recorder {
            recorder.write(What::Landed {
                key: self.names.clone(),
                passenger: self.id,
                outcome,
                digest,
                local: false,
            });
        }
    }

    pub(crate) fn fill_done(&self, flight: FlightId<Names>, attempt: Attempt, filled: Filled) {
        let replaced = self.hub.with_sending(|state, hub| {
            if let Some(recorder) = &hub.recorder {
                recorder.note(What::FillEnded {
                    key: flight.key.clone(),
                    passenger: self.id,
                    flight: flight.number,
                    attempt,
                    result: filled.result(),
                    digest: filled.value().map(Value::digest),
                });
            }
            let result = filled.result();
            let desk = state.desks.get_mut(&flight.key);
            let replaced = match (filled, desk) {
                (Filled::Value { value, retain }, Some(desk)) => {
                    let done = hub.clock.read();
                    let computed = Computed {
                        value,
                        retain,
                        done,
                    };
                    (desk.computed.replace(computed), None)
                }
                (Filled::Failed(failure), Some(desk)) => (None, desk.failure.replace(failure)),
                (Filled::Panicked, _) | (_, None) => (None, None),
            };
            let event = Event::FillDone { attempt, result };
            (replaced, Some(Notice::Answered { flight, event }))
        });
        // Not under the mutex: it may be a caller's own.
        drop(replaced);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.landed {
            return;
        }
        self.hub.with(|state, hub| {
            if let Some(recorder) = &hub.recorder {
                recorder.write(What::Left {
                    key: self.names.clone(),
                    passenger: self.id,
                });
            }
            if state.seats.remove(&self.id).is_some()
                && let Some(desk) = state.desks.get_mut(&self.names)
            {
                desk.seats -= 1;
            }
            // Of no consequence for a caller that has landed, its last letter unread.
            let notice = Notice::Left {
                key: self.names.clone(),
                passenger: self.id,
            };
            ((), Some(notice))
        });
        let desk = self.hub.state().clear(&self.names);
        drop(desk);
    }
}
