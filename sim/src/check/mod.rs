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

/// Like `format!`, out of line: what is wrong is told next to never, and is not to stand in the way of all
/// that is looked at.
macro_rules! story {
    ($($told:tt)*) => {
        $crate::check::out_of_line(|| format!($($told)*))
    };
}

mod commits;
mod follow;
mod liveness;
mod model;
mod recorded;
mod requests;
mod safety;
mod state;
mod told;
mod unwatched;

pub(crate) use safety::is_definite;

use std::fmt;

use oneflight_core::{Instant, Notice, Order};

use crate::trace::{Bounds, Fault, Header, Key, Nanos, NodeId, Record, StoreProfile, Trace, What};
use crate::world::{Observer, told};
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
    requests: requests::Requests,
    violations: Violations,
}

/// The first of them.
#[derive(Clone, Debug, Default)]
struct Violations(Vec<Violation>);

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
    /// Of traces before: only the room in them counts.
    spare_keys: Vec<KeyState>,
    spare_nodes: Vec<NodeState>,
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

    /// For another trace, with this head, in the room of the ones before.
    #[must_use]
    pub fn anew(mut self, profile: StoreProfile, bounds: Option<Bounds>) -> Self {
        let mut before = self.state;
        before.spare_keys.append(&mut before.keys);
        before.spare_nodes.append(&mut before.nodes);
        before.requests.clear();
        before.troubles.clear();
        self.state = State {
            profile,
            bounds,
            keys: before.keys,
            nodes: before.nodes,
            spare_keys: before.spare_keys,
            spare_nodes: before.spare_nodes,
            requests: before.requests,
            troubles: before.troubles,
            ..State::default()
        };
        self.recorded = recorded::Recorded::default();
        self.requests = self.requests.cleared();
        self.violations.0.clear();
        self
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
        if !checker.state.sees_store {
            checker.recorded = recorded::Recorded::of(trace);
        }
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
    pub fn finish(&mut self) -> Vec<Violation> {
        if !self.state.sees_store {
            let room = MOST_VIOLATIONS.saturating_sub(self.violations.0.len());
            let found = std::mem::take(&mut self.recorded).finish();
            self.violations.0.extend(found.into_iter().take(room));
        }
        std::mem::take(&mut self.violations.0)
    }

    /// What was broken so far.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations.0
    }

    #[inline]
    fn report(
        &mut self,
        invariant: &'static str,
        node: NodeId,
        key: Option<Key>,
        story: Option<String>,
    ) {
        if let Some(story) = story {
            self.broken(invariant, node, key, story);
        }
    }

    fn broken(&mut self, invariant: &'static str, node: NodeId, key: Option<Key>, story: String) {
        let at = self.state.at;
        self.violations.keep(invariant, at, node, key, story);
    }
}

impl Violations {
    #[cold]
    #[inline(never)]
    fn keep(
        &mut self,
        invariant: &'static str,
        at: Nanos,
        node: NodeId,
        key: Option<Key>,
        story: String,
    ) {
        if self.0.len() < MOST_VIOLATIONS {
            self.0.push(Violation {
                invariant,
                at,
                node,
                key,
                story,
            });
        }
    }
}

/// Calls what is next to never called.
#[cold]
#[inline(never)]
fn out_of_line(tell: impl FnOnce() -> String) -> String {
    tell()
}

impl State {
    fn key(&mut self, key: Key) -> &mut KeyState {
        if self.keys.len() <= key.index() {
            self.grow_keys(key.index() + 1);
        }
        &mut self.keys[key.index()]
    }

    #[cold]
    #[inline(never)]
    fn grow_keys(&mut self, count: usize) {
        let spare = &mut self.spare_keys;
        let next = || {
            spare
                .pop()
                .map_or_else(KeyState::default, KeyState::cleared)
        };
        self.keys.resize_with(count, next);
    }

    fn node(&mut self, node: NodeId) -> &mut NodeState {
        let index = node as usize;
        if self.nodes.len() <= index {
            self.grow_nodes(index + 1);
        }
        &mut self.nodes[index]
    }

    #[cold]
    #[inline(never)]
    fn grow_nodes(&mut self, count: usize) {
        let spare = &mut self.spare_nodes;
        let next = || {
            spare
                .pop()
                .map_or_else(NodeState::default, NodeState::cleared)
        };
        self.nodes.resize_with(count, next);
    }

    fn call(&mut self, node: NodeId, passenger: u64) -> &mut CallState {
        self.node(node).call(passenger)
    }

    /// The same, of a call that is there, to be looked at beside all else.
    fn known_call(&self, node: NodeId, passenger: u64) -> &CallState {
        &self.nodes[node as usize].calls[state::index_of(passenger)]
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
                // None of these keeps a renewal from being answered.
                Fault::PushLost
                | Fault::PushLate
                | Fault::WatchEnded
                | Fault::Duplicated
                | Fault::StoreRestarted => false,
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
    fn see_told(
        &mut self,
        at: Nanos,
        node: NodeId,
        now: Instant,
        notice: &Notice<Key>,
        orders: &[Order<Key>],
    ) {
        self.state.at = at;
        self.told(node, now.as_nanos(), notice, orders);
        if !self.state.sees_store {
            let what = told(now, notice, orders);
            self.recorded.see(at, node, &what);
        }
    }

    #[inline]
    fn see(&mut self, at: Nanos, node: NodeId, what: &What<Key>) {
        self.state.at = at;
        self.follow(node, what);
        if !self.state.sees_store {
            self.recorded.see(at, node, what);
        }
    }
}
