//! What the checker remembers: constant state per key, per call, per flight.

use oneflight_core::{Attempt, Judgement, Policy, Revision, Token, Verdict};

use crate::trace::{Digest, Fault, Freshness, Key, Nanos, NodeId};

/// How many of a key's last writes and fills are remembered.
const REMEMBERED: usize = 256;

/// A list that forgets its oldest.
#[derive(Clone, Debug)]
pub(super) struct Last<T>(Vec<T>);

impl<T> Default for Last<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Last<T> {
    pub(super) fn push(&mut self, item: T) {
        if self.0.len() >= 2 * REMEMBERED {
            drop(self.0.drain(..REMEMBERED));
        }
        self.0.push(item);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// From the newest.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().rev()
    }

    /// It has forgotten some.
    pub(super) fn is_partial(&self) -> bool {
        self.0.len() >= REMEMBERED
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct KeyState {
    /// A fail-over or an eviction has made the past moot: the store's promises are judged no more.
    pub(super) amnesia: bool,
    /// The last revision before a fail-over set the key back: nothing tells that one below is newer.
    pub(super) set_back: Revision,
    pub(super) max_token: u64,
    pub(super) max_revision: Revision,
    /// The newest lease.
    pub(super) lease: Option<LeaseState>,
    /// The current value.
    pub(super) value: Option<Write>,
    pub(super) writes: Last<Write>,
    /// The last revision that somebody judged as not to be decoded.
    pub(super) garbled: Revision,
    pub(super) fills: Last<FillState>,
    /// When the key was last forgotten.
    pub(super) forgotten: Option<Nanos>,
    /// The generation last filled, its fills, and the faults charged to it.
    pub(super) generation: Option<Revision>,
    pub(super) filled: u32,
    pub(super) charged: u32,
    /// The open watches at the store, and since when.
    pub(super) watchers: Vec<(NodeId, u64, Nanos)>,
    /// Somebody must have claimed by then, since the lock was freed at that time; told to that node.
    pub(super) claim_due: Option<(Nanos, Nanos, NodeId)>,
    /// Claims sent since the lock was last granted, by flights that had claimed before.
    pub(super) claims: u32,
    /// The store's own row, by the reference model.
    pub(super) row: super::model::Row,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct LeaseState {
    pub(super) token: Token,
    pub(super) node: NodeId,
    pub(super) flight: u64,
    /// The claim it was granted to.
    pub(super) claim: Attempt,
    pub(super) granted: Nanos,
    pub(super) lapses: Nanos,
    pub(super) ttl: Nanos,
    pub(super) generation: Revision,
    /// It was released, published under or forgotten.
    pub(super) ended: bool,
    /// The value that stood when it was granted.
    pub(super) value: Option<Write>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Write {
    pub(super) revision: Revision,
    pub(super) digest: Digest,
    pub(super) token: Option<Token>,
    pub(super) at: Nanos,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct FillState {
    pub(super) node: NodeId,
    pub(super) passenger: u64,
    pub(super) digest: Digest,
    pub(super) began: Nanos,
}

#[derive(Clone, Debug, Default)]
pub(super) struct NodeState {
    pub(super) down: bool,
    pub(super) calls: Vec<CallState>,
    pub(super) flights: Vec<FlightState>,
    /// The open calls of each key.
    pub(super) open: Vec<Vec<u64>>,
    /// What disturbs it: from, until, what.
    pub(super) troubles: Vec<(Nanos, Nanos, Fault)>,
    /// Since when its change stream is up.
    pub(super) connected: Option<Nanos>,
    /// The keys for which its store was found unreachable.
    pub(super) unreachable: Vec<bool>,
    /// The last revision of each key that has come.
    pub(super) arrivals: Vec<Revision>,
    /// How often its timer fired.
    pub(super) ticks: u32,
}

/// A verdict of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub(super) revision: Revision,
    pub(super) judgement: Judgement,
    /// The floor that was known to the call.
    pub(super) floor: Option<Token>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CallState {
    pub(super) known: bool,
    pub(super) key: u32,
    pub(super) began: Nanos,
    pub(super) freshness: Option<Freshness>,
    pub(super) policy: Option<Policy>,
    pub(super) ordered_to_land: bool,
    /// When that was.
    pub(super) land_ordered: Nanos,
    pub(super) landed: bool,
    pub(super) left: bool,
    /// The fills it began.
    pub(super) fills: u32,
    pub(super) filling: bool,
    pub(super) fill_began: Nanos,
    pub(super) fill_token: Option<Token>,
    /// What its last fill returned.
    pub(super) computed: Option<Digest>,
    /// Its last fill was fenced, or its lease lost.
    pub(super) fenced: bool,
    /// Its last fill's publish was acknowledged.
    pub(super) acknowledged: Option<Revision>,
    /// The last revision it judged.
    pub(super) judged: Option<Judged>,
    /// The one before that: a newer one may come between its grant and its fill.
    pub(super) judged_before: Option<Judged>,
    /// The revision it was asked to judge, until it has.
    pub(super) judging: Revision,
    /// While it was, or while another did with whom it then shared a flight, the store was found unreachable.
    pub(super) given_up: bool,
    /// A value satisfied it.
    pub(super) satisfied: Option<Revision>,
    /// The highest token granted before its flight's first claim since it began.
    pub(super) floor: Option<Token>,
    /// A value that satisfies it was committed then, and must have landed it by that time.
    pub(super) prompt: Option<(Nanos, Nanos, Revision)>,
    /// It was told to land with a definite failure.
    pub(super) failed: Option<oneflight_core::Outcome>,
    /// It must have degraded by then.
    pub(super) degrade_by: Option<(Nanos, Nanos)>,
}

impl CallState {
    pub(super) fn is_open(&self) -> bool {
        self.known && !self.landed && !self.left
    }

    /// It judges a revision, again or for the first time; what is older than the last one it judged counts
    /// no more.
    pub(super) fn judges(&mut self, verdict: &Verdict) {
        match self.judged {
            Some(last) if last.revision > verdict.revision => return,
            Some(last) if last.revision == verdict.revision => {}
            last => self.judged_before = last,
        }
        self.judged = Some(Judged {
            revision: verdict.revision,
            judgement: verdict.judgement,
            floor: self.floor,
        });
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FlightState {
    pub(super) key: u32,
    /// It has degraded.
    pub(super) local: bool,
    /// The claim at the store, when it was ordered by the node's own clock, and the calls aboard.
    pub(super) claim: Option<(Attempt, Nanos, u64)>,
    pub(super) claims_ordered: u32,
    pub(super) claims_sent: u32,
    /// What it was told that gives it a reason to claim.
    pub(super) reasons: u32,
    /// The lease it was last told of.
    pub(super) granted: Option<Token>,
    /// The lease it fills under.
    pub(super) token: Option<Token>,
    /// The lease that it was told is lost.
    pub(super) lost: Option<Token>,
    /// A value is at the store.
    pub(super) publishing: bool,
    /// The publish that the store has not acknowledged, and when it was ordered by the node's own clock.
    pub(super) publish: Option<(Attempt, Nanos)>,
    pub(super) overdue: bool,
    /// The store has refused it something: it asks for no more.
    pub(super) refused: bool,
    /// When it was over.
    pub(super) retired: Option<Nanos>,
    /// The last revision that it ordered a put over.
    pub(super) put_seen: Option<Revision>,
    /// It has given its lease back.
    pub(super) releasing: bool,
    /// It listens.
    pub(super) watching: bool,
    /// It has asked to be told no more.
    pub(super) unwatched: bool,
}

/// Where what is numbered from 1 stands in its list.
pub(super) fn index_of(number: u64) -> usize {
    number.saturating_sub(1) as usize
}

impl KeyState {
    /// As at first, but for the room in its lists.
    pub(super) fn cleared(mut self) -> Self {
        self.writes.clear();
        self.fills.clear();
        self.watchers.clear();
        Self {
            writes: self.writes,
            fills: self.fills,
            watchers: self.watchers,
            ..Self::default()
        }
    }
}

impl NodeState {
    /// As at first, but for the room in its lists.
    pub(super) fn cleared(mut self) -> Self {
        self.calls.clear();
        self.flights.clear();
        for open in &mut self.open {
            open.clear();
        }
        self.troubles.clear();
        self.unreachable.clear();
        self.arrivals.clear();
        Self {
            calls: self.calls,
            flights: self.flights,
            open: self.open,
            troubles: self.troubles,
            unreachable: self.unreachable,
            arrivals: self.arrivals,
            ..Self::default()
        }
    }

    pub(super) fn call(&mut self, passenger: u64) -> &mut CallState {
        let index = index_of(passenger);
        if self.calls.len() <= index {
            self.grow_calls(index + 1);
        }
        &mut self.calls[index]
    }

    #[cold]
    #[inline(never)]
    fn grow_calls(&mut self, count: usize) {
        self.calls.resize(count, CallState::default());
    }

    pub(super) fn call_ref(&self, passenger: u64) -> Option<&CallState> {
        self.calls.get(passenger.checked_sub(1)? as usize)
    }

    pub(super) fn flight(&mut self, number: u64) -> &mut FlightState {
        let index = index_of(number);
        if self.flights.len() <= index {
            self.grow_flights(index + 1);
        }
        &mut self.flights[index]
    }

    #[cold]
    #[inline(never)]
    fn grow_flights(&mut self, count: usize) {
        self.flights.resize(count, FlightState::default());
    }

    pub(super) fn open_calls(&self, key: Key) -> &[u64] {
        self.open.get(key.index()).map_or(&[], Vec::as_slice)
    }

    /// Changes each open call of a key.
    pub(super) fn each_open_call(&mut self, key: Key, mut change: impl FnMut(u64, &mut CallState)) {
        for passenger in self.open.get(key.index()).into_iter().flatten() {
            if let Some(call) = self.calls.get_mut(index_of(*passenger)) {
                change(*passenger, call);
            }
        }
    }

    pub(super) fn board(&mut self, key: Key, passenger: u64) {
        if self.open.len() <= key.index() {
            self.open.resize_with(key.index() + 1, Vec::new);
        }
        self.open[key.index()].push(passenger);
    }

    pub(super) fn close(&mut self, key: Key, passenger: u64) {
        if let Some(open) = self.open.get_mut(key.index()) {
            open.retain(|other| *other != passenger);
        }
    }

    pub(super) fn arrived(&mut self, key: Key, revision: Revision) {
        if self.arrivals.len() <= key.index() {
            self.arrivals.resize(key.index() + 1, Revision::NEVER);
        }
        let last = &mut self.arrivals[key.index()];
        *last = revision.max(*last);
    }

    pub(super) fn last_arrived(&self, key: Key) -> Revision {
        self.arrivals.get(key.index()).copied().unwrap_or_default()
    }

    pub(super) fn set_unreachable(&mut self, key: Key, unreachable: bool) {
        if self.unreachable.len() <= key.index() {
            self.unreachable.resize(key.index() + 1, false);
        }
        self.unreachable[key.index()] = unreachable;
    }
}
