//! A watch that moves from one server to another.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oneflight_store::{StoreError, WatchEvent, Watcher};

use crate::slot::Slot;

/// Passes on to the watcher what the server tells that is listened to at present.
pub(super) struct Relay {
    watcher: Slot<dyn Watcher>,
    /// Which leg may speak. Held while it does, so that an old one has fallen silent before a new one
    /// begins, with its snapshot.
    speaker: Mutex<u64>,
    is_over: AtomicBool,
}

/// The watch at one server.
struct Leg {
    relay: Arc<Relay>,
    number: u64,
}

impl Relay {
    pub(super) fn new(watcher: Arc<dyn Watcher>) -> Arc<Self> {
        Arc::new(Self {
            watcher: Slot::new(watcher),
            speaker: Mutex::new(0),
            is_over: AtomicBool::new(false),
        })
    }

    fn speaker(&self) -> MutexGuard<'_, u64> {
        self.speaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more leg; those before it are not heard any more.
    pub(super) fn next_leg(self: &Arc<Self>) -> Arc<dyn Watcher> {
        let mut speaker = self.speaker();
        *speaker += 1;
        let number = *speaker;
        drop(speaker);
        let relay = Arc::clone(self);
        Arc::new(Leg { relay, number })
    }

    /// No new call begins after this.
    pub(super) fn close(&self) {
        self.watcher.close();
    }

    /// The watcher was told that the watch has ended.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Ends it, where no server is listened to.
    pub(super) fn end(self: &Arc<Self>, error: StoreError) {
        self.next_leg().notify(WatchEvent::Ended(error));
    }

    pub(super) fn patience(&self) -> Duration {
        let watcher = self.watcher.get();
        watcher.map_or(Duration::MAX, |watcher| watcher.patience())
    }
}

impl Watcher for Leg {
    fn notify(&self, event: WatchEvent) {
        let speaker = self.relay.speaker();
        if *speaker != self.number || self.relay.is_over() {
            return;
        }
        if matches!(event, WatchEvent::Ended(_)) {
            self.relay.is_over.store(true, Ordering::SeqCst);
        }
        if let Some(watcher) = self.relay.watcher.get() {
            watcher.notify(event);
        }
    }

    fn patience(&self) -> Duration {
        self.relay.patience()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oneflight_store::LockState;

    #[test]
    fn only_the_last_leg_is_heard_and_nothing_after_the_end() {
        let heard = Arc::new(Mutex::new(0));
        let told = Arc::clone(&heard);
        let relay = Relay::new(Arc::new(move |_| *told.lock().unwrap() += 1));
        let event = || WatchEvent::Lock(LockState::Free);
        let first = relay.next_leg();
        first.notify(event());
        let second = relay.next_leg();
        first.notify(event());
        assert_eq!(*heard.lock().unwrap(), 1);
        second.notify(event());
        first.notify(WatchEvent::Ended(StoreError::unavailable("gone")));
        assert!(!relay.is_over());
        relay.end(StoreError::unavailable("gone"));
        assert!(relay.is_over());
        relay.next_leg().notify(event());
        assert_eq!(*heard.lock().unwrap(), 3);
    }
}
