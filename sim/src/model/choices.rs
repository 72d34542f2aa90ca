//! What can happen next.

use oneflight_core::FillResult;

use super::machine::Machines;
use super::setup::{Kind, Setup};
use super::state::{Push, Stage, State};
use crate::bugs::Bug;
use crate::trace::{Answer, Nanos, Request};

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Choice {
    Begin {
        node: usize,
        call: usize,
    },
    Judge {
        node: usize,
        call: usize,
    },
    FillEnds {
        node: usize,
        call: usize,
        result: FillResult,
    },
    /// A request comes to the store, or its answer back.
    Message {
        node: usize,
        message: usize,
    },
    /// A watch comes to the store.
    Opens {
        node: usize,
        watch: usize,
    },
    Push {
        node: usize,
        watch: usize,
    },
    Timer {
        node: usize,
    },
    Resume {
        node: usize,
    },
    /// Time goes on to the next moment at which somebody has planned something.
    Time {
        to: Nanos,
    },
    Crash {
        node: usize,
    },
    Pause {
        node: usize,
    },
    Late {
        node: usize,
        message: usize,
    },
    Broken {
        node: usize,
        message: usize,
    },
    WatchBroken {
        node: usize,
        watch: usize,
    },
    WatchDenied {
        node: usize,
        watch: usize,
    },
    Repeat {
        node: usize,
        message: usize,
    },
    Denied {
        node: usize,
        message: usize,
    },
    Cancel {
        node: usize,
        call: usize,
    },
    /// The fill will take as long as it likes.
    Slow {
        node: usize,
        call: usize,
    },
    Forget,
    /// The store is restarted with its counter set back: only with a bug.
    Restart,
    /// The store's clock jumps: only with a bug.
    Jump,
}

impl Choice {
    /// The process that it is about.
    const fn node(&self) -> Option<usize> {
        match *self {
            Self::Begin { node, .. }
            | Self::Judge { node, .. }
            | Self::FillEnds { node, .. }
            | Self::Message { node, .. }
            | Self::Opens { node, .. }
            | Self::Push { node, .. }
            | Self::Timer { node }
            | Self::Resume { node }
            | Self::Crash { node }
            | Self::Pause { node }
            | Self::Late { node, .. }
            | Self::Broken { node, .. }
            | Self::WatchBroken { node, .. }
            | Self::WatchDenied { node, .. }
            | Self::Repeat { node, .. }
            | Self::Denied { node, .. }
            | Self::Cancel { node, .. }
            | Self::Slow { node, .. } => Some(node),
            Self::Time { .. } | Self::Forget | Self::Restart | Self::Jump => None,
        }
    }

    /// The fault that it is.
    pub(super) const fn fault(&self) -> Option<Kind> {
        match self {
            Self::Crash { .. } => Some(Kind::Crash),
            Self::Pause { .. } => Some(Kind::Pause),
            Self::Late { .. } => Some(Kind::Late),
            Self::Broken { .. } | Self::WatchBroken { .. } | Self::Restart | Self::Jump => {
                Some(Kind::Broken)
            }
            Self::Repeat { .. } => Some(Kind::Repeat),
            Self::Denied { .. } | Self::WatchDenied { .. } => Some(Kind::Denied),
            Self::Cancel { .. } => Some(Kind::Cancel),
            Self::Slow { .. } => Some(Kind::Slow),
            Self::Forget => Some(Kind::Forget),
            Self::FillEnds { result, .. } => match result {
                FillResult::Value => None,
                FillResult::Error => Some(Kind::Error),
                FillResult::Panic | _ => Some(Kind::Panic),
            },
            Self::Begin { .. }
            | Self::Judge { .. }
            | Self::Message { .. }
            | Self::Opens { .. }
            | Self::Push { .. }
            | Self::Timer { .. }
            | Self::Resume { .. }
            | Self::Time { .. } => None,
        }
    }
}

/// What can happen in a state.
#[derive(Debug, Default)]
pub(super) struct Choices {
    pub(super) all: Vec<Choice>,
    /// Nothing is under way: only a timer or a choice can go on.
    pub(super) quiet: bool,
    /// A fill runs that takes no time.
    fills: bool,
}

impl Choices {
    /// Finds what can happen. Time goes on only when nothing is under way, so what takes long is a
    /// fault: a process that stands still, a message that is late. Fills, calls and faults come at
    /// any moment.
    pub(super) fn find(&mut self, setup: &Setup, machines: &Machines, state: &State) {
        self.all.clear();
        self.quiet = true;
        self.fills = false;
        for (index, node) in state.nodes.iter().enumerate() {
            if !node.alive {
                continue;
            }
            self.messages(state, index);
            if node.paused {
                self.all.push(Choice::Resume { node: index });
                continue;
            }
            self.callers(state, index);
            let due = machines.deadline(node.machine);
            let stuck = setup.bug == Some(Bug::Overshoot) && !node.messages.is_empty();
            if due.is_some_and(|due| due <= state.now) && !stuck {
                self.urgent(Choice::Timer { node: index });
            }
        }
        if self.quiet && !self.fills {
            self.time(machines, state);
        }
        if state.spent < setup.faults {
            for kind in &setup.kinds {
                self.faults(*kind, setup, machines, state);
            }
        }
        if setup.bug.is_none() {
            self.reduce(machines, state);
        }
    }

