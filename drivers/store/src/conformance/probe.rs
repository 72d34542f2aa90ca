//! One open handle on the row's data, with the words the rows are written in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use oneflight_core::{Revision, Token};

use super::bench::{LONG, Row};
use crate::{
    AttemptId, Claim, ClaimRequest, Entry, Holder, KeyState, KeyStatus, LeaseId, Profile,
    Publication, PutOutcome, Renewal, StoreError, blocking,
};

/// A handle on the store, looking at one key and its lock.
#[derive(Clone)]
pub(super) struct Probe {
    pub(super) row: Row,
    pub(super) store: Arc<dyn blocking::Store>,
    pub(super) key: Arc<str>,
    pub(super) lock: Arc<str>,
}

/// A lease that was granted.
pub(super) struct Grant {
    pub(super) lease: LeaseId,
    pub(super) remaining: Duration,
    pub(super) generation: Revision,
}

impl Grant {
    pub(super) fn token(&self) -> Token {
        self.lease.token
    }
}

/// An attempt like no other.
pub(super) fn attempt() -> AttemptId {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    // Large, so that a store which keeps only a part of it is found out.
    AttemptId(u128::from(number) << 64 | 0xffff_ffff_ffff_ffff)
}

pub(super) fn holder() -> Holder {
    Holder {
        host: "höst \"1\"".into(),
        pid: u32::MAX,
        user: "".into(),
    }
}

#[track_caller]
fn answered<T>(row: Row, call: &str, answer: Result<T, StoreError>) -> T {
    match answer {
        Ok(answer) => answer,
        Err(error) => row.fail(call, format_args!("an answer"), error),
    }
}

impl Probe {
    pub(super) fn new(row: Row, store: Arc<dyn blocking::Store>) -> Self {
        Self {
            row,
            store,
            key: "key".into(),
            lock: "lock".into(),
        }
    }

    /// The same handle, looking at another key.
    pub(super) fn at(&self, key: &str) -> Self {
        Self {
            key: key.into(),
            lock: format!("lock/{key}").into(),
            ..self.clone()
        }
    }

    pub(super) fn profile(&self) -> &Profile {
        self.store.profile()
    }

    pub(super) fn request(&self, seen: Revision) -> ClaimRequest {
        ClaimRequest {
            key: Arc::clone(&self.key),
            lock: Arc::clone(&self.lock),
            ttl: LONG,
            seen,
            holder: holder(),
            attempt: attempt(),
        }
    }

    /// Claims as an attempt of its own, for long.
    #[track_caller]
    pub(super) fn claim(&self, seen: Revision) -> Claim {
        self.claim_with(self.request(seen))
    }

    #[track_caller]
    pub(super) fn claim_with(&self, request: ClaimRequest) -> Claim {
        answered(self.row, "claim", self.store.claim(request))
    }

    /// Claims, and must be granted.
    #[track_caller]
    pub(super) fn granted(&self, seen: Revision) -> Grant {
        self.granted_with(self.request(seen))
    }

    /// Claims for this long, and must be granted.
    #[track_caller]
    pub(super) fn granted_for(&self, ttl: Duration) -> Grant {
        self.granted_with(ClaimRequest {
            ttl,
            ..self.request(Revision::NEVER)
        })
    }

    #[track_caller]
    pub(super) fn granted_with(&self, request: ClaimRequest) -> Grant {
        match self.grant(self.claim_with(request)) {
            Ok(grant) => grant,
            Err(claim) => self.row.fail("claim", format_args!("Granted"), claim),
        }
    }

    /// The grant in this claim's answer, or the answer.
    pub(super) fn grant(&self, claim: Claim) -> Result<Grant, Claim> {
        match claim {
            Claim::Granted {
                token,
                remaining,
                generation,
            } => Ok(Grant {
                lease: LeaseId {
                    lock: Arc::clone(&self.lock),
                    token,
                },
                remaining,
                generation,
            }),
            Claim::Newer { .. } | Claim::Held { .. } => Err(claim),
        }
    }

    /// Claims again and again until the lease of another has lapsed.
    #[track_caller]
    pub(super) fn takes_over(&self, seen: Revision) -> Grant {
        self.row.until("claiming a lapsed lease", || {
            self.grant(self.claim(seen)).ok()
        })
    }

    /// Claims, and must be told that this lease is held.
    #[track_caller]
    pub(super) fn held(&self, what: &str, seen: Revision, expected: Token) {
        let claim = self.claim(seen);
        if !matches!(claim, Claim::Held { token, .. } if token == expected) {
            self.row
                .fail(what, format_args!("Held under token {expected}"), claim);
        }
    }

    /// Claims, and must be given a value above `seen`.
    #[track_caller]
    pub(super) fn newer(&self, what: &str, seen: Revision) -> (Entry, Option<Token>) {
        match self.claim(seen) {
            Claim::Newer { entry, latest } => (entry, latest),
            claim @ (Claim::Granted { .. } | Claim::Held { .. }) => {
                self.row.fail(what, format_args!("Newer"), claim)
            }
        }
    }

