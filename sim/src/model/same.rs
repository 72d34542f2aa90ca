//! When two states are the same: a number that they share then.
//!
//! Moments count by how far they are from now, tokens, revisions, attempts and the numbers of flights
//! by their order alone, processes in no order at all. What a state holds but nothing depends on any
//! more does not count.

use oneflight_core::{Judgement, Revision, Token};

use super::encode::Kind;
use super::machine::Machines;
use super::state::{Call, Message, Node, Push, Stage, State};
use crate::trace::{Answer, Digest, Nanos, Request};

/// Longer than all that a search counts from a moment: what is longer ago is as good as for ever.
const LONG_AGO: Nanos = 6_000_000;

/// The buffers of [`Same::number`], kept between calls.
#[derive(Debug, Default)]
pub(super) struct Same {
    items: Vec<(Kind, u64)>,
    /// The parts: where each begins, and whose it is; the parts of one owner are in no order.
    parts: Vec<(usize, usize)>,
    tokens: Vec<u64>,
    revisions: Vec<u64>,
    attempts: Vec<u64>,
    flights: Vec<u64>,
}

impl Same {
    /// A number that is the same for the same states, and hardly ever for others.
    pub(super) fn number(&mut self, state: &State, machines: &Machines) -> u64 {
        self.items.clear();
        self.parts.clear();
        self.world(state);
        for (index, node) in state.nodes.iter().enumerate() {
            self.part(index + 1);
            self.node(state, index, node, machines);
            for message in &node.messages {
                self.part(index + 1);
                self.message(node, message);
            }
        }
        self.part(usize::MAX);
        self.collect_numbers();
        let mut sum = 0u64;
        let mut node = 0u64;
        for window in 0..self.parts.len() - 1 {
            let (begin, owner) = self.parts[window];
            let (end, next) = self.parts[window + 1];
            if owner > 0 && (window == 0 || self.parts[window - 1].1 != owner) {
                self.collect_own(window, owner);
                node = 0;
            }
            let hash = self.hash(begin, end, state.now);
            if owner == 0 {
                sum = sum.wrapping_add(mix(hash, 1));
            } else {
                node = node.wrapping_add(hash);
                if next != owner {
                    sum = sum.wrapping_add(mix(node, 2));
                }
            }
        }
        mix(sum, 3)
    }

    fn part(&mut self, owner: usize) {
        self.parts.push((self.items.len(), owner));
    }

    fn collect_numbers(&mut self) {
        self.tokens.clear();
        self.revisions.clear();
        for (kind, number) in &self.items {
            match kind {
                Kind::Token => note(&mut self.tokens, *number),
                Kind::Revision => note(&mut self.revisions, *number),
                Kind::Plain | Kind::Moment | Kind::Attempt | Kind::Flight | Kind::Hidden => {}
            }
        }
    }

    /// The attempts and flights of one process, from its first part on.
    fn collect_own(&mut self, from: usize, owner: usize) {
        self.attempts.clear();
        self.flights.clear();
        let begin = self.parts[from].0;
        let end = self.parts[from..]
            .iter()
            .find(|(_, it)| *it != owner)
            .map_or(begin, |(end, _)| *end);
        for (kind, number) in &self.items[begin..end] {
            match kind {
                Kind::Attempt => note(&mut self.attempts, *number),
                Kind::Flight => note(&mut self.flights, *number),
                Kind::Plain | Kind::Moment | Kind::Token | Kind::Revision | Kind::Hidden => {}
            }
        }
    }

    fn hash(&self, begin: usize, end: usize, now: Nanos) -> u64 {
        let mut hash = 0x243f_6a88_85a3_08d3;
        for (kind, number) in &self.items[begin..end] {
            let normal = match kind {
                Kind::Plain | Kind::Hidden => *number,
                Kind::Moment if *number == u64::MAX => u64::MAX,
                Kind::Moment => (number + LONG_AGO).saturating_sub(now),
                Kind::Token => rank(&self.tokens, *number),
                Kind::Revision => rank(&self.revisions, *number),
                Kind::Attempt => rank(&self.attempts, *number),
                Kind::Flight => rank(&self.flights, *number),
            };
            hash = mix(hash, normal);
        }
        hash
    }
}

/// What nobody was told, and what no store ever grants or reaches, is not a number among others.
fn note(numbers: &mut Vec<u64>, number: u64) {
    if number == 0 || number == u64::MAX {
        return;
    }
    if let Err(place) = numbers.binary_search(&number) {
        numbers.insert(place, number);
    }
}

fn rank(numbers: &[u64], number: u64) -> u64 {
    if number == 0 || number == u64::MAX {
        return number;
    }
    numbers.partition_point(|other| *other <= number) as u64
}

