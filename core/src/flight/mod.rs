//! One call's way from "not fresh" to its landing.
//!
//! A [`Flight`] is told facts ([`Event`]) and answers with orders ([`Commands`]). It never sees a
//! value, a clock or a socket, so a run of it is a pure function of its policy and its events.
//!
#![doc = include_str!("states.md")]
//!
//! # The life of a flight
//!
//! ```
//! use core::time::Duration;
//! use oneflight_core::{
//!     Attempt, Command, Event, FillResult, Flight, Instant, Outcome, Policy, Revision, Token, Verdict,
//! };
//!
//! let at = |ms: u64| Instant::from_nanos(ms * 1_000_000);
//! let (one, two, three) = (Attempt::new(1), Attempt::new(2), Attempt::new(3));
//! let token = Token::new(7).unwrap();
//!
//! // ── start ─▶ Claiming ──
//! let (mut flight, commands) = Flight::launch(Policy::DEFAULT, Verdict::UNKNOWN, at(0));
//! assert_eq!(commands, [Command::Claim { attempt: one, seen: Revision::NEVER }]);
//!
//! // ── granted ─▶ Filling ── the driver runs the caller's fill ──
//! let commands = flight.handle(at(1), Event::LeaseGranted {
//!     attempt: one, token, remaining: Duration::from_secs(30), generation: Revision::NEVER,
//! });
//! let lease = flight.lease().unwrap();
//! assert_eq!(commands, [Command::Fill { attempt: two, lease: Some(lease) }]);
//! assert_eq!(flight.deadline().unwrap().at, at(10_000)); // a renewal, at a third of the ttl
//!
//! // ── done ─▶ Publishing ──
//! let commands = flight.handle(at(900), Event::FillDone { attempt: two, result: FillResult::Value });
//! assert_eq!(commands, [Command::Publish { attempt: three, token }]);
//!
//! // ── published ─▶ Landed ──
//! let revision = Revision::new(8);
//! let commands = flight.handle(at(901), Event::Published { attempt: three, revision });
//! assert_eq!(commands, [Command::Land(Outcome::Computed { revision: Some(revision) })]);
//! assert_eq!(flight.deadline(), None);
//! ```
//!
//! # The loop a driver writes
//!
//! Carry out the commands of every step, in order. Come back with whatever they bring, and with a
//! `Tick` at [`Flight::deadline`], which may have changed after any step. A command that cannot be
//! carried out ends as [`Event::Unavailable`]. That is all: a forgotten event delays a flight until
//! its next deadline, a repeated one changes nothing.
//!
//! # Guarantees
//!
//! `handle` is total and takes constant time; it never panics and never allocates; `Land` comes exactly
//! once unless the caller leaves first, and after it only clean-up; a landed flight has no deadline;
//! after a `Tick` at its deadline, the deadline is later or gone; an earlier `now` counts as the last.

mod call;
mod cleanup;
mod deadline;
mod filling;
mod hold;
mod publishing;
mod seek;

use core::time::Duration;

use crate::{
    Attempt, Command, Commands, Event, Instant, Judgement, Lease, Outcome, Policy, Revision, Token,
    Verdict,
};
pub(crate) use call::Call;
use call::patience;
pub use deadline::{Deadline, Why};
use hold::Hold;
use publishing::Publishing;

/// The least time the store is given for an answer.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);

/// One process's attempt to get a fresh value of a key.
///
/// At most 256 bytes, no heap. See the [module](self) for its states and for the loop around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Flight {
    policy: Policy,
    state: State,
    /// The last moment told; time never goes back.
    now: Instant,
    /// When the caller will not wait for others any longer.
    patience: Instant,
    /// The state of the jitter's generator.
    dice: u64,
    /// The last revision of the key that is known and did not satisfy.
    seen: Revision,
    /// The value to serve at a time-out, or `NEVER`: it is the one at `seen`.
    stale: Revision,
    /// The highest token granted when the call began: a value published under a later one was
    /// computed from data no older than the call, so it satisfies whatever the predicate says.
    floor: Option<Token>,
    /// The number of the last command.
    attempts: u32,
    /// The number of the last command before the caller came; 0 for the first caller.
    boarded: u32,
    /// Failures in a row, for the backoff.
    strikes: u8,
    /// A watch is open.
    watching: bool,
    /// The call has waited for another's fill: a value it finds then was awaited.
    waited: bool,
    /// The caller's own fill was fenced before, and it has ridden on; its patience counts from then.
    rode: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum State {
    /// A claim is at the store, sent with `seen`; `freed` once a release was heard meanwhile.
    Claiming {
        claim: Attempt,
        sent: Instant,
        seen: Revision,
        freed: bool,
    },
    /// Somebody else holds the lease; look again when it must have lapsed.
    Waiting { lapse: Instant },
    /// The lease may be free; claim again after a pause.
    BackingOff { until: Instant },
    /// The caller's fill runs under a lease.
    Filling { fill: Attempt, hold: Hold },
    /// The caller's fill runs without a lease; warned when it is overdue.
    FillingLocally { fill: Attempt, overdue: Instant },
    /// The fill's value is at the store.
    Publishing { publishing: Publishing, hold: Hold },
    /// The caller is gone, its claim still at the store: a grant must not leak.
    Departing { claim: Attempt, until: Instant },
    /// The call has landed or the caller is gone; the lease is being freed.
    Releasing {
        release: Attempt,
        token: Token,
        resend: Instant,
        until: Instant,
    },
    /// Nothing is left to do.
    Landed,
}

