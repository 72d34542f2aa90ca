//! Who is told of changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Change, ChangeListener, KeyState, LockState, Revision, WatchEvent, Watcher};

/// The place of one subscriber, empty once its subscription was dropped.
pub(super) struct Slot<S: ?Sized>(Mutex<Option<Arc<S>>>);

impl<S: ?Sized> Slot<S> {
    pub(super) fn new(subscriber: Arc<S>) -> Self {
        Self(Mutex::new(Some(subscriber)))
    }

    /// No new call begins after this.
    pub(super) fn close(&self) {
        let subscriber = self.take();
        // Dropped out here: what a subscriber's own drop does is not ours to know.
        drop(subscriber);
    }

    fn take(&self) -> Option<Arc<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_open(&self) -> bool {
        let subscriber = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        subscriber.is_some()
    }

    /// The subscriber, to be called without holding the slot: it may drop its own subscription.
    fn get(&self) -> Option<Arc<S>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

type Watchers = HashMap<Arc<str>, Vec<Arc<Slot<dyn Watcher>>>>;

/// All subscribers of one store. Its owner calls it under the store's lock, which is what keeps
/// what is told in the order of what was committed.
#[derive(Default)]
pub(super) struct Hub {
    of_key: Watchers,
    of_lock: Watchers,
    of_all: Vec<Arc<Slot<dyn ChangeListener>>>,
}

impl Hub {
    /// Adds a watcher and tells it how things stand.
    pub(super) fn watch(
        &mut self,
        (key, key_state): (Arc<str>, KeyState),
        (lock, lock_state): (Arc<str>, LockState),
        slot: Arc<Slot<dyn Watcher>>,
    ) {
        self.of_key.entry(key).or_default().push(Arc::clone(&slot));
        self.of_lock
            .entry(lock)
            .or_default()
            .push(Arc::clone(&slot));
        if let Some(watcher) = slot.get() {
            watcher.notify(WatchEvent::Key(key_state));
            watcher.notify(WatchEvent::Lock(lock_state));
        }
    }

    /// Adds a listener and tells it that it is connected.
    pub(super) fn listen(&mut self, slot: Arc<Slot<dyn ChangeListener>>) {
        self.of_all.push(Arc::clone(&slot));
        if let Some(listener) = slot.get() {
            listener.notify(Change::Connected);
        }
    }

    /// Tells the watchers of `key`, if there are any, how it stands now.
    pub(super) fn tell_key(&self, key: &str, state: impl FnOnce() -> KeyState) {
        tell(&self.of_key, key, || WatchEvent::Key(state()));
    }

    /// Tells the watchers of `lock`, if there are any, how it stands now.
    pub(super) fn tell_lock(&self, lock: &str, state: impl FnOnce() -> LockState) {
        tell(&self.of_lock, lock, || WatchEvent::Lock(state()));
    }

    /// Tells all listeners that `key` is at `revision` now.
    pub(super) fn tell_all(&self, key: &Arc<str>, revision: Revision) {
        for listener in self.of_all.iter().filter_map(|slot| slot.get()) {
            listener.notify(Change::Moved {
                key: Arc::clone(key),
                revision,
            });
        }
    }

    /// Forgets the subscribers that have closed.
    pub(super) fn clear_closed(&mut self) {
        for watchers in [&mut self.of_key, &mut self.of_lock] {
            watchers.retain(|_, slots| {
                slots.retain(|slot| slot.is_open());
                !slots.is_empty()
            });
        }
        self.of_all.retain(|slot| slot.is_open());
    }
}

fn tell(watchers: &Watchers, name: &str, event: impl FnOnce() -> WatchEvent) {
    let Some(slots) = watchers.get(name) else {
        return;
    };
    let event = event();
    for watcher in slots.iter().filter_map(|slot| slot.get()) {
        watcher.notify(event.clone());
    }
}
