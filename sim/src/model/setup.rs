//! What a search is about: its bounds.

use std::time::Duration;

use oneflight_core::Policy;

use crate::bugs::Bug;

/// The shortest time there is in a machine: so all that the callers of a search measure falls on few
/// moments, and few states differ in nothing but when.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// The bounds of a search.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How many processes.
    pub nodes: usize,
    /// How many callers, spread over the processes: each calls once, at any moment.
    pub callers: usize,
    /// How many faults, at most.
    pub faults: u8,
    /// Of which kinds.
    pub kinds: Vec<Kind>,
    /// What the key holds at first.
    pub start: Start,
    /// What the callers want.
    pub wants: Wants,
    /// The rules of all callers.
    pub policy: Policy,
    /// With this bug.
    pub bug: Option<Bug>,
    /// How many states to visit, at most.
    pub limit: usize,
}

/// What goes wrong in a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A process is killed.
    Crash,
    /// A process stands still, while time passes: its lease may lapse.
    Pause,
    /// A request or an answer takes any time, and may never come: it is lost.
    Late,
    /// A request or an answer is lost and its sender told so, or a watch ends.
    Broken,
    /// A request is carried out twice.
    Repeat,
    /// A caller leaves before its call has ended.
    Cancel,
    /// A fill returns an error.
    Error,
    /// A fill panics.
    Panic,
    /// A fill takes longer than nothing: as long as it likes.
    Slow,
    /// The key is forgotten.
    Forget,
    /// The store does not permit a request.
    Denied,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Crash,
        Self::Pause,
        Self::Late,
        Self::Broken,
        Self::Repeat,
        Self::Cancel,
        Self::Error,
        Self::Panic,
        Self::Slow,
        Self::Forget,
        Self::Denied,
    ];

    /// What the word is for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Pause => "pause",
            Self::Late => "late or lost",
            Self::Broken => "broken",
            Self::Repeat => "repeated",
            Self::Cancel => "cancel",
            Self::Error => "fill error",
            Self::Panic => "fill panic",
            Self::Slow => "slow fill",
            Self::Forget => "forget",
            Self::Denied => "denied",
        }
    }
}

/// What the key holds at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nothing.
    Absent,
    /// A value from before all calls.
    Old,
    /// A value that does not decode; the callers treat it as absent.
    Garbled,
}

/// What satisfies the callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Any value.
    Any,
    /// A value written since the call began.
    Newer,
    /// No value, by the predicate; one that was computed since the call began, by rule.
    Computed,
}

impl Setup {
    /// Callers on a process each, who want any value of a key that holds none; nothing goes wrong.
    #[must_use]
    pub fn new(callers: usize) -> Self {
        Self {
            nodes: callers,
            callers,
            faults: 0,
            kinds: Vec::new(),
            start: Start::Absent,
            wants: Wants::Any,
            policy: Policy {
                lease_ttl: 3 * TICK,
                wait_timeout: 4 * TICK,
                store_timeout: TICK,
                max_backoff: Duration::ZERO,
                ..Policy::DEFAULT
            },
            bug: None,
            limit: usize::MAX,
        }
    }

    /// So many faults of these kinds.
    #[must_use]
    pub fn faults(mut self, faults: u8, kinds: &[Kind]) -> Self {
        self.faults = faults;
        self.kinds = kinds.to_vec();
        self
    }

    pub(super) fn keeps_claims_idempotent(&self) -> bool {
        self.bug != Some(Bug::GhostLease)
    }
}
