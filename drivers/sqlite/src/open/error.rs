//! [`OpenError`]: why a store may not be opened.

use std::io;
use std::path::PathBuf;

use oneflight_store::StoreError;

use crate::busy::PATIENCE;
use crate::schema::VERSION;

/// Why a store could not be opened. Whatever was there before is untouched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The path leads to a directory, a device, a pipe or a socket.
    #[error(
        "{} is not a regular file; name the file the store is to live in, such as {}",
        path.display(),
        path.join("oneflight.db").display()
    )]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file holds something that SQLite has not written.
    #[error(
        "{} is not a SQLite file; name another one, or move this one away if nobody needs it",
        path.display()
    )]
    NotSqlite {
        /// The path.
        path: PathBuf,
    },
    /// The file is the SQLite file of another program.
    #[error(
        "{} is a SQLite file of another program (application id {application_id:#010x}); \
         a oneflight store needs a file of its own",
        path.display()
    )]
    Foreign {
        /// The path.
        path: PathBuf,
        /// Whose it is; 0 for the many programs that do not say.
        application_id: i32,
    },
    /// The file was written by a later version of this crate.
    #[error(
        "{} was written by a newer oneflight (its version is {found}, this program knows {VERSION}); \
         upgrade this program, or name another file",
        path.display()
    )]
    Newer {
        /// The path.
        path: PathBuf,
        /// The version of the file.
        found: i32,
    },
    /// The file is damaged.
    #[error(
        "{} is damaged: {reason}; it holds only what can be computed again: once no process has it \
         open, delete it together with the files {0}-wal and {0}-shm",
        path.display()
    )]
    Damaged {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file or its directory may not be written.
    #[error(
        "{} cannot be written: {cause}; the file, and the directory it is in, must be writable for \
         every process that shares the store",
        path.display()
    )]
    ReadOnly {
        /// The path.
        path: PathBuf,
        /// What was denied.
        cause: String,
    },
    /// The file lies on a file system that several machines share.
    #[error(
        "{} is on {kind}; this store shares memory between the processes of one machine, which no \
         network file system can: name a file on a local disk, or use a store with a server",
        path.display()
    )]
    Network {
        /// The path.
        path: PathBuf,
        /// The kind of file system.
        kind: &'static str,
    },
    /// Other processes would not let go of it.
    #[error(
        "{} has been kept locked by other processes for {:?}; try again",
        path.display(), PATIENCE
    )]
    Busy {
        /// The path.
        path: PathBuf,
    },
    /// The system does not say which boot this is, without which no lease can be judged.
    #[error("which boot of this machine this is cannot be told: {0}; mount /proc")]
    NoBootId(#[source] io::Error),
    /// The system failed.
    #[error("{} cannot be opened: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// SQLite failed.
    #[error("{} cannot be opened: {cause}", path.display())]
    Sqlite {
        /// The path.
        path: PathBuf,
        /// What failed.
        cause: String,
    },
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        match error {
            // Nobody will give the permission by waiting, and a whole fleet would run without the store.
            OpenError::Io { ref source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Self::refused(error)
            }
            OpenError::Busy { .. } | OpenError::Io { .. } | OpenError::Sqlite { .. } => {
                Self::unavailable(error)
            }
            OpenError::NotAFile { .. }
            | OpenError::NotSqlite { .. }
            | OpenError::Foreign { .. }
            | OpenError::Newer { .. }
            | OpenError::Damaged { .. }
            | OpenError::ReadOnly { .. }
            | OpenError::Network { .. }
            | OpenError::NoBootId(_) => Self::refused(error),
        }
    }
}
