//! The model of a store: each call of the contract in one step.

use oneflight_core::{Attempt, Revision, Token};

use crate::trace::{Answer, Digest, Nanos, NodeId, Request, StoreProfile};

/// The attempt of a claim: process, flight, command.
pub(crate) type AttemptId = (NodeId, u64, Attempt);

#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) profile: StoreProfile,
    pub(crate) rows: Vec<Row>,
    /// The last number drawn, for tokens and revisions.
    last: u64,
    /// How far its clock has jumped.
    pub(crate) jumped: Nanos,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Row {
    pub(crate) revision: Revision,
    pub(crate) value: Option<Value>,
    pub(crate) lease: Option<Lease>,
    pub(crate) published: Option<(Token, Revision)>,
    pub(crate) latest: Option<Token>,
    /// How the row was before its last write, and when that was.
    before: Option<(Nanos, Revision, Option<Value>)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub(crate) digest: Digest,
    pub(crate) token: Option<Token>,
    pub(crate) written: Nanos,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    pub(crate) token: Token,
    pub(crate) generation: Revision,
    pub(crate) attempt: AttemptId,
    pub(crate) lapses: Nanos,
}

/// What has changed, and who is to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) key: bool,
    pub(crate) lock: bool,
}

impl Store {
    pub(crate) fn new(profile: StoreProfile, keys: u32) -> Self {
        Self {
            profile,
            rows: vec![Row::default(); keys as usize],
            last: 0,
            jumped: 0,
        }
    }

    /// The last number drawn.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    fn draw(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Carries out a request in one step.
    pub(crate) fn carry_out(
        &mut self,
        now: Nanos,
        key: usize,
        attempt: Option<AttemptId>,
        request: Request,
    ) -> (Answer, Changed) {
        match request {
            Request::Claim { seen, ttl, .. } => match attempt {
                Some(attempt) => self.claim(now, key, attempt, seen, ttl),
                None => (Answer::Refused, Changed::default()),
            },
            Request::Renew { token, ttl } => self.renew(now, key, token, ttl),
            Request::Publish { token, digest } => self.publish(now, key, token, digest),
            Request::Release { token } => self.release(key, token),
            Request::Put { seen, digest } => self.put(now, key, seen, digest),
            Request::Read => {
                let row = &self.rows[key];
                let (revision, digest) = (row.revision, row.value.map(|value| value.digest));
                (Answer::State { revision, digest }, Changed::default())
            }
            Request::Forget => self.forget(now, key),
        }
    }

    fn claim(
        &mut self,
        now: Nanos,
        key: usize,
        attempt: AttemptId,
        seen: Revision,
        ttl: Nanos,
    ) -> (Answer, Changed) {
        let atomic = self.profile.atomic_claim;
        if atomic && let Some(newer) = self.newer(key, seen) {
            return (newer, Changed::default());
        }
        let row = &self.rows[key];
        if let Some(lease) = row.lease.filter(|lease| lease.lapses > now) {
            let (token, remaining) = (lease.token, lease.lapses - now);
            let answer = if lease.attempt == attempt && self.profile.idempotent_claim {
                Answer::Granted {
                    token,
                    remaining,
                    generation: lease.generation,
                }
            } else {
                let remaining = Some(remaining);
                Answer::Held { token, remaining }
            };
            return (answer, Changed::default());
        }
        let generation = row.revision;
        let number = self.draw();
        // INVARIANT: the counter is counted up before it is used.
        let token = Token::new(number).expect("at least 1");
        self.rows[key].lease = Some(Lease {
            token,
            generation,
            attempt,
            lapses: now + ttl,
        });
        let remaining = ttl;
        let answer = Answer::Granted {
            token,
            remaining,
            generation,
        };
        let lock = true;
        (answer, Changed { key: false, lock })
    }

    /// What a claim is answered if the key has moved on.
    pub(crate) fn newer(&self, key: usize, seen: Revision) -> Option<Answer> {
        let row = &self.rows[key];
        let value = row.value.filter(|_| row.revision > seen)?;
        let latest = row.lease.map(|lease| lease.token).max(row.latest);
        Some(Answer::Newer {
            revision: row.revision,
            token: value.token,
            digest: value.digest,
            latest,
        })
    }

