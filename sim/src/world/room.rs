//! The memory of runs that are over, for those to come: there are millions of short ones.

use oneflight_core::Order;

use super::caller::Call;
use super::net::Request;
use super::node::Node;
use super::queue::Queue;
use super::watches::Watch;
use super::{Observer, World};
use crate::trace::Key;

/// The lists of a run, empty: only the room they have taken goes from one run to the next.
#[derive(Default)]
pub struct Room {
    queue: Queue,
    nodes: Vec<Node>,
    spare: Vec<Node>,
    slots: Vec<u32>,
    calls: Vec<Call>,
    requests: Vec<Request>,
    watches: Vec<Watch>,
    watchers: Vec<Vec<u32>>,
    listeners: Vec<u32>,
    orders: Vec<Order<Key>>,
}

impl<O: Observer> World<'_, O> {
    /// Takes the room over, for as many calls and keys as there will be.
    pub(super) fn enter(&mut self, room: &mut Room) {
        let room = std::mem::take(room);
        self.queue = room.queue;
        self.nodes = room.nodes;
        self.spare = room.spare;
        self.slots = room.slots;
        self.calls = room.calls;
        self.calls.resize_with(self.plan.calls.len(), Call::default);
        self.requests = room.requests;
        self.watches = room.watches;
        self.watchers = room.watchers;
        self.watchers.resize_with(self.plan.keys as usize, Vec::new);
        self.listeners = room.listeners;
        self.orders = room.orders;
    }

    /// Leaves the room to the next run.
    pub(super) fn leave_to(&mut self, room: &mut Room) {
        self.spare.append(&mut self.nodes);
        for watchers in &mut self.watchers {
            watchers.clear();
        }
        *room = Room {
            queue: std::mem::take(&mut self.queue).cleared(),
            nodes: cleared(&mut self.nodes),
            spare: std::mem::take(&mut self.spare),
            slots: cleared(&mut self.slots),
            calls: cleared(&mut self.calls),
            requests: cleared(&mut self.requests),
            watches: cleared(&mut self.watches),
            watchers: std::mem::take(&mut self.watchers),
            listeners: cleared(&mut self.listeners),
            orders: cleared(&mut self.orders),
        };
    }
}

/// The list without its items.
pub(crate) fn cleared<T>(list: &mut Vec<T>) -> Vec<T> {
    list.clear();
    std::mem::take(list)
}
