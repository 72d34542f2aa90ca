//! The calls of the contract, each one step in the file.

mod claim;
mod entry;
mod lease;
mod list;

use std::mem;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use oneflight_store::{
    ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId, Loss, Profile, Publication,
    PutOutcome, Renewal, Revision, StoreError, Subscription, Watcher, blocking,
};
use rusqlite::Connection;

use crate::clock::Clock;
use crate::fault::Fault;
use crate::hub::Hub;
use crate::open::Opened;
use crate::place::Place;
use crate::signal::Bell;
use crate::step::{Step, View, in_transaction};

/// The largest value: SQLite would take more, but holds it in memory several times.
pub(crate) const MAX_VALUE: u64 = 64 << 20;

const PROFILE: Profile = Profile {
    name: "sqlite",
    atomic_claim: true,
    atomic_publish: true,
    idempotent_claim: true,
    push: true,
    store_side_lapse: true,
    lapsed_holder_may_publish: true,
    any_key: true,
    any_bytes: true,
    retains: true,
    max_value: MAX_VALUE,
    loses: Loss::LastWrites,
};

/// An open store.
pub(crate) struct Desk {
    place: Arc<Place>,
    clock: Arc<dyn Clock>,
    /// The number of this boot.
    boot: i64,
    /// `None` only while it is being dropped.
    conn: Mutex<Option<Connection>>,
    bell: Bell,
    hub: Arc<Hub>,
    /// The process that opened the store.
    pid: u32,
}

impl Desk {
    pub(crate) fn new(opened: Opened, clock: Arc<dyn Clock>) -> Self {
        let Opened {
            place,
            conn,
            boot,
            bell,
        } = opened;
        let place = Arc::new(place);
        Self {
            hub: Hub::new(Arc::clone(&place), Arc::clone(&clock), boot, bell.clone()),
            place,
            clock,
            boot,
            conn: Mutex::new(Some(conn)),
            bell,
            pid: std::process::id(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.place.path()
    }

    fn with_connection<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if std::process::id() != self.pid {
            return Err(Fault::Unavailable(
                "the process has forked since it opened the store; open it again in the child"
                    .to_owned(),
            ));
        }
        self.place.check()?;
        let slot = self.conn.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.as_ref() {
            Some(conn) => work(conn),
            None => Err(Fault::Unavailable("the store is closed".to_owned())),
        }
    }

    /// Looks at one row.
    fn look<T>(
        &self,
        key: &str,
        work: impl FnOnce(&View<'_>) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.with_connection(|conn| work(&View::new(conn, self.boot, &*self.clock)))
            .map_err(|fault| fault.of(&self.place, key))
    }

    /// Looks at several rows as they are at one moment.
    fn look_around<T>(
        &self,
        key: &str,
        work: impl FnOnce(&View<'_>) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.with_connection(|conn| {
            in_transaction(conn, "BEGIN", |conn| {
                work(&View::new(conn, self.boot, &*self.clock))
            })
        })
        .map_err(|fault| fault.of(&self.place, key))
    }

    /// Takes a step that writes, and tells others of it once it is committed.
    fn step<T>(
        &self,
        key: &str,
        work: impl FnOnce(&Step<'_>) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        self.with_connection(|conn| {
            let mut tells = false;
            let answer = in_transaction(conn, "BEGIN IMMEDIATE", |conn| {
                let step = Step::new(conn, self.boot, &*self.clock)?;
                let answer = work(&step)?;
                tells = step.tells();
                Ok(answer)
            })?;
            if tells {
                self.bell.ring();
            }
            Ok(answer)
        })
        .map_err(|fault| fault.of(&self.place, key))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.hub.close();
        let conn = self
            .conn
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if std::process::id() != self.pid {
            // Closing the connection here would take the log away from under the parent.
            mem::forget(conn);
        }
    }
}

impl blocking::Store for Desk {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        // Most claims lose. They are answered from what stands in the file, which any number of
        // processes can look at at once; only who sees the lock free asks for the right to write,
        // and looks again.
        let seen = self.look_around(&request.key, |view| claim::judge(view, &request))?;
        if let Some(answer) = seen.answer() {
            return Ok(answer);
        }
        self.step(&request.key, |step| claim::claim(step, &request))
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Result<Renewal, StoreError> {
        self.step(&lease.lock, |step| lease::renew(step, &lease, ttl))
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Result<Publication, StoreError> {
        within_limit(&self.place, &value)?;
        self.step(&key, |step| {
            lease::publish(step, &lease, &key, &value, retain)
        })
    }

    fn release(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.step(&lease.lock, |step| lease::release(step, &lease))
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Result<PutOutcome, StoreError> {
        within_limit(&self.place, &value)?;
        self.step(&key, |step| entry::put(step, &key, &value, retain, seen))
    }

    fn read(&self, key: Arc<str>) -> Result<KeyState, StoreError> {
        self.look(&key, |view| crate::rows::key_state(view, &key))
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Result<Revision, StoreError> {
        self.step(&key, |step| entry::forget(step, &key, &lock))
    }

    fn list(&self) -> Result<Vec<KeyStatus>, StoreError> {
        self.look_around("", list::list)
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        self.hub.watch(key, lock, watcher)
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        self.hub.listen(listener)
    }
}

fn within_limit(place: &Place, value: &Bytes) -> Result<(), StoreError> {
    if value.len() as u64 > MAX_VALUE {
        return Err(StoreError::refused(format_args!(
            "{place}: a value of {} bytes is over the limit of {MAX_VALUE}; publish a pointer to it",
            value.len()
        )));
    }
    Ok(())
}
