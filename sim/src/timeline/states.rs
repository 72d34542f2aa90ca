//! The machines' states, found by telling fresh machines what the trace says they were told.

use std::collections::BTreeMap;

use oneflight_core::{Deadline, Flights, Phase};
use serde::Serialize;

use super::{times, words};
use crate::phases;
use crate::trace::{Key, Names, Nanos, NodeId, Record, What};

type View = Option<(Option<Phase>, Option<Deadline>, usize)>;

/// From then on the key's flight in this process was in this phase.
#[derive(Debug, Serialize)]
pub(super) struct Phases {
    node: NodeId,
    key: u32,
    at: Nanos,
    phase: &'static str,
}

#[derive(Default)]
pub(super) struct States {
    machines: BTreeMap<NodeId, (Flights<Key>, BTreeMap<Key, View>)>,
    pub(super) phases: Vec<Phases>,
}

impl States {
    /// The state before and after a record: of its key, or of whatever keys it moved.
    pub(super) fn told(
        &mut self,
        record: &Record<Key>,
        at: Nanos,
        names: &Names,
    ) -> (String, String) {
        let node = record.node;
        let (flights, views) = self
            .machines
            .entry(node)
            .or_insert_with(|| (Flights::new(), BTreeMap::new()));
        let about = words::about(&record.what);
        let What::Told { now, notice, .. } = &record.what else {
            let stands = about
                .and_then(|key| views.get(&key))
                .map(|view| shown(*view, 0));
            let stands = stands.unwrap_or_default();
            return (stands.clone(), stands);
        };
        if let Some(key) = about {
            views.entry(key).or_insert(None);
        }
        // What it orders is in the trace.
        drop(flights.handle(*now, notice.clone()));
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for (key, view) in views {
            let next = flights.view(key);
            if about != Some(*key) && next == *view {
                continue;
            }
            let name = if about == Some(*key) {
                String::new()
            } else {
                format!("{}: ", words::key(names, *key))
            };
            before.push(format!("{name}{}", shown(*view, now.as_nanos())));
            after.push(format!("{name}{}", shown(next, now.as_nanos())));
            if phase(*view) != phase(next) {
                self.phases.push(Phases {
                    node,
                    key: key.0,
                    at,
                    phase: phase(next),
                });
            }
            *view = next;
        }
        (before.join("; "), after.join("; "))
    }
}

fn phase(view: View) -> &'static str {
    phases::name(view.and_then(|(phase, ..)| phase))
}

fn shown(view: View, now: Nanos) -> String {
    let Some((_, deadline, aboard)) = view else {
        return "no flight".to_owned();
    };
    let mut text = phase(view).to_owned();
    if let Some(Deadline { at, why }) = deadline {
        let left = at.as_nanos().saturating_sub(now);
        let why = format!("{why:?}");
        if now > 0 {
            text += &format!(", {why} in {}", times::time(left));
        }
    }
    text + &format!(", {aboard} aboard")
}
