//! The one counter that all tokens and revisions are drawn from.

use rusqlite::Connection;

use crate::fault::Fault;

/// The row that says where the counter stands, and which boot the file has last been used in.
///
/// INVARIANT: no number is ever drawn twice, not even after a loss of power.
///
/// * While the machine runs, every draw is part of a committed transaction, and a commit is never
///   undone by the death of processes: the log is in the kernel's hands, not theirs.
/// * With `synchronous=NORMAL` a loss of power may undo the last commits, back to one that reached
///   the disk. So the next boot begins with a jump ahead of anything that may have been drawn: the
///   counter is composed of an epoch (the upper half) and a number within it (the lower 32 bits), and
///   the first to open the file in a new boot raises the epoch by two, in a transaction of
///   `synchronous=FULL`, which has reached the disk before anybody sees it, hence before anything is
///   drawn from the new epoch. What was drawn in the boot before lies in the epoch that was on the
///   disk since its beginning, or, if four thousand million draws carried it over, in the next one;
///   never further, for the commits that power can take back are those since the last checkpoint.
///
/// Only a copy of the file that is put back from a backup takes the counter back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meta {
    /// The last number drawn.
    pub(crate) seq: i64,
    /// The number of the boot: what times in other rows refer to.
    pub(crate) boot: i64,
}

/// The width of the number within an epoch.
const WIDTH: u32 = 32;

impl Meta {
    pub(crate) fn read(conn: &Connection) -> Result<Self, Fault> {
        let meta = conn
            .prepare_cached("SELECT seq, boot FROM meta WHERE one = 1")?
            .query_row([], |row| {
                Ok(Self {
                    seq: row.get(0)?,
                    boot: row.get(1)?,
                })
            });
        match meta {
            Ok(meta) if meta.seq >= 0 && meta.boot >= 0 => Ok(meta),
            Ok(_) => Err(damaged()),
            Err(rusqlite::Error::QueryReturnedNoRows) => Err(damaged()),
            Err(error) => Err(error.into()),
        }
    }

    /// The next number.
    pub(crate) fn next(self) -> Result<i64, Fault> {
        self.seq.checked_add(1).ok_or_else(damaged)
    }

    /// The counter at the beginning of the next boot.
    pub(crate) fn next_boot(self) -> Result<Self, Fault> {
        let seq = (self.seq >> WIDTH)
            .checked_add(2)
            .and_then(|epoch| epoch.checked_mul(1 << WIDTH))
            .ok_or_else(damaged)?;
        let boot = self.boot.checked_add(1).ok_or_else(damaged)?;
        Ok(Self { seq, boot })
    }
}

fn damaged() -> Fault {
    Fault::Unavailable("its counter is missing or damaged".to_owned())
}

/// Which number this boot has in the file; the first to ask in a new boot writes it down.
pub(crate) fn enter_boot(conn: &Connection, boot_id: &str) -> Result<i64, Fault> {
    let known = |conn: &Connection| -> Result<Option<i64>, Fault> {
        let last: String = conn.query_row("SELECT boot_id FROM meta WHERE one = 1", [], |row| {
            row.get(0)
        })?;
        Ok((last == boot_id).then_some(Meta::read(conn)?.boot))
    };
    if let Some(boot) = known(conn)? {
        return Ok(boot);
    }
    // A new connection is `synchronous=FULL` until told otherwise, but the proof above rests on it.
    conn.pragma_update(None, "synchronous", "FULL")?;
    crate::step::in_transaction(conn, "BEGIN IMMEDIATE", |conn| {
        if let Some(boot) = known(conn)? {
            return Ok(boot);
        }
        let next = Meta::read(conn)?.next_boot()?;
        conn.execute(
            "UPDATE meta SET seq = ?1, boot = ?2, boot_id = ?3 WHERE one = 1",
            (next.seq, next.boot, boot_id),
        )?;
        Ok(next.boot)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_leaves_behind_whatever_may_have_been_drawn_before_it() {
        let on_disk = Meta { seq: 7, boot: 0 };
        let lost = Meta {
            seq: (1 << WIDTH) + 5,
            boot: 0,
        };
        let next = on_disk.next_boot().unwrap();
        assert!(next.seq > lost.seq);
        assert_eq!(next.boot, 1);
        assert!(next.next_boot().unwrap().seq > next.seq + (1 << WIDTH));
    }

    #[test]
    fn a_counter_at_its_end_says_so() {
        let end = Meta {
            seq: i64::MAX,
            boot: 0,
        };
        assert!(end.next().is_err());
        assert!(end.next_boot().is_err());
    }
}
