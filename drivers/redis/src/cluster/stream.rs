//! The changes of all servers of a cluster, as one stream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oneflight_store::{Change, ChangeListener, StoreError};

use crate::slot::Slot;

/// Every server passes on what is published at any, but what it passes on may be lost between two of
/// them. So each primary is listened to, and what is told by one is told by all: several times, which is
/// one revision and nothing new. The stream stands as long as all of them are heard.
pub(super) struct Stream {
    listener: Slot<dyn ChangeListener>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u64,
    /// Whether it stands, by its number.
    legs: HashMap<u64, bool>,
    /// The listener was told that the stream stands, and that it did once.
    stands: bool,
    has_stood: bool,
}

/// The changes that one server tells.
pub(super) struct Leg {
    stream: Arc<Stream>,
    number: u64,
}

impl Stream {
    pub(super) fn new(listener: Arc<dyn ChangeListener>) -> Arc<Self> {
        Arc::new(Self {
            listener: Slot::new(listener),
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No new call begins after this.
    pub(super) fn close(&self) {
        self.listener.close();
    }

    /// The servers have changed: these legs go, and so many come. What a server had still to tell when
    /// it went, or told before it was listened to, may be missed.
    pub(super) fn change(self: &Arc<Self>, gone: &[u64], more: usize) -> Vec<(u64, Arc<Leg>)> {
        let mut state = self.state();
        for number in gone {
            state.legs.remove(number);
        }
        let legs = (0..more).map(|_| {
            state.last += 1;
            let number = state.last;
            state.legs.insert(number, false);
            let stream = Arc::clone(self);
            (number, Arc::new(Leg { stream, number }))
        });
        let legs = legs.collect();
        if state.stands {
            state.stands = false;
            self.tell(Change::Gap(StoreError::unavailable(
                "the primaries of the cluster have changed",
            )));
        }
        self.stand(&mut state);
        legs
    }

    /// Nothing will be heard any more.
    pub(super) fn end(&self, error: StoreError) {
        let mut state = self.state();
        state.legs.clear();
        if std::mem::take(&mut state.stands) {
            self.tell(Change::Gap(error));
        }
    }

    fn stand(&self, state: &mut State) {
        if !state.stands && !state.legs.is_empty() && state.legs.values().all(|stands| *stands) {
            (state.stands, state.has_stood) = (true, true);
            self.tell(Change::Connected);
        }
    }

    /// In order, as the state is held.
    fn tell(&self, change: Change) {
        if let Some(listener) = self.listener.get() {
            listener.notify(change);
        }
    }
}

impl ChangeListener for Leg {
    fn notify(&self, change: Change) {
        let mut state = self.stream.state();
        let Some(leg) = state.legs.get_mut(&self.number) else {
            return;
        };
        match change {
            Change::Connected => {
                *leg = true;
                self.stream.stand(&mut state);
            }
            Change::Gap(error) => {
                *leg = false;
                // Who is not permitted to listen hears of it, though nothing has stood.
                if state.stands || matches!(error, StoreError::Refused(_)) {
                    state.stands = false;
                    self.stream.tell(Change::Gap(error));
                }
            }
            // Whoever is told that it stands looks at everything then.
            moved @ Change::Moved { .. } if state.has_stood => self.stream.tell(moved),
            Change::Moved { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oneflight_store::Revision;

    #[test]
    fn it_stands_as_long_as_all_are_heard() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&heard);
        let stream = Stream::new(Arc::new(move |change| told.lock().unwrap().push(change)));
        let heard = || std::mem::take(&mut *heard.lock().unwrap());
        let lost = || Change::Gap(StoreError::unavailable("lost"));
        let legs = stream.change(&[], 2);
        let [(one, first), (_, second)] = &legs[..] else {
            panic!("two were asked for")
        };
        first.notify(Change::Connected);
        let early = Change::Moved {
            key: "key".into(),
            revision: Revision::new(1),
        };
        first.notify(early);
        assert_eq!(heard(), []);
        second.notify(Change::Connected);
        assert_eq!(heard(), [Change::Connected]);
        let moved = Change::Moved {
            key: "key".into(),
            revision: Revision::new(1),
        };
        first.notify(moved.clone());
        assert!(matches!(heard()[..], [Change::Moved { .. }]));
        first.notify(lost());
        second.notify(lost());
        assert_eq!(heard(), [lost()]);
        second.notify(Change::Connected);
        assert_eq!(heard(), []);
        first.notify(Change::Connected);
        assert_eq!(heard(), [Change::Connected]);

        // One goes: what it had still to tell is missed.
        stream.change(&[*one], 0);
        let told = heard();
        assert!(
            matches!(told[..], [Change::Gap(_), Change::Connected]),
            "{told:?}"
        );
        first.notify(moved);
        assert_eq!(heard(), []);
        // One comes: it is not heard yet.
        let (_, third) = &stream.change(&[], 1)[0];
        assert!(matches!(heard()[..], [Change::Gap(_)]));
        third.notify(Change::Connected);
        assert_eq!(heard(), [Change::Connected]);
    }
}
