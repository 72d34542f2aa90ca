//! A store with a fault to be found.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use oneflight_store::blocking::Store;
use oneflight_store::{
    AttemptId, Bytes, Change, ChangeListener, Claim, ClaimRequest, KeyState, KeyStatus, LeaseId,
    LockState, MemoryStore, Profile, Publication, PutOutcome, Renewal, Revision, StoreError,
    Subscription, Token, WatchEvent, Watcher,
};

/// What is wrong with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    AcceptsFenced,
    ReusesTokens,
    ForgetsAttempts,
    DropsReleaseNotices,
    IgnoresSeen,
    PutsOver,
    ClaimsInTwoSteps,
    PublishesInTwoSteps,
    FencesRepeats,
    ForgetLeavesLease,
    HidesLatest,
    SkipsSnapshots,
    DropsChanges,
    KeepsTelling,
    IgnoresRetention,
    CutsKeys,
    LapsesLate,
    LapsesEarly,
    Ageless,
}

/// Every revision there will ever be was seen.
const ALL: Revision = Revision::new(u64::MAX);
/// Long enough for the other threads of a row to come in between two steps.
const BETWEEN: Duration = Duration::from_millis(5);

/// A [`MemoryStore`], but for its fault.
#[derive(Clone)]
pub(crate) struct Faulty {
    inner: MemoryStore,
    fault: Option<Fault>,
    notes: Arc<Notes>,
}

#[derive(Default)]
struct Notes {
    released: Mutex<HashMap<Arc<str>, Reused>>,
    published: Mutex<HashSet<Token>>,
    /// Nothing is passed on to watchers for now.
    /// How many releases are under way whose notices are dropped.
    muted: AtomicUsize,
    attempts: AtomicU64,
    /// Subscriptions which should have been dropped.
    open: Mutex<Vec<Subscription>>,
}

/// The token first released on a lock, and which real one it now stands for.
type Reused = (Token, Option<Token>);

