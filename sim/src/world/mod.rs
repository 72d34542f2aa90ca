//! The world of a run: processes that host the real [`oneflight_core::Flights`], a model of a store,
//! a network between them, virtual time.
//!
//! Pure and single-threaded: a run is a function of its [`Plan`]. What happens goes to an [`Observer`]
//! as trace records.

mod caller;
mod driver;
mod faults;
mod net;
mod node;
mod queue;
mod room;
mod seed;
pub(crate) mod store;
mod watches;

use crate::bugs::Bug;
use crate::coverage::Coverage;
use crate::fates::{Fate, Fates};
use crate::plan::Plan;
use crate::trace::{Bounds, Fault, Header, Key, Nanos, NodeId, VERSION, What};
use caller::Call;
use node::Node;
use oneflight_core::{Instant, Notice, Order};
use queue::{Event, Queue};
pub use room::Room;
pub use seed::run_seed_algorithm;
use store::Store;

/// Who is told what happens.
pub trait Observer {
    /// Something has happened.
    fn see(&mut self, at: Nanos, node: NodeId, what: &What<Key>);

    /// A machine was told something: a [`What::Told`], which is large, and more frequent than all
    /// others. Whoever does not keep it need not have it made.
    fn see_told(
        &mut self,
        at: Nanos,
        node: NodeId,
        now: Instant,
        notice: &Notice<Key>,
        orders: &[Order<Key>],
    ) {
        self.see(at, node, &told(now, notice, orders));
    }
}

/// The record of what a machine was told, to be kept.
#[must_use]
pub fn told(now: Instant, notice: &Notice<Key>, orders: &[Order<Key>]) -> What<Key> {
    What::Told {
        now,
        notice: notice.clone(),
        orders: orders.to_vec(),
    }
}

/// After so many events a run counts as one that goes round in circles.
const MOST_EVENTS: u64 = 100_000;

/// One run.
pub struct World<'a, O> {
    plan: &'a Plan,
    observer: &'a mut O,
    coverage: Option<&'a mut Coverage>,
    bug: Option<Bug>,
    now: Nanos,
    queue: Queue,
    fates: Fates,
    nodes: Vec<Node>,
    /// Which process is in which slot now.
    slots: Vec<u32>,
    /// How many cut-offs there are, to the store and from it, and the serial of the last healing.
    cuts: Vec<(u32, u32)>,
    slow: (Nanos, Nanos),
    healed: bool,
    calls: Vec<Call>,
    requests: Vec<net::Request>,
    watches: Vec<watches::Watch>,
    /// The watches of each key, at the store.
    watchers: Vec<Vec<u32>>,
    /// Room for those who are being told, and for what a machine orders.
    listeners: Vec<u32>,
    orders: Vec<Order<Key>>,
    store: Store,
    /// The number of the last value.
    values: u64,
    events: u64,
    spare: Vec<Node>,
}

/// How a run went, beside what its observer saw.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// How many events there were.
    pub events: u64,
    /// How much time passed in the world.
    pub time: Nanos,
    /// What became of the messages, if that was wanted.
    pub fates: Option<Vec<Fate>>,
}

/// The head of a plan's trace.
#[must_use]
pub fn header(plan: &Plan) -> Header {
    Header {
        oneflight: VERSION,
        recorder: "sim".to_owned(),
        seed: Some(plan.seed),
        profile: plan.profile.clone(),
        store: plan.store.profile,
        bounds: Some(bounds(plan)),
        config: serde_json::to_value(plan).unwrap_or_default(),
    }
}

/// What promptness is judged by.
#[must_use]
pub fn bounds(plan: &Plan) -> Bounds {
    let wake = plan.calls.iter().map(|call| call.wake).max();
    let drift = plan.clocks.iter().map(|ppm| ppm.unsigned_abs()).max();
    Bounds {
        trip: plan.net.least + plan.net.spread + plan.store.work,
        wake: wake.unwrap_or(0),
        detect: plan.request_timeout,
        drift_ppm: u64::from(drift.unwrap_or(0)),
    }
}

impl<'a, O: Observer> World<'a, O> {
    /// A world that is about to begin.
    pub fn new(plan: &'a Plan, observer: &'a mut O) -> Self {
        Self {
            observer,
            coverage: None,
            bug: None,
            now: 0,
            queue: Queue::default(),
            fates: Fates::new(plan.seed, plan.net, plan.fates.as_ref(), false),
            nodes: Vec::new(),
            slots: Vec::new(),
            cuts: vec![(0, 0); plan.clocks.len()],
            slow: (0, 0),
            healed: false,
            calls: Vec::new(),
            requests: Vec::new(),
            watches: Vec::new(),
            watchers: Vec::new(),
            listeners: Vec::new(),
            orders: Vec::new(),
            store: Store::new(plan.store.profile, plan.keys),
            values: 0,
            events: 0,
            spare: Vec::new(),
            plan,
        }
    }

    /// With a bug put in.
    #[must_use]
    pub fn with_bug(mut self, bug: Option<Bug>) -> Self {
        self.bug = bug;
        if bug == Some(Bug::GhostLease) {
            self.store.profile.idempotent_claim = false;
        }
        self
    }

