//! What needs no lease: `put`, `forget`.

use std::time::Duration;

use oneflight_store::{PutOutcome, Revision};

use super::lease::free;
use crate::clock::nanos;
use crate::fault::Fault;
use crate::rows::{EntryRow, LockRow, revision};
use crate::step::Step;

pub(super) fn put(
    step: &Step<'_>,
    key: &str,
    value: &[u8],
    retain: Option<Duration>,
    seen: Revision,
) -> Result<PutOutcome, Fault> {
    let last = EntryRow::find(&step.view, key)?.map_or(Revision::NEVER, |entry| entry.revision());
    if last > seen {
        return Ok(PutOutcome::Newer(last));
    }
    let drawn = step.draw_told()?;
    write_value(step, key, value, retain, drawn, None)?;
    Ok(PutOutcome::Written(revision(drawn)))
}

pub(super) fn forget(step: &Step<'_>, key: &str, lock: &str) -> Result<Revision, Fault> {
    // Rows that do not decode are left for a person to look at.
    EntryRow::find(&step.view, key)?;
    LockRow::find(&step.view, lock)?;
    let drawn = step.draw_told()?;
    write(step, key, None, None, drawn, None)?;
    free(step, lock, drawn)?;
    Ok(revision(drawn))
}

/// Writes the value of `key`, whatever was there before.
pub(super) fn write_value(
    step: &Step<'_>,
    key: &str,
    value: &[u8],
    retain: Option<Duration>,
    drawn: i64,
    token: Option<i64>,
) -> Result<(), Fault> {
    write(step, key, Some(value), retain, drawn, token)
}

fn write(
    step: &Step<'_>,
    key: &str,
    value: Option<&[u8]>,
    retain: Option<Duration>,
    drawn: i64,
    token: Option<i64>,
) -> Result<(), Fault> {
    let stamp = step.stamp();
    step.write(
        "INSERT INTO entries (key, revision, token, boot, at, wall, retain, value) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
         ON CONFLICT (key) DO UPDATE SET revision = ?2, token = ?3, boot = ?4, at = ?5, wall = ?6, \
             retain = ?7, value = ?8",
        (
            key.as_bytes(),
            drawn,
            token,
            stamp.boot,
            stamp.at.boot,
            stamp.at.wall,
            retain.map(nanos),
            value,
        ),
    )?;
    Ok(())
}
