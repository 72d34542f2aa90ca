//! Values: S1, S3, S4, S14, as far as the answers tell.

use std::collections::{BTreeMap, BTreeSet};

use oneflight_core::{Revision, Token};

use super::amnesia::Amnesia;
use super::locks::{Known, Lock};
use super::{Ask, Found};
use crate::trace::{Answer, Digest, Nanos, NodeId, Request};

/// What is known of the values of one key.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    revisions: BTreeMap<Revision, Version>,
    /// What was to be published under each token, and since when.
    publishing: BTreeMap<Token, (Digest, Nanos)>,
    computed: BTreeSet<(NodeId, Digest)>,
    forgotten: BTreeSet<Revision>,
}

/// What is known of one revision.
#[derive(Clone, Copy, Debug)]
struct Version {
    /// It was told of no sooner than this.
    since: Nanos,
    /// When somebody first knew of it.
    known: Nanos,
    token: Option<Option<Token>>,
    digest: Option<Digest>,
}

impl Text {
    pub(super) fn computed(&mut self, node: NodeId, digest: Digest) {
        self.computed.insert((node, digest));
    }

    pub(super) fn has_computed(&self, node: NodeId, digest: Digest) -> bool {
        self.computed.contains(&(node, digest))
    }

    /// Whether a fill of this process returned that.
    pub(super) fn publishing(
        &mut self,
        node: NodeId,
        token: Token,
        digest: Digest,
        at: Nanos,
    ) -> bool {
        self.publishing.entry(token).or_insert((digest, at));
        self.has_computed(node, digest)
    }

    pub(super) fn forgotten(&mut self, revision: Revision) {
        self.forgotten.insert(revision);
    }

    pub(super) fn stands(
        &mut self,
        revision: Revision,
        token: Option<Option<Token>>,
        digest: Option<Digest>,
        since: Nanos,
        at: Nanos,
    ) -> Option<(&'static str, String)> {
        if revision == Revision::NEVER {
            let value = token.is_some() || digest.is_some();
            return value.then(|| ("S4 Provenance", "a value without a revision".to_owned()));
        }
        let known = self.revisions.entry(revision).or_insert(Version {
            since,
            known: at,
            token,
            digest,
        });
        known.since = known.since.min(since);
        let (before, first) = (known.token.or(token), known.digest.or(digest));
        (known.token, known.digest) = (before, first);
        if token.is_some() && before != token {
            let story = format!("revision {revision} stands under {before:?} and under {token:?}");
            return Some(("S1 TokenMonotonic", story));
        }
        if digest.is_some() && first != digest {
            let story = format!("revision {revision} is {first:?} and {digest:?}");
            return Some(("S4 Provenance", story));
        }
        None
    }

    /// Judges the key by its requests; by its lock's tokens if it has only one lock.
    pub(super) fn judge(
        &self,
        asks: &[&Ask],
        timed: bool,
        amnesia: &Amnesia,
        lock: Option<&Lock>,
    ) -> Vec<Found> {
        let Some(key) = asks.first().map(|ask| ask.key) else {
            return Vec::new();
        };
        let mut wrong = self.strangers(asks, timed, amnesia);
        if let Some(lock) = lock {
            wrong.extend(self.fenced(lock, amnesia));
            wrong.extend(self.digests());
        }
        let mut found: Vec<Found> = wrong
            .into_iter()
            .map(|(at, invariant, story)| (key, at, invariant, story))
            .collect();
        if timed {
            found.extend(self.order(asks, amnesia));
        }
        found
    }

    /// S3 `NoStalePublish`, S14 `Forgotten`: between a grant and the publish under it nothing else was
    /// published under a lease, and nothing was forgotten.
    fn fenced(&self, lock: &Lock, amnesia: &Amnesia) -> Vec<(Nanos, &'static str, String)> {
        let mut found = Vec::new();
        let mut last: Option<(Revision, Token, Nanos)> = None;
        for (revision, version) in &self.revisions {
            let since = self.since(version);
            let Some(Some(token)) = version.token else {
                continue;
            };
            let grant = lock.grants.get(&token);
            if let Some((before, older, stood)) = last {
                let overtaken = grant.is_some_and(|grant| {
                    grant.generation < before && !amnesia.between(stood, grant.known)
                });
                if older >= token && !amnesia.of_tokens() || overtaken {
                    let story = format!(
                        "revision {revision} was published under token {token}, after revision {before} \
                         under token {older}"
                    );
                    found.push((version.known, "S3 NoStalePublish", story));
                }
            }
            if let Some(grant) = grant {
                if grant.generation >= *revision {
                    let story = format!(
                        "revision {revision} was published under token {token}, which was granted over \
                         revision {}",
                        grant.generation
                    );
                    found.push((version.known, "S1 TokenMonotonic", story));
                } else if let Some(forgotten) = self
                    .forgotten
                    .range(grant.generation..*revision)
                    .next_back()
                    && *forgotten > grant.generation
                    && !self.is_lost(*forgotten, version, amnesia)
                {
                    let story = format!(
                        "revision {revision} was published under token {token}, granted before the \
                         forget of revision {forgotten}"
                    );
                    found.push((version.known, "S14 Forgotten", story));
                }
            }
            last = Some((*revision, token, since));
        }
        found
    }

    /// No sooner than this did it stand.
    fn since(&self, version: &Version) -> Nanos {
        let token = version.token.flatten();
        let sent = token.and_then(|token| self.publishing.get(&token));
        sent.map_or(version.since, |(_, sent)| version.since.min(*sent))
    }

