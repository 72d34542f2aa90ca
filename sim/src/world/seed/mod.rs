//! The algorithm of [`crate::seed`] in the worlds of [`World`]: the same plans, network, store and
//! faults; other processes.
//!
//! [`Fleet`] takes the events that concern callers and leaves all others to the world.

mod act;
mod process;
mod replica;

use super::queue::Event;
use super::{Observer, Room, Run, World};
use crate::bugs::Bug;
use crate::plan::Plan;
use crate::trace::{Key, Nanos, NodeId, What};
use process::{Owner, Process};
use replica::{Feed, QueuedPut};

/// The number of a feed among the flights; those of callers begin at 1.
const FEED: u64 = 0;

/// Runs the seed's algorithm in the world of a plan.
pub fn run_seed_algorithm<O: Observer>(plan: &Plan, observer: &mut O) -> Run {
    let mut plan = plan.clone();
    // Its replica takes the place of local copies; its requests are single steps.
    plan.copies = false;
    plan.store.profile.atomic_claim = true;
    plan.store.profile.atomic_publish = true;
    let mut observer = WithoutFeeds(observer);
    let mut world = World::new(&plan, &mut observer).keeping_fates();
    // A snapshot wakes nobody: the replica takes it in by itself.
    world.bug = Some(Bug::WatchGap);
    world.store.profile.atomic_publish = false;
    world.store.profile.idempotent_claim = false;
    let fleet = Fleet {
        processes: plan.calls.iter().map(|_| Process::default()).collect(),
        owners: Vec::new(),
        feeds: Vec::new(),
        puts: Vec::new(),
        world,
    };
    fleet.run()
}

/// A process always listens to the store, whether a caller of it waits or not: in the trace, the
/// callers' subscriptions are the watches, not the feed that they hang on.
struct WithoutFeeds<'a, O>(&'a mut O);

impl<O: Observer> Observer for WithoutFeeds<'_, O> {
    fn see(&mut self, at: Nanos, node: NodeId, what: &What<Key>) {
        match what {
            What::WatchOpened { flight: FEED, .. } | What::WatchClosed { flight: FEED, .. } => {}
            what => self.0.see(at, node, what),
        }
    }
}

struct Fleet<'a, O> {
    world: World<'a, O>,
    /// One for each call of the plan.
    processes: Vec<Process>,
    /// Who waits for the answer to each request.
    owners: Vec<Option<Owner>>,
    /// Of each process of the world, for each key.
    feeds: Vec<Vec<Feed>>,
    /// What waits for a connection.
    puts: Vec<QueuedPut>,
}

impl<O: Observer> Fleet<'_, O> {
    fn run(mut self) -> Run {
        let mut room = Room::default();
        self.world.enter(&mut room);
        self.world.start();
        self.connect_new();
        while let Some(number) = self.world.next() {
            self.happen(number);
        }
        let pending = self.pending();
        self.world.end(pending, &mut room)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "all that does not concern callers is the world's own"
    )]
    fn happen(&mut self, number: u32) {
        let event = *self.world.queue.event(number);
        match event {
            Event::Begin { call } => self.begin(call),
            Event::Cancel { call } => self.cancel(call),
            Event::Wake { call } => self.wake(call),
            Event::FillEnd { call, serial } => self.fill_end(call, serial),
            Event::Back {
                request, answer, ..
            } if self
                .owners
                .get(request as usize)
                .is_some_and(Option::is_some) =>
            {
                self.back(request, answer, event);
            }
            Event::Pushed { watch, push } => self.pushed(watch, push),
            Event::WatchAtStore { watch } => self.feed_at_store(watch),
            Event::ChangesUp { node } => self.snapshot(node),
            Event::Restart { .. } => {
                self.world.happen(number);
                self.connect_new();
            }
            Event::CutOver { .. } | Event::Heal => {
                self.world.happen(number);
                self.reconnect();
            }
            _ => self.world.happen(number),
        }
    }

    /// What should not be there at the end.
    fn pending(&self) -> Vec<String> {
        let mut pending = Vec::new();
        if self.world.events > super::MOST_EVENTS {
            pending.push("too many events: it goes in circles".to_owned());
        }
        for process in self.processes.iter().filter(|process| process.is_open()) {
            if self.world.nodes[process.node as usize].alive {
                pending.push(format!(
                    "call {} of node {} is open and nothing will happen any more",
                    process.passenger,
                    process.node + 1
                ));
            }
        }
        pending
    }
}
