//! Who wants to be told of what, and what is known.
//!
//! A channel of the server tells of a key, a lock or both. As long as it is subscribed, all that
//! changes is pushed in order; so whoever was told how things stood at some moment since, and of every
//! push after it, knows how they stand now. What a claim or a look answers counts if nothing was pushed
//! between the question and the answer, or only what is older: in a cluster, what another server has told
//! may come late. So what is older than what was told last is no news there.

mod channel;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use oneflight_store::{
    Change, ChangeListener, KeyState, StoreError, Subscription, WatchEvent, Watcher,
};

use self::channel::{Channel, Hearer, Part, Standing};
use crate::cluster::Turn;
use crate::layout::Channels;
use crate::message::{Push, Told, ToldKey, change};
use crate::moment::LockAt;
use crate::pace::Pace;
use crate::slot::Slot;
use crate::times::SHORTEST_OUTAGE;

/// How long a channel that nobody listens to stays subscribed: who loses a claim watches a moment
/// later, who comes again finds it there, and a process that soon ends never gives it back.
pub(crate) const LINGER: Duration = Duration::from_secs(5);

type TellTurn = dyn Fn(&Turn) + Send + Sync;

/// The subscriptions of one open store.
pub(crate) struct Hub {
    pub(crate) channels: Channels,
    /// Says that there is something to ask the server for.
    bell: Box<dyn Fn() + Send + Sync>,
    /// Of the least patient who watches, in milliseconds; or who has of late.
    patience: AtomicU64,
    /// In a cluster, hears that another server is to be looked at.
    turns: OnceLock<Box<TellTurn>>,
    state: Mutex<State>,
    /// The channels of dropped subscriptions, to be cleared under the lock.
    closed: Mutex<Vec<Arc<str>>>,
}

/// A key and the lock it is watched with.
pub(crate) type Pair = (Arc<str>, Arc<str>);

struct State {
    /// The number of the connection there is, and of the last there was.
    connection: Option<u64>,
    last_connection: u64,
    /// The number of the last subscription to a channel.
    last_epoch: u64,
    changes: Standing,
    listeners: Vec<Arc<Slot<dyn ChangeListener>>>,
    channels: HashMap<Arc<str>, Channel>,
    /// Those of them that may not have been asked for.
    unasked: Vec<Arc<str>>,
    /// What the server is to be asked for, and in a while once more.
    looks: Vec<Pair>,
    again: Vec<Pair>,
    /// Why it could not be asked, or did not answer, if that is so.
    trouble: Option<StoreError>,
}

/// Taken when a question is sent: whether the answer may count.
#[derive(Debug)]
pub(crate) struct Ticket([(Arc<str>, Part, u64, u64); 2]);

