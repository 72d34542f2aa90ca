//! Leases: S1, S2, S6, as far as the answers tell.

use std::collections::{BTreeMap, BTreeSet};

use oneflight_core::{Revision, Token};

use super::amnesia::Amnesia;
use super::{Ask, Found};
use crate::trace::{Answer, Key, Nanos, NodeId, Request};

/// What is known of one lock.
#[derive(Clone, Debug, Default)]
pub(super) struct Lock {
    pub(super) grants: BTreeMap<Token, Grant>,
}

/// A lease that some process was told of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grant {
    key: Key,
    node: NodeId,
    flight: Option<u64>,
    /// It was granted between these moments.
    pub(super) sent: Nanos,
    pub(super) known: Nanos,
    pub(super) generation: Revision,
    /// It does not lapse before this, unless it is given up.
    lives: Nanos,
    ttl: Nanos,
    /// Its holder has given it up, or tried to publish under it.
    given_up: Option<Nanos>,
    released: bool,
    filled: bool,
    /// Its holder was warned, fenced or found it lost.
    troubled: bool,
}

impl Lock {
    pub(super) fn granted(
        &mut self,
        ask: &Ask,
        token: Token,
        remaining: Nanos,
        generation: Revision,
        at: Nanos,
    ) -> Option<String> {
        let lives = ask.sent.saturating_add(remaining);
        let grant = self.grants.entry(token).or_insert(Grant {
            key: ask.key,
            node: ask.node,
            flight: ask.flight,
            sent: ask.sent,
            known: at,
            generation,
            lives,
            ttl: remaining,
            given_up: None,
            released: false,
            filled: false,
            troubled: false,
        });
        grant.lives = grant.lives.max(lives);
        let same =
            grant.node == ask.node && grant.flight == ask.flight && grant.generation == generation;
        (!same).then(|| {
            format!(
                "token {token} was granted to flight {:?} of node {} over revision {}, and to flight \
                 {:?} of node {} over revision {generation}",
                grant.flight, grant.node, grant.generation, ask.flight, ask.node
            )
        })
    }

    pub(super) fn renewed(&mut self, token: Token, lives: Nanos) {
        if let Some(grant) = self.grants.get_mut(&token) {
            grant.lives = grant.lives.max(lives);
        }
    }

    pub(super) fn giving_up(&mut self, token: Token, at: Nanos) {
        if let Some(grant) = self.grants.get_mut(&token) {
            grant.given_up = grant.given_up.or(Some(at));
        }
    }

    pub(super) fn released(&mut self, token: Token) {
        if let Some(grant) = self.grants.get_mut(&token) {
            grant.released = true;
        }
    }

    pub(super) fn filled(&mut self, token: Token) {
        if let Some(grant) = self.grants.get_mut(&token) {
            grant.filled = true;
        }
    }

    pub(super) fn troubled(&mut self, node: NodeId, flight: u64) {
        for grant in self.grants.values_mut().rev() {
            if grant.node == node && grant.flight == Some(flight) {
                grant.troubled = true;
            }
        }
    }

    pub(super) fn judge(
        &self,
        asks: &[&Ask],
        timed: bool,
        amnesia: &Amnesia,
        closed: impl Fn(NodeId) -> bool,
    ) -> Vec<Found> {
        let mut found = self.duplicates(asks, amnesia, closed);
        found.extend(self.strangers(asks, amnesia));
        if timed {
            if !amnesia.of_tokens() {
                found.extend(self.order());
            }
            found.extend(self.one_holder(asks, amnesia));
            found.extend(self.outdated(asks, amnesia));
        }
        found
    }

    /// S1 `TokenMonotonic`: no claim that was sent after a token was known is granted a smaller one.
    fn order(&self) -> Vec<Found> {
        let mut found = Vec::new();
        let mut first: Option<(Token, Nanos)> = None;
        for (token, grant) in self.grants.iter().rev() {
            if let Some((higher, known)) = first
                && grant.sent > known
            {
                let story = format!("token {token} was granted after token {higher}");
                found.push((grant.key, grant.known, "S1 TokenMonotonic", story));
            }
            if first.is_none_or(|(_, known)| grant.known < known) {
                first = Some((*token, grant.known));
            }
        }
        found
    }

    /// S1 `TokenMonotonic`: no answer is behind a grant that was known before it was asked for.
    fn outdated(&self, asks: &[&Ask], amnesia: &Amnesia) -> Vec<Found> {
        let grants = self.grants.iter();
        let known = Known::of(
            amnesia,
            grants.map(|(token, it)| (it.sent, it.known, *token)),
        );
        let mut found = Vec::new();
        for ask in asks {
            let Some((at, answer)) = ask.answer else {
                continue;
            };
            let token = match answer {
                Answer::Held { token, .. } => token,
                Answer::Newer {
                    latest: Some(token),
                    ..
                } => token,
                _ => continue,
            };
            if let Some(newest) = known.to(ask, at)
                && newest > token
            {
                let story = format!(
                    "to a request sent after token {newest} was known, token {token} is the newest"
                );
                found.push((ask.key, at, "S1 TokenMonotonic", story));
            }
        }
        found
    }

