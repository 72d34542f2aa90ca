//! What a watcher or a listener has heard.

use std::fmt::Debug;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use super::bench::{PATIENCE, Row};
use super::probe::Probe;
use crate::{Change, KeyState, LockState, Revision, Subscription, WatchEvent};

/// An open subscription and all that came over it.
pub(super) struct Ear<E> {
    row: Row,
    heard: Arc<Heard<E>>,
    subscription: Option<Subscription>,
}

struct Heard<E> {
    events: Mutex<Vec<E>>,
    more: Condvar,
}

impl<E> Heard<E> {
    fn push(&self, event: E) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(event);
        self.more.notify_all();
    }
}

impl<E: Clone + Debug> Ear<E> {
    fn open(row: Row, subscribe: impl FnOnce(Arc<Heard<E>>) -> Subscription) -> Self {
        let heard = Arc::new(Heard {
            events: Mutex::new(Vec::new()),
            more: Condvar::new(),
        });
        Self {
            row,
            subscription: Some(subscribe(Arc::clone(&heard))),
            heard,
        }
    }

    /// Drops the subscription.
    pub(super) fn close(&mut self) {
        self.subscription = None;
    }

    /// All that was heard so far.
    pub(super) fn events(&self) -> Vec<E> {
        let events = self.heard.events.lock();
        events.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until something is found in all that was heard.
    #[track_caller]
    pub(super) fn until<T>(&self, what: &str, find: impl Fn(&[E]) -> Option<T>) -> T {
        let start = Instant::now();
        let lock = self.heard.events.lock();
        let mut events = lock.unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = find(&events) {
                return found;
            }
            let left = PATIENCE.saturating_sub(start.elapsed());
            if left.is_zero() {
                let last = events
                    .iter()
                    .rev()
                    .take(4)
                    .rev()
                    .cloned()
                    .collect::<Vec<_>>();
                drop(events);
                self.row.fail(
                    what,
                    format_args!("to hear of it within {PATIENCE:?}"),
                    format_args!("these as the last events: {last:?}"),
                );
            }
            let wait = self.heard.more.wait_timeout(events, left);
            events = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Ear<WatchEvent> {
    /// Watches the probe's key and lock.
    pub(super) fn watch(probe: &Probe) -> Self {
        Self::open(probe.row, |heard| {
            let watcher = move |event| heard.push(event);
            let (key, lock) = (Arc::clone(&probe.key), Arc::clone(&probe.lock));
            probe.store.watch(key, lock, Arc::new(watcher))
        })
    }

    /// Watches, and waits for the snapshot.
    #[track_caller]
    pub(super) fn watch_from_snapshot(probe: &Probe) -> Self {
        let ear = Self::watch(probe);
        ear.snapshot();
        ear
    }

    /// The state the watch began with.
    #[track_caller]
    pub(super) fn snapshot(&self) -> (KeyState, LockState) {
        self.until("the snapshot", |events| {
            Some((keys(events).next()?.clone(), locks(events).next()?.clone()))
        })
    }

    /// Waits until the key is last told to be at this revision.
    #[track_caller]
    pub(super) fn hears_key(&self, what: &str, revision: Revision) -> KeyState {
        self.until(what, |events| {
            let last = keys(events).last()?;
            (last.revision == revision).then(|| last.clone())
        })
    }

    /// Waits until the lock is last told to be free.
    #[track_caller]
    pub(super) fn hears_free(&self, what: &str) {
        self.until(what, |events| {
            (*locks(events).last()? == LockState::Free).then_some(())
        });
    }
}

impl Ear<Change> {
    /// Listens to all changes, and waits until the stream is up.
    #[track_caller]
    pub(super) fn listen(probe: &Probe) -> Self {
        let ear = Self::open(probe.row, |heard| {
            probe
                .store
                .changes(Arc::new(move |change| heard.push(change)))
        });
        let first = ear.until("the first change", |changes| changes.first().cloned());
        ear.row.same("the first change", first, Change::Connected);
        ear
    }

    /// Waits until this key is told to be at this revision or above.
    #[track_caller]
    pub(super) fn hears_moved(&self, what: &str, moved: &str, at: Revision) {
        self.until(what, |changes| {
            let heard = changes.iter().any(|change| {
                matches!(change, Change::Moved { key, revision } if **key == *moved && *revision >= at)
            });
            heard.then_some(())
        });
    }
}

/// The states of the key, of all these events.
pub(super) fn keys(events: &[WatchEvent]) -> impl Iterator<Item = &KeyState> {
    events.iter().filter_map(|event| match event {
        WatchEvent::Key(state) => Some(state),
        WatchEvent::Lock(_) | WatchEvent::Ended(_) => None,
    })
}

fn locks(events: &[WatchEvent]) -> impl Iterator<Item = &LockState> {
    events.iter().filter_map(|event| match event {
        WatchEvent::Lock(state) => Some(state),
        WatchEvent::Key(_) | WatchEvent::Ended(_) => None,
    })
}
