//! Where the file is, what else lies beside it, and whether it is still the same.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::fault::Fault;

/// The file of a store.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Absolute, and without links: whoever opens the store by whatever name finds the same files
    /// beside it.
    path: PathBuf,
    /// Which file it is: a path can come to mean another one.
    identity: Identity,
}

/// What tells one file from another on the same path.
pub(crate) type Identity = (u64, u64);

impl Place {
    pub(crate) fn new(path: PathBuf, identity: Identity) -> Self {
        Self { path, identity }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Says so if the file was deleted or replaced since it was opened.
    ///
    /// Going on with the old file, which only its openers still share, would elect a second holder;
    /// going over to the new one would take tokens and revisions back to the start.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        match fs::metadata(&self.path) {
            Ok(found) if identity(&found) == self.identity => Ok(()),
            Ok(_) => Err(Fault::Unavailable(
                "the file was replaced while it was open; open the store again".to_owned(),
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Fault::Unavailable(
                "the file was deleted while it was open; open the store again".to_owned(),
            )),
            Err(error) => Err(Fault::Unavailable(error.to_string())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

/// The path of a file beside this one.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(unix)]
pub(crate) fn identity(file: &fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (file.dev(), file.ino())
}

/// Elsewhere an open file cannot be deleted or replaced.
#[cfg(not(unix))]
pub(crate) fn identity(_: &fs::Metadata) -> Identity {
    (0, 0)
}

/// The kind of file system below this directory, if it is one that several machines share.
///
/// On those a write-ahead log does not work: its index lives in memory that only the processes of
/// one machine share.
#[cfg(target_os = "linux")]
pub(crate) fn shared_by_machines(directory: &Path) -> Option<&'static str> {
    let found = rustix::fs::statfs(directory).ok()?;
    // The width and sign of the field differ from one processor to the next; the numbers have 32 bits.
    let magic = found.f_type as u32;
    kind_shared_by_machines(magic)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn shared_by_machines(_: &Path) -> Option<&'static str> {
    None
}

#[cfg(any(target_os = "linux", test))]
fn kind_shared_by_machines(magic: u32) -> Option<&'static str> {
    match magic {
        0x0000_6969 => Some("NFS"),
        0x0000_517b | 0xfe53_4d42 | 0xff53_4d42 => Some("SMB"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x7375_7245 => Some("Coda"),
        0x0000_564c => Some("NCP"),
        0x00c3_6400 => Some("Ceph"),
        0x0bd0_0bd0 => Some("Lustre"),
        0x4750_4653 => Some("GPFS"),
        0x7461_636f => Some("OCFS2"),
        0x0116_1970 => Some("GFS2"),
        0x1983_0326 => Some("BeeGFS"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_several_machines_are_known() {
        assert_eq!(kind_shared_by_machines(0x6969), Some("NFS"));
        assert_eq!(kind_shared_by_machines(0xff53_4d42), Some("SMB"));
        assert_eq!(kind_shared_by_machines(0x5346_414f), Some("AFS"));
        let ext4_tmpfs_overlay_btrfs_xfs = [
            0xef53_u32,
            0x0102_1994,
            0x794c_7630,
            0x9123_683e,
            0x5846_5342,
        ];
        for local in ext4_tmpfs_overlay_btrfs_xfs {
            assert_eq!(kind_shared_by_machines(local), None);
        }
    }
}
