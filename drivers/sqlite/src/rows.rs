//! The rows of the file, read with suspicion: anybody may have edited them.

use std::sync::Arc;

use bytes::Bytes;
use oneflight_store::{AttemptId, Entry, Holder, KeyState, LockState, Revision, Token};
use rusqlite::Row;

use crate::clock::{Now, Stamp, duration};
use crate::fault::Fault;
use crate::step::View;

/// What is known of a key without its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryRow {
    pub(crate) revision: i64,
    pub(crate) token: Option<i64>,
    written: Stamp,
    retain: Option<i64>,
    /// The size of the value; `None` if the key was forgotten.
    size: Option<i64>,
}

const ENTRY: &str =
    "SELECT revision, token, boot, at, wall, retain, length(value) FROM entries WHERE key = ?1";
const ENTRY_AND_VALUE: &str = "SELECT revision, token, boot, at, wall, retain, length(value), value \
     FROM entries WHERE key = ?1";

impl EntryRow {
    /// The row of `key`, if it was ever written.
    pub(crate) fn find(view: &View<'_>, key: &str) -> Result<Option<Self>, Fault> {
        view.row(ENTRY, [key.as_bytes()], Self::decode)
    }

    /// The columns in the order of [`ENTRY`].
    pub(crate) fn decode(row: &Row<'_>) -> Result<Self, Fault> {
        let entry = Self {
            revision: row.get(0)?,
            token: row.get(1)?,
            written: Stamp {
                boot: row.get(2)?,
                at: Now {
                    boot: row.get(3)?,
                    wall: row.get(4)?,
                },
            },
            retain: row.get(5)?,
            size: row.get(6)?,
        };
        positive("revision", entry.revision)?;
        entry
            .token
            .map_or(Ok(()), |token| positive("token", token))?;
        Ok(entry)
    }

    pub(crate) fn revision(&self) -> Revision {
        revision(self.revision)
    }

    /// The size of the value, unless the key was forgotten or the value's retention is over.
    pub(crate) fn size(&self, view: &View<'_>) -> Option<u64> {
        let over = self.retain.is_some_and(|retain| self.age(view) >= retain);
        self.size
            .filter(|_| !over)
            .and_then(|size| u64::try_from(size).ok())
    }

    /// How long ago it was written, in nanoseconds.
    pub(crate) fn age(&self, view: &View<'_>) -> i64 {
        self.written.age(view.boot, view.now)
    }
}

/// What a key holds, with its value.
pub(crate) fn key_state(view: &View<'_>, key: &str) -> Result<KeyState, Fault> {
    let found = view.row(ENTRY_AND_VALUE, [key.as_bytes()], |row| {
        let entry = EntryRow::decode(row)?;
        // The value of an entry whose retention is over is not even read.
        let value = match entry.size(view) {
            Some(_) => Some(row.get::<_, Vec<u8>>(7)?),
            None => None,
        };
        Ok(KeyState {
            revision: entry.revision(),
            entry: value.map(|value| Entry {
                value: Bytes::from(value),
                revision: entry.revision(),
                token: entry.token.and_then(token),
                age: duration(entry.age(view)),
            }),
        })
    })?;
    Ok(found.unwrap_or(KeyState {
        revision: Revision::NEVER,
        entry: None,
    }))
}

/// What is known of a lock.
#[derive(Clone, Debug)]
pub(crate) struct LockRow {
    pub(crate) key: Vec<u8>,
    pub(crate) token: i64,
    /// Neither released, published under, forgotten nor granted anew; it may have lapsed.
    pub(crate) stands: bool,
    expires: i64,
    boot: i64,
    attempt: u128,
    holder: Holder,
    published: Option<(i64, i64)>,
}

const LOCK: &str = "SELECT key, token, live, expires, boot, attempt, host, pid, user, \
     published_token, published_revision FROM locks WHERE lock = ?1";

impl LockRow {
    /// The row of `lock`, if it was ever granted.
    pub(crate) fn find(view: &View<'_>, lock: &str) -> Result<Option<Self>, Fault> {
        view.row(LOCK, [lock.as_bytes()], |row| {
            Self::decode(row).map_err(|fault| of_lock(lock, fault))
        })
    }

