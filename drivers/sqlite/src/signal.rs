//! How processes wake one another: a file beside the database that everybody writes to and listens at.
//!
//! Listening at the write-ahead log itself would miss changes: SQLite writes the log first and makes
//! the commit visible after, so whoever wakes by the log may look too early, and no second event
//! comes. So a byte is written to a file of its own once the commit is done; always the same byte, so
//! that the file does not grow. The byte means nothing; what has changed is read from the database.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// What a change is announced with.
#[derive(Debug)]
pub(crate) struct Bell(File);

impl Bell {
    /// Opens the signal file, with the permissions of the database beside it.
    pub(crate) fn open(path: &Path, database: &fs::Metadata) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        match options.open(path) {
            Ok(file) => return Ok(Self(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let file = options.create(true).truncate(false).open(path)?;
        like(&file, database)?;
        // The byte is there before anybody listens: ringing never needs space on the disk.
        file.set_len(1)?;
        Ok(Self(file))
    }

    /// Wakes whoever listens. Should it fail, they look by themselves a little later.
    pub(crate) fn ring(&self) {
        write_byte(&self.0).ok();
    }
}

#[cfg(unix)]
fn write_byte(file: &File) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    file.write_all_at(b"!", 0)
}

#[cfg(not(unix))]
fn write_byte(file: &File) -> io::Result<()> {
    use std::io::{Seek, Write};
    let mut file = file;
    file.seek(io::SeekFrom::Start(0))?;
    file.write_all(b"!")
}

/// Gives the file the owner (where we may) and the permissions of the database, as SQLite does for
/// the files it makes.
#[cfg(unix)]
fn like(file: &File, database: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (database.uid(), database.gid()) {
        // Only the superuser may give a file away; anybody else keeps it, like SQLite's own files.
        fchown(file, Some(database.uid()), Some(database.gid())).ok();
    }
    file.set_permissions(database.permissions())
}

#[cfg(not(unix))]
fn like(_: &File, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}
