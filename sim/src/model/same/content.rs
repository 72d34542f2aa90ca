//! What of a state counts.

use oneflight_core::{Attempt, Judgement, Revision, Token};

use super::Same;
use crate::model::encode::Kind;
use crate::model::machine::Machines;
use crate::model::state::{Call, Message, Node, Push, Stage, State};
use crate::trace::{Answer, Digest, Nanos, Request};

impl Same {
    fn plain(&mut self, number: u64) {
        self.push(Kind::Plain, number);
    }

    fn flag(&mut self, flag: bool) {
        self.plain(u64::from(flag));
    }

    /// Some that are always there together, as one number.
    fn flags(&mut self, flags: &[bool]) {
        let number = flags
            .iter()
            .fold(0, |all, flag| all << 1 | u64::from(*flag));
        self.plain(number);
    }

    fn token(&mut self, token: Option<Token>) {
        self.push(Kind::Token, token.map_or(0, Token::get));
    }

    fn revision(&mut self, revision: Revision) {
        self.push(Kind::Revision, revision.get());
    }

    fn moment(&mut self, moment: Nanos) {
        self.push(Kind::Moment, moment);
    }

    fn flight(&mut self, flight: u64) {
        self.push(Kind::Flight, flight);
    }

    fn attempt(&mut self, attempt: Attempt) {
        self.push(Kind::Attempt, attempt.get().into());
    }

    pub(super) fn world(&mut self, state: &State) {
        self.plain(u64::from(state.spent));
        self.plain(state.jumped);
        let row = &state.store.rows[0];
        self.revision(row.revision);
        self.flag(row.value.is_some());
        self.token(row.value.and_then(|value| value.token));
        self.flag(row.value.is_some_and(|value| value.digest.0 >> 63 == 1));
        self.token(row.lease.map(|lease| lease.token));
        if let Some(lease) = row.lease {
            self.lapse(lease.lapses, state.time());
            self.revision(lease.generation);
        }
        let (token, revision) = row.published.unzip();
        self.token(token);
        self.revision(revision.unwrap_or_default());
        self.token(row.latest);
        let lock = &state.lock;
        self.token(lock.most_token);
        self.revision(lock.most_revision);
        self.revision(lock.filled.0);
        self.plain(lock.filled.1.into());
        if let Some(grant) = lock.newest {
            self.token(Some(grant.token));
            self.flag(grant.ended);
            if !grant.ended {
                self.lapse(grant.lapses, state.now);
                self.flag(grant.told);
            }
            self.revision(grant.generation);
            self.revision(grant.value.map(|value| value.0).unwrap_or_default());
            self.token(grant.value.and_then(|value| value.1));
        }
        // A counter that a bug sets back draws what was drawn before.
        let last = state.store.last();
        self.plain(u64::from(last < state.lock.most_revision.get()));
    }

    /// How long ago something has lapsed does not matter.
    fn lapse(&mut self, lapses: Nanos, now: Nanos) {
        self.plain(lapses.saturating_sub(now));
    }

    pub(super) fn node(&mut self, state: &State, index: usize, node: &Node, machines: &Machines) {
        let lease = state.store.rows[0].lease;
        let own = lease.filter(|lease| lease.attempt.0 == index as u64 + 1);
        let newest = state.lock.newest;
        self.flags(&[
            node.alive,
            own.is_some(),
            node.alive
                && newest.is_some_and(|grant| !grant.ended && usize::from(grant.node) == index),
        ]);
        if !node.alive {
            return;
        }
        if let Some(lease) = own {
            self.flight(lease.attempt.1);
            self.attempt(lease.attempt.2);
        }
        let numbers = machines.numbers(node.machine);
        self.plain(numbers.plain);
        for (kind, number) in &*numbers.others {
            self.push(*kind, *number);
        }
        self.flags(&[
            node.paused,
            node.was_paused,
            node.denied,
            node.disturbed,
            node.arrived.is_some(),
            node.arrived
                .is_some_and(|arrived| arrived.digest.0 >> 63 == 1),
            node.claim.is_some(),
        ]);
        self.flight(node.filled);
        self.flight(node.quit);
        self.revision(node.news);
        if let Some(arrived) = node.arrived {
            self.revision(arrived.revision);
            self.token(arrived.token);
        }
        self.digest(node, node.computed);
        if let Some((flight, attempt, aboard)) = node.claim {
            self.flight(flight);
            self.attempt(attempt);
            self.plain(aboard);
        }
        for call in &node.calls {
            self.call(state, call);
        }
        self.plain(node.watches.len() as u64);
        for watch in &node.watches {
            self.flight(watch.flight);
            self.flag(watch.at_store);
            self.plain(watch.pushes.len() as u64);
            for push in &watch.pushes {
                self.pushed(push);
            }
        }
    }

