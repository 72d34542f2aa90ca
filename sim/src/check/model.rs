//! The reference model of a store: one register with a lease, against which each answer is checked.

use oneflight_core::{Revision, Token};

use crate::trace::{Answer, Digest, Nanos, Request, StoreProfile};

/// Stands for the token that a store should have granted, when it has granted none.
// INVARIANT: 1 is not zero.
const SOME_TOKEN: Token = Token::new(1).expect("1 is a token");

/// A key and its lock, as the contract has them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row {
    revision: Revision,
    value: Option<(Digest, Option<Token>)>,
    /// Token, lapse, generation, and the request it was granted to.
    lease: Option<(Token, Nanos, Revision, u64)>,
    published: Option<(Token, Revision)>,
    /// The highest token so far.
    highest: Option<Token>,
}

impl Row {
    /// Says what is wrong with an answer, if anything is, and follows it.
    pub(super) fn follow(
        &mut self,
        profile: &StoreProfile,
        time: Nanos,
        id: u64,
        request: &Request,
        answer: &Answer,
    ) -> Option<String> {
        let expected = self.expected(profile, time, id, request, answer);
        let wrong = (expected != *answer)
            .then(|| story!("to {request:?} the contract has {expected:?}, the store {answer:?}"));
        self.apply(profile, time, id, request, answer);
        wrong
    }

    fn live(&self, time: Nanos) -> Option<(Token, Nanos, Revision, u64)> {
        self.lease.filter(|lease| lease.1 > time)
    }

    fn stands(&self, profile: &StoreProfile, time: Nanos, token: Token) -> bool {
        self.lease
            .is_some_and(|it| it.0 == token && (profile.lapsed_holder_may_publish || it.1 > time))
    }

    /// The answer of the contract; what a store is free to choose is taken from its own.
    fn expected(
        &self,
        profile: &StoreProfile,
        time: Nanos,
        id: u64,
        request: &Request,
        answer: &Answer,
    ) -> Answer {
        if let Answer::Refused | Answer::Malformed | Answer::Unavailable = answer {
            return *answer;
        }
        match *request {
            Request::Claim { seen, ttl, .. } => {
                if profile.atomic_claim
                    && self.revision > seen
                    && let Some((digest, token)) = self.value
                {
                    let latest = match answer {
                        // A store need not know.
                        Answer::Newer { latest: None, .. } => None,
                        _ => self.highest,
                    };
                    let revision = self.revision;
                    return Answer::Newer {
                        revision,
                        token,
                        digest,
                        latest,
                    };
                }
                match self.live(time) {
                    Some((token, lapse, generation, owner)) => {
                        let remaining = lapse - time;
                        if owner == id && profile.idempotent_claim {
                            Answer::Granted {
                                token,
                                remaining,
                                generation,
                            }
                        } else {
                            let remaining = Some(remaining);
                            Answer::Held { token, remaining }
                        }
                    }
                    None => Answer::Granted {
                        token: match answer {
                            Answer::Granted { token, .. } => *token,
                            _ => SOME_TOKEN,
                        },
                        remaining: ttl,
                        generation: self.revision,
                    },
                }
            }
            Request::Renew { token, .. } if self.stands(profile, time, token) => Answer::Renewed,
            Request::Renew { .. } => Answer::Lost,
            Request::Publish { token, .. } => match (self.published, answer) {
                (Some((published, revision)), _) if published == token => {
                    Answer::Published { revision }
                }
                (_, Answer::Published { revision }) if self.stands(profile, time, token) => {
                    let revision = *revision;
                    Answer::Published { revision }
                }
                _ if self.stands(profile, time, token) => Answer::Published {
                    revision: Revision::NEVER,
                },
                _ => Answer::Fenced,
            },
            Request::Release { token } => Answer::Released {
                freed: self.lease.is_some_and(|lease| lease.0 == token),
            },
            Request::Put { seen, .. } => match answer {
                _ if self.revision > seen => Answer::Kept {
                    revision: self.revision,
                },
                Answer::Written { .. } => *answer,
                _ => Answer::Written {
                    revision: Revision::NEVER,
                },
            },
            Request::Read => Answer::State {
                revision: self.revision,
                digest: self.value.map(|(digest, _)| digest),
            },
            Request::Forget => match answer {
                Answer::Written { .. } => *answer,
                _ => Answer::Written {
                    revision: Revision::NEVER,
                },
            },
        }
    }

    fn apply(
        &mut self,
        profile: &StoreProfile,
        time: Nanos,
        id: u64,
        request: &Request,
        answer: &Answer,
    ) {
        match (*request, *answer) {
            (
                Request::Claim { ttl, .. },
                Answer::Granted {
                    token, generation, ..
                },
            ) => {
                self.highest = self.highest.max(Some(token));
                if self.live(time).is_none_or(|lease| lease.0 != token) {
                    self.lease = Some((token, time + ttl, generation, id));
                }
            }
            (Request::Renew { token, ttl }, Answer::Renewed) => {
                let (generation, owner) = self
                    .lease
                    .map_or((self.revision, id), |lease| (lease.2, lease.3));
                self.lease = Some((token, time + ttl, generation, owner));
            }
            (Request::Publish { token, digest }, Answer::Published { revision }) => {
                if self.published.is_none_or(|published| published.0 != token) {
                    self.revision = revision;
                    self.value = Some((digest, Some(token)));
                    self.published = Some((token, revision));
                    if profile.atomic_publish {
                        self.lease = None;
                    }
                }
            }
            (Request::Release { .. }, Answer::Released { freed: true }) => self.lease = None,
            (Request::Put { digest, .. }, Answer::Written { revision }) => {
                self.revision = revision;
                self.value = Some((digest, None));
            }
            (Request::Forget, Answer::Written { revision }) => {
                self.revision = revision;
                self.value = None;
                self.lease = None;
            }
            _ => {}
        }
    }
}