    /// The lease of this token, if it stands and may still be used.
    fn standing(&mut self, now: Nanos, key: usize, token: Token) -> Option<&mut Lease> {
        let revive = self.profile.lapsed_holder_may_publish;
        self.rows[key]
            .lease
            .as_mut()
            .filter(|lease| lease.token == token && (revive || lease.lapses > now))
    }

    fn renew(&mut self, now: Nanos, key: usize, token: Token, ttl: Nanos) -> (Answer, Changed) {
        match self.standing(now, key, token) {
            Some(lease) => {
                lease.lapses = now + ttl;
                let lock = true;
                (Answer::Renewed, Changed { key: false, lock })
            }
            None => (Answer::Lost, Changed::default()),
        }
    }

    fn publish(
        &mut self,
        now: Nanos,
        key: usize,
        token: Token,
        digest: Digest,
    ) -> (Answer, Changed) {
        if let Some((published, revision)) = self.rows[key].published
            && published == token
        {
            return (Answer::Published { revision }, Changed::default());
        }
        if self.standing(now, key, token).is_none() {
            return (Answer::Fenced, Changed::default());
        }
        let revision = self.write(now, key, Some((digest, Some(token))));
        let row = &mut self.rows[key];
        row.published = Some((token, revision));
        row.latest = row.latest.max(Some(token));
        let lock = self.profile.atomic_publish;
        if lock {
            self.free(key);
        }
        (Answer::Published { revision }, Changed { key: true, lock })
    }

    pub(crate) fn release(&mut self, key: usize, token: Token) -> (Answer, Changed) {
        let freed = self.rows[key]
            .lease
            .is_some_and(|lease| lease.token == token);
        if freed {
            self.free(key);
        }
        let lock = freed;
        (Answer::Released { freed }, Changed { key: false, lock })
    }

    fn put(&mut self, now: Nanos, key: usize, seen: Revision, digest: Digest) -> (Answer, Changed) {
        let revision = self.rows[key].revision;
        if revision > seen {
            return (Answer::Kept { revision }, Changed::default());
        }
        let revision = self.write(now, key, Some((digest, None)));
        let changed = Changed {
            key: true,
            lock: false,
        };
        (Answer::Written { revision }, changed)
    }

    fn forget(&mut self, now: Nanos, key: usize) -> (Answer, Changed) {
        let revision = self.write(now, key, None);
        self.free(key);
        let changed = Changed {
            key: true,
            lock: true,
        };
        (Answer::Written { revision }, changed)
    }

    fn write(
        &mut self,
        now: Nanos,
        key: usize,
        value: Option<(Digest, Option<Token>)>,
    ) -> Revision {
        let revision = Revision::new(self.draw());
        let row = &mut self.rows[key];
        row.before = Some((now, row.revision, row.value));
        row.revision = revision;
        row.value = value.map(|(digest, token)| Value {
            digest,
            token,
            written: now,
        });
        revision
    }

    fn free(&mut self, key: usize) {
        let row = &mut self.rows[key];
        if let Some(lease) = row.lease.take() {
            row.latest = row.latest.max(Some(lease.token));
        }
    }

    /// A fail-over: each key's last write is undone if it is younger than this.
    pub(crate) fn fail_over(&mut self, since: Nanos, tokens: bool) {
        for row in &mut self.rows {
            if let Some((at, revision, value)) = row.before.take()
                && at >= since
            {
                (row.revision, row.value) = (revision, value);
                row.published = None;
            }
        }
        if tokens {
            self.last /= 2;
            for row in &mut self.rows {
                row.lease = None;
                row.latest = None;
            }
        }
    }

    pub(crate) fn evict(&mut self, key: usize) {
        self.rows[key].lease = None;
    }
}

impl Store {
    /// For a bug: makes the lease of this token stand, whatever has become of it.
    pub(crate) fn pretend(&mut self, key: usize, token: Token, now: Nanos) {
        let row = &mut self.rows[key];
        let attempt = (0, 0, Attempt::new(0));
        row.lease = Some(Lease {
            token,
            generation: row.revision,
            attempt,
            lapses: now + 1,
        });
    }
}