    /// The columns in the order of [`LOCK`].
    pub(crate) fn decode(row: &Row<'_>) -> Result<Self, Fault> {
        let published_token: Option<i64> = row.get(9)?;
        let published_revision: Option<i64> = row.get(10)?;
        let found = Self {
            key: row.get(0)?,
            token: row.get(1)?,
            stands: match row.get(2)? {
                0_i64 => false,
                1 => true,
                other => return Err(Fault::Malformed(format!("live is {other}"))),
            },
            expires: row.get(3)?,
            boot: row.get(4)?,
            attempt: u128::from_be_bytes(row.get(5)?),
            holder: Holder {
                host: Arc::from(row.get::<_, String>(6)?),
                pid: row.get(7)?,
                user: Arc::from(row.get::<_, String>(8)?),
            },
            published: published_token.zip(published_revision),
        };
        positive("token", found.token)?;
        if let Some((token, revision)) = found.published {
            positive("published_token", token)?;
            positive("published_revision", revision)?;
        }
        Ok(found)
    }

    /// Whether the lease lives: it stands, and has not lapsed. The holder of a lease of another boot
    /// has died with it.
    pub(crate) fn lives(&self, view: &View<'_>) -> bool {
        self.stands && self.boot == view.boot && self.expires > view.now.boot
    }

    pub(crate) fn remaining(&self, view: &View<'_>) -> std::time::Duration {
        duration(self.expires.saturating_sub(view.now.boot))
    }

    /// Whether this very attempt was granted the lease.
    pub(crate) fn is_of(&self, attempt: AttemptId) -> bool {
        self.attempt == attempt.0
    }

    /// The revision this token has published, as far as the lock remembers: its last publication.
    pub(crate) fn published_by(&self, token: i64) -> Option<i64> {
        self.published
            .filter(|(published, _)| *published == token)
            .map(|(_, revision)| revision)
    }

    pub(crate) fn holder(&self) -> &Holder {
        &self.holder
    }

    pub(crate) fn state(&self, view: &View<'_>) -> LockState {
        match token(self.token) {
            Some(token) if self.lives(view) => LockState::Held {
                token,
                remaining: Some(self.remaining(view)),
                holder: Some(self.holder.clone()),
            },
            _ => LockState::Free,
        }
    }
}

/// What a lock holds.
pub(crate) fn lock_state(view: &View<'_>, lock: &str) -> Result<LockState, Fault> {
    Ok(LockRow::find(view, lock)?.map_or(LockState::Free, |row| row.state(view)))
}

/// Says of a fault in the row of a lock which lock it was.
pub(crate) fn of_lock(lock: &str, fault: Fault) -> Fault {
    match fault {
        Fault::Malformed(reason) => {
            Fault::Malformed(format!("the row of its lock {lock:?}: {reason}"))
        }
        Fault::Sql(error) => match crate::fault::decoding(error) {
            Ok(reason) => Fault::Malformed(format!("the row of its lock {lock:?}: {reason}")),
            Err(error) => Fault::Sql(error),
        },
        Fault::Refused(_) | Fault::Unavailable(_) => fault,
    }
}

/// A key as a row holds it.
pub(crate) fn key(bytes: Vec<u8>) -> Result<Arc<str>, Fault> {
    String::from_utf8(bytes)
        .map(Arc::from)
        .map_err(|error| Fault::Malformed(error.to_string()))
}

/// A token as a row holds it; no row holds one below 1.
pub(crate) fn token(number: i64) -> Option<Token> {
    u64::try_from(number).ok().and_then(Token::new)
}

/// A revision as a row holds it.
pub(crate) fn revision(number: i64) -> Revision {
    Revision::new(u64::try_from(number).unwrap_or(0))
}

/// A number of the contract as a row would hold it. What is too large for a row was never in one, and
/// is above all that are.
pub(crate) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn positive(column: &str, number: i64) -> Result<(), Fault> {
    if number > 0 {
        Ok(())
    } else {
        Err(Fault::Malformed(format!("{column} is {number}")))
    }
}

/// The same fault if it lies in the row that was read; an error if it is more than that.
pub(crate) fn of_row(fault: Fault) -> Result<Fault, Fault> {
    match fault {
        Fault::Malformed(_) => Ok(fault),
        Fault::Sql(error) => match crate::fault::decoding(error) {
            Ok(reason) => Ok(Fault::Malformed(reason)),
            Err(error) => Err(Fault::Sql(error)),
        },
        Fault::Refused(_) | Fault::Unavailable(_) => Err(fault),
    }
}
