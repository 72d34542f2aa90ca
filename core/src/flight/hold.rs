//! Holding the right to fill: `Filling`, `FillingLocally`, `Publishing`.

use core::time::Duration;

use super::{Deadline, Flight, State, Why};
use crate::{
    Attempt, Command, Commands, Event, FillResult, Instant, Lease, OnFenced, OnUnavailable,
    Outcome, Revision, Token, Unpublished, Verdict, Warning,
};

/// The least time between two renewals, however short the lease, and before a fill is overdue.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// A lease in hand and what is being done to keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Hold {
    pub(super) lease: Lease,
    /// When the fill has run for too long; `NEVER` once it was warned.
    pub(super) overdue: Instant,
    renewal: Renewal,
    /// The store has said that the lease is gone.
    taken: bool,
    /// The fill was told that the lease has lapsed.
    warned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Renewal {
    Due(Instant),
    /// At the store. Repeated under its own number, so that the first answer to come counts, however
    /// slow the store; the lease then lives from when it was first `sent`.
    Sent {
        attempt: Attempt,
        sent: Instant,
        resend: Instant,
    },
    Stopped,
}

impl Hold {
    pub(super) fn renews(&self, attempt: Attempt) -> bool {
        matches!(self.renewal, Renewal::Sent { attempt: sent, .. } if sent == attempt)
    }

    /// When the fill is to be told that the lease has lapsed.
    pub(super) fn lapse(&self) -> Instant {
        if self.warned || self.taken {
            Instant::NEVER
        } else {
            self.lease.expires
        }
    }
}

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
enum Caller {
    Filled,
    TookOver,
    Gone,
}

impl Flight {
    /// Begins the caller's fill under a lease that was asked for at `sent`.
    pub(super) fn fill(
        &mut self,
        token: Token,
        sent: Instant,
        remaining: Duration,
        generation: Revision,
        out: &mut Commands,
    ) {
        let ttl = remaining.min(self.policy.lease_ttl);
        let lease = Lease {
            token,
            expires: sent.after(ttl),
            generation,
        };
        let fill = self.next_attempt();
        out.push(Command::Fill {
            attempt: fill,
            lease: Some(lease),
        });
        self.state = State::Filling {
            fill,
            hold: Hold {
                lease,
                overdue: self.overdue(),
                renewal: Renewal::Due(self.renew_at(sent, ttl)),
                taken: false,
                warned: false,
            },
        };
    }

    /// Begins the caller's fill without a lease.
    pub(super) fn fill_locally(&mut self, out: &mut Commands) {
        let fill = self.next_attempt();
        out.push(Command::Fill {
            attempt: fill,
            lease: None,
        });
        self.state = State::FillingLocally {
            fill,
            overdue: self.overdue(),
        };
    }

