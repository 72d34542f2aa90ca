//! A state of the small world: what all processes, the store and the messages between them are in.

use std::rc::Rc;

use oneflight_core::{Attempt, Judgement, Revision, Token};

use super::machine::MachineId;
use super::setup::{Setup, Start};
use crate::trace::{Answer, Digest, Nanos, Request, StoreProfile};
use crate::world::store::Store;

/// The bit of a digest that says that its value does not decode.
pub(super) const GARBLED: u64 = 1 << 63;

#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) now: Nanos,
    /// How far the store's clock has jumped, which only a bug does.
    pub(super) jumped: Nanos,
    pub(super) store: Rc<Store>,
    pub(super) lock: Lock,
    /// The faults so far.
    pub(super) spent: u8,
    pub(super) nodes: Vec<Rc<Node>>,
}

/// What the invariants remember of the lock and its key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lock {
    pub(super) newest: Option<Grant>,
    pub(super) most_token: Option<Token>,
    pub(super) most_revision: Revision,
    /// The generation that was filled last, and how often.
    pub(super) filled: (Revision, u8),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Grant {
    pub(super) token: Token,
    pub(super) node: u8,
    pub(super) lapses: Nanos,
    pub(super) generation: Revision,
    /// It was released, or ended with a publish or a forget.
    pub(super) ended: bool,
    /// Its holder has been told.
    pub(super) told: bool,
    /// The value that stood when it was granted.
    pub(super) value: Option<(Revision, Option<Token>)>,
}

/// A process.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) machine: MachineId,
    pub(super) alive: bool,
    pub(super) paused: bool,
    /// It has stood still: its lease may lapse.
    pub(super) was_paused: bool,
    /// It was not permitted something, or its release was lost: its lease may be left to lapse.
    pub(super) denied: bool,
    /// A fault has come between it and the store.
    pub(super) disturbed: bool,
    /// The last revision of the key that came, and the last value.
    pub(super) news: Revision,
    pub(super) arrived: Option<Arrived>,
    /// The last value that a fill of its callers returned.
    pub(super) computed: Option<Digest>,
    /// The last claim: flight, attempt, how many callers had boarded.
    pub(super) claim: Option<(u64, Attempt, u64)>,
    /// The flight that was last told to fill, and the one whose renewals a bug has stopped.
    pub(super) filled: u64,
    pub(super) quit: u64,
    pub(super) calls: Vec<Call>,
    /// What is between its machine and the store, in no order.
    pub(super) messages: Vec<Message>,
    pub(super) watches: Vec<Watch>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    pub(super) revision: Revision,
    pub(super) token: Option<Token>,
    pub(super) digest: Digest,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Before,
    Open,
    /// Its caller is gone, and a bug keeps that from its machine.
    Ghost,
    Over,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Call {
    pub(super) stage: Stage,
    pub(super) passenger: u64,
    /// The revision of the key when it began: what was written since is new enough for it.
    pub(super) began: Revision,
    /// It is asked to judge what has arrived.
    pub(super) asked: bool,
    pub(super) judged: Option<(Revision, Judgement)>,
    pub(super) satisfied: Option<Revision>,
    /// The highest token granted before it, as far as its process knows.
    pub(super) floor: Option<Token>,
    pub(super) filling: Option<Fill>,
    pub(super) fills: u8,
    pub(super) computed: Option<Digest>,
    pub(super) acknowledged: Option<Revision>,
    /// Its fill was overtaken.
    pub(super) fenced: bool,
    /// Its last fill began before the key was forgotten.
    pub(super) voided: bool,
    /// It was told that nothing of its fill will be written.
    pub(super) failed: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    pub(super) flight: u64,
    pub(super) attempt: Attempt,
    pub(super) token: Option<Token>,
    /// It takes as long as it likes.
    pub(super) slow: bool,
    /// When it began, if the rules bound how long it may take.
    pub(super) began: Option<Nanos>,
}

/// A request on its way to the store, or its answer on the way back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) flight: u64,
    pub(super) attempt: Attempt,
    pub(super) request: Request,
    pub(super) answer: Option<Answer>,
    /// Of a put: the last revision that the machine knows, whatever a bug makes of it.
    pub(super) known: Revision,
    /// It may take any time from now on, and may never come.
    pub(super) late: bool,
    /// It is carried out once more.
    pub(super) again: bool,
    /// It is carried out for the second time, and its process hears one answer only.
    pub(super) second: bool,
    /// That one has been heard.
    pub(super) heard: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) flight: u64,
    pub(super) at_store: bool,
    /// On their way, in order.
    pub(super) pushes: Vec<Push>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Push {
    Key {
        revision: Revision,
        value: Option<(Option<Token>, Digest)>,
    },
    Free,
    Held(Nanos),
    Ended,
    /// The store does not permit the watch.
    Refused,
}

impl Node {
    pub(super) fn is_running(&self) -> bool {
        self.alive && !self.paused
    }

    pub(super) fn call_of(&self, passenger: u64) -> Option<usize> {
        self.calls
            .iter()
            .position(|call| call.passenger == passenger && call.stage != Stage::Before)
    }
}

impl Call {
    pub(super) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }
}

impl State {
    /// How everything begins.
    pub(super) fn first(setup: &Setup) -> Self {
        let profile = StoreProfile {
            idempotent_claim: setup.keeps_claims_idempotent(),
            ..StoreProfile::default()
        };
        let mut store = Store::new(profile, 1);
        let garbled = match setup.start {
            Start::Absent => None,
            Start::Old => Some(0),
            Start::Garbled => Some(GARBLED),
        };
        if let Some(garbled) = garbled {
            let put = Request::Put {
                seen: Revision::NEVER,
                digest: Digest(garbled),
            };
            let (_, _) = store.carry_out(0, 0, None, put);
        }
        let lock = Lock {
            most_revision: store.rows[0].revision,
            ..Lock::default()
        };
        let calls = |node: usize| {
            let share = setup.callers / setup.nodes;
            share + usize::from(node < setup.callers % setup.nodes)
        };
        let nodes = (0..setup.nodes).map(|node| {
            Rc::new(Node {
                machine: 0,
                alive: true,
                paused: false,
                was_paused: false,
                denied: false,
                disturbed: false,
                news: Revision::NEVER,
                arrived: None,
                computed: None,
                claim: None,
                filled: 0,
                quit: 0,
                calls: vec![Call::default(); calls(node)],
                messages: Vec::new(),
                watches: Vec::new(),
            })
        });
        Self {
            now: 0,
            jumped: 0,
            lock,
            spent: 0,
            nodes: nodes.collect(),
            store: Rc::new(store),
        }
    }

    /// The store's clock.
    pub(super) fn time(&self) -> Nanos {
        self.now + self.jumped
    }

    pub(super) fn node(&mut self, node: usize) -> &mut Node {
        Rc::make_mut(&mut self.nodes[node])
    }

    /// Calls that have not ended; those yet to begin, too.
    pub(super) fn has_calls_to_come(&self) -> bool {
        let mut calls = self
            .nodes
            .iter()
            .filter(|node| node.alive)
            .flat_map(|node| &node.calls);
        calls.any(|call| matches!(call.stage, Stage::Before | Stage::Open))
    }
}
