//! The calls and their fills.

use std::collections::BTreeMap;

use oneflight_core::{Outcome, PassengerId};
use serde::Serialize;

use super::words;
use crate::trace::{Key, Nanos, NodeId, Record, What};

/// A bar, and the mark at its end.
#[derive(Debug, Serialize)]
pub(super) struct Call {
    node: NodeId,
    passenger: u64,
    key: u32,
    from: Nanos,
    until: Nanos,
    /// The kind of landing, which chooses the colour.
    kind: &'static str,
    label: String,
    began: usize,
    ended: Option<usize>,
}

/// A bar within its call's.
#[derive(Debug, Serialize)]
pub(super) struct Fill {
    node: NodeId,
    passenger: u64,
    key: u32,
    from: Nanos,
    until: Nanos,
    token: Option<u64>,
    result: &'static str,
    event: usize,
}

/// Follows the calls and fills of a trace.
#[derive(Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    fills: Vec<Fill>,
    /// Those that are not over.
    open: BTreeMap<(NodeId, PassengerId), usize>,
    filling: BTreeMap<(NodeId, PassengerId), usize>,
}

impl Calls {
    pub(super) fn see(&mut self, record: &Record<Key>, index: usize, at: Nanos) {
        let node = record.node;
        match &record.what {
            What::Began { key, passenger, .. } => {
                self.open.insert((node, *passenger), self.calls.len());
                self.calls.push(Call {
                    node,
                    passenger: passenger.0,
                    key: key.0,
                    from: at,
                    until: at,
                    kind: "open",
                    label: "open".to_owned(),
                    began: index,
                    ended: None,
                });
            }
            What::Landed {
                passenger,
                outcome,
                local,
                ..
            } => {
                let label = words::outcome(*outcome);
                self.end(
                    (node, *passenger),
                    at,
                    landing(*outcome, *local),
                    label,
                    index,
                );
            }
            What::Left { passenger, .. } => {
                self.end((node, *passenger), at, "left", "left".to_owned(), index);
            }
            What::FillBegan {
                key,
                passenger,
                token,
                ..
            } => {
                self.filling.insert((node, *passenger), self.fills.len());
                self.fills.push(Fill {
                    node,
                    passenger: passenger.0,
                    key: key.0,
                    from: at,
                    until: at,
                    token: token.map(|token| token.get()),
                    result: "dropped",
                    event: index,
                });
            }
            What::FillEnded {
                passenger, result, ..
            } => {
                if let Some(fill) = self.filling.remove(&(node, *passenger)) {
                    let fill = &mut self.fills[fill];
                    fill.until = at;
                    fill.result = match result {
                        oneflight_core::FillResult::Value => "value",
                        oneflight_core::FillResult::Error => "error",
                        oneflight_core::FillResult::Panic | _ => "panic",
                    };
                }
            }
            What::Down { crashed } => {
                let kind = if *crashed { "crashed" } else { "left" };
                let calls = self
                    .open
                    .keys()
                    .filter(|(owner, _)| *owner == node)
                    .copied();
                for call in calls.collect::<Vec<_>>() {
                    self.end(call, at, kind, kind.to_owned(), index);
                }
            }
            _ => {}
        }
    }

    fn end(
        &mut self,
        id: (NodeId, PassengerId),
        at: Nanos,
        kind: &'static str,
        label: String,
        index: usize,
    ) {
        if let Some(call) = self.open.remove(&id) {
            let call = &mut self.calls[call];
            (call.until, call.kind, call.label, call.ended) = (at, kind, label, Some(index));
        }
        // A fill without an end was dropped with its caller.
        if let Some(fill) = self.filling.remove(&id) {
            self.fills[fill].until = at;
        }
    }

    pub(super) fn finish(mut self, end: Nanos) -> (Vec<Call>, Vec<Fill>) {
        for call in self.open.into_values() {
            self.calls[call].until = end;
        }
        for fill in self.filling.into_values() {
            self.fills[fill].until = end;
        }
        (self.calls, self.fills)
    }
}

fn landing(outcome: Outcome, local: bool) -> &'static str {
    match outcome {
        Outcome::Cached { stale: true, .. } => "stale",
        Outcome::Cached { .. } if local => "local",
        Outcome::Cached { .. } => "cached",
        Outcome::Computed { revision: Some(_) } => "computed",
        Outcome::Computed { revision: None } => "alone",
        Outcome::Awaited { .. } => "awaited",
        Outcome::Aborted
        | Outcome::Panicked
        | Outcome::TimedOut
        | Outcome::Fenced
        | Outcome::Unavailable
        | Outcome::Refused
        | Outcome::Malformed
        | Outcome::Unpublished { .. }
        | _ => "failed",
    }
}