    /// S2 `OneHolder`: nothing is granted while a lease surely lives that nobody has given up.
    fn one_holder(&self, asks: &[&Ask], amnesia: &Amnesia) -> Vec<Found> {
        let mut found = Vec::new();
        let grants = self.grants.iter();
        for ((older, holder), (token, next)) in grants.clone().zip(grants.skip(1)) {
            let lives = holder.lives.saturating_sub(holder.ttl / 100);
            let lives = holder.given_up.map_or(lives, |at| at.min(lives));
            let voided = asks.iter().any(|ask| {
                let late = |(at, _)| at >= holder.sent;
                let over = ask.is_open() || ask.answer.is_some_and(late);
                ask.request == Request::Forget && ask.sent <= next.known && over
            });
            let forgotten = amnesia.between(holder.sent, next.known);
            let voided = voided || forgotten;
            if holder.known < next.sent && next.known < lives && !voided {
                let story = format!(
                    "token {token} was granted by {} ns, while node {} held token {older} until {lives} \
                     ns at least",
                    next.known, holder.node
                );
                found.push((next.key, next.known, "S2 OneHolder", story));
            }
        }
        found
    }

    /// S6 `ExcusedDuplicates`: of the fills of one generation, all but the last had something happen to
    /// them, or to their process.
    fn duplicates(
        &self,
        asks: &[&Ask],
        amnesia: &Amnesia,
        closed: impl Fn(NodeId) -> bool,
    ) -> Vec<Found> {
        let mut last: BTreeMap<(Key, Revision), (Token, Grant)> = BTreeMap::new();
        let mut found = Vec::new();
        for (token, grant) in self.grants.iter().filter(|(_, grant)| grant.filled) {
            let Some((older, before)) =
                last.insert((grant.key, grant.generation), (*token, *grant))
            else {
                continue;
            };
            let unpublished = asks.iter().any(|ask| {
                matches!(ask.request, Request::Publish { token, .. } if token == older)
                    && (ask.is_open()
                        || matches!(ask.answer, Some((_, Answer::Refused | Answer::Malformed))))
            });
            let forgotten = asks.iter().any(|ask| ask.request == Request::Forget);
            let excused = before.released
                || before.troubled
                || unpublished
                || forgotten
                || amnesia.between(before.sent, grant.known)
                || !closed(before.node);
            if !excused {
                let story = format!(
                    "generation {} was filled under token {token}, after a fill under token {older} to \
                     which nothing had happened",
                    grant.generation
                );
                found.push((grant.key, grant.known, "S6 ExcusedDuplicates", story));
            }
        }
        found
    }

    /// S1 `TokenMonotonic`: a token that somebody tells of was granted to somebody.
    fn strangers(&self, asks: &[&Ask], amnesia: &Amnesia) -> Vec<Found> {
        let Some((first, _)) = self.grants.first_key_value() else {
            return Vec::new();
        };
        // A store that repeats a claim may be granted a lease of which nobody hears, if that is over when
        // the claim comes again.
        let unheard = |ask: &&&Ask| match (ask.request, ask.answer) {
            (Request::Claim { ttl, .. }, Some((at, _))) => {
                let repeated = at.saturating_sub(ask.sent) >= ttl;
                ask.is_open() || repeated || amnesia.between(ask.sent, at)
            }
            (Request::Claim { .. }, None) => true,
            _ => false,
        };
        let mut excuses = asks.iter().filter(unheard).count();
        let mut found = Vec::new();
        let mut known = BTreeSet::new();
        for ask in asks {
            let Some((at, answer)) = ask.answer else {
                continue;
            };
            let tokens = match answer {
                Answer::Held { token, .. } => [Some(token), None],
                Answer::Newer { token, latest, .. } => [token, latest],
                _ => continue,
            };
            for token in tokens.into_iter().flatten() {
                let told = self.grants.contains_key(&token) || token < *first;
                if told || !known.insert(token) {
                    continue;
                }
                if excuses > 0 {
                    excuses -= 1;
                    continue;
                }
                let story = format!(
                    "token {token} was granted to no process here, and no claim went unanswered: does \
                     every process record?"
                );
                found.push((ask.key, at, "S1 TokenMonotonic", story));
            }
        }
        found
    }
}

/// The highest of what was known before a moment, and not forgotten since.
pub(super) struct Known<'a, T> {
    facts: Vec<(Nanos, T)>,
    amnesia: &'a Amnesia,
}

impl<'a, T: Ord + Copy> Known<'a, T> {
    /// Of facts that were so at a first moment and known at a second one.
    pub(super) fn of(amnesia: &'a Amnesia, facts: impl Iterator<Item = (Nanos, Nanos, T)>) -> Self {
        // What is told only after it may have been forgotten says nothing.
        let told = facts.filter(|(since, known, _)| !amnesia.between(*since, *known));
        let mut facts: Vec<(Nanos, T)> = told.map(|(_, known, fact)| (known, fact)).collect();
        facts.sort_unstable();
        let mut highest: Option<(Nanos, T)> = None;
        for (at, fact) in &mut facts {
            let so_far = match highest {
                Some((before, highest)) if !amnesia.between(before, *at) => highest.max(*fact),
                _ => *fact,
            };
            *fact = so_far;
            highest = Some((*at, so_far));
        }
        Self { facts, amnesia }
    }

    pub(super) fn before(&self, moment: Nanos) -> Option<T> {
        let count = self.facts.partition_point(|(at, _)| *at < moment);
        let (at, fact) = self.facts.get(count.checked_sub(1)?)?;
        (!self.amnesia.between(*at, moment)).then_some(*fact)
    }

    /// What the store knew when it answered this at that moment.
    pub(super) fn to(&self, ask: &Ask, answered: Nanos) -> Option<T> {
        let known = self.before(ask.sent);
        known.filter(|_| !self.amnesia.between(ask.sent, answered))
    }
}