impl Hub {
    pub(crate) fn new(channels: Channels, bell: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            channels,
            bell: Box::new(bell),
            patience: AtomicU64::new(u64::MAX),
            turns: OnceLock::new(),
            state: Mutex::new(State {
                connection: None,
                last_connection: 0,
                last_epoch: 0,
                changes: Standing::No,
                listeners: Vec::new(),
                channels: HashMap::new(),
                unasked: Vec::new(),
                looks: Vec::new(),
                again: Vec::new(),
                trouble: None,
            }),
            closed: Mutex::new(Vec::new()),
        }
    }

    /// The server is one of a cluster: what it says of looks that are not for it goes there.
    pub(crate) fn tell_turns(&self, tell: impl Fn(&Turn) + Send + Sync + 'static) {
        self.turns.get_or_init(|| Box::new(tell));
    }

    /// A look is not for this server; whether anybody sees to that.
    pub(crate) fn turned(&self, turn: &Turn) -> bool {
        let turns = self.turns.get();
        turns.map(|tell| tell(turn)).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panicking watcher poisons the lock, but is only called once the state is complete.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.tidy(&mut state);
        state
    }

    fn tidy(&self, state: &mut State) {
        let closed = std::mem::take(&mut *self.closed());
        for name in closed {
            if *name == *self.channels.changes {
                state.listeners.retain(|slot| slot.is_open());
            } else if let Some(channel) = state.channels.get_mut(&name) {
                channel.clear_closed();
            }
        }
    }

    fn closed(&self) -> MutexGuard<'_, Vec<Arc<str>>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscription<W: ?Sized + Send + Sync + 'static>(
        self: &Arc<Self>,
        slot: Arc<Slot<W>>,
        names: Vec<Arc<str>>,
    ) -> Subscription {
        let hub = Arc::downgrade(self);
        Subscription::new(move || {
            slot.close();
            // Waiting for the lock here would deadlock a watcher that drops a subscription.
            if let Some(hub) = hub.upgrade() {
                hub.closed().extend(names);
                match hub.state.try_lock() {
                    Ok(mut state) => hub.tidy(&mut state),
                    Err(TryLockError::Poisoned(poisoned)) => hub.tidy(&mut poisoned.into_inner()),
                    Err(TryLockError::WouldBlock) => {} // The next call does it.
                }
            }
        })
    }

    fn places(&self, key: &str, lock: &str) -> [(Arc<str>, Part); 2] {
        let of_lock = self.channels.lock(lock);
        [(self.channels.key(key), Part::Key), (of_lock, Part::Lock)]
    }

    pub(crate) fn watch(
        self: &Arc<Self>,
        key: Arc<str>,
        lock: Arc<str>,
        watcher: Arc<dyn Watcher>,
    ) -> Subscription {
        let patience = watcher.patience();
        let slot = Arc::new(Slot::new(watcher));
        let places = self.places(&key, &lock);
        let mut state = self.lock();
        let names = places.each_ref().map(|(name, _)| Arc::clone(name)).into();
        let mut told = true;
        let mut refusal = None;
        for (name, part) in places {
            let pair = (Arc::clone(&key), Arc::clone(&lock));
            let hearer = Hearer::new(Arc::clone(&slot), part, pair, patience);
            let channel = state.channel(name);
            told &= channel.hear(hearer);
            refusal = refusal.or_else(|| channel.refusal());
        }
        if let Some(error) = refusal {
            state.end(&key, &lock, &error);
        } else if !told {
            state.looks.push((key, lock));
        }
        let pace = self.pace();
        self.patience.fetch_min(millis(patience), Ordering::Relaxed);
        let is_hastier = self.pace() != pace;
        drop(state);
        if !told || is_hastier {
            (self.bell)();
        }
        self.subscription(slot, names)
    }

    pub(crate) fn listen(self: &Arc<Self>, listener: Arc<dyn ChangeListener>) -> Subscription {
        let slot = Arc::new(Slot::new(listener));
        let mut state = self.lock();
        match &state.changes {
            Standing::Stands => tell(&slot, Change::Connected),
            Standing::Refused(error) => tell(&slot, Change::Gap(error.clone())),
            Standing::No | Standing::Asked => {}
        }
        state.listeners.push(Arc::clone(&slot));
        drop(state);
        (self.bell)();
        self.subscription(slot, vec![self.channels.changes.as_str().into()])
    }

    /// Whether anybody is to be told of anything.
    pub(crate) fn has_subscribers(&self) -> bool {
        let state = self.lock();
        !state.listeners.is_empty() || state.channels.values().any(Channel::has_hearers)
    }

    /// A claim is about to be made: if it is lost, a watch follows.
    pub(crate) fn want(&self, key: &str, lock: &str) {
        let mut state = self.lock();
        for (name, _) in self.places(key, lock) {
            state.channel(name);
        }
    }

    /// A question about these is sent over this connection, after `subscribe` has queued there the
    /// request for the channels that are wanted and not yet asked for.
    pub(crate) fn depart(
        &self,
        connection: u64,
        key: &str,
        lock: &str,
        subscribe: impl FnOnce(Vec<Arc<str>>),
    ) -> Ticket {
        let places = self.places(key, lock);
        let mut state = self.lock();
        for (name, _) in &places {
            state.channel(Arc::clone(name));
        }
        if state.connection == Some(connection) {
            self.ask(&mut state, subscribe);
        }
        state.ticket(places)
    }

    /// Has the channels subscribed that are wanted and not yet asked for. Under the lock: a question
    /// whose ticket is taken later is sent later.
    fn ask(&self, state: &mut State, subscribe: impl FnOnce(Vec<Arc<str>>)) {
        let mut names: Vec<Arc<str>> = Vec::new();
        if matches!(state.changes, Standing::No) && !state.listeners.is_empty() {
            state.changes = Standing::Asked;
            names.push(self.channels.changes.as_str().into());
        }
        for name in std::mem::take(&mut state.unasked) {
            if let Some(channel) = state.channels.get_mut(&name)
                && channel.is_unasked()
            {
                state.last_epoch += 1;
                channel.asked(state.last_epoch);
                names.push(name);
            }
        }
        if !names.is_empty() {
            subscribe(names);
        }
    }

    /// What is wanted from the server by now: `subscribe` queues the request for channels, and the
    /// pairs are to be looked at.
    pub(crate) fn take_wanted(
        &self,
        connection: u64,
        subscribe: impl FnOnce(Vec<Arc<str>>),
    ) -> Vec<Pair> {
        let mut state = self.lock();
        if state.connection != Some(connection) {
            return Vec::new();
        }
        self.ask(&mut state, subscribe);
        state.take_looks()
    }

    /// Gives back the channels that nobody has listened to for long: `unsubscribe` queues that, under
    /// the lock, so that whoever subscribes again does so after it.
    pub(crate) fn leave_idle(&self, now: Instant, unsubscribe: impl FnOnce(Vec<Arc<str>>)) {
        let mut state = self.lock();
        let state = &mut *state;
        let idle = state
            .channels
            .extract_if(|_, channel| channel.is_idle(now, LINGER));
        let names: Vec<_> = idle
            .filter(|(_, channel)| channel.is_asked())
            .map(|(name, _)| name)
            .collect();
        if !names.is_empty() {
            unsubscribe(names);
        }
        // While there is no connection, nobody asks for them.
        state
            .unasked
            .retain(|name| state.channels.contains_key(name));
    }

    /// The number of a connection that is going to be made.
    pub(crate) fn next_connection(&self) -> u64 {
        let mut state = self.lock();
        state.last_connection += 1;
        state.last_connection
    }

    /// This connection is there: everything that is watched is to be looked at.
    pub(crate) fn connected(&self, connection: u64) {
        let mut state = self.lock();
        state.connection = Some(connection);
        state.look_at_all();
    }

    /// This connection is lost.
    pub(crate) fn disconnected(&self, connection: u64, error: &StoreError) {
        let mut state = self.lock();
        if state.connection != Some(connection) {
            return;
        }
        state.connection = None;
        state.looks.clear();
        state.again.clear();
        state.trouble = Some(error.clone());
        state.channels.retain(|_, channel| channel.lost());
        state.unasked = state.channels.keys().map(Arc::clone).collect();
        let stood = matches!(state.changes, Standing::Stands);
        state.changes = Standing::No;
        if stood {
            state.tell_all(|| Change::Gap(error.clone()));
        }
    }

    /// Nothing will be heard, or nothing is permitted to be: those who watch are told so.
    pub(crate) fn ended(&self, error: &StoreError) {
        let mut state = self.lock();
        if let Some(connection) = state.connection {
            drop(state);
            self.disconnected(connection, error);
            state = self.lock();
        }
        let pairs: Vec<_> = state.channels.values().flat_map(Channel::pairs).collect();
        for (key, lock) in pairs {
            state.end(&key, &lock, error);
        }
    }

    /// There has been no connection for so long: those whose patience is over are told so. Then each of
    /// them claims, and learns that the store is out of reach.
    pub(crate) fn out_of_reach(&self, outage: Duration, error: &StoreError) {
        self.lock()
            .end_those(|it| it.is_impatient(outage), || error.clone());
    }

    /// How closely those who watch need the connection to be looked after.
    pub(crate) fn pace(&self) -> Pace {
        Pace::of(Duration::from_millis(self.patience.load(Ordering::Relaxed)))
    }

    /// As far as can be told, nobody is there for so long: those whose patience is over are told so, if there are
    /// any. To be asked again and again, as [`pace`](Self::pace) says.
    ///
    /// A server may also be there, and connected, and not say how things stand: because it is loading, or a
    /// script keeps it busy, or its cluster is down. Those for whom that has failed for too long are told so.
    pub(crate) fn outlasts(&self, outage: Duration, error: impl FnOnce() -> StoreError) {
        let mut state = self.lock();
        let patience = state.channels.values().filter_map(Channel::patience).min();
        let patience = patience.unwrap_or(Duration::MAX);
        // Under the lock: none that begins meanwhile is forgotten.
        self.patience.store(millis(patience), Ordering::Relaxed);
        if outage >= patience.max(SHORTEST_OUTAGE) {
            state.end_those(|it| it.is_impatient(outage), error);
        }
        let now = Instant::now();
        let trouble = state.trouble.clone();
        let unknown = || StoreError::unavailable("the server does not say how things stand");
        state.end_those(|it| it.is_given_up(now), || trouble.unwrap_or_else(unknown));
    }

    /// What could not be looked at is to be looked at once more. To be asked with each tick: not sooner, for who
    /// cannot answer now is not to be asked all the time.
    pub(crate) fn look_again(&self) {
        let mut state = self.lock();
        let again = std::mem::take(&mut state.again);
        state.looks.extend(again);
    }

    /// This channel was asked for together with others, of which one is refused: `subscribe` queues the
    /// request for this one.
    pub(crate) fn ask_by_itself(
        &self,
        connection: u64,
        name: &Arc<str>,
        subscribe: impl FnOnce(Vec<Arc<str>>),
    ) {
        let mut state = self.lock();
        if state.connection != Some(connection) {
            return;
        }
        state.last_epoch += 1;
        let epoch = state.last_epoch;
        if let Some(channel) = state.channels.get_mut(name) {
            channel.asked(epoch);
            // What a look has told before this one stands does not count.
            let pairs: Vec<_> = channel.pairs().collect();
            state.looks.extend(pairs);
        } else if **name != self.channels.changes {
            return;
        }
        subscribe(vec![Arc::clone(name)]);
        drop(state);
        (self.bell)();
    }

    /// The server does not let this client listen to these channels.
    pub(crate) fn refused(&self, connection: u64, names: &[Arc<str>], error: &StoreError) {
        let mut state = self.lock();
        if state.connection != Some(connection) {
            return;
        }
        for name in names {
            if **name == self.channels.changes {
                state.changes = Standing::Refused(error.clone());
                state.tell_all(|| Change::Gap(error.clone()));
            } else if let Some(channel) = state.channels.get_mut(name) {
                channel.refuse(error.clone());
                let pairs: Vec<_> = channel.pairs().collect();
                for (key, lock) in pairs {
                    state.end(&key, &lock, error);
                }
            }
        }
    }

    /// This pair is not for this server to look at, or not yet: once more, if anybody still watches it.
    pub(crate) fn not_here(&self, pair: Pair) {
        let mut state = self.lock();
        let channel = state.channels.get(&self.channels.key(&pair.0));
        if channel.is_some_and(|channel| channel.pairs().any(|it| it == pair)) {
            state.again.push(pair);
        }
    }

    /// A look at this pair has failed.
    pub(crate) fn look_failed(&self, (key, lock): Pair, error: &StoreError) {
        let mut state = self.lock();
        if matches!(error, StoreError::Unavailable(_)) {
            // Again, when the connection is back, or the server ready, if anybody still watches.
            state.trouble = Some(error.clone());
            let mut is_watched = false;
            for (name, _) in self.places(&key, &lock) {
                if let Some(channel) = state.channels.get_mut(&name) {
                    is_watched |= channel.look_failed(&key, &lock);
                }
            }
            if is_watched {
                state.again.push((key, lock));
            }
        } else {
            state.end(&key, &lock, error);
        }
    }

    /// What is told on these channels may have been changed by a call that is answered now: some servers tell of
    /// it only after the answer, and whoever watches then is not to be told how things stood before.
    pub(crate) fn unknown(&self, channels: &[Arc<str>]) {
        if channels.is_empty() {
            return;
        }
        let mut state = self.lock();
        for name in channels {
            if let Some(channel) = state.channels.get_mut(name) {
                channel.unknown();
            }
        }
    }

    /// The key may have been elsewhere, and what was told there been lost on the way: whoever watches from now on
    /// is to be told how things stand by a look.
    pub(crate) fn all_unknown(&self) {
        self.lock().channels.values_mut().for_each(Channel::unknown);
    }

    /// A question has been answered like this.
    pub(crate) fn learn(&self, Ticket(places): Ticket, key: Option<KeyState>, lock: &LockAt) {
        let mut state = self.lock();
        state.trouble = None;
        for (name, part, epoch, pushes) in places {
            let Some(channel) = state.channels.get_mut(&name) else {
                continue;
            };
            if !channel.is_standing() {
                continue;
            }
            let mark = (epoch, pushes);
            match part {
                Part::Key => key.iter().for_each(|key| channel.learn_key(key, mark)),
                Part::Lock => channel.learn_lock(lock, mark),
            }
        }
    }

    /// The server has pushed something over this connection.
    pub(crate) fn pushed(&self, connection: u64, push: Push) {
        let mut state = self.lock();
        if state.connection != Some(connection) {
            return;
        }
        match push {
            Push::Lost => {}
            Push::Stands(name) if name == self.channels.changes => {
                state.changes = Standing::Stands;
                state.tell_all(|| Change::Connected);
            }
            Push::Stands(name) => {
                if let Some(channel) = state.channels.get_mut(&*name) {
                    channel.stands();
                }
            }
            Push::Told(name, bytes) if name == self.channels.changes => {
                if let Some((revision, key)) = change(&bytes) {
                    let key: Arc<str> = key.into();
                    state.tell_all(|| Change::Moved {
                        key: Arc::clone(&key),
                        revision,
                    });
                }
            }
            Push::Told(name, bytes) => {
                let (Some(channel), Some(told)) = (state.channels.get_mut(&*name), Told::of(bytes))
                else {
                    return;
                };
                // Of an earlier subscription, which was given back: what comes between it and this one
                // is not told, so a look has to tell how things stand.
                if !channel.is_standing() {
                    return;
                }
                // Only in a cluster does another server pass on what it has told.
                let in_order = self.turns.get().is_none();
                let mut looks = Vec::new();
                match told.key {
                    Some(ToldKey::State(key)) => channel.told_key(&key, in_order),
                    Some(ToldKey::Moved(revision)) => looks = channel.moved(revision, in_order),
                    None => {}
                }
                if let Some(lock) = told.lock {
                    channel.told_lock(&lock, in_order);
                }
                if !looks.is_empty() {
                    state.looks.extend(looks);
                    drop(state);
                    (self.bell)();
                }
            }
        }
    }
}

