//! What was filled is on its way to the store: `Publishing`.

use super::hold::{Hold, Renewal};
use super::{Flight, State};
use crate::{
    Attempt, Command, Commands, Event, Instant, OnFenced, OnUnavailable, Outcome, Unpublished,
};

/// A value on its way to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Publishing {
    pub(super) publish: Attempt,
    pub(super) resend: Instant,
    pub(super) give_up: Instant,
    caller: Caller,
    /// An answer is missing: the publish may have happened, whatever a later answer says.
    uncertain: bool,
}

impl Publishing {
    pub(super) fn is_the_callers_own(&self) -> bool {
        self.caller == Caller::Filled
    }
}

/// Who will land when the value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Caller {
    Filled,
    TookOver,
    Gone,
}

impl Flight {
    /// Sends what the caller has filled to the store.
    pub(super) fn publish(&mut self, hold: Hold, out: &mut Commands) {
        let publish = self.next_attempt();
        out.push(Command::Publish {
            attempt: publish,
            token: hold.lease.token,
        });
        let patience = self.store_timeout();
        self.state = State::Publishing {
            publishing: Publishing {
                publish,
                resend: self.now.after(patience),
                give_up: self.now.after(patience.saturating_mul(2)),
                caller: Caller::Filled,
                uncertain: false,
            },
            hold,
        };
    }

    pub(super) fn publishing(
        &mut self,
        mut publishing: Publishing,
        mut hold: Hold,
        event: Event,
        out: &mut Commands,
    ) {
        let publish = publishing.publish;
        match event {
            Event::Published { attempt, revision } if attempt == publish => {
                let revision = Some(revision);
                return match publishing.caller {
                    Caller::Filled => self.land(Outcome::Computed { revision }, out),
                    Caller::TookOver => self.land(Outcome::Awaited { revision }, out),
                    Caller::Gone => self.state = State::Landed,
                };
            }
            Event::Fenced { attempt } if attempt == publish => {
                return self.fenced(publishing.caller, out);
            }
            Event::Unavailable { attempt } if attempt == publish => {
                self.strike();
                publishing.uncertain = true;
                publishing.resend = self.now.after(self.pause());
            }
            Event::Refused { attempt } | Event::Malformed { attempt }
                if attempt == publish && publishing.uncertain =>
            {
                return self.unpublished(publishing, hold, Unpublished::Unavailable, out);
            }
            Event::Refused { attempt } if attempt == publish => {
                return self.unpublished(publishing, hold, Unpublished::Refused, out);
            }
            Event::Malformed { attempt } if attempt == publish => {
                return self.unpublished(publishing, hold, Unpublished::Malformed, out);
            }
            Event::Renewed { .. } | Event::Unavailable { .. } => {
                self.renewal_answered(&mut hold, event)
            }
            // Perhaps because the publish went through: its own answer tells.
            Event::LeaseLost { attempt }
            | Event::Refused { attempt }
            | Event::Malformed { attempt }
                if hold.renews(attempt) =>
            {
                hold.renewal = Renewal::Stopped;
            }
            Event::Abandoned => publishing.caller = Caller::Gone,
            Event::HandedOver {
                policy,
                started,
                known,
                floor,
            } if publishing.caller != Caller::Gone => {
                // A renewal on its way was asked for another ttl.
                if let Renewal::Sent { .. } = hold.renewal {
                    hold.renewal = Renewal::Due(self.now);
                }
                self.hand_over(policy, started, known, floor);
                publishing.caller = Caller::TookOver;
            }
            Event::Tick => {
                if self.now >= publishing.give_up {
                    return self.unpublished(publishing, hold, Unpublished::Unavailable, out);
                }
                if self.now >= self.publishing_patience(publishing) {
                    // The value is none of the caller's making: it does not wait for its sake.
                    publishing.caller = Caller::Gone;
                    let outcome = self.overtime();
                    self.land_over(outcome, out);
                }
                self.renew(&mut hold, out);
                if self.now >= publishing.resend {
                    publishing.uncertain = true;
                    publishing.resend = self.now.after(self.store_timeout());
                    out.push(Command::Publish {
                        attempt: publish,
                        token: hold.lease.token,
                    });
                }
            }
            Event::LeaseGranted { .. }
            | Event::Held { .. }
            | Event::Newer { .. }
            | Event::KeyEvent { .. }
            | Event::LockReleased
            | Event::LockHeld { .. }
            | Event::WatchLost
            | Event::WatchRefused
            | Event::FillDone { .. }
            | Event::LeaseLost { .. }
            | Event::Refused { .. }
            | Event::Malformed { .. }
            | Event::HandedOver { .. }
            | Event::Published { .. }
            | Event::Fenced { .. }
            | Event::Released { .. } => {}
        }
        self.state = State::Publishing { publishing, hold };
    }

    /// The value cannot be published: free the lease, and land with the value all the same.
    fn unpublished(
        &mut self,
        publishing: Publishing,
        hold: Hold,
        cause: Unpublished,
        out: &mut Commands,
    ) {
        self.release(hold.lease, out);
        let degrades = cause == Unpublished::Unavailable
            && self.policy.on_unavailable == OnUnavailable::RunLocal;
        let outcome = match (publishing.caller, cause) {
            (Caller::Gone, _) => return,
            (Caller::Filled, _) if degrades => Outcome::Computed { revision: None },
            (Caller::Filled, cause) => Outcome::Unpublished { cause },
            (Caller::TookOver, _) if degrades => Outcome::Awaited { revision: None },
            (Caller::TookOver, Unpublished::Unavailable) => Outcome::Unavailable,
            (Caller::TookOver, Unpublished::Refused) => Outcome::Refused,
            (Caller::TookOver, Unpublished::Malformed) => Outcome::Malformed,
        };
        self.land_over(outcome, out);
    }

    /// The fill was overtaken, or voided by a forget.
    pub(super) fn fenced(&mut self, caller: Caller, out: &mut Commands) {
        match (caller, self.policy.on_fenced) {
            (Caller::Gone, _) => self.state = State::Landed,
            (Caller::Filled, OnFenced::Error) => self.land(Outcome::Fenced, out),
            // A fill that always outlives its lease would be elected, and fenced, for ever.
            (Caller::Filled, OnFenced::Ride) if self.rode && !self.is_patient() => {
                self.land(Outcome::Fenced, out);
            }
            (Caller::Filled, OnFenced::Ride) if self.rode => self.claim(out),
            (Caller::Filled, OnFenced::Ride) => {
                // The caller has not waited for anybody yet, so its patience begins now. Its floor
                // stands: a lease that was handed on tells nothing of those granted before its call.
                self.patience = super::patience(&self.policy, self.now);
                self.waited = true;
                self.rode = true;
                self.claim(out);
            }
            (Caller::TookOver, _) => {
                self.waited = true;
                self.claim(out);
            }
        }
    }

    /// When the caller will not wait for a publish any longer; it waits for that of its own value.
    pub(super) fn publishing_patience(&self, publishing: Publishing) -> Instant {
        match publishing.caller {
            Caller::TookOver => self.patience,
            Caller::Filled | Caller::Gone => Instant::NEVER,
        }
    }
}
