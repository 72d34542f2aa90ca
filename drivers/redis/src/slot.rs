//! The place of one subscriber.

use std::sync::{Arc, Mutex, PoisonError};

/// Empty once its subscription was dropped.
pub(crate) struct Slot<S: ?Sized>(Mutex<Option<Arc<S>>>);

impl<S: ?Sized> Slot<S> {
    pub(crate) fn new(subscriber: Arc<S>) -> Self {
        Self(Mutex::new(Some(subscriber)))
    }

    /// No new call begins after this.
    pub(crate) fn close(&self) {
        let subscriber = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Dropped out here: what a subscriber's own drop does is not ours to know.
        drop(subscriber);
    }

    pub(crate) fn is_open(&self) -> bool {
        let subscriber = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        subscriber.is_some()
    }

    /// The subscriber, to be called without holding the slot: it may drop its own subscription.
    pub(crate) fn get(&self) -> Option<Arc<S>> {
        let subscriber = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        subscriber.clone()
    }
}