/// Where a flight stands: a view for people and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Phase {
    /// A claim is at the store.
    Claiming,
    /// Somebody else holds the lease.
    Waiting,
    /// A pause before the next claim.
    BackingOff,
    /// The fill runs under a lease, or waits for its caller to judge what had come before.
    Filling,
    /// The fill runs without a lease, or waits for its caller's judgement, too.
    FillingLocally,
    /// The value is at the store.
    Publishing,
    /// The caller is gone; its claim is still at the store.
    Departing,
    /// The call has ended; the lease is being freed.
    Releasing,
    /// Nothing is left to do.
    Landed,
}

impl Flight {
    /// Starts the flight of a call that begins now, for a caller who judges what it knows of the
    /// key as `known` ([`Verdict::UNKNOWN`] if it knows nothing).
    pub fn launch(policy: Policy, known: Verdict, now: Instant) -> (Self, Commands) {
        let call = Call {
            policy,
            known,
            started: now,
            floor: None,
            now,
        };
        call.claim()
    }

    /// Takes a fact and answers with orders.
    ///
    /// Total: what is late, repeated or impossible changes nothing, except that a lease granted to
    /// nobody is released.
    pub fn handle(&mut self, now: Instant, event: Event) -> Commands {
        self.now = self.now.max(now);
        let mut commands = Commands::none();
        let out = &mut commands;
        match event.attempt() {
            Some(attempt) if !self.awaits(attempt) || self.is_odd(event) => self.late(event, out),
            _ => match self.state {
                State::Claiming {
                    claim,
                    sent,
                    seen,
                    freed,
                } => self.claiming(claim, sent, seen, freed, event, out),
                State::Waiting { lapse } => self.waiting(lapse, event, out),
                State::BackingOff { until } => self.backing_off(until, event, out),
                State::Filling { fill, hold } => self.filling(fill, hold, event, out),
                State::FillingLocally { fill, overdue } => {
                    self.filling_locally(fill, overdue, event, out);
                }
                State::Publishing { publishing, hold } => {
                    self.publishing(publishing, hold, event, out);
                }
                State::Departing { until, .. } => self.departing(until, event, out),
                State::Releasing { .. } => self.releasing(event, out),
                State::Landed => {}
            },
        }
        commands
    }