    /// A forget that the store has forgotten itself by the time of that version.
    fn is_lost(&self, forgotten: Revision, version: &Version, amnesia: &Amnesia) -> bool {
        let known = self.revisions.get(&forgotten);
        known.is_some_and(|known| amnesia.between(self.since(known), version.known))
    }

    /// All that is known of it by and by.
    fn known<'a>(&self, amnesia: &'a Amnesia) -> Known<'a, Revision> {
        let facts = self.revisions.iter();
        let facts = facts.map(|(revision, it)| (self.since(it), it.known, *revision));
        Known::of(amnesia, facts)
    }

    /// S4 `Provenance`: what stands under a token is what was to be published under it.
    fn digests(&self) -> Vec<(Nanos, &'static str, String)> {
        let versions = self.revisions.iter();
        let wrong = versions.filter_map(|(revision, version)| {
            let (digest, token) = (version.digest?, version.token??);
            let (published, _) = self.publishing.get(&token)?;
            (*published != digest).then(|| {
                let story = format!(
                    "revision {revision} is {digest:?}, but {published:?} was published under token \
                     {token}"
                );
                (version.known, "S4 Provenance", story)
            })
        });
        wrong.collect()
    }

    /// S4 `Provenance`: a revision that somebody tells of was written by somebody.
    fn strangers(
        &self,
        asks: &[&Ask],
        timed: bool,
        amnesia: &Amnesia,
    ) -> Vec<(Nanos, &'static str, String)> {
        let written: BTreeSet<Revision> = asks
            .iter()
            .filter_map(|ask| match ask.answer?.1 {
                Answer::Published { revision } | Answer::Written { revision } => Some(revision),
                _ => None,
            })
            .collect();
        let accounted = |revision: &Revision, version: &Version| {
            let token = version.token.flatten();
            written.contains(revision)
                || token.is_some_and(|token| self.publishing.contains_key(&token))
        };
        // What stood before anybody here looked may be anybody's.
        let observed = asks.iter().filter_map(|ask| observed(&ask.answer?.1));
        let Some(first) = observed.min() else {
            return Vec::new();
        };
        let known = self.known(amnesia);
        // A write that went unanswered may have been carried out after what was known when it was sent.
        let mut excuses: Vec<Revision> = asks
            .iter()
            .filter(|ask| {
                let write = matches!(
                    ask.request,
                    Request::Publish { .. } | Request::Put { .. } | Request::Forget
                );
                write && ask.is_open()
            })
            .map(|ask| {
                let before = known.before(ask.sent).filter(|_| timed);
                before.unwrap_or_default()
            })
            .collect();
        let mut found = Vec::new();
        for (revision, version) in &self.revisions {
            if *revision <= first || accounted(revision, version) {
                continue;
            }
            if let Some(excuse) = excuses.iter().position(|before| before < revision) {
                excuses.swap_remove(excuse);
                continue;
            }
            let story = format!(
                "revision {revision} was written by no process here, and no write went unanswered: does \
                 every process record?"
            );
            found.push((version.known, "S4 Provenance", story));
        }
        found
    }

    /// S1 `TokenMonotonic`: no request observes less than what was known before it was sent, and nothing
    /// is known before it was sent.
    fn order(&self, asks: &[&Ask], amnesia: &Amnesia) -> Vec<Found> {
        let known = self.known(amnesia);
        let mut found = Vec::new();
        for ask in asks {
            let Some((at, answer)) = ask.answer else {
                continue;
            };
            let before = known.to(ask, at).unwrap_or_default();
            let first = |token| {
                let first = self.publishing.get(&token);
                first.is_none_or(|(_, at)| *at == ask.sent)
            };
            let seen = observed(&answer);
            let (revision, behind) = match (answer, ask.request) {
                _ if seen.is_some() => (seen.unwrap_or_default(), seen < Some(before)),
                // A repeated publish is answered as it was.
                (Answer::Published { revision }, Request::Publish { token, .. })
                    if first(token) =>
                {
                    (revision, revision <= before)
                }
                (Answer::Written { revision }, _) => (revision, revision <= before),
                _ => continue,
            };
            if behind {
                let story = format!(
                    "revision {revision} is the answer to a request sent after revision {before} was known"
                );
                found.push((ask.key, at, "S1 TokenMonotonic", story));
            }
        }
        found.extend(self.foreseen(asks));
        found
    }

    /// S4 `Provenance`: a value is known only after its publish was sent.
    fn foreseen(&self, asks: &[&Ask]) -> Vec<Found> {
        let Some(key) = asks.first().map(|ask| ask.key) else {
            return Vec::new();
        };
        let versions = self.revisions.iter();
        let wrong = versions.filter_map(|(revision, version)| {
            let (_, sent) = self.publishing.get(&version.token??)?;
            (version.known < *sent).then(|| {
                let story = format!("revision {revision} was known before it was published");
                (key, version.known, "S4 Provenance", story)
            })
        });
        wrong.collect()
    }
}

/// The last revision of the key, when an answer tells of it.
fn observed(answer: &Answer) -> Option<Revision> {
    match answer {
        Answer::Granted {
            generation: revision,
            ..
        }
        | Answer::Newer { revision, .. }
        | Answer::State { revision, .. }
        | Answer::Kept { revision } => Some(*revision),
        _ => None,
    }
}
