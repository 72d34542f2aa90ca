//! `list`.

use std::collections::BTreeMap;
use std::sync::Arc;

use oneflight_store::{KeyStatus, LockState, Revision};

use crate::clock::duration;
use crate::fault::Fault;
use crate::rows::{EntryRow, LockRow, key};
use crate::step::View;

/// Every key that holds a value or whose lock is held. Should several locks guard one key, the lease
/// granted last is told.
pub(super) fn list(view: &View<'_>) -> Result<Vec<KeyStatus>, Fault> {
    // Both queries begin with the columns the rows decode from.
    let entries = view.rows(
        "SELECT revision, token, boot, at, wall, retain, length(value), key FROM entries",
        [],
        |row| Ok((key(row.get(7)?)?, EntryRow::decode(row)?)),
    )?;
    let locks = view.rows(
        "SELECT key, token, live, expires, boot, attempt, host, pid, user, published_token, \
             published_revision, lock FROM locks WHERE live = 1 ORDER BY token",
        [],
        |row| Ok((key(row.get(11)?)?, LockRow::decode(row)?)),
    )?;

    let mut leases: BTreeMap<Arc<str>, (Arc<str>, LockState)> = BTreeMap::new();
    for (lock, row) in locks {
        let state = row.state(view);
        if state != LockState::Free {
            leases.insert(key(row.key)?, (lock, state));
        }
    }
    let mut listed: BTreeMap<Arc<str>, KeyStatus> = BTreeMap::new();
    for (key, row) in entries {
        let size = row.size(view);
        if size.is_some() || leases.contains_key(&key) {
            let status = KeyStatus {
                key: Arc::clone(&key),
                lock: None,
                state: LockState::Free,
                revision: row.revision(),
                age: size.map(|_| duration(row.age(view))),
                size,
            };
            listed.insert(key, status);
        }
    }
    for (key, (lock, state)) in leases {
        let status = listed.entry(Arc::clone(&key)).or_insert(KeyStatus {
            key,
            lock: None,
            state: LockState::Free,
            revision: Revision::NEVER,
            age: None,
            size: None,
        });
        status.lock = Some(lock);
        status.state = state;
    }
    Ok(listed.into_values().collect())
}