    pub(super) fn filling(
        &mut self,
        fill: Attempt,
        mut hold: Hold,
        event: Event,
        out: &mut Commands,
    ) {
        match event {
            Event::FillDone { attempt, result } if attempt == fill => {
                return self.fill_done(hold, result, out);
            }
            Event::Unavailable { attempt }
            | Event::Refused { attempt }
            | Event::Malformed { attempt }
                if attempt == fill =>
            {
                return self.fill_done(hold, FillResult::Error, out);
            }
            Event::Renewed { .. } | Event::Unavailable { .. } => {
                self.renewal_answered(&mut hold, event)
            }
            Event::Refused { .. } | Event::Malformed { .. } => hold.renewal = Renewal::Stopped,
            Event::LeaseLost { attempt } if hold.renews(attempt) => {
                hold.renewal = Renewal::Stopped;
                hold.taken = true;
                self.warn(hold, Warning::Taken, out);
            }
            Event::Abandoned => {
                if hold.taken {
                    self.state = State::Landed;
                } else {
                    self.release(hold.lease, out);
                }
                return;
            }
            Event::HandedOver {
                policy,
                started,
                known,
                floor,
            } => {
                self.hand_over(policy, started, known, floor);
                if hold.taken {
                    // What is lost cannot be handed on.
                    self.waited = true;
                    return self.claim(out);
                }
                let fill = self.next_attempt();
                out.push(Command::Fill {
                    attempt: fill,
                    lease: Some(hold.lease),
                });
                hold.overdue = self.overdue();
                // The new fill has not been told of a lapse.
                hold.warned = false;
                if !matches!(hold.renewal, Renewal::Due(_)) {
                    // Renewals begin anew, and an answer on its way was asked for another ttl.
                    hold.renewal = Renewal::Due(self.now);
                }
                self.state = State::Filling { fill, hold };
                return;
            }
            Event::Tick => {
                if self.now >= hold.overdue {
                    hold.overdue = Instant::NEVER;
                    hold.renewal = Renewal::Stopped;
                    self.warn(hold, Warning::Overdue, out);
                }
                self.renew(&mut hold, out);
                if self.now >= hold.lapse() {
                    hold.warned = true;
                    self.warn(hold, Warning::Lapsed, out);
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
            | Event::LeaseLost { .. }
            | Event::FillDone { .. }
            | Event::Published { .. }
            | Event::Fenced { .. }
            | Event::Released { .. } => {}
        }
        self.state = State::Filling { fill, hold };
    }

    /// The fill that was ordered is to begin only now: it was held until its caller had judged what came
    /// before. A lease that was lost meanwhile is not filled under.
    pub(crate) fn fill_after_all(&mut self, now: Instant, known: Verdict) -> Commands {
        self.now = self.now.max(now);
        self.note(known);
        let mut out = Commands::none();
        match self.state {
            State::Filling { hold, .. } if hold.taken => {
                self.waited = true;
                self.claim(&mut out);
            }
            State::Filling { fill, mut hold } => {
                out.push(Command::Fill {
                    attempt: fill,
                    lease: Some(hold.lease),
                });
                // Nobody was warned yet, and the fill has all its time.
                hold.overdue = self.overdue();
                hold.warned = false;
                if hold.renewal == Renewal::Stopped {
                    hold.renewal = Renewal::Due(self.now);
                }
                self.state = State::Filling { fill, hold };
            }
            State::FillingLocally { fill, .. } => {
                out.push(Command::Fill {
                    attempt: fill,
                    lease: None,
                });
                let overdue = self.overdue();
                self.state = State::FillingLocally { fill, overdue };
            }
            State::Claiming { .. }
            | State::Waiting { .. }
            | State::BackingOff { .. }
            | State::Publishing { .. }
            | State::Departing { .. }
            | State::Releasing { .. }
            | State::Landed => {}
        }
        out
    }

    fn fill_done(&mut self, hold: Hold, result: FillResult, out: &mut Commands) {
        match result {
            FillResult::Panic => {
                self.unless_taken(hold, out);
                self.land_over(Outcome::Panicked, out);
            }
            // What the fill made of a lost lease is moot: the newer holder's result stands.
            FillResult::Value | FillResult::Error if hold.taken => {
                self.fenced(Caller::Filled, out);
            }
            FillResult::Error => {
                self.unless_taken(hold, out);
                self.land_over(Outcome::Aborted, out);
            }
            FillResult::Value => {
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
        }
    }

    pub(super) fn filling_locally(
        &mut self,
        fill: Attempt,
        overdue: Instant,
        event: Event,
        out: &mut Commands,
    ) {
        match event {
            Event::FillDone { result, .. } => match result {
                FillResult::Value => {
                    out.push(Command::Put { seen: self.seen });
                    self.land(Outcome::Computed { revision: None }, out);
                }
                FillResult::Error => self.land(Outcome::Aborted, out),
                FillResult::Panic => self.land(Outcome::Panicked, out),
            },
            Event::Unavailable { .. } | Event::Refused { .. } | Event::Malformed { .. } => {
                self.land(Outcome::Aborted, out);
            }
            Event::Abandoned => self.state = State::Landed,
            Event::HandedOver {
                policy,
                started,
                known,
                floor,
            } => {
                self.hand_over(policy, started, known, floor);
                self.degrade(out);
            }
            Event::Tick => {
                if self.now >= overdue {
                    out.push(Command::WarnLeaseLost {
                        token: None,
                        warning: Warning::Overdue,
                    });
                    self.state = State::FillingLocally {
                        fill,
                        overdue: Instant::NEVER,
                    };
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
            | Event::Renewed { .. }
            | Event::LeaseLost { .. }
            | Event::Published { .. }
            | Event::Fenced { .. }
            | Event::Released { .. } => {}
        }
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
    fn fenced(&mut self, caller: Caller, out: &mut Commands) {
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

    fn unless_taken(&mut self, hold: Hold, out: &mut Commands) {
        if hold.taken {
            self.state = State::Landed;
        } else {
            self.release(hold.lease, out);
        }
    }

    /// Lands while the clean-up goes on.
    fn land_over(&mut self, outcome: Outcome, out: &mut Commands) {
        out.push(Command::Land(outcome));
    }

    fn warn(&self, hold: Hold, warning: Warning, out: &mut Commands) {
        out.push(Command::WarnLeaseLost {
            token: Some(hold.lease.token),
            warning,
        });
    }

    /// Sends a renewal that is due, or whose answer is.
    fn renew(&mut self, hold: &mut Hold, out: &mut Commands) {
        if self.now >= self.renewal_deadline(*hold).at {
            let (attempt, sent) = match hold.renewal {
                Renewal::Sent { attempt, sent, .. }
                    if self.now < sent.after(self.policy.lease_ttl) =>
                {
                    (attempt, sent)
                }
                // Or so old that its answer would prolong nothing.
                Renewal::Sent { .. } | Renewal::Due(_) | Renewal::Stopped => {
                    (self.next_attempt(), self.now)
                }
            };
            let resend = self
                .now
                .after(self.store_timeout().min(self.renew_interval()));
            hold.renewal = Renewal::Sent {
                attempt,
                sent,
                resend,
            };
            out.push(Command::Renew {
                attempt,
                token: hold.lease.token,
            });
        }
    }

    fn renewal_answered(&mut self, hold: &mut Hold, event: Event) {
        if let Renewal::Sent { attempt, sent, .. } = hold.renewal
            && event.attempt() == Some(attempt)
        {
            if let Event::Renewed { .. } = event {
                hold.lease.expires = sent.after(self.policy.lease_ttl);
                hold.warned = false;
                hold.renewal = Renewal::Due(self.renew_at(sent, self.policy.lease_ttl));
                self.strikes = 0;
            } else {
                self.strike();
                let pause = self.pause().min(self.renew_interval());
                hold.renewal = Renewal::Due(self.now.after(pause));
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

    pub(super) fn renewal_deadline(&self, hold: Hold) -> Deadline {
        match hold.renewal {
            Renewal::Due(at) => Deadline {
                at,
                why: Why::Renewal,
            },
            Renewal::Sent { resend, .. } => Deadline {
                at: resend,
                why: Why::StoreTimeout,
            },
            Renewal::Stopped => Deadline {
                at: Instant::NEVER,
                why: Why::Renewal,
            },
        }
    }

    fn renew_interval(&self) -> Duration {
        (self.policy.lease_ttl / 3).max(SHORTEST_INTERVAL)
    }

    /// When a lease that was asked for at `sent` is to be renewed, but not in the past.
    fn renew_at(&self, sent: Instant, ttl: Duration) -> Instant {
        sent.after(ttl / 3).max(self.now.after(SHORTEST_INTERVAL))
    }

    fn overdue(&self) -> Instant {
        self.policy.fill_timeout.map_or(Instant::NEVER, |timeout| {
            self.now.after(timeout.max(SHORTEST_INTERVAL))
        })
    }
}
