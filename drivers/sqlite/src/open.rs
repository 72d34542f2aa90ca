//! How a store is opened.
//!
//! ```text
//! the path ── not a regular file, on a network, not ours to write ──▶ an error
//!    │
//! nothing there, or nothing in it ──▶ it is made
//!    │ something in it
//! the probe: read as if it never changed ── not SQLite, not ours, newer, corrupt ──▶ an error
//!    │ ours (or nobody can say while others write)
//! the connection ──▶ write-ahead log ──▶ this boot ──▶ pruning
//! ```
//!
//! **Architecture invariant**: up to and with the probe nothing is written, and nothing comes to lie
//! beside the file: who names the wrong file by mistake finds it as it was.
//!
//! **Architecture invariant**: nothing but SQLite ever opens the file. To close *any* descriptor of a
//! file drops all locks the process has on it, including those of another store that is open on it;
//! only SQLite knows to put off the close. So even the header is read through SQLite.

mod error;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use rusqlite::{Connection, ErrorCode, OpenFlags};

pub use self::error::OpenError;
use crate::busy;
use crate::clock::Clock;
use crate::fault::{Fault, is_busy};
use crate::meta::enter_boot;
use crate::place::{Identity, Place, beside, identity, shared_by_machines};
use crate::prune::prune;
use crate::schema::{self, APPLICATION_ID, Marks, VERSION};
use crate::signal::{Bell, SIGNAL};
use crate::step::in_transaction;

/// What opening comes to.
pub(crate) struct Opened {
    pub(crate) place: Place,
    pub(crate) conn: Connection,
    /// The number of this boot.
    pub(crate) boot: i64,
    pub(crate) bell: Bell,
}

/// Opens the store at `path`, or makes it.
pub(crate) fn open(path: &Path, clock: &dyn Clock) -> Result<Opened, OpenError> {
    let path = locate(path)?;
    let boot_id = clock.boot_id().map_err(OpenError::NoBootId)?;
    let opener = Opener {
        path: &path,
        since: Instant::now(),
    };
    loop {
        let before = opener.inspect()?;
        let (conn, boot) = opener.connect(&boot_id, clock)?;
        let file = opener.stat()?;
        // Deleted and made anew in between: what is open now is not what others will find.
        if identity(&file) == before {
            let signal = beside(&path, SIGNAL);
            let bell =
                Bell::open(&signal, &file).map_err(|source| opener.io_at(&signal, source))?;
            let place = Place::new(path.clone(), before);
            return Ok(Opened {
                place,
                conn,
                boot,
                bell,
            });
        }
        opener.pause(0)?;
    }
}

