//! Shrinks a plan that breaks a promise to the decisions that matter: callers, processes, faults,
//! durations, then what becomes of the messages.
//!
//! What counts is the number of [steps](crate::steps) until the promise is broken; what happens after
//! that is nobody's concern.

mod changes;

use crate::batch::Judge;
use crate::bugs::Bug;
use crate::canaries;
use crate::plan::Plan;
use crate::steps::is_step;
use crate::trace::{Key, Nanos, NodeId, What};
use crate::world::{Observer, World};

/// A plan that breaks a promise, and how it got so small.
#[derive(Clone, Debug)]
pub struct Minimal {
    /// The plan, with its schedule: it does not depend on how plans or fates are drawn.
    pub plan: Plan,
    /// The promise.
    pub invariant: &'static str,
    /// When it is broken.
    pub at: Nanos,
    /// How many steps there were until then, and are.
    pub steps: (u64, u64),
    /// How many runs that took.
    pub runs: u64,
}

/// Where a run breaks a promise.
#[derive(Clone, Copy, Debug)]
struct Break {
    invariant: &'static str,
    at: Nanos,
    steps: u64,
}

/// Counts the steps until a promise is broken.
struct Watcher<'a> {
    judge: Judge<'a>,
    wanted: &'a [&'a str],
    steps: u64,
    found: Option<Break>,
}

impl Observer for Watcher<'_> {
    fn see(&mut self, at: Nanos, node: NodeId, what: &What<Key>) {
        if self.found.is_some() {
            return;
        }
        self.judge.see(at, node, what);
        self.steps += u64::from(is_step(what));
        let violations = self.judge.checker.violations().iter();
        let mut names = violations.map(|violation| violation.invariant);
        self.found = names
            .find(|name| self.wanted.is_empty() || self.wanted.contains(name))
            .map(|invariant| Break {
                invariant,
                at,
                steps: self.steps,
            });
    }
}

fn first_break(plan: &Plan, bug: Option<Bug>, wanted: &[&str]) -> Option<Break> {
    let mut watcher = Watcher {
        judge: Judge::new(plan),
        wanted,
        steps: 0,
        found: None,
    };
    let _ = World::new(plan, &mut watcher).with_bug(bug).run();
    watcher.found
}

struct Shrinker {
    best: Plan,
    bug: Option<Bug>,
    broken: Break,
    runs: u64,
}

/// Shrinks a plan; `None` if it breaks nothing that is wanted, or nothing at all if anything is.
#[must_use]
pub fn minimize(plan: &Plan, bug: Option<Bug>, wanted: &[&str]) -> Option<Minimal> {
    let broken = first_break(plan, bug, wanted)?;
    let mut shrinker = Shrinker {
        best: plan.clone(),
        bug,
        broken,
        runs: 1,
    };
    for _ in 0..6 {
        let before = shrinker.best.clone();
        shrinker.decisions();
        shrinker.messages();
        if shrinker.best == before {
            break;
        }
    }
    Some(Minimal {
        plan: shrinker.best,
        invariant: broken.invariant,
        at: shrinker.broken.at,
        steps: (broken.steps, shrinker.broken.steps),
        runs: shrinker.runs,
    })
}

/// Shrinks runs that show a bug, from a seed on, and takes the smallest of what that gives.
#[must_use]
pub fn minimize_bug(seed: u64, bug: Bug) -> Option<Minimal> {
    /// So many runs that show it, or what so many seeds have.
    const EXAMPLES: usize = 16;
    const SEEDS: u64 = 4_000;
    /// So many of them are shrunk, those with the fewest steps.
    const SHRUNK: usize = 4;
    let mut examples: Vec<(u64, Plan)> = Vec::new();
    for (tried, seed) in (seed..seed + 100_000).enumerate() {
        if examples.len() == EXAMPLES || !examples.is_empty() && tried as u64 > SEEDS {
            break;
        }
        let plan = canaries::plan(bug, seed);
        if let Some(found) = first_break(&plan, Some(bug), bug.expected()) {
            examples.push((found.steps, plan));
        }
    }
    examples.sort_by_key(|example| example.0);
    let shrunk = examples
        .iter()
        .take(SHRUNK)
        .filter_map(|(_, plan)| minimize(plan, Some(bug), bug.expected()));
    shrunk.min_by_key(|minimal| minimal.steps.1)
}

impl Shrinker {
    /// Keeps a change if the same promise is still broken, in no more steps.
    fn attempt(&mut self, change: impl FnOnce(&mut Plan)) -> bool {
        let mut plan = self.best.clone();
        change(&mut plan);
        if plan == self.best {
            return false;
        }
        self.runs += 1;
        let found = first_break(&plan, self.bug, &[self.broken.invariant]);
        match found {
            Some(found) if found.steps <= self.broken.steps => {
                self.best = plan;
                self.broken = found;
                true
            }
            Some(_) | None => false,
        }
    }
}