    #[track_caller]
    pub(super) fn renew(&self, lease: &LeaseId, ttl: Duration) -> Renewal {
        answered(self.row, "renew", self.store.renew(lease.clone(), ttl))
    }

    #[track_caller]
    pub(super) fn publish(&self, lease: &LeaseId, value: &str) -> Publication {
        self.publish_for(lease, value, None)
    }

    #[track_caller]
    pub(super) fn publish_for(
        &self,
        lease: &LeaseId,
        value: &str,
        retain: Option<Duration>,
    ) -> Publication {
        let value = Bytes::copy_from_slice(value.as_bytes());
        let key = Arc::clone(&self.key);
        let answer = self.store.publish(lease.clone(), key, value, retain);
        answered(self.row, "publish", answer)
    }

    /// Publishes, and must be let.
    #[track_caller]
    pub(super) fn published(&self, lease: &LeaseId, value: &str) -> Revision {
        match self.publish(lease, value) {
            Publication::Published(revision) => revision,
            Publication::Fenced => {
                self.row
                    .fail("publish", format_args!("Published"), Publication::Fenced)
            }
        }
    }

    /// Claims a key never written, or seen at `seen`, and publishes.
    #[track_caller]
    pub(super) fn fill(&self, seen: Revision, value: &str) -> (Grant, Revision) {
        let grant = self.granted(seen);
        let revision = self.published(&grant.lease, value);
        (grant, revision)
    }

    /// Publishes, and must be fenced without a trace: the key stays as it is.
    #[track_caller]
    pub(super) fn fenced(&self, what: &str, lease: &LeaseId) {
        let before = self.read();
        let publication = self.publish(lease, "of the fenced");
        self.row.same(what, publication, Publication::Fenced);
        self.stands(&format!("{what}: the key afterwards"), &before);
    }

    #[track_caller]
    pub(super) fn release(&self, lease: &LeaseId) {
        answered(self.row, "release", self.store.release(lease.clone()));
    }

    #[track_caller]
    pub(super) fn put(&self, value: &str, seen: Revision) -> PutOutcome {
        let value = Bytes::copy_from_slice(value.as_bytes());
        let answer = self.store.put(Arc::clone(&self.key), value, None, seen);
        answered(self.row, "put", answer)
    }

    /// Puts, and must be let.
    #[track_caller]
    pub(super) fn written(&self, value: &str, seen: Revision) -> Revision {
        match self.put(value, seen) {
            PutOutcome::Written(revision) => revision,
            outcome @ PutOutcome::Newer(_) => {
                self.row.fail("put", format_args!("Written"), outcome)
            }
        }
    }

    #[track_caller]
    pub(super) fn read(&self) -> KeyState {
        answered(self.row, "read", self.store.read(Arc::clone(&self.key)))
    }

    /// Reads, and must find a value.
    #[track_caller]
    pub(super) fn entry(&self) -> Entry {
        let state = self.read();
        match state.entry {
            Some(entry) => entry,
            None => self.row.fail("read", format_args!("an entry"), state),
        }
    }

    /// The key must hold this value under this revision.
    #[track_caller]
    pub(super) fn holds(&self, what: &str, revision: Revision, value: &str) {
        let state = self.read();
        self.row.same(
            what,
            (state.revision, text(&state)),
            (revision, Some(value.into())),
        );
        let entry = state.entry.map(|entry| entry.revision);
        self.row
            .same("the revision of the entry", entry, Some(revision));
    }

    /// The key must hold nothing, its last revision being this.
    #[track_caller]
    pub(super) fn holds_nothing(&self, what: &str, revision: Revision) {
        let state = self.read();
        let nothing = KeyState {
            revision,
            entry: None,
        };
        self.row.same(what, state, nothing);
    }

    /// The key must be as it was, but for its age.
    #[track_caller]
    pub(super) fn stands(&self, what: &str, before: &KeyState) {
        let now = self.read();
        let ageless = |state: &KeyState| {
            let entry = state.entry.clone();
            let entry = entry.map(|entry| (entry.value, entry.revision, entry.token));
            (state.revision, entry)
        };
        self.row.same(what, ageless(&now), ageless(before));
    }

    #[track_caller]
    pub(super) fn forget(&self) -> Revision {
        let answer = self
            .store
            .forget(Arc::clone(&self.key), Arc::clone(&self.lock));
        answered(self.row, "forget", answer)
    }

    #[track_caller]
    pub(super) fn list(&self) -> Vec<KeyStatus> {
        answered(self.row, "list", self.store.list())
    }

    /// Waits until the store itself says that no lease is live on this key's lock.
    #[track_caller]
    pub(super) fn lapses(&self) {
        self.row.until("list, without a lapsed lease", || {
            let lines = self.list();
            let live = lines
                .iter()
                .any(|line| line.key == self.key && line.lock.is_some());
            (!live).then_some(())
        });
    }
}

/// The value of a key as text.
pub(super) fn text(state: &KeyState) -> Option<String> {
    let entry = state.entry.as_ref();
    entry.map(|entry| String::from_utf8_lossy(&entry.value).into_owned())
}
