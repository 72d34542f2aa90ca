//! How processes wake one another: a named pipe beside the database, which everybody has open.
//!
//! Listening at the write-ahead log itself would miss changes: SQLite writes the log first and makes
//! the commit visible after, so whoever wakes by the log may look too early, and no second event
//! comes. So a byte is written to a pipe of its own once the commit is done. The byte means nothing;
//! what has changed is read from the database.
//!
//! ```text
//! commit ──▶ one byte into the pipe ──▶ an edge for every listener (epoll, edge-triggered)
//!                    │ full?
//!                    └── take some bytes out, try again
//! ```
//!
//! **Architecture invariant**: listeners never read from the pipe. The kernel wakes all of them with
//! every write, but each asks once more whether there is anything to read before it returns; were the
//! byte taken by one, another might find the pipe empty and sleep on. Never emptied, it is always
//! readable, and every write counts. Only who finds it full takes bytes out, and rings after that.
//!
//! **Architecture invariant**: it is open for reading and writing. A write to a pipe whose last reader
//! has just left would kill a process that does not ignore `SIGPIPE`; this one has a reader in itself.

use std::fs;
use std::io;
use std::path::Path;
#[cfg(target_os = "linux")]
use std::sync::Arc;

/// What is added to the name of the database.
pub(crate) const SIGNAL: &str = "-signal";

/// What a change is announced with; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Bell {
    #[cfg(target_os = "linux")]
    pipe: Option<Arc<linux::Pipe>>,
}

#[cfg(target_os = "linux")]
impl Bell {
    /// Opens the pipe, or makes it, with the permissions of the database beside it. Where there can be
    /// none, or something else has its name, the bell is mute.
    pub(crate) fn open(path: &Path, database: &fs::Metadata) -> io::Result<Self> {
        let pipe = linux::Pipe::open(path, database)?.map(Arc::new);
        Ok(Self { pipe })
    }

    /// Wakes whoever listens. Should it fail, they look by themselves a little later.
    pub(crate) fn ring(&self) {
        if let Some(pipe) = &self.pipe {
            pipe.ring();
        }
    }

    /// What can be listened at; none where the bell is mute.
    pub(crate) fn pipe(&self) -> Option<&Arc<linux::Pipe>> {
        self.pipe.as_ref()
    }
}

/// Elsewhere everybody looks often, and nobody rings.
#[cfg(not(target_os = "linux"))]
impl Bell {
    pub(crate) fn open(_: &Path, _: &fs::Metadata) -> io::Result<Self> {
        Ok(Self {})
    }

    pub(crate) fn ring(&self) {}
}

#[cfg(target_os = "linux")]
pub(crate) mod linux {
    use std::fs::{self, File};
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd};
    use std::os::unix::fs::{FileTypeExt, MetadataExt, fchown};
    use std::path::Path;

    use rustix::fs::{CWD, Mode, OFlags, mkfifoat, openat};
    use rustix::io::{Errno, read, write};

    #[derive(Debug)]
    pub(crate) struct Pipe(File);

    impl Pipe {
        pub(super) fn open(path: &Path, database: &fs::Metadata) -> io::Result<Option<Self>> {
            // Looked at before it is opened, which does something to many a thing that is no pipe.
            match fs::symlink_metadata(path) {
                Ok(found) if !found.file_type().is_fifo() => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let mode = Mode::from_raw_mode(database.mode() & 0o666);
                    match mkfifoat(CWD, path, mode) {
                        // Somebody else may just have made it.
                        Ok(()) | Err(Errno::EXIST) => {}
                        // The file system has no pipes.
                        Err(Errno::PERM | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => {
                            return Ok(None);
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error),
            }
            let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let pipe = match openat(CWD, path, flags, Mode::empty()) {
                Ok(pipe) => File::from(pipe),
                // It has become a link.
                Err(Errno::LOOP) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            if !pipe.metadata()?.file_type().is_fifo() {
                return Ok(None);
            }
            like(&pipe, database)?;
            Ok(Some(Self(pipe)))
        }

        pub(super) fn ring(&self) {
            // A page makes room, and there is none above 64 KiB.
            for _ in 0..=16 {
                match write(&self.0, b"!") {
                    Err(Errno::AGAIN) => {}
                    // A write to a pipe that does not wait is not interrupted either.
                    Ok(_) | Err(_) => return,
                }
                read(&self.0, &mut [0; 4096]).ok();
            }
        }
    }

    impl AsFd for Pipe {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }

    /// Gives the pipe the owner and the permissions of the database, as SQLite does for the files it
    /// makes. Where it has others and is not ours to change, it stays as it is.
    fn like(pipe: &File, database: &fs::Metadata) -> io::Result<()> {
        let own = pipe.metadata()?;
        if (own.uid(), own.gid()) != (database.uid(), database.gid()) {
            // Only the superuser may give a file away; anybody else keeps it, like SQLite's own files.
            fchown(pipe, Some(database.uid()), Some(database.gid())).ok();
        }
        if own.mode() & 0o777 != database.mode() & 0o777 {
            pipe.set_permissions(database.permissions()).ok();
        }
        Ok(())
    }
}
