//! The caller's fill runs: `Filling`, `FillingLocally`.

use core::time::Duration;

use super::hold::{Hold, Renewal, SHORTEST_INTERVAL};
use super::publishing::Caller;
use super::{Flight, State};
use crate::{
    Attempt, Command, Commands, Event, FillResult, Instant, Lease, Outcome, Revision, Token,
    Verdict, Warning,
};

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
            FillResult::Value => self.publish(hold, out),
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

    fn warn(&self, hold: Hold, warning: Warning, out: &mut Commands) {
        out.push(Command::WarnLeaseLost {
            token: Some(hold.lease.token),
            warning,
        });
    }

    fn overdue(&self) -> Instant {
        self.policy.fill_timeout.map_or(Instant::NEVER, |timeout| {
            self.now.after(timeout.max(SHORTEST_INTERVAL))
        })
    }
}
