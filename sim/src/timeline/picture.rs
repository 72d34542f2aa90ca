//! What is drawn of one run: bars, arrows and marks, as data for the page.

use serde::Serialize;

use super::calls::{Call, Calls, Fill};
use super::leases::{Lease, Leases, Write};
use super::messages::{Message, Messages};
use super::states::{Phases, States};
use super::{times, words};
use crate::check::{Checker, Violation};
use crate::trace::{Fault, Key, Nanos, NodeId, Record, Trace, What};
use crate::world::Observer as _;

/// No more records than this are drawn: a browser copes with them.
pub(super) const MOST_RECORDS: usize = 10_000;

/// One run, ready to be drawn. Moments count from the first record.
#[derive(Debug, Default, Serialize)]
pub(super) struct Picture {
    pub(super) nodes: Vec<Node>,
    pub(super) keys: Vec<String>,
    pub(super) end: Nanos,
    /// How many events at the end are not drawn.
    pub(super) left_out: usize,
    leases: Vec<Lease>,
    writes: Vec<Write>,
    calls: Vec<Call>,
    fills: Vec<Fill>,
    phases: Vec<Phases>,
    messages: Vec<Message>,
    faults: Vec<FaultBand>,
    pub(super) events: Vec<Event>,
    pub(super) broken: Vec<Broken>,
}

#[derive(Debug, Serialize)]
pub(super) struct Node {
    node: NodeId,
    name: String,
    up: Nanos,
    down: Option<Nanos>,
    crashed: bool,
}

