//! A lease in hand, and its renewals.

use core::time::Duration;

use super::{Deadline, Flight, State, Why};
use crate::{Attempt, Command, Commands, Event, Instant, Lease};

/// The least time between two renewals, however short the lease, and before a fill is overdue.
pub(super) const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// A lease in hand and what is being done to keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Hold {
    pub(super) lease: Lease,
    /// When the fill has run for too long; `NEVER` once it was warned.
    pub(super) overdue: Instant,
    pub(super) renewal: Renewal,
    /// The store has said that the lease is gone.
    pub(super) taken: bool,
    /// The fill was told that the lease has lapsed.
    pub(super) warned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) enum Renewal {
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

impl Flight {
    pub(super) fn unless_taken(&mut self, hold: Hold, out: &mut Commands) {
        if hold.taken {
            self.state = State::Landed;
        } else {
            self.release(hold.lease, out);
        }
    }

    /// Sends a renewal that is due, or whose answer is.
    pub(super) fn renew(&mut self, hold: &mut Hold, out: &mut Commands) {
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

    pub(super) fn renewal_answered(&mut self, hold: &mut Hold, event: Event) {
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
    pub(super) fn renew_at(&self, sent: Instant, ttl: Duration) -> Instant {
        sent.after(ttl / 3).max(self.now.after(SHORTEST_INTERVAL))
    }
}
