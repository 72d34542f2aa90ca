//! The contract itself, in its two flavours.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oneflight_core::Revision;

use crate::{
    ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, Profile, Publication,
    PutOutcome, Renewal, StoreError, Subscription, Watcher,
};

/// The lock key that guards a key's fill unless the caller names another: `_dust:sf/` and the key, as in
/// the first implementations of the protocol, so that they exclude one another.
#[must_use]
pub fn default_lock(key: &str) -> String {
    format!("_dust:sf/{key}")
}

/// The future of one store call.
///
/// Dropping it gives up the answer, not the call: the store may carry it out all the same.
pub type Pending<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// The contract for async callers.
///
/// Every method is one atomic step in the store. A call that fails with
/// [`StoreError::Unavailable`] may or may not have happened; after any other error nothing has
/// changed. Calls take effect in no particular order unless one is awaited before the next is made.
pub trait Store: Send + Sync + 'static {
    /// What this store promises.
    fn profile(&self) -> &Profile;

    /// Asks for the lease on `lock`, unless `key` holds a value the caller has not seen.
    ///
    /// `Newer` if the key holds a value with a revision above `seen`; else `Granted` if the lock is
    /// free or lapsed (with a token above all before), or if it is live and was granted to this very
    /// attempt (with the same token); else `Held`.
    fn claim(&self, request: ClaimRequest) -> Pending<Claim>;

    /// Lets the lease live for `ttl` from now.
    ///
    /// `Lost` if it was published under, released, forgotten or granted anew. A lease that lapsed
    /// but was not taken may be revived, if the profile says so.
    fn renew(&self, lease: LeaseId, ttl: Duration) -> Pending<Renewal>;

    /// Writes the value of `key` and frees the lock.
    ///
    /// `Fenced`, and nothing changed, if the lease was released, forgotten or granted anew; the same
    /// `Published` again if this lease has published before and no later one has since. After `retain` the value counts as
    /// absent; `None` keeps it for good. `Refused` if the value is larger than the profile allows.
    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Pending<Publication>;

    /// Frees the lock if this lease still stands on it; otherwise does nothing.
    fn release(&self, lease: LeaseId) -> Pending<()>;

    /// Writes the value of `key` without a lease, unless the key's last revision (a forget counts
    /// as one) is above `seen`: for callers that had to do without the store.
    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Pending<PutOutcome>;

    /// Looks at `key`.
    fn read(&self, key: Arc<str>) -> Pending<KeyState>;

    /// Removes the value of `key` and voids the lease on `lock`: a fill under way is fenced.
    /// Answers the key's revision, which has grown.
    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Pending<Revision>;

    /// Lists the keys that hold a value or whose lock is held, sorted by key: for people, and not
    /// one atomic step.
    fn list(&self) -> Pending<Vec<KeyStatus>>;

    /// Tells `watcher` how `key` and `lock` stand, and then of every later change. Returns at once, in both
    /// flavours: what takes time is done elsewhere.
    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription;

    /// Tells `listener` which keys are published or forgotten from now on. Returns at once, in both flavours.
    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription;
}

/// A shared store is a store: for programs that choose theirs at run time.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn profile(&self) -> &Profile {
        (**self).profile()
    }

    fn claim(&self, request: ClaimRequest) -> Pending<Claim> {
        (**self).claim(request)
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Pending<Renewal> {
        (**self).renew(lease, ttl)
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Pending<Publication> {
        (**self).publish(lease, key, value, retain)
    }

    fn release(&self, lease: LeaseId) -> Pending<()> {
        (**self).release(lease)
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Pending<PutOutcome> {
        (**self).put(key, value, retain, seen)
    }

    fn read(&self, key: Arc<str>) -> Pending<KeyState> {
        (**self).read(key)
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Pending<Revision> {
        (**self).forget(key, lock)
    }

    fn list(&self) -> Pending<Vec<KeyStatus>> {
        (**self).list()
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        (**self).watch(key, lock, watcher)
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        (**self).changes(listener)
    }
}

/// The contract for callers that block.
pub mod blocking {
    use super::*;

    /// The contract for callers that block: the same calls as [`crate::Store`], which says what
    /// they mean, answered in place.
    #[expect(missing_docs, reason = "documented once, on the async flavour")]
    pub trait Store: Send + Sync + 'static {
        fn profile(&self) -> &Profile;
        fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError>;
        fn renew(&self, lease: LeaseId, ttl: Duration) -> Result<Renewal, StoreError>;
        fn publish(
            &self,
            lease: LeaseId,
            key: Arc<str>,
            value: Bytes,
            retain: Option<Duration>,
        ) -> Result<Publication, StoreError>;
        fn release(&self, lease: LeaseId) -> Result<(), StoreError>;
        fn put(
            &self,
            key: Arc<str>,
            value: Bytes,
            retain: Option<Duration>,
            seen: Revision,
        ) -> Result<PutOutcome, StoreError>;
        fn read(&self, key: Arc<str>) -> Result<KeyState, StoreError>;
        fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Result<Revision, StoreError>;
        fn list(&self) -> Result<Vec<KeyStatus>, StoreError>;
        fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription;
        fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription;
    }
}
