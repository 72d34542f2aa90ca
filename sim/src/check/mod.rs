//! The checker: judges a trace by the invariants of the design, in one pass.
//!
//! It reads [trace records](crate::trace), never a simulator's or a driver's insides, so it judges
//! recordings like simulated runs. [`safety`] and [`liveness`] hold the invariants, each a small
//! function; `model` the reference model of a store; `follow` what is remembered of each record.
//!
//! [`safety`]: self
//! [`liveness`]: self
#![expect(
    clippy::wildcard_enum_match_arm,
    clippy::collapsible_match,
    reason = "each looks at a few kinds of records, whatever others there are"
)]

mod commits;
mod follow;
mod liveness;
mod model;
mod recorded;
mod safety;
mod state;
mod told;
mod unwatched;

use std::fmt;

use crate::trace::{Bounds, Fault, Header, Key, Nanos, NodeId, Record, StoreProfile, Trace, What};
use crate::world::Observer;
use state::{CallState, KeyState, NodeState};

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which, by its name in the design.
    pub invariant: &'static str,
    /// When it was seen.
    pub at: Nanos,
    /// Where.
    pub node: NodeId,
    /// The key.
    pub key: Option<Key>,
    /// The calls, moments and numbers.
    pub story: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            invariant,
            at,
            node,
            key,
            story,
        } = self;
        write!(f, "{invariant} at {at} ns, node {node}")?;
        if let Some(key) = key {
            write!(f, ", key k{}", key.0)?;
        }
        write!(f, ": {story}")
    }
}

/// More than this many are not kept.
const MOST_VIOLATIONS: usize = 16;

/// Judges one trace.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    state: State,
    recorded: recorded::Recorded,
    violations: Vec<Violation>,
}

/// What the invariants look at.
#[derive(Clone, Debug, Default)]
struct State {
    profile: StoreProfile,
    bounds: Option<Bounds>,
    /// The store's commits are in the trace.
    sees_store: bool,
    at: Nanos,
    keys: Vec<KeyState>,
    nodes: Vec<NodeState>,
    /// The flight of each request.
    requests: Vec<u64>,
    /// What disturbs everybody.
    troubles: Vec<(Nanos, Nanos, Fault)>,
    /// The last fault of the store that makes its past moot.
    amnesia: bool,
}

impl Checker {
    /// For a trace with this head.
    #[must_use]
    pub fn new(profile: StoreProfile, bounds: Option<Bounds>) -> Self {
        let mut checker = Self::default();
        checker.state.profile = profile;
        checker.state.bounds = bounds;
        checker
    }

    /// For a trace with these heads.
    #[must_use]
    pub fn of(headers: &[Header]) -> Self {
        let first = headers.first();
        Self::new(
            first.map_or(StoreProfile::STRICT, |header| header.store),
            first.and_then(|header| header.bounds),
        )
    }

    /// Judges a whole trace.
    #[must_use]
    pub fn check(trace: &Trace) -> Vec<Violation> {
        let mut checker = Self::of(&trace.headers);
        checker.state.sees_store = trace
            .records
            .iter()
            .any(|record| matches!(record.what, What::Committed { .. }));
        for Record { at, node, what } in &trace.records {
            checker.see(*at, *node, what);
        }
        checker.finish()
    }

    /// A simulated run: the store's commits will be told.
    #[must_use]
    pub fn seeing_the_store(mut self) -> Self {
        self.state.sees_store = true;
        self
    }

    /// What was broken.
    #[must_use]
    pub fn finish(mut self) -> Vec<Violation> {
        if !self.state.sees_store {
            for (invariant, key, story) in std::mem::take(&mut self.recorded).finish() {
                self.report(invariant, 0, Some(key), Some(story));
            }
        }
        self.violations
    }

    /// What was broken so far.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    fn report(
        &mut self,
        invariant: &'static str,
        node: NodeId,
        key: Option<Key>,
        story: Option<String>,
    ) {
        if let Some(story) = story
            && self.violations.len() < MOST_VIOLATIONS
        {
            self.violations.push(Violation {
                invariant,
                at: self.state.at,
                node,
                key,
                story,
            });
        }
    }
}

impl State {
    fn key(&mut self, key: Key) -> &mut KeyState {
        if self.keys.len() <= key.index() {
            self.keys.resize_with(key.index() + 1, KeyState::default);
        }
        &mut self.keys[key.index()]
    }

    fn node(&mut self, node: NodeId) -> &mut NodeState {
        let index = node as usize;
        if self.nodes.len() <= index {
            self.nodes.resize_with(index + 1, NodeState::default);
        }
        &mut self.nodes[index]
    }

    fn call(&mut self, node: NodeId, passenger: u64) -> &mut CallState {
        self.node(node).call(passenger)
    }

    /// Whether anything was wrong around a node between two moments.
    fn is_disturbed(&self, node: NodeId, from: Nanos, until: Nanos) -> bool {
        let overlaps = |(begin, end, _): &(Nanos, Nanos, Fault)| *begin <= until && *end >= from;
        self.troubles.iter().any(overlaps)
            || self
                .nodes
                .get(node as usize)
                .is_none_or(|node| node.down || node.troubles.iter().any(overlaps))
    }

    /// Whether a node was kept from its renewals between two moments: by anything but one lost message.
    fn is_kept(&self, node: NodeId, from: Nanos, until: Nanos) -> bool {
        let mut lost = 0;
        let mut heavy = |(begin, end, fault): &(Nanos, Nanos, Fault)| {
            if *begin > until || *end < from {
                return false;
            }
            match fault {
                Fault::RequestLost | Fault::AnswerLost => {
                    lost += 1;
                    lost > 1
                }
                Fault::PushLost | Fault::PushLate | Fault::WatchEnded => false,
                _ => true,
            }
        };
        self.troubles.iter().any(&mut heavy)
            || self
                .nodes
                .get(node as usize)
                .is_none_or(|node| node.down || node.troubles.iter().any(heavy))
    }

    /// So much time of a node's own clock, as the world counts it, at most.
    fn stretched(&self, time: Nanos) -> Nanos {
        let ppm = self.bounds.map_or(0, |bounds| bounds.drift_ppm);
        time.saturating_add(time / 1_000_000 * ppm * 11 / 10)
            .saturating_add(1000)
    }

    /// What a few messages and a waking caller may take.
    fn slack(&self) -> Nanos {
        self.bounds
            .map_or(Nanos::MAX / 4, |bounds| 5 * bounds.trip + 4 * bounds.wake)
    }
}

impl Observer for Checker {
    fn see(&mut self, at: Nanos, node: NodeId, what: &What<Key>) {
        self.state.at = at;
        self.follow(node, what);
    }
}
