//! What can be judged of a store without seeing it: each request's answer came between its sending
//! and its return, and the answers' tokens and revisions say in which order the store saw them.
//!
//! [`process`] demands that the lines of one process agree with one another; [`locks`] and [`values`]
//! that those of all processes tell one story. Moments of different processes are compared only if all
//! of them name the same clock.

mod amnesia;
mod locks;
mod process;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use oneflight_core::{Event, Judgement, Notice, Order, Outcome, Revision, Token};

use super::Violation;
use crate::coverage::revision_of;
use crate::trace::{Answer, Digest, Key, Name, Nanos, NodeId, Request, Trace, What};
use amnesia::Amnesia;
use locks::Lock;
use process::Process;
use values::Text;

/// A request, and what came back.
#[derive(Clone, Copy, Debug)]
struct Ask {
    node: NodeId,
    key: Key,
    flight: Option<u64>,
    request: Request,
    sent: Nanos,
    answer: Option<(Nanos, Answer)>,
}

impl Ask {
    /// What the store did is not known: it never answered, or said that it could not.
    fn is_open(&self) -> bool {
        matches!(self.answer, None | Some((_, Answer::Unavailable)))
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Recorded {
    /// The text of each key, and its lock, by number.
    groups: Vec<(usize, usize)>,
    processes: BTreeMap<NodeId, Process>,
    asks: Vec<Ask>,
    locks: Vec<Lock>,
    texts: Vec<Text>,
    /// What several keys with the same text are guarded by: their tokens say nothing of one another.
    ambiguous: BTreeSet<usize>,
    amnesia: Amnesia,
    at: Nanos,
    wrong: Vec<Violation>,
}

impl Recorded {
    pub(super) fn of(trace: &Trace) -> Self {
        let mut recorded = Self {
            amnesia: Amnesia::of(&trace.headers),
            ..Self::default()
        };
        let mut texts: BTreeMap<String, usize> = BTreeMap::new();
        let mut locks: BTreeMap<String, usize> = BTreeMap::new();
        let mut guards: BTreeMap<usize, usize> = BTreeMap::new();
        for number in 0.. {
            let Some(name) = trace.names.name(Key(number)) else {
                break;
            };
            let (text, lock) = match name {
                Name::Key(key) => (key.clone(), format!("_dust:sf/{key}")),
                Name::Locked { key, lock } => (key.clone(), lock.clone()),
            };
            let next = texts.len();
            let text = *texts.entry(text).or_insert(next);
            let next = locks.len();
            let lock = *locks.entry(lock).or_insert(next);
            if *guards.entry(text).or_insert(lock) != lock {
                recorded.ambiguous.insert(text);
            }
            recorded.groups.push((text, lock));
        }
        recorded.texts.resize_with(texts.len(), Text::default);
        recorded.locks.resize_with(locks.len(), Lock::default);
        recorded
    }

    pub(super) fn see(&mut self, at: Nanos, node: NodeId, what: &What<Key>) {
        self.at = at;
        for (invariant, key, story) in self.processes.entry(node).or_default().see(what) {
            self.report(invariant, node, key, story);
        }
        match what {
            What::Told { notice, orders, .. } => self.told(node, notice, orders),
            What::Sent {
                id,
                key,
                flight,
                request,
            } => {
                let ask = Ask {
                    node,
                    key: *key,
                    flight: *flight,
                    request: *request,
                    sent: at,
                    answer: None,
                };
                self.sent(&ask);
                let index = self.asks.len();
                self.asks.push(ask);
                self.process(node).asks.insert(*id, index);
            }
            What::Answered { id, answer } => {
                let index = self.process(node).asks.remove(id);
                let Some(ask) = index.and_then(|index| self.asks.get_mut(index)) else {
                    let story = format!("an answer to request {id}, which is not under way");
                    return self.report("Recording", node, None, story);
                };
                ask.answer = Some((at, *answer));
                let ask = *ask;
                self.answered(&ask, answer);
            }
            What::Landed {
                key,
                outcome,
                digest,
                ..
            } => self.landed(node, *key, *outcome, *digest),
            What::FillBegan {
                key,
                token: Some(token),
                ..
            } => {
                if let Some(lock) = self.lock(*key) {
                    lock.filled(*token);
                }
            }
            What::FillEnded {
                key,
                digest: Some(digest),
                ..
            } => {
                if let Some(text) = self.text(*key) {
                    text.computed(node, *digest);
                }
            }
            What::Fault { fault, until } if node == 0 => self.amnesia.befalls(*fault, at, *until),
            _ => {}
        }
    }

    fn process(&mut self, node: NodeId) -> &mut Process {
        self.processes.entry(node).or_default()
    }

    fn lock(&mut self, key: Key) -> Option<&mut Lock> {
        let (_, lock) = self.groups.get(key.index())?;
        self.locks.get_mut(*lock)
    }

    fn text(&mut self, key: Key) -> Option<&mut Text> {
        let (text, _) = self.groups.get(key.index())?;
        self.texts.get_mut(*text)
    }

    fn told(&mut self, node: NodeId, notice: &Notice<Key>, orders: &[Order<Key>]) {
        match notice {
            Notice::Arrived {
                flight, arrival, ..
            } => {
                let token = arrival.value.then_some(arrival.token);
                self.stands(node, flight.key, self.at, arrival.revision, token, None);
            }
            Notice::Judged { key, verdict, .. }
            | Notice::Boarded {
                key,
                known: verdict,
                ..
            } if verdict.judgement != Judgement::Absent => {
                self.stands(
                    node,
                    *key,
                    self.at,
                    verdict.revision,
                    Some(verdict.token),
                    None,
                );
            }
            Notice::Answered { flight, event } => match event {
                Event::Fenced { .. } | Event::LeaseLost { .. } => {
                    if let Some(lock) = self.lock(flight.key) {
                        lock.troubled(node, flight.number);
                    }
                }
                _ => {}
            },
            _ => {}
        }
        for order in orders {
            if let Order::Command { flight, command } = order
                && let oneflight_core::Command::WarnLeaseLost { .. } = command
                && let Some(lock) = self.lock(flight.key)
            {
                lock.troubled(node, flight.number);
            }
        }
    }

    fn sent(&mut self, ask: &Ask) {
        let at = self.at;
        match ask.request {
            Request::Publish { token, digest } => {
                let computed = self
                    .text(ask.key)
                    .is_none_or(|text| text.publishing(ask.node, token, digest, at));
                if let Some(lock) = self.lock(ask.key) {
                    lock.giving_up(token, at);
                }
                if !computed {
                    let story = format!("{digest:?} is published, which no fill here returned");
                    self.report("S4 Provenance", ask.node, Some(ask.key), story);
                }
            }
            Request::Put { digest, .. } => {
                let computed = self
                    .text(ask.key)
                    .is_none_or(|text| text.has_computed(ask.node, digest));
                if !computed {
                    let story = format!("{digest:?} is put, which no fill here returned");
                    self.report("S4 Provenance", ask.node, Some(ask.key), story);
                }
            }
            Request::Release { token } => {
                if let Some(lock) = self.lock(ask.key) {
                    lock.giving_up(token, at);
                    lock.released(token);
                }
            }
            _ => {}
        }
    }

    fn answered(&mut self, ask: &Ask, answer: &Answer) {
        let (node, key, sent) = (ask.node, ask.key, ask.sent);
        match (*answer, ask.request) {
            (
                Answer::Granted {
                    token,
                    remaining,
                    generation,
                },
                _,
            ) => {
                self.stands(node, key, sent, generation, None, None);
                let at = self.at;
                let story = self
                    .lock(key)
                    .and_then(|lock| lock.granted(ask, token, remaining, generation, at));
                if let Some(story) = story {
                    self.report("S1 TokenMonotonic", node, Some(key), story);
                }
            }
            (
                Answer::Newer {
                    revision,
                    token,
                    digest,
                    ..
                },
                _,
            ) => self.stands(node, key, sent, revision, Some(token), Some(digest)),
            (Answer::Renewed, Request::Renew { token, ttl }) => {
                if let Some(lock) = self.lock(key) {
                    lock.renewed(token, ask.sent.saturating_add(ttl));
                }
            }
            (Answer::Published { revision }, Request::Publish { token, digest }) => {
                self.stands(node, key, sent, revision, Some(Some(token)), Some(digest));
            }
            (Answer::Written { revision }, Request::Put { digest, .. }) => {
                self.stands(node, key, sent, revision, Some(None), Some(digest));
            }
            (Answer::Written { revision }, Request::Forget) => {
                self.stands(node, key, sent, revision, None, None);
                if let Some(text) = self.text(key) {
                    text.forgotten(revision);
                }
            }
            (Answer::Kept { revision }, _) => self.stands(node, key, sent, revision, None, None),
            (Answer::State { revision, digest }, _) => {
                self.stands(node, key, sent, revision, None, digest);
            }
            _ => {}
        }
    }

    fn landed(&mut self, node: NodeId, key: Key, outcome: Outcome, digest: Option<Digest>) {
        if let Some(revision) = revision_of(outcome) {
            return self.stands(node, key, self.at, revision, None, digest);
        }
        if let (Outcome::Awaited { revision: None }, Some(digest)) = (outcome, digest)
            && let Some(text) = self.text(key)
            && !text.has_computed(node, digest)
        {
            let story = format!("{outcome:?} with {digest:?}, which no fill here returned");
            self.report("S4 Provenance", node, Some(key), story);
        }
    }

    /// Somebody knows that a revision stands or stood, and perhaps under which token and as what: the
    /// store has told so `since` that moment at the earliest.
    fn stands(
        &mut self,
        node: NodeId,
        key: Key,
        since: Nanos,
        revision: Revision,
        token: Option<Option<Token>>,
        digest: Option<Digest>,
    ) {
        let at = self.at;
        if let Some(text) = self.text(key)
            && let Some((invariant, story)) = text.stands(revision, token, digest, since, at)
        {
            self.report(invariant, node, Some(key), story);
        }
    }

    fn report(&mut self, invariant: &'static str, node: NodeId, key: Option<Key>, story: String) {
        let at = self.at;
        self.wrong.push(Violation {
            invariant,
            at,
            node,
            key,
            story,
        });
    }

    /// Whether the moments of all processes may be compared.
    fn has_one_clock(&self) -> bool {
        let processes = self.processes.iter().filter(|(node, _)| **node != 0);
        let mut clocks = processes.map(|(_, process)| &process.clock);
        let first = clocks.next();
        let mut others = clocks.peekable();
        others.peek().is_none()
            || first.is_some_and(|first| first.is_some() && others.all(|clock| clock == first))
    }

    /// What is wrong, once all is known.
    pub(super) fn finish(mut self) -> Vec<Violation> {
        let timed = self.has_one_clock();
        let mut found = Vec::new();
        for number in 0..self.locks.len() {
            let keys = |ask: &&Ask| self.groups.get(ask.key.index()).map(|it| it.1) == Some(number);
            let asks: Vec<&Ask> = self.asks.iter().filter(keys).collect();
            let lock = &self.locks[number];
            let closed = |node| {
                let process = self.processes.get(&node);
                process.is_some_and(|process| process.down == Some(false))
            };
            found.extend(lock.judge(&asks, timed, &self.amnesia, closed));
        }
        for number in 0..self.texts.len() {
            let keys = |ask: &&Ask| self.groups.get(ask.key.index()).map(|it| it.0) == Some(number);
            let asks: Vec<&Ask> = self.asks.iter().filter(keys).collect();
            let guard = self.groups.iter().find(|it| it.0 == number);
            let guard = guard.filter(|_| !self.ambiguous.contains(&number));
            let lock = guard.and_then(|it| self.locks.get(it.1));
            found.extend(self.texts[number].judge(&asks, timed, &self.amnesia, lock));
        }
        for (key, at, invariant, story) in found {
            self.wrong.push(Violation {
                invariant,
                at,
                node: 0,
                key: Some(key),
                story,
            });
        }
        self.wrong
    }
}

/// Something wrong with a key, when it was seen, and what.
type Found = (Key, Nanos, &'static str, String);