#[derive(Debug, Serialize)]
struct FaultBand {
    node: NodeId,
    from: Nanos,
    until: Nanos,
    /// It lasts, as opposed to a mishap of one message.
    lasts: bool,
    name: &'static str,
    event: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct Event {
    at: Nanos,
    node: NodeId,
    key: Option<u32>,
    kind: &'static str,
    words: String,
    before: String,
    after: String,
    raw: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Broken {
    pub(super) invariant: &'static str,
    pub(super) at: Nanos,
    pub(super) node: NodeId,
    pub(super) key: Option<u32>,
    pub(super) story: String,
    /// The record that showed it.
    pub(super) event: usize,
}

/// Judges a trace; tells which record showed each violation.
pub(super) fn judged(trace: &Trace) -> Vec<(Violation, usize)> {
    let sees_store = sees_store(trace);
    let mut checker = Checker::of(&trace.headers);
    if sees_store {
        checker = checker.seeing_the_store();
    }
    let mut shown = Vec::new();
    for (index, Record { at, node, what }) in trace.records.iter().enumerate() {
        checker.see(*at, *node, what);
        shown.resize(checker.violations().len(), index);
    }
    let violations = checker.finish();
    shown.resize(violations.len(), trace.records.len().saturating_sub(1));
    violations.into_iter().zip(shown).collect()
}

pub(super) fn sees_store(trace: &Trace) -> bool {
    let is_commit = |record: &Record<Key>| matches!(record.what, What::Committed { .. });
    trace.records.iter().any(is_commit)
}

/// A trace as a picture.
pub(super) fn picture(trace: &Trace) -> Picture {
    let base = trace.records.first().map_or(0, |record| record.at);
    let broken = judged(trace);
    let drawn = drawn(trace.records.len(), broken.first().map(|(_, event)| *event));
    let records = trace.records.get(..drawn).unwrap_or_default();
    let end = records
        .last()
        .map_or(0, |record| record.at.saturating_sub(base));
    let mut picture = Picture {
        end,
        left_out: trace.records.len() - drawn,
        ..Picture::default()
    };
    let mut leases = Leases::new(trace);
    let mut messages = Messages::new(sees_store(trace));
    let mut states = States::default();
    let mut calls = Calls::default();
    for (index, record) in records.iter().enumerate() {
        let at = record.at.saturating_sub(base);
        let changed = states.told(record, at, &trace.names);
        picture.event(trace, index, at, changed);
        picture.node(record, at);
        picture.fault(record, index, at, base, end);
        calls.see(record, index, at);
        leases.see(record, index, at);
        messages.see(record, index, at);
    }
    (picture.calls, picture.fills) = calls.finish(end);
    (picture.leases, picture.writes) = leases.finish(end);
    picture.messages = messages.finish(end);
    picture.phases = states.phases;
    picture.keys = (0..)
        .map_while(|key| {
            trace
                .names
                .name(Key(key))
                .map(|_| words::key(&trace.names, Key(key)))
        })
        .collect();
    for (violation, event) in broken {
        let at = violation.at.saturating_sub(base);
        picture.broken.push(Broken {
            invariant: violation.invariant,
            at,
            node: violation.node,
            key: violation.key.map(|key| key.0),
            story: times::with_times(&violation.story),
            event: event.min(drawn.saturating_sub(1)),
        });
    }
    picture
}

/// How many records of so many are drawn: of a run that goes in circles only the beginning, until a
/// while after the first violation.
fn drawn(count: usize, broken: Option<usize>) -> usize {
    if count <= MOST_RECORDS {
        return count;
    }
    let after = broken.map_or(MOST_RECORDS, |event| event + MOST_RECORDS / 20);
    after.min(MOST_RECORDS)
}

impl Picture {
    fn event(&mut self, trace: &Trace, index: usize, at: Nanos, changed: (String, String)) {
        let record = &trace.records[index];
        let named = record
            .clone()
            .rename(&mut |key| words::key(&trace.names, *key));
        self.events.push(Event {
            at,
            node: record.node,
            key: words::about(&record.what).map(|key| key.0),
            kind: kind(&record.what),
            words: words::what(&record.what),
            before: changed.0,
            after: changed.1,
            raw: serde_json::to_string(&named).unwrap_or_default(),
        });
    }

    fn node(&mut self, record: &Record<Key>, at: Nanos) {
        let id = record.node;
        if id == 0 {
            return;
        }
        let position = self.nodes.iter().position(|node| node.node == id);
        let position = position.unwrap_or_else(|| {
            self.nodes.push(Node {
                node: id,
                name: format!("node {id}"),
                up: at,
                down: None,
                crashed: false,
            });
            self.nodes.len() - 1
        });
        let node = &mut self.nodes[position];
        match &record.what {
            // A process that takes another's place has its name: the number tells them apart.
            What::Up { name, .. } if *name != node.name => node.name = format!("{id}: {name}"),
            What::Down { crashed } => {
                node.down = Some(at);
                node.crashed = *crashed;
            }
            _ => {}
        }
    }

    fn fault(&mut self, record: &Record<Key>, index: usize, at: Nanos, base: Nanos, end: Nanos) {
        match &record.what {
            What::Fault { fault, until } => {
                let lasts = matches!(
                    fault,
                    Fault::CutUp | Fault::CutDown | Fault::Paused | Fault::StoreSlow
                );
                self.faults.push(FaultBand {
                    node: record.node,
                    from: at,
                    until: if lasts {
                        until.saturating_sub(base).clamp(at, end)
                    } else {
                        at
                    },
                    lasts,
                    name: words::fault(*fault),
                    event: index,
                });
            }
            What::Healed { broken } => {
                for band in self.faults.iter_mut().filter(|band| band.lasts) {
                    if band.name != words::fault(Fault::Paused) && !broken.contains(&band.node) {
                        band.until = band.until.min(at);
                    }
                }
            }
            _ => {}
        }
    }
}

fn kind(what: &What<Key>) -> &'static str {
    match what {
        What::Up { .. } | What::Down { .. } => "process",
        What::Told { .. } => "told",
        What::Began { .. } | What::Landed { .. } | What::Left { .. } => "call",
        What::FillBegan { .. } | What::FillEnded { .. } => "fill",
        What::Sent { .. } | What::Answered { .. } => "request",
        What::Committed { .. } => "store",
        What::WatchOpened { .. } | What::WatchClosed { .. } => "watch",
        What::Changes { .. } | What::Healed { .. } | What::Ended { .. } => "world",
        What::Fault { .. } => "fault",
    }
}
