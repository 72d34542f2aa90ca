//! What a lease is good for: `renew`, `publish`, `release`.

use std::time::Duration;

use oneflight_store::{LeaseId, Publication, Renewal};

use super::entry::write_value;
use crate::clock::nanos;
use crate::fault::Fault;
use crate::rows::{EntryRow, LockRow, number, revision};
use crate::step::Step;

pub(super) fn renew(step: &Step<'_>, lease: &LeaseId, ttl: Duration) -> Result<Renewal, Fault> {
    let token = number(lease.token.get());
    // A row that does not decode is nobody's to change.
    let lock = LockRow::find(&step.view, &lease.lock)?;
    if !lock.is_some_and(|lock| lock.stands && lock.token == token) {
        return Ok(Renewal::Lost);
    }
    let stamp = step.stamp();
    step.write(
        "UPDATE locks SET expires = ?2, boot = ?3, at = ?4, wall = ?5 WHERE lock = ?1",
        (
            lease.lock.as_bytes(),
            stamp.at.boot.saturating_add(nanos(ttl)),
            stamp.boot,
            stamp.at.boot,
            stamp.at.wall,
        ),
    )?;
    Ok(Renewal::Renewed)
}

pub(super) fn publish(
    step: &Step<'_>,
    lease: &LeaseId,
    key: &str,
    value: &[u8],
    retain: Option<Duration>,
) -> Result<Publication, Fault> {
    let token = number(lease.token.get());
    let lock = LockRow::find(&step.view, &lease.lock)?;
    let entry = EntryRow::find(&step.view, key)?;

    if lock
        .as_ref()
        .is_some_and(|lock| lock.stands && lock.token == token)
    {
        let drawn = step.draw_told()?;
        write_value(step, key, value, retain, drawn, Some(token))?;
        let stamp = step.stamp();
        step.write(
            "UPDATE locks SET live = 0, published_token = ?2, published_revision = ?3, seq = ?3, \
                 boot = ?4, at = ?5, wall = ?6 WHERE lock = ?1",
            (
                lease.lock.as_bytes(),
                token,
                drawn,
                stamp.boot,
                stamp.at.boot,
                stamp.at.wall,
            ),
        )?;
        return Ok(Publication::Published(revision(drawn)));
    }
    let before = lock.and_then(|lock| lock.published_by(token)).or_else(|| {
        entry
            .filter(|entry| entry.token == Some(token))
            .map(|entry| entry.revision)
    });
    Ok(before.map_or(Publication::Fenced, |before| {
        Publication::Published(revision(before))
    }))
}

pub(super) fn release(step: &Step<'_>, lease: &LeaseId) -> Result<(), Fault> {
    let token = number(lease.token.get());
    let lock = LockRow::find(&step.view, &lease.lock)?;
    if lock.is_some_and(|lock| lock.stands && lock.token == token) {
        free(step, &lease.lock, step.draw_told()?)?;
    }
    Ok(())
}

/// Voids whatever lease stands on this lock, if it was ever granted.
pub(super) fn free(step: &Step<'_>, lock: &str, drawn: i64) -> Result<(), Fault> {
    let stamp = step.stamp();
    step.write(
        "UPDATE locks SET live = 0, seq = ?2, boot = ?3, at = ?4, wall = ?5 WHERE lock = ?1",
        (
            lock.as_bytes(),
            drawn,
            stamp.boot,
            stamp.at.boot,
            stamp.at.wall,
        ),
    )?;
    Ok(())
}