    fn call(&mut self, state: &State, call: &Call) {
        let stands = state.store.rows[0].value.map(|value| value.digest);
        let stage = (call.stage as u64) << 8;
        if call.stage == Stage::Before || call.stage == Stage::Over {
            return self.plain(stage | u64::from(call.failed) << 1 | u64::from(call.voided));
        }
        let judgement = call.judged.map_or(Judgement::Absent, |judged| judged.1);
        self.plain(stage | u64::from(call.fills) << 4 | judgement as u64);
        self.flags(&[
            call.failed,
            call.voided,
            call.asked,
            call.filling.is_some(),
            call.filling.is_some_and(|fill| fill.slow),
            call.computed.is_some(),
            call.computed.is_some() && stands == call.computed,
            call.fenced,
        ]);
        self.plain(call.passenger);
        self.revision(call.began);
        self.revision(call.judged.map_or(Revision::NEVER, |judged| judged.0));
        self.revision(call.satisfied.unwrap_or_default());
        self.token(call.floor);
        if let Some(fill) = call.filling {
            self.flight(fill.flight);
            self.attempt(fill.attempt);
            self.token(fill.token);
            if let Some(began) = fill.began {
                self.moment(began);
            }
        }
        self.revision(call.acknowledged.unwrap_or_default());
    }

    /// Whose value it is, and whether it is that one's last.
    fn digest(&mut self, node: &Node, digest: Option<Digest>) {
        let maker = digest.map_or(0, |digest| (digest.0 >> 4 & 0xf) + 1);
        self.plain(maker);
        let last = node.calls.iter().any(|call| call.computed == digest);
        self.flag(digest.is_some() && last);
    }

    pub(super) fn message(&mut self, node: &Node, message: &Message) {
        self.flight(message.flight);
        self.attempt(message.attempt);
        self.flags(&[message.late, message.again, message.second, message.heard]);
        self.revision(message.known);
        match message.request {
            Request::Claim { seen, .. } => {
                self.plain(1);
                self.revision(seen);
            }
            Request::Renew { token, .. } => {
                self.plain(2);
                self.token(Some(token));
            }
            Request::Publish { token, digest } => {
                self.plain(3);
                self.token(Some(token));
                self.digest(node, Some(digest));
            }
            Request::Release { token } => {
                self.plain(4);
                self.token(Some(token));
            }
            Request::Put { seen, digest } => {
                self.plain(5);
                self.revision(seen);
                self.digest(node, Some(digest));
            }
            Request::Read => self.plain(6),
            Request::Forget => self.plain(7),
        }
        self.answer(message.answer);
    }

    fn answer(&mut self, answer: Option<Answer>) {
        match answer {
            None => self.plain(0),
            Some(Answer::Granted {
                token,
                remaining,
                generation,
            }) => {
                self.plain(1);
                self.token(Some(token));
                self.plain(remaining);
                self.revision(generation);
            }
            Some(Answer::Held { token, remaining }) => {
                self.plain(2);
                self.token(Some(token));
                self.plain(remaining.unwrap_or_default());
            }
            Some(Answer::Newer {
                revision,
                token,
                digest,
                latest,
            }) => {
                self.plain(3);
                self.revision(revision);
                self.token(token);
                self.flag(digest.0 >> 63 == 1);
                self.token(latest);
            }
            Some(Answer::Renewed) => self.plain(4),
            Some(Answer::Lost) => self.plain(5),
            Some(Answer::Published { revision }) => {
                self.plain(6);
                self.revision(revision);
            }
            Some(Answer::Fenced) => self.plain(7),
            Some(Answer::Released { .. }) => self.plain(8),
            Some(Answer::Written { .. } | Answer::Kept { .. } | Answer::State { .. }) => {
                self.plain(9);
            }
            Some(Answer::Refused) => self.plain(10),
            Some(Answer::Malformed) => self.plain(11),
            Some(Answer::Unavailable) => self.plain(12),
        }
    }

    fn pushed(&mut self, push: &Push) {
        match push {
            Push::Key { revision, value } => {
                self.plain(1);
                self.revision(*revision);
                self.flag(value.is_some());
                self.token(value.and_then(|value| value.0));
            }
            Push::Free => self.plain(2),
            Push::Held(remaining) => {
                self.plain(3);
                self.plain(*remaining);
            }
            Push::Ended => self.plain(4),
            Push::Refused => self.plain(5),
        }
    }
}
