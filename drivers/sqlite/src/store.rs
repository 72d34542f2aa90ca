//! [`SqliteStore`]: the handle.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oneflight_store::{
    ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, Offload, Pending, Profile,
    Publication, PutOutcome, Renewal, Revision, Store, StoreError, Subscription, Watcher, blocking,
};

use crate::OpenError;
use crate::calls::Desk;
use crate::clock::{Clock, Machine};

/// A store in one SQLite file, shared by all processes of a machine. See the [crate] for what it
/// promises.
///
/// A handle: clones are the same open store, and the last one to be dropped closes it. It serves
/// threads ([`blocking::Store`], in place) and async callers ([`Store`], from one thread of its own
/// that starts with the first call).
///
/// ```
/// use oneflight_sqlite::SqliteStore;
/// use oneflight_store::blocking::Store;
/// use oneflight_store::{Bytes, Revision};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("cache/oneflight.db");
/// let store = SqliteStore::open(&path)?;
/// store.put("key".into(), Bytes::from("value"), None, Revision::NEVER)?;
///
/// // Any process of this machine now reads the same.
/// let other = SqliteStore::open(&path)?;
/// let entry = other.read("key".into())?.entry.expect("it was put");
/// assert_eq!(entry.value, "value");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    desk: Offload<Desk>,
}

impl SqliteStore {
    /// Opens the store in this file; makes the file and the directories above it if they are not
    /// there, for the current user alone.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]. Whatever was there before is then as it was.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path.as_ref(), Arc::new(Machine))
    }

    pub(crate) fn open_with(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let opened = crate::open::open(path, &*clock)?;
        Ok(Self {
            desk: Offload::new(Desk::new(opened, clock)),
        })
    }

    /// The file, as an absolute path without links.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.desk.get_ref().path()
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

/// Passes every call on: for async callers to the thread, for others straight to the desk.
macro_rules! pass_on {
    ($($call:ident($($name:ident: $kind:ty),*) -> $answer:ty;)*) => {
        impl Store for SqliteStore {
            fn profile(&self) -> &Profile {
                Store::profile(&self.desk)
            }
            $(fn $call(&self, $($name: $kind),*) -> Pending<$answer> {
                Store::$call(&self.desk, $($name),*)
            })*
            fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
                Store::watch(&self.desk, key, lock, watcher)
            }
            fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
                Store::changes(&self.desk, listener)
            }
        }

        impl blocking::Store for SqliteStore {
            fn profile(&self) -> &Profile {
                blocking::Store::profile(self.desk.get_ref())
            }
            $(fn $call(&self, $($name: $kind),*) -> Result<$answer, StoreError> {
                blocking::Store::$call(self.desk.get_ref(), $($name),*)
            })*
            fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
                blocking::Store::watch(self.desk.get_ref(), key, lock, watcher)
            }
            fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
                blocking::Store::changes(self.desk.get_ref(), listener)
            }
        }
    };
}

pass_on! {
    claim(request: ClaimRequest) -> Claim;
    renew(lease: LeaseId, ttl: Duration) -> Renewal;
    publish(lease: LeaseId, key: Arc<str>, value: Bytes, retain: Option<Duration>) -> Publication;
    release(lease: LeaseId) -> ();
    put(key: Arc<str>, value: Bytes, retain: Option<Duration>, seen: Revision) -> PutOutcome;
    read(key: Arc<str>) -> KeyState;
    forget(key: Arc<str>, lock: Arc<str>) -> Revision;
    list() -> Vec<KeyStatus>;
}
