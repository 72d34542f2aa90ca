//! A path through the search, told step by step.

use std::fmt::Write;

use oneflight_core::{Command, FillResult, Order, Outcome, Phase};

use super::choices::Choice;
use super::search::{Broken, follow};
use super::setup::Setup;
use super::state::{Message, Push, State};
use crate::phases;
use crate::trace::{Answer, Key, Request};

impl Broken {
    /// The steps in words: what happens, what the machine concerned was in and is in then, and what
    /// it ordered.
    #[must_use]
    pub fn words(&self, setup: &Setup) -> Vec<String> {
        let mut lines = Vec::new();
        follow(setup, &self.path, |machines, state, choice, step| {
            let what = happens(state, choice, &step.state);
            let mut line = format!("{:>3}  {what}", lines.len() + 1);
            for (index, (before, after)) in state.nodes.iter().zip(&step.state.nodes).enumerate() {
                let (from, to) = (
                    name(machines.phase(before.machine)),
                    name(step.machines.phase(after.machine)),
                );
                if before.machine != after.machine {
                    write_lossy(
                        &mut line,
                        format_args!("\n     process {}: {from} -> {to}", index + 1),
                    );
                }
            }
            let orders: Vec<String> = step.orders.iter().flatten().filter_map(order).collect();
            if !orders.is_empty() {
                write_lossy(&mut line, format_args!("; orders: {}", orders.join(", ")));
            }
            lines.push(line);
        });
        lines.push(format!(
            "     {}: {}",
            self.violation.invariant, self.violation.story
        ));
        lines
    }
}

/// Writing to a string does not fail.
fn write_lossy(line: &mut String, words: std::fmt::Arguments<'_>) {
    line.write_fmt(words).unwrap_or_default();
}

fn name(phase: Option<Phase>) -> &'static str {
    match phase {
        None => "no flight",
        Some(_) => phases::name(phase),
    }
}

fn happens(state: &State, choice: Choice, after: &State) -> String {
    let caller = |node: usize, call: usize| {
        if state.nodes[node].calls.len() > 1 {
            format!("caller {} of process {}", call + 1, node + 1)
        } else {
            format!("the caller of process {}", node + 1)
        }
    };
    let sent = |node: usize, message: usize| {
        let message = &state.nodes[node].messages[message];
        let request = request(message);
        match message.answer {
            None => format!("the {request} of process {}", node + 1),
            Some(answer) => format!(
                "the answer to the {request} of process {} ({})",
                node + 1,
                answered(answer)
            ),
        }
    };
    match choice {
        Choice::Begin { node, call } => format!("{} begins its call", caller(node, call)),
        Choice::Judge { node, call } => format!("{} judges what has come", caller(node, call)),
        Choice::FillEnds { node, call, result } => {
            let how = match result {
                FillResult::Value => "returns a value",
                FillResult::Error => "returns an error",
                FillResult::Panic | _ => "panics",
            };
            format!("the fill of {} {how}", caller(node, call))
        }
        Choice::Message { node, message } => {
            let it = &state.nodes[node].messages[message];
            match it.answer {
                None => {
                    let made = after.nodes[node].messages.iter().find_map(|after| {
                        (after.flight == it.flight && after.attempt == it.attempt)
                            .then_some(after.answer)
                            .flatten()
                    });
                    let made =
                        made.map_or_else(String::new, |answer| format!(": {}", answered(answer)));
                    format!("the store carries out {}{made}", sent(node, message))
                }
                Some(_) => format!("{} arrives", sent(node, message)),
            }
        }
        Choice::Opens { node, watch } => {
            let pushes = after.nodes[node].watches[watch].pushes.len();
            format!(
                "the watch of process {} is open at the store, which tells of {}",
                node + 1,
                match pushes {
                    0 => "nothing",
                    1 => "the key",
                    _ => "the key and the lock",
                }
            )
        }
        Choice::Push { node, watch } => {
            let push = state.nodes[node].watches[watch].pushes.first();
            format!(
                "process {} hears: {}",
                node + 1,
                push.map_or("nothing", pushed)
            )
        }
        Choice::Timer { node } => format!("the timer of process {} fires", node + 1),
        Choice::Resume { node } => format!("process {} goes on", node + 1),
        Choice::Time { to } => {
            let passed = (to - state.now) as f64 / 1e9;
            format!("nothing is under way, {passed} s pass")
        }
        Choice::Crash { node } => format!("FAULT process {} crashes", node + 1),
        Choice::Pause { node } => format!("FAULT process {} stands still", node + 1),
        Choice::Late { node, message } => {
            format!("FAULT {} is late, or lost", sent(node, message))
        }
        Choice::Broken { node, message } => format!(
            "FAULT {} is lost, and process {} told so",
            sent(node, message),
            node + 1
        ),
        Choice::WatchBroken { node, .. } => format!("FAULT the watch of process {} ends", node + 1),
        Choice::WatchDenied { node, .. } => {
            format!(
                "FAULT the store does not permit the watch of process {}",
                node + 1
            )
        }
        Choice::Repeat { node, message } => {
            format!("FAULT {} will be carried out twice", sent(node, message))
        }
        Choice::Denied { node, message } => {
            format!("FAULT the store does not permit {}", sent(node, message))
        }
        Choice::Cancel { node, call } => format!("FAULT {} leaves", caller(node, call)),
        Choice::Slow { node, call } => format!("FAULT the fill of {} is slow", caller(node, call)),
        Choice::Forget => "FAULT the key is forgotten".to_owned(),
        Choice::Restart => "FAULT the store restarts, its counter set back".to_owned(),
        Choice::Jump => "FAULT the store's clock jumps by the time a lease lives".to_owned(),
    }
}

