//! What nobody can need any more, and when it goes.

use rusqlite::Connection;

use crate::clock::Now;
use crate::fault::Fault;
use crate::step::in_transaction;

/// How long the dead are kept: a holder that hung for less still gets the answer it would have got.
const KEPT: i64 = 24 * 60 * 60 * 1_000_000_000;

/// The least time between two prunings, so that a crowd of processes that start at once prunes once.
const BETWEEN: i64 = 60 * 60 * 1_000_000_000;

/// Removes forgotten keys, values whose retention is over and free locks, a day after.
///
/// A key that is gone is as one that was never written; its next revision is above all the same, for
/// it comes from the one counter.
pub(crate) fn prune(conn: &Connection, boot: i64, now: Now) -> Result<(), Fault> {
    let due = |conn: &Connection| -> Result<bool, Fault> {
        let last: i64 = conn.query_row("SELECT pruned FROM meta WHERE one = 1", [], |row| {
            row.get(0)
        })?;
        // A clock that was set back does not put it off.
        Ok(now.wall.saturating_sub(last).saturating_abs() >= BETWEEN)
    };
    if !due(conn)? {
        return Ok(());
    }
    in_transaction(conn, "BEGIN IMMEDIATE", |conn| {
        if !due(conn)? {
            return Ok(());
        }
        // ?1 the boot, ?2 and ?3 the time; the age as in `Stamp::age`.
        let age = "CASE WHEN boot = ?1 THEN ?2 - at ELSE max(?3 - wall, ?2) END";
        let times = (boot, now.boot, now.wall, KEPT);
        conn.execute(
            &format!(
                "DELETE FROM entries WHERE (value IS NULL AND {age} >= ?4) \
                     OR (retain IS NOT NULL AND {age} - ?4 >= retain)"
            ),
            times,
        )?;
        conn.execute(
            &format!(
                "DELETE FROM locks WHERE {age} >= ?4 \
                     AND (live = 0 OR boot <> ?1 OR expires <= ?2 - ?4)"
            ),
            times,
        )?;
        conn.execute("UPDATE meta SET pruned = ?1 WHERE one = 1", [now.wall])?;
        Ok(())
    })
}
