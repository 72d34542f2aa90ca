//! How a store tells its callers of changes.
//!
//! Push is a callback into the driver, the same for both flavours of the contract: the store calls
//! from whatever thread or task it hears of a change on, and the driver only takes a note and wakes
//! whoever it concerns.

use std::sync::Arc;
use std::time::Duration;

use oneflight_core::Revision;

use crate::{KeyState, LockState, StoreError};

/// What a watcher is told about one key and its lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// The key is in this state now: first of all as the snapshot a watch begins with, then after
    /// every publish, put and forget. States may be repeated, and only the last of several quick
    /// ones may be told; the last one always is.
    Key(KeyState),
    /// The lock is in this state now: first of all as the snapshot a watch begins with, then after
    /// every release (a publish and a forget are one, too). Grants and renewals may be told.
    Lock(LockState),
    /// The watch has ended: the store cannot be heard any more, or does not permit it. Watch again
    /// to go on.
    Ended(StoreError),
}

/// Somebody who is told about one key and its lock.
///
/// Called from the store's own thread or task, in order: must not block, must not panic, must not
/// call the store.
pub trait Watcher: Send + Sync + 'static {
    /// Something is so now.
    fn notify(&self, event: WatchEvent);

    /// How long the store may be out of reach before the watch is to end: three seconds, unless the
    /// watcher says otherwise. A store that notices outages later says so in its docs.
    fn patience(&self) -> Duration {
        Duration::from_secs(3)
    }
}

impl<F: Fn(WatchEvent) + Send + Sync + 'static> Watcher for F {
    fn notify(&self, event: WatchEvent) {
        self(event);
    }
}

/// What a listener of all changes is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The stream is up: every change committed from now on will be told.
    Connected,
    /// This key was published, put or forgotten, and is now at this revision (or above).
    Moved {
        /// The key.
        key: Arc<str>,
        /// Its last revision.
        revision: Revision,
    },
    /// Changes may have been missed: whatever was copied before may be out of date. `Connected`
    /// follows once the stream is up again.
    Gap(StoreError),
}

/// Somebody who is told which keys were published or forgotten: one for a process's local copies.
///
/// The same rules as for a [`Watcher`].
pub trait ChangeListener: Send + Sync + 'static {
    /// Something has changed.
    fn notify(&self, change: Change);
}

impl<F: Fn(Change) + Send + Sync + 'static> ChangeListener for F {
    fn notify(&self, change: Change) {
        self(change);
    }
}

/// A watch or a change stream, closed when dropped: once the drop has returned no new call to its
/// watcher begins (one may be under way).
#[must_use = "a subscription is closed when it is dropped"]
pub struct Subscription {
    close: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Subscription {
    /// A subscription that is closed by calling `close`.
    pub fn new(close: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self {
            close: Some(Box::new(close)),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(close) = self.close.take() {
            close();
        }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}
