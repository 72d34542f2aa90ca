//! `claim`.

use oneflight_store::{Claim, ClaimRequest, Revision};

use crate::clock::{duration, nanos};
use crate::fault::Fault;
use crate::rows::{EntryRow, LockRow, key_state, token};
use crate::step::{Step, View};

/// What a claim comes to, as things stand.
pub(super) enum Verdict {
    /// This answer.
    Answer(Claim),
    /// The lock is there for the taking, over this revision of the key.
    Free(Revision),
}

impl Verdict {
    pub(super) fn answer(self) -> Option<Claim> {
        match self {
            Self::Answer(answer) => Some(answer),
            Self::Free(_) => None,
        }
    }
}

/// Newer, else the lease this very attempt holds, else held, else free.
pub(super) fn judge(view: &View<'_>, request: &ClaimRequest) -> Result<Verdict, Fault> {
    let entry = EntryRow::find(view, &request.key)?;
    let lock = LockRow::find(view, &request.lock)?;
    let generation = entry.map_or(Revision::NEVER, |entry| entry.revision());

    let news = entry.filter(|_| generation > request.seen);
    if news.is_some_and(|entry| entry.size(view).is_some())
        && let Some(entry) = key_state(view, &request.key)?.entry
    {
        return Ok(Verdict::Answer(Claim::Newer {
            entry,
            latest: lock.and_then(|lock| token(lock.token)),
        }));
    }
    let Some(lock) = lock.filter(|lock| lock.lives(view)) else {
        return Ok(Verdict::Free(generation));
    };
    let token = granted(lock.token)?;
    let remaining = lock.remaining(view);
    Ok(Verdict::Answer(if lock.is_of(request.attempt) {
        Claim::Granted {
            token,
            remaining,
            generation,
        }
    } else {
        Claim::Held {
            token,
            remaining: Some(remaining),
            holder: Some(lock.holder().clone()),
        }
    }))
}

/// The whole claim: judges, and takes the lock if it is free.
pub(super) fn claim(step: &Step<'_>, request: &ClaimRequest) -> Result<Claim, Fault> {
    let generation = match judge(&step.view, request)? {
        Verdict::Answer(answer) => return Ok(answer),
        Verdict::Free(generation) => generation,
    };
    let drawn = step.draw()?;
    let stamp = step.stamp();
    let ttl = nanos(request.ttl);
    // What the lock remembers of its last publication outlives the grant: that holder may still ask.
    step.write(
        "INSERT INTO locks (lock, key, token, live, expires, boot, at, wall, attempt, host, pid, user, \
             seq) \
         VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?3) \
         ON CONFLICT (lock) DO UPDATE SET key = ?2, token = ?3, live = 1, expires = ?4, boot = ?5, \
             at = ?6, wall = ?7, attempt = ?8, host = ?9, pid = ?10, user = ?11, seq = ?3",
        (
            request.lock.as_bytes(),
            request.key.as_bytes(),
            drawn,
            stamp.at.boot.saturating_add(ttl),
            stamp.boot,
            stamp.at.boot,
            stamp.at.wall,
            request.attempt.0.to_be_bytes(),
            &*request.holder.host,
            request.holder.pid,
            &*request.holder.user,
        ),
    )?;
    Ok(Claim::Granted {
        token: granted(drawn)?,
        remaining: duration(ttl),
        generation,
    })
}

fn granted(number: i64) -> Result<oneflight_store::Token, Fault> {
    token(number).ok_or_else(|| Fault::Malformed(format!("token is {number}")))
}