impl Faulty {
    pub(crate) fn new(inner: MemoryStore, fault: Option<Fault>) -> Self {
        Self {
            inner,
            fault,
            notes: Arc::default(),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn key(&self, key: Arc<str>) -> Arc<str> {
        match key.split_once('\0') {
            Some((cut, _)) if self.has(Fault::CutsKeys) => cut.into(),
            _ => key,
        }
    }

    fn retain(&self, retain: Option<Duration>) -> Option<Duration> {
        retain.filter(|_| !self.has(Fault::IgnoresRetention))
    }

    fn ttl(&self, ttl: Duration) -> Duration {
        match self.fault {
            Some(Fault::LapsesLate) => ttl * 1000,
            Some(Fault::LapsesEarly) => ttl / 10,
            _ => ttl,
        }
    }

    /// The lease which the store means by the one the caller knows.
    fn real(&self, mut lease: LeaseId) -> LeaseId {
        let released = self.notes.released.lock().unwrap();
        if let Some((told, Some(real))) = released.get(&lease.lock)
            && *told == lease.token
        {
            lease.token = *real;
        }
        lease
    }

    /// The token the caller is told for the one which was granted.
    fn told(&self, lock: &Arc<str>, granted: Token) -> Token {
        let mut released = self.notes.released.lock().unwrap();
        match released.get_mut(lock) {
            Some((told, real)) => {
                *real = Some(granted);
                *told
            }
            None => granted,
        }
    }

    fn claim_in_two_steps(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        let lines = self.inner.list()?;
        let free = lines
            .iter()
            .all(|line| line.lock.as_ref() != Some(&request.lock));
        thread::sleep(BETWEEN);
        let claim = self.inner.claim(request.clone())?;
        match claim {
            Claim::Held { token, .. } if free => {
                let lock = Arc::clone(&request.lock);
                self.inner.release(LeaseId { lock, token })?;
                self.inner.claim(request)
            }
            Claim::Held { .. } | Claim::Granted { .. } | Claim::Newer { .. } => Ok(claim),
        }
    }

    fn subscription(&self, subscription: Subscription) -> Subscription {
        if self.has(Fault::KeepsTelling) {
            self.notes.open.lock().unwrap().push(subscription);
            return Subscription::new(|| ());
        }
        subscription
    }
}

impl Store for Faulty {
    fn profile(&self) -> &Profile {
        Store::profile(&self.inner)
    }

    fn claim(&self, mut request: ClaimRequest) -> Result<Claim, StoreError> {
        request.key = self.key(request.key);
        request.ttl = self.ttl(request.ttl);
        match self.fault {
            Some(Fault::ClaimsInTwoSteps) => return self.claim_in_two_steps(request),
            Some(Fault::IgnoresSeen) => request.seen = ALL,
            Some(Fault::ForgetsAttempts) => {
                let number = self.notes.attempts.fetch_add(1, Ordering::Relaxed);
                request.attempt = AttemptId(number.into());
            }
            _ => {}
        }
        let lock = Arc::clone(&request.lock);
        let mut claim = self.inner.claim(request)?;
        match &mut claim {
            Claim::Granted { token, .. } if self.has(Fault::ReusesTokens) => {
                *token = self.told(&lock, *token);
            }
            Claim::Newer { latest, .. } if self.has(Fault::HidesLatest) => *latest = None,
            Claim::Granted { .. } | Claim::Newer { .. } | Claim::Held { .. } => {}
        }
        Ok(claim)
    }

    fn renew(&self, lease: LeaseId, ttl: Duration) -> Result<Renewal, StoreError> {
        self.inner.renew(self.real(lease), self.ttl(ttl))
    }

    fn publish(
        &self,
        lease: LeaseId,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
    ) -> Result<Publication, StoreError> {
        let (key, lease, retain) = (self.key(key), self.real(lease), self.retain(retain));
        if self.has(Fault::FencesRepeats)
            && !self.notes.published.lock().unwrap().insert(lease.token)
        {
            return Ok(Publication::Fenced);
        }
        if self.has(Fault::PublishesInTwoSteps) {
            self.inner.release(lease.clone())?;
            thread::sleep(BETWEEN);
        }
        let publication = self
            .inner
            .publish(lease, key.clone(), value.clone(), retain)?;
        let forced = self.has(Fault::AcceptsFenced) || self.has(Fault::PublishesInTwoSteps);
        if publication == Publication::Fenced && forced {
            return match self.inner.put(key, value, retain, ALL)? {
                PutOutcome::Written(revision) => Ok(Publication::Published(revision)),
                PutOutcome::Newer(_) => Ok(Publication::Fenced),
            };
        }
        Ok(publication)
    }

    fn release(&self, lease: LeaseId) -> Result<(), StoreError> {
        let muted = self.has(Fault::DropsReleaseNotices);
        self.notes
            .muted
            .fetch_add(usize::from(muted), Ordering::SeqCst);
        let released = self.inner.release(self.real(lease.clone()));
        self.notes
            .muted
            .fetch_sub(usize::from(muted), Ordering::SeqCst);
        if self.has(Fault::ReusesTokens) {
            let mut released = self.notes.released.lock().unwrap();
            released.entry(lease.lock).or_insert((lease.token, None));
        }
        released
    }

    fn put(
        &self,
        key: Arc<str>,
        value: Bytes,
        retain: Option<Duration>,
        seen: Revision,
    ) -> Result<PutOutcome, StoreError> {
        let seen = if self.has(Fault::PutsOver) { ALL } else { seen };
        let (key, retain) = (self.key(key), self.retain(retain));
        self.inner.put(key, value, retain, seen)
    }

    fn read(&self, key: Arc<str>) -> Result<KeyState, StoreError> {
        let mut state = self.inner.read(self.key(key))?;
        if let Some(entry) = &mut state.entry
            && self.has(Fault::Ageless)
        {
            entry.age = Duration::ZERO;
        }
        Ok(state)
    }

    fn forget(&self, key: Arc<str>, lock: Arc<str>) -> Result<Revision, StoreError> {
        let leaves = self.has(Fault::ForgetLeavesLease);
        let lock = if leaves { "another".into() } else { lock };
        self.inner.forget(self.key(key), lock)
    }

    fn list(&self) -> Result<Vec<KeyStatus>, StoreError> {
        self.inner.list()
    }

    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
        let notes = Arc::clone(&self.notes);
        let skipped = Arc::new(AtomicBool::new(self.has(Fault::SkipsSnapshots)));
        let skips = Arc::clone(&skipped);
        let passed_on = move |event: WatchEvent| {
            let release = event == WatchEvent::Lock(LockState::Free);
            let muted = release && notes.muted.load(Ordering::SeqCst) > 0;
            if !muted && !skips.load(Ordering::SeqCst) {
                watcher.notify(event);
            }
        };
        let subscription = self.inner.watch(self.key(key), lock, Arc::new(passed_on));
        skipped.store(false, Ordering::SeqCst);
        self.subscription(subscription)
    }

    fn changes(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        let drops = self.has(Fault::DropsChanges);
        let passed_on = move |change: Change| {
            if !drops || change == Change::Connected {
                listener.notify(change);
            }
        };
        self.subscription(self.inner.changes(Arc::new(passed_on)))
    }
}
