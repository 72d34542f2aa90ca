//! Looking for a value or a lease: `Claiming`, `Waiting`, `BackingOff`.

use core::time::Duration;

use super::{Flight, State};
use crate::{
    Attempt, Command, Commands, Event, Instant, Judgement, OnUnavailable, Outcome, Revision, Token,
    Verdict,
};

/// The least time to wait for another's lease to lapse, so that a store which rounds what remains
/// down to nothing is not asked in a loop.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

impl Flight {
    pub(super) fn claim(&mut self, out: &mut Commands) {
        let claim = self.next_attempt();
        out.push(Command::Claim {
            attempt: claim,
            seen: self.seen,
        });
        self.state = State::Claiming {
            claim,
            sent: self.now,
            seen: self.seen,
            freed: false,
        };
    }

    /// The store cannot be reached: do without it, or say so.
    pub(super) fn degrade(&mut self, out: &mut Commands) {
        match self.policy.on_unavailable {
            OnUnavailable::RunLocal => {
                self.unwatch(out);
                self.fill_locally(out);
            }
            OnUnavailable::Error => self.land(Outcome::Unavailable, out),
        }
    }

    pub(super) fn claiming(
        &mut self,
        claim: Attempt,
        sent: Instant,
        seen: Revision,
        freed: bool,
        event: Event,
        out: &mut Commands,
    ) {
        match event {
            Event::LeaseGranted {
                token,
                remaining,
                generation,
                ..
            } => {
                self.raise_floor(claim, Some(token));
                if generation > self.seen {
                    self.note(Verdict {
                        revision: generation,
                        token: None,
                        judgement: Judgement::Absent,
                    });
                }
                self.unwatch(out);
                self.fill(token, sent, remaining, generation, out);
            }
            Event::Held {
                token, remaining, ..
            } => {
                self.raise_floor(claim, token);
                if self.policy.wait_timeout.is_zero() {
                    return self.time_out(out);
                }
                self.waited = true;
                if freed {
                    // The release was heard before this answer, and may have come after it in the
                    // store: nobody will tell of it again.
                    return self.back_off(out);
                }
                self.wait(remaining);
                if !self.watching {
                    self.watching = true;
                    out.push(Command::Watch);
                }
            }
            Event::Newer {
                latest, verdict, ..
            } => {
                self.raise_floor(claim, latest);
                if self.lands_on(verdict, out) {
                    return;
                }
                if verdict.revision > seen {
                    self.note(verdict);
                    self.claim(out);
                } else if self.policy.wait_timeout.is_zero() {
                    self.time_out(out);
                } else {
                    // Not newer than what was sent: a store that answers so would be asked in a loop.
                    self.strike();
                    self.back_off(out);
                }
            }
            Event::KeyEvent { verdict } => {
                if verdict.revision >= self.seen && self.lands_on(verdict, out) {
                    self.depart(claim, sent);
                } else {
                    self.note(verdict);
                }
            }
            Event::LockReleased => {
                self.state = State::Claiming {
                    claim,
                    sent,
                    seen,
                    freed: true,
                };
            }
            Event::WatchLost => self.watching = false,
            Event::Unavailable { .. } => self.degrade(out),
            Event::Refused { .. } => self.land(Outcome::Refused, out),
            Event::WatchRefused if self.watching => {
                self.watching = false;
                self.land(Outcome::Refused, out);
                self.depart(claim, sent);
            }
            Event::Malformed { .. } => self.land(Outcome::Malformed, out),
            Event::Abandoned => {
                self.unwatch(out);
                self.depart(claim, sent);
            }
            Event::HandedOver {
                policy,
                started,
                known,
                floor,
            } => self.hand_over(policy, started, known, floor),
            Event::Tick => {
                if self.now >= sent.after(self.store_timeout()) {
                    self.degrade(out);
                } else if self.now >= self.patience {
                    self.time_out(out);
                    self.depart(claim, sent);
                }
            }
            Event::LockHeld { .. }
            | Event::WatchRefused
            | Event::Renewed { .. }
            | Event::LeaseLost { .. }
            | Event::FillDone { .. }
            | Event::Published { .. }
            | Event::Fenced { .. }
            | Event::Released { .. } => {}
        }
    }

