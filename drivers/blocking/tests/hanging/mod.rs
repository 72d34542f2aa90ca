//! A store whose calls block, and one of which hangs.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oneflight_store::blocking::Store;
use oneflight_store::{
    Bytes, ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, MemoryStore, Profile,
    Publication, PutOutcome, Renewal, Revision, StoreError, Subscription, Watcher,
};

use crate::support::{Gate, gate};

/// A call for the key `hang` takes until it is let go.
pub(crate) struct Hanging {
    inner: MemoryStore,
    gone: Mutex<Gate>,
}

impl Hanging {
    pub(crate) fn new() -> (Self, Sender<()>) {
        let (go, gone) = gate();
        let (inner, gone) = (MemoryStore::new(), Mutex::new(gone));
        (Self { inner, gone }, go)
    }
}

macro_rules! pass_on {
    ($($call:ident($($name:ident: $kind:ty),*) -> $answer:ty;)*) => {
        impl Store for Hanging {
            $(fn $call(&self, $($name: $kind),*) -> Result<$answer, StoreError> {
                Store::$call(&self.inner, $($name),*)
            })*
            fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Result<Revision, StoreError> {
                if &*key == "hang" {
                    self.gone.lock().unwrap().pass();
                }
                Store::forget(&self.inner, key, lock)
            }
            fn profile(&self) -> &Profile {
                Store::profile(&self.inner)
            }
            fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
                Store::watch(&self.inner, key, lock, watcher)
            }
            fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
                Store::changes(&self.inner, listener)
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
    list() -> Vec<KeyStatus>;
}