fn request(message: &Message) -> String {
    match message.request {
        Request::Claim { seen, .. } if seen.get() == u64::MAX => {
            "claim (seen: everything)".to_owned()
        }
        Request::Claim { seen, .. } => format!("claim (seen: {seen})"),
        Request::Renew { token, .. } => format!("renewal of token {token}"),
        Request::Publish { token, .. } => format!("publish under token {token}"),
        Request::Release { token } => format!("release of token {token}"),
        Request::Put { .. } => "put".to_owned(),
        Request::Read => "read".to_owned(),
        Request::Forget => "forget".to_owned(),
    }
}

fn answered(answer: Answer) -> String {
    match answer {
        Answer::Granted { token, .. } => format!("granted, token {token}"),
        Answer::Held { token, .. } => format!("held under token {token}"),
        Answer::Newer { revision, .. } => format!("there is revision {revision}"),
        Answer::Renewed => "renewed".to_owned(),
        Answer::Lost => "lost".to_owned(),
        Answer::Published { revision } => format!("published as revision {revision}"),
        Answer::Fenced => "fenced".to_owned(),
        Answer::Released { .. } => "released".to_owned(),
        Answer::Written { revision } => format!("written as revision {revision}"),
        Answer::Kept { .. } => "kept".to_owned(),
        Answer::State { .. } => "state".to_owned(),
        Answer::Refused => "not permitted".to_owned(),
        Answer::Malformed => "malformed".to_owned(),
        Answer::Unavailable => "unavailable".to_owned(),
    }
}

const fn pushed(push: &Push) -> &'static str {
    match push {
        Push::Key { value: None, .. } => "the key holds no value",
        Push::Key { value: Some(_), .. } => "the key holds a value",
        Push::Free => "the lock is free",
        Push::Held(_) => "the lock is held",
        Push::Ended => "the watch has ended",
        Push::Refused => "the watch is not permitted",
    }
}

fn order(order: &Order<Key>) -> Option<String> {
    let words = match order {
        Order::Command { command, .. } => match command {
            Command::Claim { seen, .. } => format!("claim (seen: {seen})"),
            Command::Watch => "watch".to_owned(),
            Command::Unwatch => "unwatch".to_owned(),
            Command::Renew { token, .. } => format!("renew token {token}"),
            Command::Publish { token, .. } => format!("publish under token {token}"),
            Command::Put { .. } => "put".to_owned(),
            Command::Release { token, .. } => format!("release token {token}"),
            Command::WarnLeaseLost { .. } => "warn the fill".to_owned(),
            Command::Fill { .. } | Command::Land(_) => return None,
        },
        Order::Judge { .. } => "judge".to_owned(),
        Order::Fill { lease: Some(_), .. } => "fill".to_owned(),
        Order::Fill { lease: None, .. } => "fill without a lease".to_owned(),
        Order::Land { outcome, .. } => format!("land {}", landing(*outcome)),
        Order::Retired { .. } => return None,
    };
    Some(words)
}

fn landing(outcome: Outcome) -> String {
    match outcome {
        Outcome::Cached { stale: true, .. } => "with the stale value".to_owned(),
        Outcome::Computed { .. } => "with its own value".to_owned(),
        Outcome::Awaited { .. } | Outcome::Cached { .. } => "with another's value".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}