    pub(super) fn waiting(&mut self, lapse: Instant, event: Event, out: &mut Commands) {
        match event {
            Event::KeyEvent { verdict } => {
                self.strikes = 0;
                if verdict.revision < self.seen || !self.lands_on(verdict, out) {
                    self.note(verdict);
                }
            }
            Event::LockReleased => {
                self.strikes = 0;
                self.back_off(out);
            }
            Event::LockHeld { remaining } => {
                self.strikes = 0;
                self.wait(remaining);
            }
            Event::WatchLost => {
                // Is the store still there? A claim tells, and is itself bounded.
                self.watching = false;
                self.strike();
                self.back_off(out);
            }
            Event::WatchRefused => {
                self.watching = false;
                self.land(Outcome::Refused, out);
            }
            Event::Abandoned => self.leave(out),
            Event::HandedOver {
                policy,
                started,
                known,
                floor,
            } => {
                self.hand_over(policy, started, known, floor);
                if self.policy.wait_timeout.is_zero() {
                    self.time_out(out);
                }
            }
            Event::Tick => {
                if self.now >= self.patience {
                    self.time_out(out);
                } else if self.now >= lapse {
                    self.back_off(out);
                }
            }
            Event::LeaseGranted { .. }
            | Event::Held { .. }
            | Event::Newer { .. }
            | Event::Renewed { .. }
            | Event::LeaseLost { .. }
            | Event::FillDone { .. }
            | Event::Published { .. }
            | Event::Fenced { .. }
            | Event::Released { .. }
            | Event::Unavailable { .. }
            | Event::Refused { .. }
            | Event::Malformed { .. } => {}
        }
    }

    pub(super) fn backing_off(&mut self, until: Instant, event: Event, out: &mut Commands) {
        match event {
            Event::KeyEvent { verdict } => {
                if verdict.revision < self.seen || !self.lands_on(verdict, out) {
                    self.note(verdict);
                }
            }
            // Somebody was quicker. Without a watch nobody would tell when that one is done.
            Event::LockHeld { remaining } if self.watching => self.wait(remaining),
            Event::WatchLost => self.watching = false,
            Event::WatchRefused if self.watching => {
                self.watching = false;
                self.land(Outcome::Refused, out);
            }
            Event::Abandoned => self.leave(out),
            Event::HandedOver {
                policy,
                started,
                known,
                floor,
            } => {
                self.hand_over(policy, started, known, floor);
                if self.policy.wait_timeout.is_zero() {
                    self.time_out(out);
                }
            }
            Event::Tick => {
                // The lock may be free, so a claim that is due comes before the time-out.
                if self.now >= until && until < self.patience {
                    self.claim(out);
                } else if self.now >= self.patience {
                    self.time_out(out);
                }
            }
            Event::LockReleased
            | Event::LockHeld { .. }
            | Event::WatchRefused
            | Event::LeaseGranted { .. }
            | Event::Held { .. }
            | Event::Newer { .. }
            | Event::Renewed { .. }
            | Event::LeaseLost { .. }
            | Event::FillDone { .. }
            | Event::Published { .. }
            | Event::Fenced { .. }
            | Event::Released { .. }
            | Event::Unavailable { .. }
            | Event::Refused { .. }
            | Event::Malformed { .. } => {}
        }
    }

    /// Lands if the verdict ends the call.
    fn lands_on(&mut self, verdict: Verdict, out: &mut Commands) -> bool {
        let outcome = if self.satisfied_by(verdict) {
            let revision = verdict.revision;
            if self.waited {
                Outcome::Awaited {
                    revision: Some(revision),
                }
            } else {
                Outcome::Cached {
                    revision,
                    stale: false,
                }
            }
        } else if verdict.judgement == Judgement::Malformed {
            Outcome::Malformed
        } else {
            return false;
        };
        self.land(outcome, out);
        true
    }

    fn wait(&mut self, remaining: Option<Duration>) {
        let remaining = remaining.unwrap_or(self.policy.lease_ttl);
        self.state = State::Waiting {
            lapse: self.now.after(remaining.max(SHORTEST_WAIT)),
        };
    }

    fn back_off(&mut self, out: &mut Commands) {
        let until = self.now.after(self.pause());
        if until < self.patience {
            self.state = State::BackingOff { until };
        } else {
            // No time for a pause: the lock may be free for the taking.
            self.claim(out);
        }
    }

    pub(super) fn strike(&mut self) {
        self.strikes = self.strikes.saturating_add(1);
    }

    /// The first answer to a claim sent since the call began tells which leases were granted before.
    fn raise_floor(&mut self, claim: Attempt, token: Option<Token>) {
        if self.floor.is_none() && claim.get() > self.boarded {
            self.floor = token;
        }
    }

    fn leave(&mut self, out: &mut Commands) {
        self.unwatch(out);
        self.state = State::Landed;
    }

    /// The caller is gone, or landed, while its claim is at the store.
    fn depart(&mut self, claim: Attempt, sent: Instant) {
        self.state = State::Departing {
            claim,
            until: sent.after(self.store_timeout()),
        };
    }
}