/// Another connection to a store that is open, for reading.
pub(crate) fn connect_reader(place: &Place) -> rusqlite::Result<Connection> {
    let conn = connect(place.path())?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // No URI: a path is a path, whatever it looks like. No mutex: one thread at a time has it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    #[cfg(not(target_os = "linux"))]
    let flags = flags | OpenFlags::SQLITE_OPEN_CREATE;
    let mut conn = Connection::open_with_flags(path, flags)?;
    busy::be_patient(&mut conn)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

/// The path without links and relative parts; the directories down to the file are made.
fn locate(path: &Path) -> Result<PathBuf, OpenError> {
    let io = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    match fs::canonicalize(path) {
        Ok(found) => return Ok(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    let absolute = std::path::absolute(path).map_err(io)?;
    let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Err(OpenError::NotAFile { path: absolute });
    };
    make_directories(parent).map_err(|error| denied_or_io(path, error))?;
    Ok(fs::canonicalize(parent).map_err(io)?.join(name))
}

#[cfg(unix)]
fn make_directories(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

#[cfg(not(unix))]
fn make_directories(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Makes the file, empty, for its owner alone, without ever having it open.
#[cfg(target_os = "linux")]
fn make_file(path: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    match mknodat(CWD, path, FileType::RegularFile, Mode::RUSR | Mode::WUSR, 0) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Elsewhere SQLite makes the file, for all to read.
#[cfg(not(target_os = "linux"))]
fn make_file(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn may_write(path: &Path) -> io::Result<()> {
    use rustix::fs::{Access, AtFlags, CWD, accessat};
    Ok(accessat(
        CWD,
        path,
        Access::READ_OK | Access::WRITE_OK,
        AtFlags::EACCESS,
    )?)
}

#[cfg(not(unix))]
fn may_write(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.permissions().readonly() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(())
}

fn denied_or_io(path: &Path, error: io::Error) -> OpenError {
    let path = path.to_owned();
    let denied = [
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::ReadOnlyFilesystem,
    ];
    if denied.contains(&error.kind()) {
        let cause = error.to_string();
        OpenError::ReadOnly { path, cause }
    } else {
        let source = error;
        OpenError::Io { path, source }
    }
}

/// What the probe found.
enum Found {
    /// A store, or one in the making.
    Store,
    /// Damage, unless the file was being written to.
    Flaw(String),
}

struct Opener<'a> {
    path: &'a Path,
    since: Instant,
}

impl Opener<'_> {
    /// Looks at what is there, and makes the file if there is none.
    fn inspect(&self) -> Result<Identity, OpenError> {
        // INVARIANT: `locate` answers paths within a directory.
        let directory = self.path.parent().unwrap_or(self.path);
        if let Ok(found) = fs::metadata(self.path)
            && !found.is_file()
        {
            return Err(OpenError::NotAFile {
                path: self.path.to_owned(),
            });
        }
        if let Some(kind) = shared_by_machines(directory) {
            return Err(OpenError::Network {
                path: self.path.to_owned(),
                kind,
            });
        }
        may_write(directory).map_err(|error| self.io_at(directory, error))?;
        let file = match fs::metadata(self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_file(self.path).map_err(|error| self.io(error))?;
                if !cfg!(target_os = "linux") {
                    return Ok((0, 0));
                }
                self.stat()?
            }
            other => other.map_err(|error| self.io(error))?,
        };
        may_write(self.path).map_err(|error| self.io(error))?;
        if file.len() > 0 {
            self.probe_until_sure()?;
        }
        Ok(identity(&file))
    }

    fn probe_until_sure(&self) -> Result<(), OpenError> {
        // Somebody may be writing just now: making the store, or moving the log into the file. Then
        // a journal or a log is there, and the real connection will tell, for it waits its turn.
        for asked in 0..4 {
            let written_to = ["-journal", "-wal"].iter().any(|suffix| {
                fs::metadata(beside(self.path, suffix)).is_ok_and(|file| file.len() > 0)
            });
            match self.probe()? {
                Found::Store => return Ok(()),
                Found::Flaw(_) if written_to => return Ok(()),
                Found::Flaw(reason) if asked == 3 => return Err(self.damaged(reason)),
                Found::Flaw(_) => thread::sleep(busy::pause(40)),
            }
        }
        Ok(())
    }

    /// Reads the marks from the file proper, as if nobody could be writing to it:
    /// without locks, without looking at the log, without leaving a trace.
    ///
    /// That is enough to tell whose the file is. The marks of a store are written in one commit with its
    /// tables into the file itself, before there is a log; a later version puts its number there, too.
    fn probe(&self) -> Result<Found, OpenError> {
        let marks = Connection::open_with_flags(
            uri_of_immutable(self.path),
            OpenFlags::SQLITE_OPEN_READ_ONLY
                | OpenFlags::SQLITE_OPEN_URI
                | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .and_then(|conn| Marks::read(&conn));
        match marks {
            Ok(marks) => {
                self.recognise(marks)?;
                Ok(Found::Store)
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
                Err(OpenError::NotSqlite {
                    path: self.path.to_owned(),
                })
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                Ok(Found::Flaw(error.to_string()))
            }
            Err(error) => Err(self.sqlite(&error)),
        }
    }

    fn recognise(&self, marks: Marks) -> Result<(), OpenError> {
        let path = || self.path.to_owned();
        if marks.application_id != APPLICATION_ID {
            Err(OpenError::Foreign {
                path: path(),
                application_id: marks.application_id,
            })
        } else if marks.version > VERSION {
            Err(OpenError::Newer {
                path: path(),
                found: marks.version,
            })
        } else if marks.version < VERSION {
            Err(self.damaged(format!("there never was a version {}", marks.version)))
        } else {
            Ok(())
        }
    }

    /// Opens the file for good.
    fn connect(&self, boot_id: &str, clock: &dyn Clock) -> Result<(Connection, i64), OpenError> {
        let mut asked = 0;
        loop {
            match self.try_to_connect(boot_id, clock) {
                // Some of what follows gives up at once where others are in the way.
                Err(Trouble::Sql(error)) if is_busy(&error) => self.pause(asked)?,
                Err(Trouble::Sql(error)) => return Err(self.sqlite(&error)),
                Err(Trouble::Open(error)) => return Err(error),
                Ok(connected) => return Ok(connected),
            }
            asked += 1;
        }
    }

    fn try_to_connect(
        &self,
        boot_id: &str,
        clock: &dyn Clock,
    ) -> Result<(Connection, i64), Trouble> {
        let conn = connect(self.path)?;
        if conn.is_readonly(rusqlite::MAIN_DB)? {
            return Err(Trouble::Open(OpenError::ReadOnly {
                path: self.path.to_owned(),
                cause: "it could be opened for reading only".to_owned(),
            }));
        }
        // `synchronous` is still FULL, as every new connection's: what is made here is on the disk
        // before anybody draws a number from it.
        if Marks::read(&conn)? == Marks::NONE {
            self.make(&conn, boot_id, clock)?;
        }
        self.recognise(Marks::read(&conn)?)?;
        if let Some(flaw) = schema::flaw(&conn)? {
            return Err(self.damaged(flaw).into());
        }
        let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if mode != "wal" {
            return Err(Trouble::Open(OpenError::Sqlite {
                path: self.path.to_owned(),
                cause: "its file system cannot hold a write-ahead log".to_owned(),
            }));
        }
        let boot = enter_boot(&conn, boot_id).map_err(|fault| self.fault(fault))?;
        prune(&conn, boot, clock.now()).map_err(|fault| self.fault(fault))?;

        conn.pragma_update(None, "synchronous", SYNCHRONOUS)?;
        // A log that one large value has blown up shrinks again.
        conn.pragma_update(None, "journal_size_limit", 16 << 20)?;
        Ok((conn, boot))
    }

    /// Writes tables and marks, unless somebody else has been faster.
    ///
    /// INVARIANT: this comes before the switch to a write-ahead log, and is one commit: the marks are
    /// on the first page as soon as there is one, so that the probe knows a store in the making from
    /// another program's file.
    fn make(&self, conn: &Connection, boot_id: &str, clock: &dyn Clock) -> Result<(), Trouble> {
        in_transaction(conn, "BEGIN IMMEDIATE", |conn| {
            if Marks::read(conn)? == Marks::NONE && schema::is_empty(conn)? {
                schema::create(conn, boot_id, clock.now().wall)?;
            }
            Ok(())
        })
        .map_err(|fault| self.fault(fault))
    }

    /// Waits a little for others, or gives up.
    fn pause(&self, asked: i32) -> Result<(), OpenError> {
        if self.since.elapsed() >= 2 * busy::PATIENCE {
            return Err(OpenError::Busy {
                path: self.path.to_owned(),
            });
        }
        thread::sleep(busy::pause(asked));
        Ok(())
    }

    fn stat(&self) -> Result<fs::Metadata, OpenError> {
        fs::metadata(self.path).map_err(|error| self.io(error))
    }

    fn io(&self, error: io::Error) -> OpenError {
        denied_or_io(self.path, error)
    }

    /// The same, of another file the store needs.
    fn io_at(&self, path: &Path, error: io::Error) -> OpenError {
        denied_or_io(path, error)
    }

    fn damaged(&self, reason: String) -> OpenError {
        OpenError::Damaged {
            path: self.path.to_owned(),
            reason,
        }
    }

    fn fault(&self, fault: Fault) -> Trouble {
        match fault {
            Fault::Sql(error) => Trouble::Sql(error),
            Fault::Malformed(reason) | Fault::Refused(reason) | Fault::Unavailable(reason) => {
                Trouble::Open(self.damaged(reason))
            }
        }
    }

    fn sqlite(&self, error: &rusqlite::Error) -> OpenError {
        let path = self.path.to_owned();
        let cause = error.to_string();
        match error.sqlite_error_code() {
            // The tables are ours, but a row of them is missing or of another kind.
            None => self.damaged(cause),
            Some(ErrorCode::NotADatabase) => OpenError::NotSqlite { path },
            Some(ErrorCode::DatabaseCorrupt) => self.damaged(cause),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                OpenError::ReadOnly { path, cause }
            }
            _ => OpenError::Sqlite { path, cause },
        }
    }
}

/// How far a commit goes before it counts: into the kernel, where the death of no process undoes it.
#[cfg(target_os = "linux")]
const SYNCHRONOUS: &str = "NORMAL";

/// To the disk, where boots cannot be told apart: then the counter must never go back.
#[cfg(not(target_os = "linux"))]
const SYNCHRONOUS: &str = "FULL";

enum Trouble {
    Sql(rusqlite::Error),
    Open(OpenError),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<OpenError> for Trouble {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

/// The name under which SQLite takes a file for one that nobody changes.
fn uri_of_immutable(path: &Path) -> PathBuf {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            other => uri.push_str(&format!("%{other:02x}")),
        }
    }
    uri.push_str("?mode=ro&immutable=1");
    uri.into()
}
