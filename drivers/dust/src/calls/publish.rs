//! To write a value: under a lease, or without.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oneflight_store::{LeaseId, Publication, PutOutcome, Revision, StoreError, Token};

use super::{Desk, MAX_VALUE, guard, revision};
use crate::mirror::What;
use crate::path::Path;
use crate::session::Session;
use crate::wire::{Condition, Deed, Failure};

/// How often a put looks again because another has been faster.
const MOST_ROUNDS: usize = 16;

impl Desk {
    pub(crate) async fn publish(
        self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Result<Publication, StoreError> {
        let (key, lock) = (self.path(&key)?, self.path(&lease.lock)?);
        let value = text(&key, &value, retain)?;
        self.ready().await?;
        let token = lease.token;
        if let Some(revision) = self.look(|session, _| published_under(session, &key, token)) {
            return Ok(Publication::Published(revision));
        }
        self.look(|session, _| guard(session, &key))?;
        let only = Condition::Fence { lock, token };
        match self.write(key.clone(), Deed::Set { value, only }).await {
            Ok(done) => Ok(Publication::Published(
                self.look(|session, _| revision(done, session)),
            )),
            Err(Failure::Fenced) => {
                // By itself, perhaps: the lease is given up once its value is published.
                self.catch_up().await?;
                let published = self.look(|session, _| published_under(session, &key, token));
                Ok(published.map_or(Publication::Fenced, Publication::Published))
            }
            Err(failure) => Err(failure.into_error("publish")),
        }
    }

    pub(crate) async fn put(
        self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Result<PutOutcome, StoreError> {
        let key = self.path(&key)?;
        let value = text(&key, &value, retain)?;
        self.ready().await?;
        for _ in 0..MOST_ROUNDS {
            let (last, only) = self.look(|session, _| {
                guard(session, &key)?;
                Ok::<_, StoreError>((session.mirror.revision(&key), condition(session, &key)))
            })?;
            if last > seen {
                return Ok(PutOutcome::Newer(last));
            }
            let Some(only) = only else {
                return Err(StoreError::unavailable(format_args!(
                    "which version of {:?} stands is not known after a snapshot, so it is not \
                     replaced without a lease",
                    key.text()
                )));
            };
            let value = value.clone();
            match self.write(key.clone(), Deed::Set { value, only }).await {
                Ok(done) => {
                    return Ok(PutOutcome::Written(
                        self.look(|session, _| revision(done, session)),
                    ));
                }
                // Another has been faster: the mirror is to know of it.
                Err(Failure::Exists | Failure::Conflict) => self.catch_up().await?,
                Err(failure) => return Err(failure.into_error("put")),
            }
        }
        Err(StoreError::unavailable(format_args!(
            "{:?} changes too fast",
            key.text()
        )))
    }
}

/// The value as the seed's implementations write it: JSON text, as a string.
fn text(key: &Path, value: &Bytes, retain: Option<Duration>) -> Result<String, StoreError> {
    let refuse = |why: &str| {
        let key = key.text();
        Err(StoreError::refused(format_args!(
            "the value of {key:?} {why}"
        )))
    };
    if retain.is_some() {
        return refuse(
            "is to be kept for a time only, which Dust cannot; use max_age in its place",
        );
    }
    if value.len() as u64 > MAX_VALUE {
        return refuse("is larger than 1 MiB; publish a pointer to the bytes");
    }
    match std::str::from_utf8(value) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => refuse("is not UTF-8, and Dust keeps text"),
    }
}

/// The revision of what this lease has published, if it stands.
fn published_under(session: &Session, key: &Path, token: Token) -> Option<Revision> {
    let row = session.mirror.row(key)?;
    match &row.what {
        What::Text(text) if text.token == Some(token) => Some(row.revision()),
        What::Text(_) | What::Gone | What::Unkept | What::Lease(_) | What::Other(_) => None,
    }
}

/// What must not have changed for a write to replace only what is known; `None` if that cannot be said.
fn condition(session: &Session, key: &Path) -> Option<Condition> {
    match session.mirror.row(key) {
        None => Some(Condition::Absent),
        Some(row) if row.what == What::Gone => Some(Condition::Absent),
        Some(row) => row.exact.then_some(Condition::Match(row.seq)),
    }
}
