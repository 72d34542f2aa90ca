//! One atomic step in the file.

use std::cell::Cell;

use rusqlite::{Connection, Params};

use crate::clock::{Clock, Now, Stamp};
use crate::fault::Fault;
use crate::meta::Meta;

/// Does `work` within one transaction: all of it or nothing.
pub(crate) fn in_transaction<T>(
    conn: &Connection,
    begin: &str,
    work: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    if !conn.is_autocommit() {
        // Left behind by a panic in an earlier step.
        roll_back(conn);
    }
    conn.prepare_cached(begin)?.execute([])?;
    let done = work(conn).and_then(|answer| {
        conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(answer)
    });
    if done.is_err() && !conn.is_autocommit() {
        roll_back(conn);
    }
    done
}

fn roll_back(conn: &Connection) {
    // If even this fails, the next step finds the transaction open and tries again.
    conn.execute_batch("ROLLBACK").ok();
}

/// A look at the file as it is at one moment.
pub(crate) struct View<'a> {
    conn: &'a Connection,
    /// The number of this boot.
    pub(crate) boot: i64,
    /// The time of the step.
    pub(crate) now: Now,
}

impl<'a> View<'a> {
    /// A look at what one statement sees, or the transaction under way.
    pub(crate) fn new(conn: &'a Connection, boot: i64, clock: &dyn Clock) -> Self {
        let now = clock.now();
        Self { conn, boot, now }
    }

    /// The row this statement finds, if any.
    pub(crate) fn row<T>(
        &self,
        sql: &str,
        params: impl Params,
        decode: impl FnOnce(&rusqlite::Row<'_>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        rows.next()?.map(decode).transpose()
    }

    /// All rows this statement finds.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut decode: impl FnMut(&rusqlite::Row<'_>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(decode(row)?);
        }
        Ok(found)
    }
}

/// A step that may write.
pub(crate) struct Step<'a> {
    /// What the step sees.
    pub(crate) view: View<'a>,
    meta: Cell<Meta>,
    tells: Cell<bool>,
}

impl<'a> Step<'a> {
    /// A step within the transaction under way, which has the write lock: from here on nobody else
    /// changes anything, and time is read.
    pub(crate) fn new(conn: &'a Connection, boot: i64, clock: &dyn Clock) -> Result<Self, Fault> {
        let meta = Meta::read(conn)?;
        if meta.boot != boot {
            // The boot was entered anew although this one goes on.
            return Err(Fault::Refused(
                "the file is in use by another machine, or by a sandbox with a kernel of its own; \
                 one file serves one machine"
                    .to_owned(),
            ));
        }
        Ok(Self {
            view: View::new(conn, boot, clock),
            meta: Cell::new(meta),
            tells: Cell::new(false),
        })
    }

    /// Draws the next number, for a change that nobody waits for.
    pub(crate) fn draw(&self) -> Result<i64, Fault> {
        let seq = self.meta.get().next()?;
        self.write("UPDATE meta SET seq = ?1 WHERE one = 1", [seq])?;
        self.meta.set(Meta {
            seq,
            ..self.meta.get()
        });
        Ok(seq)
    }

    /// Draws the next number, for a change that others are to be told of.
    pub(crate) fn draw_told(&self) -> Result<i64, Fault> {
        self.tells.set(true);
        self.draw()
    }

    /// Whether others are to be told.
    pub(crate) fn tells(&self) -> bool {
        self.tells.get()
    }

    /// Carries out a statement and counts the rows it changed.
    pub(crate) fn write(&self, sql: &str, params: impl Params) -> Result<usize, Fault> {
        Ok(self.view.conn.prepare_cached(sql)?.execute(params)?)
    }

    /// When this step happens, as it is written down.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp {
            boot: self.view.boot,
            at: self.view.now,
        }
    }
}
