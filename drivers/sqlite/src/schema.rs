//! What the file holds: its tables, and the marks by which it is recognised.

use rusqlite::{Connection, OptionalExtension};

/// `onef`: says that a SQLite file is a oneflight store.
pub(crate) const APPLICATION_ID: i32 = 0x6f6e_6566;

/// The version of the tables below.
///
/// A later version that changes them in place must end with `PRAGMA wal_checkpoint(TRUNCATE)`, so
/// that its number stands in the file's own header, where older programs look before they open it.
pub(crate) const VERSION: i32 = 1;

/// Every table and index, by the name and the very text SQLite keeps it under.
///
/// Keys are BLOBs: any string is a key, and one with a NUL is cut short as a TEXT by many a tool.
/// Times are nanoseconds of the boot clock (`at`, `expires`) with the number of the boot, and of
/// the time of day (`wall`). A `value` of NULL is a key that was forgotten. The value comes last, so
/// that the columns before it are read without it.
const OBJECTS: [(&str, &str); 5] = [
    (
        "meta",
        "CREATE TABLE meta (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  seq INTEGER NOT NULL,
  boot INTEGER NOT NULL,
  boot_id TEXT NOT NULL,
  pruned INTEGER NOT NULL
) STRICT",
    ),
    (
        "entries",
        "CREATE TABLE entries (
  key BLOB PRIMARY KEY NOT NULL,
  revision INTEGER NOT NULL,
  token INTEGER,
  boot INTEGER NOT NULL,
  at INTEGER NOT NULL,
  wall INTEGER NOT NULL,
  retain INTEGER,
  value BLOB
) STRICT",
    ),
    (
        "entries_revision",
        "CREATE UNIQUE INDEX entries_revision ON entries (revision)",
    ),
    (
        "locks",
        "CREATE TABLE locks (
  lock BLOB PRIMARY KEY NOT NULL,
  key BLOB NOT NULL,
  token INTEGER NOT NULL,
  live INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  boot INTEGER NOT NULL,
  at INTEGER NOT NULL,
  wall INTEGER NOT NULL,
  attempt BLOB NOT NULL,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  user TEXT NOT NULL,
  published_token INTEGER,
  published_revision INTEGER,
  seq INTEGER NOT NULL
) STRICT",
    ),
    ("locks_seq", "CREATE UNIQUE INDEX locks_seq ON locks (seq)"),
];

/// What the marks of a file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) application_id: i32,
    pub(crate) version: i32,
}

impl Marks {
    /// The marks of a file that holds nothing yet.
    pub(crate) const NONE: Self = Self {
        application_id: 0,
        version: 0,
    };

    pub(crate) fn read(conn: &Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            application_id: conn.pragma_query_value(None, "application_id", |row| row.get(0))?,
            version: conn.pragma_query_value(None, "user_version", |row| row.get(0))?,
        })
    }
}

/// Whether there is not a single table.
pub(crate) fn is_empty(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| {
        row.get(0)
    })
}

/// Writes tables and marks; the caller has begun a transaction.
pub(crate) fn create(conn: &Connection, boot_id: &str, wall: i64) -> rusqlite::Result<()> {
    for (_, sql) in OBJECTS {
        conn.execute_batch(sql)?;
    }
    conn.execute(
        "INSERT INTO meta (one, seq, boot, boot_id, pruned) VALUES (1, 0, 0, ?1, ?2)",
        (boot_id, wall),
    )?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    conn.pragma_update(None, "user_version", VERSION)
}

/// What differs from the tables above, if anything.
pub(crate) fn flaw(conn: &Connection) -> rusqlite::Result<Option<String>> {
    for (name, sql) in OBJECTS {
        let found: Option<Option<String>> = conn
            .query_row(
                "SELECT sql FROM sqlite_schema WHERE name = ?1",
                [name],
                |row| row.get(0),
            )
            .optional()?;
        if found.flatten().as_deref() != Some(sql) {
            return Ok(Some(format!(
                "its table or index {name} is missing or altered"
            )));
        }
    }
    Ok(None)
}
