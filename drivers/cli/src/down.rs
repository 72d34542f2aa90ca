//! A store that cannot be opened now, for calls that may do without.

use std::sync::Arc;
use std::time::Duration;

use oneflight_store::{
    Bytes, Change, ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, Loss,
    Pending, Profile, Publication, PutOutcome, Renewal, Revision, Store, StoreError, Subscription,
    WatchEvent, Watcher,
};

/// Answers every call that the store is unavailable, so that the driver degrades as for any store.
pub(crate) struct DownStore {
    error: StoreError,
}

const PROFILE: Profile = Profile {
    name: "down",
    atomic_claim: false,
    atomic_publish: false,
    idempotent_claim: false,
    push: false,
    store_side_lapse: false,
    lapsed_holder_may_publish: false,
    any_key: true,
    any_bytes: true,
    retains: true,
    max_value: u64::MAX,
    loses: Loss::DiesWithItsCallers,
};

impl DownStore {
    pub(crate) fn new(error: StoreError) -> Self {
        Self { error }
    }

    fn no<T: Send + 'static>(&self) -> Pending<T> {
        Box::pin(std::future::ready(Err(self.error.clone())))
    }
}

impl Store for DownStore {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn claim(&self, _: ClaimRequest) -> Pending<Claim> {
        self.no()
    }

    fn renew(&self, _: LeaseId, _: Duration) -> Pending<Renewal> {
        self.no()
    }

    fn publish(
        &self,
        _: LeaseId,
        _: Arc<str>,
        _: Bytes,
        _: Option<Duration>,
    ) -> Pending<Publication> {
        self.no()
    }

    fn release(&self, _: LeaseId) -> Pending<()> {
        self.no()
    }

    fn put(&self, _: Arc<str>, _: Bytes, _: Option<Duration>, _: Revision) -> Pending<PutOutcome> {
        self.no()
    }

    fn read(&self, _: Arc<str>) -> Pending<KeyState> {
        self.no()
    }

    fn forget(&self, _: Arc<str>, _: Arc<str>) -> Pending<Revision> {
        self.no()
    }

    fn list(&self) -> Pending<Vec<KeyStatus>> {
        self.no()
    }

    fn watch(&self, _: Arc<str>, _: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        watcher.notify(WatchEvent::Ended(self.error.clone()));
        Subscription::new(|| ())
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        listener.notify(Change::Gap(self.error.clone()));
        Subscription::new(|| ())
    }
}