    fn callers(&mut self, state: &State, node: usize) {
        for (call, caller) in state.nodes[node].calls.iter().enumerate() {
            match caller.stage {
                Stage::Before => self.all.push(Choice::Begin { node, call }),
                Stage::Open if caller.filling.is_some() => {
                    self.fills |= caller.filling.is_some_and(|fill| !fill.slow);
                    let result = FillResult::Value;
                    self.all.push(Choice::FillEnds { node, call, result });
                }
                Stage::Open if caller.asked => self.urgent(Choice::Judge { node, call }),
                Stage::Open | Stage::Ghost | Stage::Over => {}
            }
        }
    }

    /// An answer on its way to a process that has nothing else to do with the store comes first: what
    /// others do meanwhile neither depends on it nor changes it, so the same states are reached in
    /// fewer orders. What can happen to that process, or to its key by a forget, stays possible.
    fn reduce(&mut self, machines: &Machines, state: &State) {
        let alone = state.nodes.iter().position(|node| {
            let due = machines.deadline(node.machine);
            node.is_running()
                && node.watches.is_empty()
                && node.messages.len() == 1
                && node
                    .messages
                    .iter()
                    .all(|sent| sent.answer.is_some() && !sent.late)
                && due.is_none_or(|due| due > state.now)
                && node.calls.iter().all(|call| !call.asked)
        });
        if let Some(alone) = alone {
            self.all
                .retain(|choice| choice.node().is_none_or(|node| node == alone));
        }
    }

    fn urgent(&mut self, choice: Choice) {
        self.all.push(choice);
        self.quiet = false;
    }

    fn messages(&mut self, state: &State, node: usize) {
        let it = &state.nodes[node];
        for (message, sent) in it.messages.iter().enumerate() {
            if sent.answer.is_some() && it.paused {
                continue;
            }
            let choice = Choice::Message { node, message };
            if sent.late {
                self.all.push(choice);
            } else {
                self.urgent(choice);
            }
        }
        for (watch, opened) in it.watches.iter().enumerate() {
            if !opened.at_store {
                self.urgent(Choice::Opens { node, watch });
            } else if !opened.pushes.is_empty() && !it.paused {
                self.urgent(Choice::Push { node, watch });
            }
        }
    }

    fn time(&mut self, machines: &Machines, state: &State) {
        let running = state.nodes.iter().filter(|node| node.is_running());
        let deadlines = running.filter_map(|node| machines.deadline(node.machine));
        let lease = state.store.rows[0]
            .lease
            .filter(|_| state.has_calls_to_come());
        let lapse = lease.map(|lease| lease.lapses.saturating_sub(state.jumped));
        let to = deadlines.chain(lapse).filter(|at| *at > state.now).min();
        if let Some(to) = to {
            self.all.push(Choice::Time { to });
        }
    }

    fn faults(&mut self, kind: Kind, setup: &Setup, machines: &Machines, state: &State) {
        match (kind, setup.bug) {
            (Kind::Forget, _) => self.all.push(Choice::Forget),
            (Kind::Broken, Some(Bug::TokenReused)) => self.all.push(Choice::Restart),
            (Kind::Broken, Some(Bug::ClockAtRestart)) => self.all.push(Choice::Jump),
            _ => {}
        }
        for (node, it) in state.nodes.iter().enumerate().filter(|(_, it)| it.alive) {
            let busy = !machines.is_idle(it.machine);
            match kind {
                Kind::Crash if busy => self.all.push(Choice::Crash { node }),
                Kind::Pause if busy && !it.paused => self.all.push(Choice::Pause { node }),
                Kind::Cancel | Kind::Error | Kind::Panic | Kind::Slow if it.is_running() => {
                    self.callers_faults(kind, state, node);
                }
                Kind::Late | Kind::Broken | Kind::Repeat | Kind::Denied => {
                    self.network_faults(kind, state, node);
                }
                _ => {}
            }
        }
    }

    fn callers_faults(&mut self, kind: Kind, state: &State, node: usize) {
        for (call, caller) in state.nodes[node].calls.iter().enumerate() {
            let choice = match (kind, caller.filling) {
                (Kind::Cancel, _) if caller.is_open() => Choice::Cancel { node, call },
                (Kind::Slow, Some(fill)) if !fill.slow => Choice::Slow { node, call },
                (Kind::Error, Some(_)) => {
                    let result = FillResult::Error;
                    Choice::FillEnds { node, call, result }
                }
                (Kind::Panic, Some(_)) => {
                    let result = FillResult::Panic;
                    Choice::FillEnds { node, call, result }
                }
                _ => continue,
            };
            self.all.push(choice);
        }
    }

    fn network_faults(&mut self, kind: Kind, state: &State, node: usize) {
        for (message, sent) in state.nodes[node].messages.iter().enumerate() {
            let request = sent.answer.is_none();
            let put = matches!(sent.request, Request::Put { .. });
            let known = sent.answer == Some(Answer::Unavailable);
            let choice = match kind {
                Kind::Late if !sent.late => Choice::Late { node, message },
                Kind::Broken if !put && !known => Choice::Broken { node, message },
                Kind::Repeat if request && !sent.again && !sent.second => {
                    Choice::Repeat { node, message }
                }
                Kind::Denied if request && !put && !sent.second => Choice::Denied { node, message },
                _ => continue,
            };
            self.all.push(choice);
        }
        for (watch, opened) in state.nodes[node].watches.iter().enumerate() {
            let ended = matches!(opened.pushes.last(), Some(Push::Ended | Push::Refused));
            if kind == Kind::Broken && !ended {
                self.all.push(Choice::WatchBroken { node, watch });
            }
            if kind == Kind::Denied && !opened.at_store {
                self.all.push(Choice::WatchDenied { node, watch });
            }
        }
    }
}
