//! Who wants to be told of changes, and whether anybody is there to tell them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use oneflight_store::{Change, ChangeListener, StoreError, Subscription, WatchEvent, Watcher};

use crate::clock::Clock;
use crate::ear::Ear;
use crate::notifier::Notifier;
use crate::place::Place;
use crate::signal::Bell;

/// The subscriptions of one open store. The notifier's thread runs while there are any.
pub(crate) struct Hub {
    pub(crate) place: Arc<Place>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) boot: i64,
    bell: Bell,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many subscriptions there are.
    open: usize,
    /// The number of the last one.
    last: u64,
    /// Those the notifier has yet to be told of.
    arrived: Vec<Arc<Subscriber>>,
    /// Those it may forget.
    departed: Vec<u64>,
    /// What wakes the notifier, while it runs.
    ear: Option<Arc<Ear>>,
    /// The store is gone.
    closed: bool,
}

/// Somebody who wants to be told.
pub(crate) struct Subscriber {
    pub(crate) id: u64,
    pub(crate) wants: Wants,
    closed: AtomicBool,
}

/// What a subscriber wants to be told of.
pub(crate) enum Wants {
    /// One key and its lock.
    Watch {
        key: Arc<str>,
        lock: Arc<str>,
        watcher: Arc<dyn Watcher>,
    },
    /// All keys.
    Changes(Arc<dyn ChangeListener>),
}

impl Subscriber {
    /// Tells a watcher; a listener wants no such thing.
    pub(crate) fn tell_event(&self, event: WatchEvent) {
        if let Wants::Watch { watcher, .. } = &self.wants {
            self.call(|| watcher.notify(event));
        }
    }

    /// Tells a listener; a watcher wants no such thing.
    pub(crate) fn tell_change(&self, change: Change) {
        if let Wants::Changes(listener) = &self.wants {
            self.call(|| listener.notify(change));
        }
    }

    /// Says that nothing can be heard.
    pub(crate) fn tell_error(&self, error: &StoreError) {
        self.tell_event(WatchEvent::Ended(error.clone()));
        self.tell_change(Change::Gap(error.clone()));
    }

    fn call(&self, call: impl FnOnce()) {
        if self.closed.load(Ordering::SeqCst) {
            return;
        }
        // A callback that panics, which it must not, is not called again; the others go on.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err() {
            self.closed.store(true, Ordering::SeqCst);
        }
    }
}

/// What the notifier is to do next.
pub(crate) enum Order {
    /// Go on, after these have come and gone.
    GoOn {
        arrived: Vec<Arc<Subscriber>>,
        departed: Vec<u64>,
    },
    /// Nobody is left, or the store is gone: tell these, and end.
    End { arrived: Vec<Arc<Subscriber>> },
}

impl Hub {
    pub(crate) fn new(
        place: Arc<Place>,
        clock: Arc<dyn Clock>,
        boot: i64,
        bell: Bell,
    ) -> Arc<Self> {
        Arc::new(Self {
            place,
            clock,
            boot,
            bell,
            state: Mutex::default(),
        })
    }

    pub(crate) fn watch(
        self: &Arc<Self>,
        key: Arc<str>,
        lock: Arc<str>,
        watcher: Arc<dyn Watcher>,
    ) -> Subscription {
        self.subscribe(Wants::Watch { key, lock, watcher })
    }

    pub(crate) fn listen(self: &Arc<Self>, listener: Arc<dyn ChangeListener>) -> Subscription {
        self.subscribe(Wants::Changes(listener))
    }

    fn subscribe(self: &Arc<Self>, wants: Wants) -> Subscription {
        let mut state = self.lock();
        state.last += 1;
        state.open += 1;
        let subscriber = Arc::new(Subscriber {
            id: state.last,
            wants,
            closed: AtomicBool::new(false),
        });
        state.arrived.push(Arc::clone(&subscriber));
        let failure = match &state.ear {
            Some(ear) => {
                ear.wake();
                None
            }
            None => self.start(&mut state).err(),
        };
        drop(state);
        if let Some(error) = failure {
            subscriber.tell_error(&error);
        }
        let hub = Arc::clone(self);
        Subscription::new(move || hub.unsubscribe(&subscriber))
    }

    fn start(self: &Arc<Self>, state: &mut State) -> Result<(), StoreError> {
        // Listen before the first look: a change in between is then heard of, not missed.
        let ear = Arc::new(Ear::new(&self.bell));
        let notifier = Notifier::new(Arc::clone(self), Arc::clone(&ear));
        thread::Builder::new()
            .name("oneflight-sqlite".to_owned())
            .spawn(move || notifier.run())
            .map_err(|error| {
                state.arrived.clear();
                StoreError::unavailable(format_args!("{}: no thread: {error}", self.place))
            })?;
        state.ear = Some(ear);
        Ok(())
    }

    fn unsubscribe(&self, subscriber: &Subscriber) {
        subscriber.closed.store(true, Ordering::SeqCst);
        let mut state = self.lock();
        state.open = state.open.saturating_sub(1);
        state.departed.push(subscriber.id);
        if state.open == 0
            && let Some(ear) = &state.ear
        {
            ear.wake();
        }
    }

    /// Says that the store is gone, and with it whoever could be told anything.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        if let Some(ear) = &state.ear {
            ear.wake();
        }
    }

    /// What the notifier is to do next. Told to end, it is taken for gone: the next subscription
    /// starts another one.
    pub(crate) fn order(&self) -> Order {
        let mut state = self.lock();
        let mut arrived = std::mem::take(&mut state.arrived);
        // Who has left again before it was told anything is not to be taken in.
        arrived.retain(|subscriber| !subscriber.closed.load(Ordering::SeqCst));
        let departed = std::mem::take(&mut state.departed);
        if state.open == 0 || state.closed {
            state.ear = None;
            return Order::End { arrived };
        }
        Order::GoOn { arrived, departed }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
