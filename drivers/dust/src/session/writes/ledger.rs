//! What is not settled, and how it is found.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use oneflight_store::Token;

use super::{Pending, Stage};
use crate::clock::Moment;
use crate::path::Path;
use crate::session::Ticket;
use crate::wire::{Condition, Deed, Write};

/// The writes that are not settled, by number: thousands under load, so none is looked for in all of them.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pending: BTreeMap<u64, Pending>,
    /// Those to be sent, in the order in which they are.
    queued: BTreeSet<(Moment, u64)>,
    /// Those sent, by their references, which only grow.
    sent: BTreeMap<u64, u64>,
    /// Who waits for which.
    askers: HashMap<Ticket, u64>,
    /// Leases that are given up, and leases that are published under, with how often.
    releases: HashMap<(Path, Token), usize>,
    publishes: HashMap<(Path, Token), u64>,
}

impl Ledger {
    pub(super) fn insert(&mut self, number: u64, pending: Pending) {
        for asker in &pending.askers {
            self.askers.insert(*asker, number);
        }
        match &pending.write.deed {
            Deed::Release { token } => {
                let lease = (pending.write.path.clone(), *token);
                *self.releases.entry(lease).or_default() += 1;
            }
            Deed::Set {
                only: Condition::Fence { lock, token },
                ..
            } => {
                self.publishes.insert((lock.clone(), *token), number);
            }
            Deed::Set { .. } | Deed::Lease { .. } | Deed::Renew { .. } | Deed::Delete => {}
        }
        let stage = pending.stage.clone();
        self.pending.insert(number, pending);
        self.set_stage(number, stage);
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Pending> {
        self.leave_stage(number);
        let pending = self.pending.remove(&number)?;
        for asker in &pending.askers {
            self.askers.remove(asker);
        }
        match &pending.write.deed {
            Deed::Release { token } => {
                let lease = (pending.write.path.clone(), *token);
                if let Some(count) = self.releases.get_mut(&lease) {
                    *count -= 1;
                    if *count == 0 {
                        self.releases.remove(&lease);
                    }
                }
            }
            Deed::Set {
                only: Condition::Fence { lock, token },
                ..
            } => {
                self.publishes.remove(&(lock.clone(), *token));
            }
            Deed::Set { .. } | Deed::Lease { .. } | Deed::Renew { .. } | Deed::Delete => {}
        }
        Some(pending)
    }

    pub(super) fn get(&self, number: u64) -> Option<&Pending> {
        self.pending.get(&number)
    }

    fn leave_stage(&mut self, number: u64) {
        match self.pending.get(&number).map(|pending| &pending.stage) {
            Some(Stage::Queued(at)) => drop(self.queued.remove(&(*at, number))),
            Some(Stage::Sent { reference, .. }) => drop(self.sent.remove(reference)),
            Some(Stage::Unsettled) | None => {}
        }
    }

    pub(super) fn set_stage(&mut self, number: u64, stage: Stage) {
        self.leave_stage(number);
        if let Some(pending) = self.pending.get_mut(&number) {
            match &stage {
                Stage::Queued(at) => drop(self.queued.insert((*at, number))),
                Stage::Sent { reference, .. } => drop(self.sent.insert(*reference, number)),
                Stage::Unsettled => {}
            }
            pending.stage = stage;
        }
    }

    /// Sends it again from now on, as it may have been sent before.
    pub(super) fn again(&mut self, now: Moment, number: u64) {
        self.set_stage(number, Stage::Queued(now));
        if let Some(pending) = self.pending.get_mut(&number) {
            pending.again = true;
        }
    }

    /// The next that is to be sent by now.
    pub(super) fn due(&self, now: Moment) -> Option<u64> {
        let (at, number) = self.queued.first()?;
        (*at <= now).then_some(*number)
    }

    /// When the next is to be sent.
    pub(super) fn next_due(&self) -> Option<Moment> {
        self.queued.first().map(|(at, _)| *at)
    }

    /// When the one that has gone unanswered for longest was sent.
    pub(super) fn oldest(&self) -> Option<Moment> {
        let (_, number) = self.sent.first_key_value()?;
        match self.pending.get(number)?.stage {
            Stage::Sent { at, .. } => Some(at),
            Stage::Queued(_) | Stage::Unsettled => None,
        }
    }

    pub(super) fn sent_under(&self, reference: &str) -> Option<u64> {
        self.sent.get(&reference.parse().ok()?).copied()
    }

    /// The answers to what was sent will not come any more.
    pub(crate) fn unsettle(&mut self) {
        for (_, number) in std::mem::take(&mut self.sent) {
            if let Some(pending) = self.pending.get_mut(&number) {
                pending.stage = Stage::Unsettled;
            }
        }
    }

    /// Those to be sent, like that: in the time that those take, however many are sent.
    pub(super) fn queued(&self, such: impl Fn(&Pending, Moment) -> bool) -> Vec<u64> {
        let such = self.queued.iter().filter(|(at, number)| {
            let pending = self.pending.get(number);
            pending.is_some_and(|pending| such(pending, *at))
        });
        such.map(|(_, number)| *number).collect()
    }

    pub(super) fn numbers(&self, such: impl Fn(&Pending) -> bool) -> Vec<u64> {
        let such = self.pending.iter().filter(|(_, pending)| such(pending));
        such.map(|(number, _)| *number).collect()
    }

    /// Somebody else wants what is the same write; `false` if there is none.
    pub(super) fn join(&mut self, write: &Write, asker: Ticket) -> bool {
        let Deed::Set {
            only: Condition::Fence { lock, token },
            ..
        } = &write.deed
        else {
            return false;
        };
        let same = self.publishes.get(&(lock.clone(), *token));
        let same = same.and_then(|number| self.pending.get_mut(number));
        let Some(pending) = same.filter(|pending| pending.write == *write) else {
            return false;
        };
        pending.askers.push(asker);
        self.askers.insert(asker, pending.id.number);
        true
    }

    /// Whoever asked has left: the number of what they wanted.
    pub(super) fn leave(&mut self, asker: Ticket) -> Option<u64> {
        let number = self.askers.remove(&asker)?;
        if let Some(pending) = self.pending.get_mut(&number) {
            pending.askers.retain(|known| *known != asker);
        }
        Some(number)
    }

    /// All who wait leave.
    pub(super) fn leave_all(&mut self) -> Vec<Ticket> {
        let askers = std::mem::take(&mut self.askers);
        for number in askers.values() {
            if let Some(pending) = self.pending.get_mut(number) {
                pending.askers.clear();
            }
        }
        let mut askers: Vec<_> = askers.into_keys().collect();
        askers.sort_unstable();
        askers
    }

    pub(super) fn has_askers(&self) -> bool {
        !self.askers.is_empty()
    }

    /// Whether this lease is being given up.
    pub(super) fn releases(&self, lock: &Path, token: Token) -> bool {
        self.releases.contains_key(&(lock.clone(), token))
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }
}