    /// Counting the transitions of the machines.
    #[must_use]
    pub fn with_coverage(mut self, coverage: Option<&'a mut Coverage>) -> Self {
        self.coverage = coverage;
        self
    }

    /// Keeping what becomes of the messages.
    #[must_use]
    pub fn keeping_fates(mut self) -> Self {
        self.fates = Fates::new(
            self.plan.seed,
            self.plan.net,
            self.plan.fates.as_ref(),
            true,
        );
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Run {
        self.run_in(&mut Room::default())
    }

    /// Runs it to its end, in the room of runs before.
    pub fn run_in(mut self, room: &mut Room) -> Run {
        self.enter(room);
        self.start();
        while let Some(number) = self.next() {
            self.happen(number);
        }
        let pending = self.pending();
        self.end(pending, room)
    }

    /// What is planned is put into the queue, and the processes begin.
    fn start(&mut self) {
        let plan = self.plan;
        for slot in 0..plan.clocks.len() {
            self.slots.push(0);
            self.bring_up(slot);
        }
        for (index, call) in plan.calls.iter().enumerate() {
            let call_index = index as u32;
            self.queue.push(call.at, Event::Begin { call: call_index });
        }
        for (index, fault) in plan.faults.iter().enumerate() {
            let index = index as u32;
            self.queue.push(fault.at, Event::Fault { index });
        }
        self.queue.push(plan.heal_at, Event::Heal);
    }

    /// The number of the event that happens next, if one does.
    fn next(&mut self) -> Option<u32> {
        let (at, number) = self.queue.pop()?;
        self.now = at;
        self.events += 1;
        (self.events <= MOST_EVENTS).then_some(number)
    }

    fn end(mut self, pending: Vec<String>, room: &mut Room) -> Run {
        self.emit(0, &What::Ended { pending });
        self.leave_to(room);
        Run {
            events: self.events,
            time: self.now,
            fates: self.fates.dealt,
        }
    }

    fn happen(&mut self, number: u32) {
        match *self.queue.event(number) {
            Event::Begin { call } => self.begin(call),
            Event::Cancel { call } => self.cancel(call),
            Event::Wake { call } => self.wake(call),
            Event::FillEnd { call, serial } => self.fill_end(call, serial),
            Event::Timer { node } => self.timer(node),
            Event::AtStore { request, again } => self.at_store(request, again),
            Event::Step { request, answer } => self.second_step(request, answer),
            Event::Back {
                request,
                answer,
                age,
                again,
            } => self.back(request, answer, age, again),
            Event::WatchAtStore { watch } => self.watch_at_store(watch),
            Event::Gap { watch } => self.snapshot(watch),
            Event::UnwatchAtStore { watch } => self.unwatch_at_store(watch),
            Event::Pushed { watch, push } => self.pushed(watch, push),
            Event::Changed {
                node,
                key,
                revision,
            } => self.changed(node, key, revision),
            Event::ChangesUp { node } => self.changes_up(node),
            Event::Fault { index } => self.trouble(index),
            Event::CutOver { slot, serial } => self.cut_over(slot, serial),
            Event::Restart { slot } => self.restart(slot),
            Event::Heal => self.heal(),
        }
    }

    fn emit(&mut self, node: NodeId, what: &What<Key>) {
        self.observer.see(self.now, node, what);
    }

    /// Whether this bug is put in: next to never, so that what it does is kept out of the way.
    fn has(&self, bug: Bug) -> bool {
        #[cold]
        fn are_same(one: Bug, other: Bug) -> bool {
            one == other
        }
        self.bug.is_some_and(|it| are_same(it, bug))
    }

    fn fault(&mut self, node: NodeId, fault: Fault, until: Nanos) {
        self.emit(node, &What::Fault { fault, until });
    }

    /// If a process stands still, what was to happen in it happens later.
    fn is_deferred(&mut self, node: u32, event: Event) -> bool {
        let until = self.nodes[node as usize].paused_until;
        let deferred = until > self.now;
        if deferred {
            self.queue.push(until, event);
        }
        deferred
    }

    /// What should not be there at the end.
    fn pending(&self) -> Vec<String> {
        let mut pending = Vec::new();
        if self.events > MOST_EVENTS {
            pending.push(format!(
                "more than {MOST_EVENTS} events: it goes in circles"
            ));
        }
        for (index, call) in self.calls.iter().enumerate() {
            if call.is_open() && self.nodes[call.node as usize].alive {
                let key = Key(self.plan.calls[index].key);
                let view = self.nodes[call.node as usize].flights.view(&key);
                pending.push(format!(
                    "call {} of node {} is open and nothing will happen any more; its flight: {view:?}",
                    call.passenger,
                    call.node + 1,
                ));
            }
        }
        for (index, node) in self.nodes.iter().enumerate() {
            if node.alive && !node.flights.is_idle() {
                pending.push(format!("node {} is not idle", index + 1));
            }
            for (flight, _) in node.watches.iter().filter(|_| node.alive) {
                pending.push(format!(
                    "node {} still watches for flight {flight}",
                    index + 1
                ));
            }
        }
        pending
    }
}
