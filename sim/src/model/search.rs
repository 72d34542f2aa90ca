//! The search: level by level, so that the first state that breaks an invariant is one of the nearest.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::{Duration, Instant};

use super::choices::{Choice, Choices};
use super::driver::Step;
use super::machine::Machines;
use super::same::Same;
use super::setup::Setup;
use super::state::State;
use super::{Violation, invariants};
use crate::coverage::Coverage;

/// What a search has found.
#[derive(Clone, Debug)]
pub struct Found {
    /// How many different states.
    pub states: usize,
    /// How many steps from one to another.
    pub transitions: u64,
    /// The most steps from the first to any.
    pub depth: u32,
    /// How many states of a machine.
    pub machines: usize,
    /// How long it took.
    pub took: Duration,
    /// All states were visited.
    pub exhausted: bool,
    /// The nearest that breaks an invariant.
    pub broken: Option<Broken>,
    /// The transitions of the machines.
    pub coverage: Coverage,
}

/// A state that breaks an invariant.
#[derive(Clone, Debug)]
pub struct Broken {
    /// What it breaks.
    pub violation: Violation,
    /// How it is reached: the choice taken in each state.
    pub(super) path: Vec<u16>,
}

impl Broken {
    /// How many steps from the first state.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.path.len()
    }
}

/// The number of a state is its own hash.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// Where a state came from: the one before, and the choice taken there.
type Origin = (u32, u16);

/// Searches all states within the bounds, or until an invariant is broken. `progress` is told, now and
/// then, of the level, the states so far, and the states of this level.
#[must_use]
pub fn explore(setup: &Setup, mut progress: impl FnMut(u32, usize, usize)) -> Found {
    let begin = Instant::now();
    let mut machines = Machines::new();
    let mut same = Same::default();
    let mut choices = Choices::default();
    let mut known: HashSet<u64, BuildHasherDefault<Identity>> = HashSet::default();
    let mut origins: Vec<Origin> = vec![(0, 0)];
    let first = State::first(setup);
    known.insert(same.number(&first, &machines));
    let mut level = vec![(0u32, first)];
    let (mut transitions, mut depth) = (0, 0);
    let mut broken = None;
    'search: while !level.is_empty() && origins.len() < setup.limit {
        let mut next = Vec::new();
        for (index, (id, state)) in level.iter().enumerate() {
            if index % 50_000 == 0 {
                progress(depth, origins.len(), level.len());
            }
            choices.find(setup, &machines, state);
            if choices.quiet
                && let Some((invariant, story)) = invariants::quiet(setup, &machines, state)
            {
                let path = path(&origins, *id);
                let violation = Violation { invariant, story };
                broken = Some(Broken { violation, path });
                break 'search;
            }
            for (taken, choice) in choices.all.iter().enumerate() {
                transitions += 1;
                let mut step = Step {
                    setup,
                    machines: &mut machines,
                    state: state.clone(),
                    broken: None,
                    orders: None,
                };
                step.take(*choice);
                let (after, violation) = (step.state, step.broken);
                let taken = taken as u16;
                if let Some(violation) = violation {
                    let mut path = path(&origins, *id);
                    path.push(taken);
                    broken = Some(Broken { violation, path });
                    break 'search;
                }
                if known.insert(same.number(&after, &machines)) {
                    next.push((origins.len() as u32, after));
                    origins.push((*id, taken));
                }
            }
        }
        depth += u32::from(!next.is_empty());
        level = next;
    }
    Found {
        states: origins.len(),
        transitions,
        depth,
        machines: machines.count(),
        took: begin.elapsed(),
        exhausted: level.is_empty() && broken.is_none(),
        broken,
        coverage: machines.coverage,
    }
}

fn path(origins: &[Origin], id: u32) -> Vec<u16> {
    let mut path = Vec::new();
    let mut id = id;
    while id > 0 {
        let (before, taken) = origins[id as usize];
        path.push(taken);
        id = before;
    }
    path.reverse();
    path
}

/// Goes a path again, step by step.
pub(super) fn follow(
    setup: &Setup,
    path: &[u16],
    mut see: impl FnMut(&Machines, &State, Choice, &Step<'_>),
) {
    let mut machines = Machines::new();
    let mut choices = Choices::default();
    let mut state = State::first(setup);
    for taken in path {
        choices.find(setup, &machines, &state);
        let Some(choice) = choices.all.get(usize::from(*taken)).copied() else {
            return;
        };
        // The machines of before are looked at beside the step.
        let before = Machines::clone(&machines);
        let mut step = Step {
            setup,
            machines: &mut machines,
            state: state.clone(),
            broken: None,
            orders: Some(Vec::new()),
        };
        step.take(choice);
        see(&before, &state, choice, &step);
        state = step.state;
    }
}
