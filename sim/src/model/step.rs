//! What comes of what happens.

use std::rc::Rc;

use oneflight_core::Notice;

use super::choices::Choice;
use super::driver::Step;
use super::state::{Push, Stage};
use crate::bugs::Bug;
use crate::trace::{Answer, Nanos, Request};

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
                        self.hears(node, sent);
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
                (node.paused, node.was_paused, node.disturbed) = (true, true, true);
            }
            Choice::Late { node, message } => {
                let node = self.state.node(node);
                node.disturbed = true;
                node.messages[message].late = true;
            }
            Choice::Broken { node, message } => {
                let node = self.state.node(node);
                node.disturbed = true;
                // The release of a lease that came too late is sent once.
                let request = node.messages[message].request;
                node.denied |= matches!(request, Request::Release { .. });
                node.messages[message].late = false;
                node.messages[message].answer = Some(Answer::Unavailable);
            }
            Choice::WatchBroken { node, watch } => {
                let node = self.state.node(node);
                node.disturbed = true;
                node.watches[watch].at_store = true;
                node.watches[watch].pushes = vec![Push::Ended];
            }
            Choice::WatchDenied { node, watch } => {
                let node = self.state.node(node);
                node.denied = true;
                node.watches[watch].at_store = true;
                node.watches[watch].pushes = vec![Push::Refused];
            }
            Choice::Repeat { node, message } => {
                self.state.node(node).messages[message].again = true;
            }
            Choice::Denied { node, message } => {
                let node = self.state.node(node);
                node.denied = true;
                node.messages[message].answer = Some(Answer::Refused);
            }
            Choice::Cancel { node, call } => self.leaves(node, call),
            Choice::Slow { node, call } => {
                if let Some(fill) = &mut self.state.node(node).calls[call].filling {
                    fill.slow = true;
                }
            }
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
        let before = self.state.nodes[node].machine;
        // A bug's clock is one tick behind.
        self.state.now -= u64::from(self.setup.bug == Some(Bug::BusyLoop));
        self.tell(node, Notice::Tick);
        self.state.now = now;
        let after = self.state.nodes[node].machine;
        let due = self.machines.deadline(after).is_some_and(|due| due <= now);
        let idle = self.machines.numbers(before) == self.machines.numbers(after);
        let circles =
            (due && idle).then(|| "its timer fires for nothing, and is due again".to_owned());
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
