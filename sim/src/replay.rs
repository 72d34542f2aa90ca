//! Feeds the notices of a trace to fresh machines, and demands the same orders.

use std::collections::BTreeMap;

use oneflight_core::Flights;

use crate::trace::{Key, NodeId, Trace, What};

/// A machine that did not do again what it did.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Which record, from 0.
    pub record: usize,
    /// Where.
    pub node: NodeId,
    /// What the trace has, and what came now.
    pub story: String,
}

/// Replays a trace; says how many notices were told, and where the orders differ first.
#[must_use]
pub fn replay(trace: &Trace) -> (usize, Vec<Difference>) {
    let mut machines: BTreeMap<NodeId, Option<Flights<Key>>> = BTreeMap::new();
    let mut told = 0;
    let mut differences = Vec::new();
    for (record, it) in trace.records.iter().enumerate() {
        let What::Told {
            now,
            notice,
            orders,
        } = &it.what
        else {
            continue;
        };
        let machine = machines
            .entry(it.node)
            .or_insert_with(|| Some(Flights::new()));
        let Some(flights) = machine else { continue };
        told += 1;
        let again = flights.handle(*now, notice.clone());
        if again != *orders {
            differences.push(Difference {
                record,
                node: it.node,
                story: format!("to {notice:?} it ordered {orders:?}, and now {again:?}"),
            });
            // What follows from a difference says nothing.
            *machine = None;
        }
    }
    (told, differences)
}
