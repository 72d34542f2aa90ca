//! What the store does in a story.

use oneflight_core::{Command, Revision};
use oneflight_sim::trace::{Answer, Digest, Nanos, Request, What};

use crate::story::Story;
use crate::words::{Who, revision, token, who};

impl Story {
    /// The last revision of the key.
    pub(crate) fn revision(&self) -> Revision {
        self.revisions.get(&self.key).copied().unwrap_or_default()
    }

    pub(crate) fn committed(&mut self, who: Who, request: Request, answer: Answer) -> &mut Self {
        let id = match request {
            Request::Claim { .. } => self
                .claims
                .get(&(who.node, who.flight))
                .map_or(0, |claim| claim.0),
            _ => self.requests.saturating_sub(1),
        };
        if let Answer::Published { revision } | Answer::Written { revision } = answer {
            self.revisions.insert(self.key, revision);
        }
        let committed = What::Committed {
            id,
            again: false,
            time: self.now + self.ahead,
            key: self.key,
            from: who.node,
            request,
            answer,
        };
        self.record(0, committed)
    }

    pub(crate) fn grants(&mut self, who: Who, number: u64) -> &mut Self {
        let generation = self.revision();
        let answer = Answer::Granted {
            token: token(number),
            remaining: self.policy.lease_ttl.as_nanos() as Nanos,
            generation,
        };
        let claim = self.claim(who);
        self.committed(who, claim, answer)
    }

    pub(crate) fn renews(&mut self, who: Who, number: u64) -> &mut Self {
        let ttl = self.policy.lease_ttl.as_nanos() as Nanos;
        let token = token(number);
        self.committed(who, Request::Renew { token, ttl }, Answer::Renewed)
    }

    pub(crate) fn publishes(&mut self, who: Who, number: u64, to: u64, value: u64) -> &mut Self {
        let request = Request::Publish {
            token: token(number),
            digest: Digest(value),
        };
        let revision = revision(to);
        self.sends(who, request)
            .committed(who, request, Answer::Published { revision })
    }

    pub(crate) fn frees(&mut self, who: Who, number: u64) -> &mut Self {
        let token = token(number);
        let request = Request::Release { token };
        self.sends(who, request)
            .committed(who, request, Answer::Released { freed: true })
    }

    pub(crate) fn puts(&mut self, who: Who, seen: u64, to: u64, value: u64) -> &mut Self {
        let request = Request::Put {
            seen: revision(seen),
            digest: Digest(value),
        };
        let revision = revision(to);
        self.sends(who, request)
            .committed(who, request, Answer::Written { revision })
    }

    /// Somebody outside all flights forgets the key.
    pub(crate) fn forgets(&mut self, to: u64) -> &mut Self {
        let revision = revision(to);
        self.sends(who(9, 0, 0), Request::Forget).committed(
            who(9, 0, 0),
            Request::Forget,
            Answer::Written { revision },
        )
    }

    /// The flight listens, and the store knows.
    pub(crate) fn watches(&mut self, who: Who) -> &mut Self {
        let key = self.key;
        let opened = What::WatchOpened {
            key,
            watcher: who.node,
            flight: who.flight,
        };
        self.commands(who, Command::Watch).record(0, opened)
    }

    pub(crate) fn unwatches(&mut self, who: Who) -> &mut Self {
        let key = self.key;
        let closed = What::WatchClosed {
            key,
            watcher: who.node,
            flight: who.flight,
        };
        self.record(0, closed)
    }
}
