//! Waits for the mirror to have come so far.

use std::collections::BTreeSet;

use oneflight_store::StoreError;
use serde_json::json;

use super::{Session, Ticket};
use crate::clock::Moment;
use crate::wire::{Done, Failure};

/// Those who wait.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// For an operation; with zero, for the session to be up.
    reach: BTreeSet<(u64, Ticket)>,
    /// For whatever was committed before they asked: to be asked for.
    latest: Vec<Ticket>,
    /// The same, asked for under this reference.
    asked: Option<(String, Vec<Ticket>)>,
    /// The same, to be told by the join that is under way.
    by_join: Vec<Ticket>,
    /// The server does not know `status`: joining again serves as well.
    pub(super) no_status: bool,
}

impl Waits {
    pub(super) fn abandon(&mut self, ticket: Ticket) {
        self.reach.retain(|(_, waiting)| *waiting != ticket);
        let asked = self.asked.iter_mut().map(|(_, asked)| asked);
        for tickets in asked.chain([&mut self.latest, &mut self.by_join]) {
            tickets.retain(|waiting| *waiting != ticket);
        }
    }

    /// A join is sent: it tells all that was committed before.
    pub(super) fn joining(&mut self) {
        self.lost();
        self.by_join.append(&mut self.latest);
    }

    /// The join is done, with everything up to this operation.
    pub(super) fn joined(&mut self, through: u64) {
        let by_join = self.by_join.drain(..).map(|ticket| (through, ticket));
        self.reach.extend(by_join);
    }

    /// No answer will come.
    pub(super) fn lost(&mut self) {
        if let Some((_, mut asked)) = self.asked.take() {
            self.latest.append(&mut asked);
        }
        self.latest.append(&mut self.by_join);
    }

    pub(super) fn is_empty(&self) -> bool {
        let asked = self
            .asked
            .as_ref()
            .is_none_or(|(_, asked)| asked.is_empty());
        asked && self.reach.is_empty() && self.latest.is_empty() && self.by_join.is_empty()
    }

    fn drain(&mut self) -> Vec<Ticket> {
        self.lost();
        let reach = std::mem::take(&mut self.reach).into_iter();
        let latest = self.latest.drain(..);
        latest.chain(reach.map(|(_, ticket)| ticket)).collect()
    }
}

impl Session {
    /// Waits until all operations up to this one are known; with zero, until it is up.
    pub(crate) fn reach(&mut self, now: Moment, seq: u64) -> Ticket {
        let ticket = self.ticket();
        self.wanted(now);
        self.mirror.seqs.exists(seq);
        self.waits.reach.insert((seq, ticket));
        self.turn(now);
        ticket
    }

    /// Waits until all operations are known that were committed before now.
    pub(crate) fn catch_up(&mut self, now: Moment) -> Ticket {
        let ticket = self.ticket();
        self.wanted(now);
        self.waits.latest.push(ticket);
        self.turn(now);
        ticket
    }

    /// Asks how far the store has come, if somebody wants to know.
    pub(super) fn ask_status(&mut self, now: Moment, join: &str) {
        if self.waits.latest.is_empty() || self.waits.asked.is_some() {
            return;
        }
        if self.waits.no_status {
            return self.rejoin(now);
        }
        let tickets = std::mem::take(&mut self.waits.latest);
        let reference = self.status(join);
        self.waits.asked = Some((reference, tickets));
    }

    /// Asks how far the store has come.
    pub(super) fn status(&mut self, join: &str) -> String {
        let reference = self.reference();
        let topic = self.settings.topic.clone();
        self.send(Some(join), &reference, &topic, "status", json!({}));
        reference
    }

    /// An answer to `status` has come, if it is one.
    pub(super) fn told_status(&mut self, reference: &str, current: Option<u64>) -> bool {
        let asked = self.waits.asked.take_if(|(asked, _)| asked == reference);
        let Some((_, mut tickets)) = asked else {
            return false;
        };
        match current {
            Some(current) => {
                self.mirror.seqs.exists(current);
                let reach = tickets.into_iter().map(|ticket| (current, ticket));
                self.waits.reach.extend(reach);
            }
            None => {
                self.waits.no_status = true;
                self.waits.latest.append(&mut tickets);
            }
        }
        true
    }

    /// The channel has crashed: `status` may have been what it does not know.
    pub(super) fn suspect_status(&mut self) {
        self.waits.no_status |= self.waits.asked.is_some();
    }

    /// Answers those who have waited long enough.
    pub(super) fn end_waits(&mut self) {
        let through = self.mirror.seqs.through();
        let rest = if self.is_up() {
            self.waits.reach.split_off(&(through.saturating_add(1), 0))
        } else {
            // Those who wait for it to be up stay.
            let mut rest = self.waits.reach.split_off(&(through.saturating_add(1), 0));
            let mut up = std::mem::take(&mut self.waits.reach);
            self.waits.reach = up.split_off(&(1, 0));
            rest.append(&mut up);
            rest
        };
        for (_, ticket) in std::mem::replace(&mut self.waits.reach, rest) {
            self.answer(ticket, Ok(Done::default()));
        }
    }

    pub(super) fn fail_waits(&mut self, why: &StoreError) {
        for ticket in self.waits.drain() {
            self.answer(ticket, Err(Failure::Store(why.clone())));
        }
    }
}
