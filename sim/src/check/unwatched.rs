//! What is put to the test when somebody listens no more: a promise that was not kept until then was
//! broken, even if the landing or the claim that would show it comes only later, or never.

use super::Checker;
use crate::trace::{Key, NodeId};

impl Checker {
    pub(super) fn watch_closed(&mut self, key: Key, watcher: NodeId, flight: u64) {
        self.state.key(key);
        let state = &self.state.keys[key.index()];
        let told = state.claim_due.is_some_and(|due| due.2 == watcher);
        if !state.amnesia {
            let unclaimed = self.state.l2_claimed(state).filter(|_| told);
            let late = state
                .lease
                .as_ref()
                .and_then(|lease| self.state.l3_takeover(key, lease));
            self.report("L2 Prompt", watcher, Some(key), unclaimed);
            self.report("L3 Takeover", watcher, Some(key), late);
        }
        let state = self.state.key(key);
        state
            .watchers
            .retain(|open| (open.0, open.1) != (watcher, flight));
        if told {
            state.claim_due = None;
        }
    }

    /// A flight is about to stop listening: have its callers been left waiting for a value that
    /// satisfies them?
    pub(super) fn unwatches(&mut self, node: NodeId, key: Key) {
        let whole = !self.state.key(key).amnesia;
        for position in 0..self.state.node(node).open_calls(key).len() {
            let passenger = self.state.node(node).open_calls(key)[position];
            self.state.call(node, passenger);
            let call = self.state.known_call(node, passenger);
            let late = self.state.l2_landed(node, call);
            let late = late.filter(|_| whole && !call.ordered_to_land);
            self.report("L2 Prompt", node, Some(key), late);
            self.state.call(node, passenger).prompt = None;
        }
    }
}