/// A folded multiplication, as in wyhash.
fn mix(hash: u64, number: u64) -> u64 {
    let product = u128::from(hash ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xa409_3822_299f)
        * 0xe703_7ed1_a0b4_28db_u128;
    (product as u64) ^ (product >> 64) as u64 ^ hash.rotate_left(29)
}

impl Same {
    fn plain(&mut self, number: u64) {
        self.items.push((Kind::Plain, number));
    }

    fn flag(&mut self, flag: bool) {
        self.plain(u64::from(flag));
    }

    fn token(&mut self, token: Option<Token>) {
        self.items.push((Kind::Token, token.map_or(0, Token::get)));
    }

    fn revision(&mut self, revision: Revision) {
        self.items.push((Kind::Revision, revision.get()));
    }

    fn moment(&mut self, moment: Nanos) {
        self.items.push((Kind::Moment, moment));
    }

    fn flight(&mut self, flight: u64) {
        self.items.push((Kind::Flight, flight));
    }

    fn attempt(&mut self, attempt: oneflight_core::Attempt) {
        self.items.push((Kind::Attempt, attempt.get().into()));
    }

    fn world(&mut self, state: &State) {
        self.part(0);
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

    fn node(&mut self, state: &State, index: usize, node: &Node, machines: &Machines) {
        self.flag(node.alive);
        let lease = state.store.rows[0].lease;
        let own = lease.filter(|lease| lease.attempt.0 == index as u64 + 1);
        self.flag(own.is_some());
        if !node.alive {
            return;
        }
        if let Some(lease) = own {
            self.flight(lease.attempt.1);
            self.attempt(lease.attempt.2);
        }
        let newest = state.lock.newest;
        self.flag(newest.is_some_and(|grant| !grant.ended && usize::from(grant.node) == index));
        self.items.extend_from_slice(machines.numbers(node.machine));
        self.flag(node.paused);
        self.flag(node.was_paused);
        self.flag(node.denied);
        self.flag(node.disturbed);
        self.flight(node.filled);
        self.flight(node.quit);
        self.revision(node.news);
        self.flag(node.arrived.is_some());
        if let Some(arrived) = node.arrived {
            self.revision(arrived.revision);
            self.token(arrived.token);
            self.flag(arrived.digest.0 >> 63 == 1);
        }
        self.digest(node, node.computed);
        self.flag(node.claim.is_some());
        if let Some((flight, attempt, aboard)) = node.claim {
            self.flight(flight);
            self.attempt(attempt);
            self.plain(aboard);
        }
        for (number, call) in node.calls.iter().enumerate() {
            self.plain(number as u64);
            self.call(state, call);
        }
        self.plain(node.watches.len() as u64);
        for watch in &node.watches {
            self.flight(watch.flight);
            self.flag(watch.at_store);
            self.plain(watch.pushes.len() as u64);
            for push in &watch.pushes {
                self.push(push);
            }
        }
    }

    fn call(&mut self, state: &State, call: &Call) {
        self.plain(call.stage as u64);
        self.flag(call.failed);
        self.flag(call.voided);
        if call.stage == Stage::Before || call.stage == Stage::Over {
            return;
        }
        self.plain(call.passenger);
        self.revision(call.began);
        self.flag(call.asked);
        let (revision, judgement) = call.judged.unwrap_or((Revision::NEVER, Judgement::Absent));
        self.revision(revision);
        self.plain(judgement as u64);
        self.revision(call.satisfied.unwrap_or_default());
        self.token(call.floor);
        self.flag(call.filling.is_some());
        if let Some(fill) = call.filling {
            self.flight(fill.flight);
            self.attempt(fill.attempt);
            self.token(fill.token);
            self.flag(fill.slow);
            if let Some(began) = fill.began {
                self.moment(began);
            }
        }
        self.plain(call.fills.into());
        let stands = state.store.rows[0].value.map(|value| value.digest);
        self.flag(call.computed.is_some());
        self.flag(call.computed.is_some() && stands == call.computed);
        self.revision(call.acknowledged.unwrap_or_default());
        self.flag(call.fenced);
    }

    /// Whose value it is, and whether it is that one's last.
    fn digest(&mut self, node: &Node, digest: Option<Digest>) {
        let maker = digest.map_or(0, |digest| (digest.0 >> 4 & 0xf) + 1);
        self.plain(maker);
        let last = node.calls.iter().any(|call| call.computed == digest);
        self.flag(digest.is_some() && last);
    }

    fn message(&mut self, node: &Node, message: &Message) {
        self.flight(message.flight);
        self.attempt(message.attempt);
        self.flag(message.late);
        self.flag(message.again);
        self.flag(message.second);
        self.flag(message.heard);
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

    fn push(&mut self, push: &Push) {
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
        }
    }
}