    /// Where the flight stands.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self.state {
            State::Claiming { .. } => Phase::Claiming,
            State::Waiting { .. } => Phase::Waiting,
            State::BackingOff { .. } => Phase::BackingOff,
            State::Filling { .. } => Phase::Filling,
            State::FillingLocally { .. } => Phase::FillingLocally,
            State::Publishing { .. } => Phase::Publishing,
            State::Departing { .. } => Phase::Departing,
            State::Releasing { .. } => Phase::Releasing,
            State::Landed => Phase::Landed,
        }
    }

    /// The lease the flight fills or publishes under, if it holds one.
    #[must_use]
    pub const fn lease(&self) -> Option<Lease> {
        match self.state {
            State::Filling { hold, .. } | State::Publishing { hold, .. } => Some(hold.lease),
            State::Claiming { .. }
            | State::Waiting { .. }
            | State::BackingOff { .. }
            | State::FillingLocally { .. }
            | State::Departing { .. }
            | State::Releasing { .. }
            | State::Landed => None,
        }
    }

    /// The rules of the caller whose flight this is now.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// When the caller will not wait for others any longer.
    pub(crate) const fn patience(&self) -> Instant {
        self.patience
    }

    /// The revision that the caller has judged stale, and is to be replaced.
    pub(crate) const fn stale(&self) -> Revision {
        self.stale
    }

    /// Whether this claim is at the store, and its answer awaited.
    pub(crate) fn has_claimed(&self, claim: Attempt) -> bool {
        self.phase() == Phase::Claiming && self.awaits(claim)
    }

    /// Whether a grant to this claim is for replacing a revision that the caller has not judged: the
    /// claim was sent by the one before, who had.
    pub(crate) fn overlooks(&self, attempt: Attempt, generation: Revision) -> bool {
        matches!(
            self.state,
            State::Claiming { claim, seen, .. }
                if claim == attempt && self.seen < generation && generation <= seen
        )
    }

    /// Whether the caller's own value is at the store.
    pub(crate) fn publishes_its_own(&self) -> bool {
        matches!(self.state, State::Publishing { publishing, .. } if publishing.is_the_callers_own())
    }

    /// Whether the call has waited for another's fill.
    pub(crate) const fn has_waited(&self) -> bool {
        self.waited
    }

    /// Whether the caller still waits for others: one that never waits does not.
    fn is_patient(&self) -> bool {
        !self.policy.wait_timeout.is_zero() && self.now < self.patience
    }

    /// Whether an answer to this attempt means something now.
    fn awaits(&self, attempt: Attempt) -> bool {
        match self.state {
            State::Claiming { claim, .. } | State::Departing { claim, .. } => attempt == claim,
            State::Filling { fill, hold } => attempt == fill || hold.renews(attempt),
            State::FillingLocally { fill, .. } => attempt == fill,
            State::Publishing { publishing, hold } => {
                attempt == publishing.publish || hold.renews(attempt)
            }
            State::Releasing { release, .. } => attempt == release,
            State::Waiting { .. } | State::BackingOff { .. } | State::Landed => false,
        }
    }

    /// A grant that answers anything but a claim: no store sends it, and its lease must not leak.
    fn is_odd(&self, event: Event) -> bool {
        matches!(event, Event::LeaseGranted { .. })
            && !matches!(self.phase(), Phase::Claiming | Phase::Departing)
    }

    /// An answer nobody waits for: a lease that came too late must not leak.
    fn late(&mut self, event: Event, out: &mut Commands) {
        if let Event::LeaseGranted { token, .. } = event
            && self.lease().is_none_or(|lease| lease.token != token)
        {
            let attempt = self.next_attempt();
            out.push(Command::Release { attempt, token });
        }
    }

    fn next_attempt(&mut self) -> Attempt {
        self.attempts = self.attempts.saturating_add(1);
        Attempt::new(self.attempts)
    }

    /// Takes note of a revision that does not satisfy.
    fn note(&mut self, verdict: Verdict) {
        if verdict.revision >= self.seen {
            self.seen = verdict.revision;
            self.stale = match verdict.judgement {
                Judgement::Stale => verdict.revision,
                Judgement::Absent | Judgement::Fresh | Judgement::Malformed => Revision::NEVER,
            };
        }
    }

    /// Whether a value satisfies the caller.
    fn satisfied_by(&self, verdict: Verdict) -> bool {
        match verdict.judgement {
            Judgement::Fresh => true,
            Judgement::Stale => is_after(verdict.token, self.floor),
            Judgement::Absent | Judgement::Malformed => false,
        }
    }

    /// Ends the call; only clean-up may follow.
    fn land(&mut self, outcome: Outcome, out: &mut Commands) {
        self.unwatch(out);
        out.push(Command::Land(outcome));
        self.state = State::Landed;
    }

    fn time_out(&mut self, out: &mut Commands) {
        self.land(self.overtime(), out);
    }

    /// How a call ends whose time is over.
    const fn overtime(&self) -> Outcome {
        if self.stale.get() > Revision::NEVER.get() {
            Outcome::Cached {
                revision: self.stale,
                stale: true,
            }
        } else {
            Outcome::TimedOut
        }
    }

    /// How long to wait for an answer: not nothing, lest what is not answered be sent in a loop.
    pub(crate) fn store_timeout(&self) -> Duration {
        self.policy.store_timeout.max(SHORTEST_TIMEOUT)
    }

    fn unwatch(&mut self, out: &mut Commands) {
        if self.watching {
            self.watching = false;
            out.push(Command::Unwatch);
        }
    }

    /// Another caller takes the place of the one before.
    fn hand_over(
        &mut self,
        policy: Policy,
        started: Instant,
        known: Verdict,
        floor: Option<Token>,
    ) {
        self.policy = policy;
        self.patience = patience(&policy, started);
        // What the one before has seen, the new caller has perhaps not, and it might satisfy it.
        self.seen = Revision::NEVER;
        self.stale = Revision::NEVER;
        self.floor = floor;
        self.boarded = self.attempts;
        self.rode = false;
        self.note(known);
    }

    /// A pause: uniform over a window that doubles with every failure in a row ("full jitter").
    fn pause(&mut self) -> Duration {
        const FLOOR: Duration = Duration::from_millis(1);
        let window = (self.policy.max_backoff / 64)
            .saturating_mul(1 << self.strikes.min(6))
            .max(FLOOR);
        // SplitMix64 (Steele, Lea, Flood 2014): one addition and a mix, good enough for jitter.
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let share = (z >> 32) as u32;
        let nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let pause = (u128::from(nanos) * u128::from(share)) >> 32;
        Duration::from_nanos(u64::try_from(pause).unwrap_or(u64::MAX)).max(FLOOR)
    }
}

/// Whether a value's lease was granted after this floor.
pub(crate) fn is_after(token: Option<Token>, floor: Option<Token>) -> bool {
    match (token, floor) {
        (Some(token), Some(floor)) => token > floor,
        (None, _) | (_, None) => false,
    }
}
