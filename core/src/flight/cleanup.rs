//! After the caller has landed or left: `Departing`, `Releasing`.

use super::{Flight, State};
use crate::{Command, Commands, Event, Instant, Lease, Outcome, Token};

impl Flight {
    /// Lands while the clean-up goes on.
    pub(super) fn land_over(&mut self, outcome: Outcome, out: &mut Commands) {
        out.push(Command::Land(outcome));
    }

    /// Frees a lease; repeated until the store has answered or the lease has lapsed by itself.
    pub(super) fn release(&mut self, lease: Lease, out: &mut Commands) {
        self.release_until(lease.token, lease.expires, out);
    }

    fn release_until(&mut self, token: Token, until: Instant, out: &mut Commands) {
        let release = self.next_attempt();
        out.push(Command::Release {
            attempt: release,
            token,
        });
        // A lease that has lapsed by now is released once, and not waited for any longer than the
        // store may take.
        let resend = self.now.after(self.store_timeout());
        self.state = State::Releasing {
            release,
            token,
            resend,
            until: until.max(resend),
        };
    }

    pub(super) fn departing(&mut self, until: Instant, event: Event, out: &mut Commands) {
        match event {
            Event::LeaseGranted {
                token, remaining, ..
            } => {
                let remaining = remaining.min(self.policy.lease_ttl);
                self.release_until(token, self.now.after(remaining), out);
            }
            Event::Held { .. }
            | Event::Newer { .. }
            | Event::Unavailable { .. }
            | Event::Refused { .. }
            | Event::Malformed { .. } => self.state = State::Landed,
            Event::Tick => {
                if self.now >= until {
                    self.state = State::Landed;
                }
            }
            Event::KeyEvent { .. }
            | Event::LockReleased
            | Event::LockHeld { .. }
            | Event::WatchLost
            | Event::WatchRefused
            | Event::Renewed { .. }
            | Event::LeaseLost { .. }
            | Event::FillDone { .. }
            | Event::Published { .. }
            | Event::Fenced { .. }
            | Event::Released { .. }
            | Event::Abandoned
            | Event::HandedOver { .. } => {}
        }
    }

    pub(super) fn releasing(&mut self, event: Event, out: &mut Commands) {
        let State::Releasing {
            release,
            token,
            until,
            resend,
        } = self.state
        else {
            return;
        };
        let resend = match event {
            Event::Released { .. } | Event::Refused { .. } | Event::Malformed { .. } => {
                self.state = State::Landed;
                return;
            }
            Event::Unavailable { .. } => {
                self.strike();
                self.now.after(self.pause())
            }
            Event::Tick => {
                if self.now >= until {
                    self.state = State::Landed;
                    return;
                }
                if self.now < resend {
                    return;
                }
                out.push(Command::Release {
                    attempt: release,
                    token,
                });
                self.now.after(self.store_timeout())
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
            | Event::FillDone { .. }
            | Event::Published { .. }
            | Event::Fenced { .. }
            | Event::Abandoned
            | Event::HandedOver { .. } => return,
        };
        self.state = State::Releasing {
            release,
            token,
            resend,
            until,
        };
    }
}
