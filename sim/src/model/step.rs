//! What can happen next, and what comes of it.

use std::rc::Rc;

use oneflight_core::{FillResult, Notice};

use super::driver::Step;
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
    Forget,
    /// The store is restarted with its counter set back: only with a bug.
    Restart,
    /// The store's clock jumps: only with a bug.
    Jump,
}

impl Choice {
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
            Self::Denied { .. } => Some(Kind::Denied),
            Self::Cancel { .. } => Some(Kind::Cancel),
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
}

impl Choices {
    /// Finds what can happen. Time goes on only when nothing is under way, so what takes long is a
    /// fault: a process that stands still, a message that is late. Fills, calls and faults come at
    /// any moment.
    pub(super) fn find(&mut self, setup: &Setup, machines: &Machines, state: &State) {
        self.all.clear();
        self.quiet = true;
        for (index, node) in state.nodes.iter().enumerate() {
            if !node.alive {
                continue;
            }
            self.messages(state, index);
            if node.paused {
                self.all.push(Choice::Resume { node: index });
                continue;
            }
            for (number, call) in node.calls.iter().enumerate() {
                let (node, call_index) = (index, number);
                match call.stage {
                    Stage::Before => self.all.push(Choice::Begin {
                        node,
                        call: call_index,
                    }),
                    Stage::Open if call.filling.is_some() => self.all.push(Choice::FillEnds {
                        node,
                        call: call_index,
                        result: FillResult::Value,
                    }),
                    Stage::Open if call.asked => self.urgent(Choice::Judge {
                        node,
                        call: call_index,
                    }),
                    Stage::Open | Stage::Ghost | Stage::Over => {}
                }
            }
            let due = machines.deadline(node.machine);
            let stuck = setup.bug == Some(Bug::Overshoot) && !node.messages.is_empty();
            if due.is_some_and(|due| due <= state.now) && !stuck {
                self.urgent(Choice::Timer { node: index });
            }
        }
        if self.quiet {
            self.time(machines, state);
        }
        if state.spent < setup.faults {
            for kind in &setup.kinds {
                self.faults(*kind, setup, state);
            }
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
            // Of those that are the same in all that matters, one is enough.
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

    fn faults(&mut self, kind: Kind, setup: &Setup, state: &State) {
        match (kind, setup.bug) {
            (Kind::Forget, _) => self.all.push(Choice::Forget),
            (Kind::Broken, Some(Bug::TokenReused)) => self.all.push(Choice::Restart),
            (Kind::Broken, Some(Bug::ClockAtRestart)) => self.all.push(Choice::Jump),
            _ => {}
        }
        for (node, it) in state.nodes.iter().enumerate().filter(|(_, it)| it.alive) {
            let begun = it.calls.iter().any(|call| call.stage != Stage::Before);
            match kind {
                Kind::Crash if begun => self.all.push(Choice::Crash { node }),
                Kind::Pause if begun && !it.paused => self.all.push(Choice::Pause { node }),
                Kind::Cancel | Kind::Error | Kind::Panic if it.is_running() => {
                    for (call, caller) in it.calls.iter().enumerate() {
                        let result = match kind {
                            Kind::Error => FillResult::Error,
                            _ => FillResult::Panic,
                        };
                        let choice = match kind {
                            Kind::Cancel if caller.is_open() => Choice::Cancel { node, call },
                            Kind::Error | Kind::Panic if caller.filling.is_some() => {
                                Choice::FillEnds { node, call, result }
                            }
                            _ => continue,
                        };
                        self.all.push(choice);
                    }
                }
                Kind::Late | Kind::Broken | Kind::Repeat | Kind::Denied => {
                    for (message, sent) in it.messages.iter().enumerate() {
                        let request = sent.answer.is_none();
                        let put = matches!(sent.request, Request::Put { .. });
                        let known = sent.answer == Some(Answer::Unavailable);
                        match kind {
                            Kind::Late if !sent.late => {
                                self.all.push(Choice::Late { node, message });
                            }
                            Kind::Broken if !put && !known => {
                                self.all.push(Choice::Broken { node, message });
                            }
                            Kind::Repeat if request && !sent.again => {
                                self.all.push(Choice::Repeat { node, message });
                            }
                            Kind::Denied if request && !put => {
                                self.all.push(Choice::Denied { node, message });
                            }
                            _ => {}
                        }
                    }
                    for (watch, opened) in it.watches.iter().enumerate() {
                        let ended = matches!(opened.pushes.last(), Some(Push::Ended));
                        if kind == Kind::Broken && !ended {
                            self.all.push(Choice::WatchBroken { node, watch });
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

impl Step<'_> {
    /// Does it.
    pub(super) fn take(&mut self, choice: Choice) {
        self.state.spent += u8::from(choice.fault().is_some());
        match choice {
            Choice::Begin { node, call } => self.begins(node, call),
            Choice::Judge { node, call } => self.judges(node, call),
            Choice::FillEnds { node, call, result } => self.fill_ends(node, call, result),
            Choice::Message { node, message } => {
                let sent = self.state.nodes[node].messages[message];
                match sent.answer {
                    None => self.commits(node, message),
                    Some(answer) => {
                        self.state.node(node).messages.swap_remove(message);
                        self.answered(node, sent, answer);
                    }
                }
            }
            Choice::Opens { node, watch } => self.opens(node, watch),
            Choice::Push { node, watch } => self.pushed(node, watch),
            Choice::Timer { node } => self.timer(node),
            Choice::Resume { node } => self.state.node(node).paused = false,
            Choice::Time { to } => self.state.now = to,
            Choice::Crash { node } => self.crashes(node),
            Choice::Pause { node } => {
                let node = self.state.node(node);
                (node.paused, node.excused, node.disturbed) = (true, true, true);
            }
            Choice::Late { node, message } => {
                let node = self.state.node(node);
                node.disturbed = true;
                node.messages[message].late = true;
            }
            Choice::Broken { node, message } => {
                let node = self.state.node(node);
                node.disturbed = true;
                node.messages[message].late = false;
                node.messages[message].answer = Some(Answer::Unavailable);
            }
            Choice::WatchBroken { node, watch } => {
                let node = self.state.node(node);
                node.disturbed = true;
                node.watches[watch].at_store = true;
                node.watches[watch].pushes = vec![Push::Ended];
            }
            Choice::Repeat { node, message } => {
                self.state.node(node).messages[message].again = true;
            }
            Choice::Denied { node, message } => {
                let node = self.state.node(node);
                node.excused = true;
                node.messages[message].answer = Some(Answer::Refused);
            }
            Choice::Cancel { node, call } => self.leaves(node, call),
            Choice::Forget => self.forgets(),
            Choice::Restart => {
                Rc::make_mut(&mut self.state.store).fail_over(Nanos::MAX, true);
                for node in 0..self.state.nodes.len() {
                    for watch in &mut self.state.node(node).watches {
                        watch.at_store = true;
                        watch.pushes = vec![Push::Ended];
                    }
                }
            }
            Choice::Jump => {
                self.state.jumped += self.setup.policy.lease_ttl.as_nanos() as Nanos;
            }
        }
    }

    fn timer(&mut self, node: usize) {
        let now = self.state.now;
        // A bug's clock is one tick behind.
        self.state.now -= u64::from(self.setup.bug == Some(Bug::BusyLoop));
        self.tell(node, Notice::Tick);
        self.state.now = now;
        let due = self.machines.deadline(self.state.nodes[node].machine);
        let circles = due
            .is_some_and(|due| due <= now)
            .then(|| "its timer fires, and is due again at once".to_owned());
        self.report("L1 Terminates", circles);
    }

    fn crashes(&mut self, node: usize) {
        let it = self.state.node(node);
        it.alive = false;
        it.paused = false;
        it.messages.clear();
        it.watches.clear();
        for call in &mut it.calls {
            call.stage = Stage::Over;
            call.filling = None;
        }
    }
}