impl State {
    fn channel(&mut self, name: Arc<str>) -> &mut Channel {
        self.channels.entry(name).or_insert_with_key(|name| {
            self.unasked.push(Arc::clone(name));
            Channel::new()
        })
    }

    fn ticket(&mut self, places: [(Arc<str>, Part); 2]) -> Ticket {
        Ticket(places.map(|(name, part)| {
            let channel = self.channel(Arc::clone(&name));
            channel.touch();
            let (epoch, pushes) = channel.mark(part);
            (name, part, epoch, pushes)
        }))
    }

    fn take_looks(&mut self) -> Vec<Pair> {
        let mut looks = std::mem::take(&mut self.looks);
        looks.sort_unstable();
        looks.dedup();
        looks
    }

    fn look_at_all(&mut self) {
        self.again.clear();
        self.looks = self.channels.values().flat_map(Channel::pairs).collect();
    }

    /// Ends the watches of this pair.
    fn end(&mut self, key: &str, lock: &str, error: &StoreError) {
        self.looks.retain(|it| *it.0 != *key || *it.1 != *lock);
        self.end_those(|it| it.is_of(key, lock), || error.clone());
    }

    /// Ends the watches of which this is so, for the key or for the lock.
    fn end_those(&mut self, is_over: impl Fn(&Hearer) -> bool, error: impl FnOnce() -> StoreError) {
        let name = |slot: &Arc<Slot<dyn Watcher>>| Arc::as_ptr(slot).cast::<()>();
        let channels = self.channels.values();
        let slots = channels.flat_map(|channel| channel.those(&is_over));
        // A watch is in the channels of its key and of its lock, and is told once.
        let ended: HashMap<_, _> = slots.map(|slot| (name(&slot), slot)).collect();
        if ended.is_empty() {
            return;
        }
        for channel in self.channels.values_mut() {
            channel.drop_hearers(|slot| ended.contains_key(&name(slot)));
        }
        let error = error();
        for watcher in ended.values().filter_map(|slot| slot.get()) {
            watcher.notify(WatchEvent::Ended(error.clone()));
        }
    }

    fn tell_all(&self, change: impl Fn() -> Change) {
        for slot in &self.listeners {
            tell(slot, change());
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn tell(slot: &Slot<dyn ChangeListener>, change: Change) {
    if let Some(listener) = slot.get() {
        listener.notify(change);
    }
}
