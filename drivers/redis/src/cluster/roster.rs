//! The servers of a cluster that are in use, and who listens to which of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use oneflight_store::{ChangeListener, StoreError, Subscription, Watcher};

use super::relay::Relay;
use super::stream::Stream;
use super::{Address, Map};
use crate::times::SHORTEST_OUTAGE;

/// One server, and the connection to it.
pub(crate) trait Member: Send + Sync + 'static {
    fn watch(&self, key: Arc<str>, lock: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription;

    fn listen(&self, listener: Arc<dyn ChangeListener>) -> Subscription;

    /// Keys have come or gone, perhaps to and fro: what is known of them may be out of date.
    fn unsure(&self);
}

type Open<M> = dyn Fn(&Address) -> Arc<M> + Send + Sync;

/// A watch is at the server that keeps its key, and moves with the key; a stream of changes is at all
/// primaries.
pub(crate) struct Roster<M> {
    /// Prepares to connect to the server there.
    open: Box<Open<M>>,
    state: Mutex<State<M>>,
    /// Dropped subscriptions, to be cleared under the lock.
    closed: Mutex<Vec<u64>>,
}

struct State<M> {
    map: Option<Map>,
    members: HashMap<Address, Arc<M>>,
    watches: HashMap<u64, Watch>,
    streams: HashMap<u64, Listening>,
    last: u64,
}

struct Watch {
    key: Arc<str>,
    lock: Arc<str>,
    slot: u16,
    relay: Arc<Relay>,
    /// At whom it is, unless nobody is known to keep the slot.
    at: Option<(Address, Subscription)>,
    since: Instant,
}

struct Listening {
    stream: Arc<Stream>,
    at: HashMap<Address, (u64, Subscription)>,
}

impl<M: Member> Roster<M> {
    pub(crate) fn new(open: impl Fn(&Address) -> Arc<M> + Send + Sync + 'static) -> Self {
        Self {
            open: Box::new(open),
            state: Mutex::new(State {
                map: None,
                members: HashMap::new(),
                watches: HashMap::new(),
                streams: HashMap::new(),
                last: 0,
            }),
            closed: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<M>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.tidy(&mut state);
        state
    }

    fn closed(&self) -> MutexGuard<'_, Vec<u64>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tidy(&self, state: &mut State<M>) {
        let closed = std::mem::take(&mut *self.closed());
        for number in closed {
            state.watches.remove(&number);
            state.streams.remove(&number);
        }
    }

    fn subscription(
        self: &Arc<Self>,
        number: u64,
        close: impl FnOnce() + Send + Sync + 'static,
    ) -> Subscription {
        let roster = Arc::downgrade(self);
        Subscription::new(move || {
            close();
            let Some(roster) = roster.upgrade() else {
                return;
            };
            roster.closed().push(number);
            // Waiting for the lock here would deadlock a watcher that drops a subscription.
            match roster.state.try_lock() {
                Ok(mut state) => roster.tidy(&mut state),
                Err(TryLockError::Poisoned(poisoned)) => roster.tidy(&mut poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => {} // The next call does it.
            }
        })
    }

    pub(crate) fn watch(
        self: &Arc<Self>,
        slot: u16,
        key: Arc<str>,
        lock: Arc<str>,
        watcher: Arc<dyn Watcher>,
    ) -> Subscription {
        let relay = Relay::new(watcher);
        let mut state = self.lock();
        state.last += 1;
        let number = state.last;
        let mut watch = Watch {
            key,
            lock,
            slot,
            relay: Arc::clone(&relay),
            at: None,
            since: Instant::now(),
        };
        if let Some(map) = &state.map
            && let Some(owner) = map.owner(slot).cloned()
        {
            let member = self.member(&mut state, &owner);
            watch.go(owner, &*member);
        }
        state.watches.insert(number, watch);
        drop(state);
        self.subscription(number, move || relay.close())
    }

    pub(crate) fn listen(self: &Arc<Self>, listener: Arc<dyn ChangeListener>) -> Subscription {
        let stream = Stream::new(listener);
        let mut state = self.lock();
        state.last += 1;
        let number = state.last;
        let listening = Listening {
            stream: Arc::clone(&stream),
            at: HashMap::new(),
        };
        state.streams.insert(number, listening);
        self.listen_to_primaries(&mut state);
        drop(state);
        self.subscription(number, move || stream.close())
    }

    /// Whether anybody is to be told of anything.
    pub(crate) fn has_subscribers(&self) -> bool {
        let state = self.lock();
        let mut watches = state.watches.values();
        watches.any(|watch| !watch.relay.is_over()) || !state.streams.is_empty()
    }

    pub(crate) fn has_map(&self) -> bool {
        self.lock().map.is_some()
    }

    /// Who keeps the slot; `None` if nobody is known to.
    pub(crate) fn owner(&self, slot: u16) -> Option<(Address, Arc<M>)> {
        let mut state = self.lock();
        let owner = state.map.as_ref()?.owner(slot)?.clone();
        let member = self.member(&mut state, &owner);
        Some((owner, member))
    }

    /// All who keep any slot.
    pub(crate) fn primaries(&self) -> Vec<Arc<M>> {
        let mut state = self.lock();
        let primaries = state.primaries();
        let members = primaries.iter().map(|at| self.member(&mut state, at));
        members.collect()
    }

    /// All who are in use.
    pub(crate) fn members(&self) -> Vec<(Address, Arc<M>)> {
        let state = self.lock();
        let members = state.members.iter();
        members
            .map(|(at, member)| (at.clone(), Arc::clone(member)))
            .collect()
    }

    /// All whose address is known, in use or not.
    pub(crate) fn known(&self) -> Vec<Address> {
        let state = self.lock();
        state.map.iter().flat_map(Map::known).cloned().collect()
    }

    /// The server there, to be asked once: it is in use if it is learned from.
    pub(crate) fn stranger(&self, at: &Address) -> Arc<M> {
        (self.open)(at)
    }

    /// This is how things stand, as this server has told.
    pub(crate) fn learn(&self, map: Map, told_by: (Address, Arc<M>)) {
        let mut state = self.lock();
        let (at, member) = told_by;
        state.members.entry(at).or_insert(member);
        if state.map.as_ref() != Some(&map) {
            state.map = Some(map);
            state.unsure();
        }
        self.settle(&mut state);
    }

    /// A server has told that this slot is there by now.
    pub(crate) fn moved(&self, slot: u16, to: Address) {
        let mut state = self.lock();
        // When a slot moves, all calls that are under way are sent on: the first of them is enough.
        let map = state.map.as_mut();
        if map.is_some_and(|map| map.moved(slot, to)) {
            state.unsure();
            self.settle(&mut state);
        }
    }

    /// Whether there is a watch that no server is known for.
    pub(crate) fn has_lost(&self) -> bool {
        let state = self.lock();
        state.watches.values().any(Watch::is_lost)
    }

    /// Of the least patient who has a watch that no server is known for.
    pub(crate) fn patience(&self) -> Duration {
        let state = self.lock();
        let lost = state.watches.values().filter(|watch| watch.is_lost());
        let patience = lost.map(Watch::patience).min();
        patience.unwrap_or(Duration::MAX)
    }

    /// Nobody is known to keep their slots: those whose patience is over by now are told so, and all of
    /// them if it is no use to wait.
    pub(crate) fn out_of_reach(&self, now: Instant, error: &StoreError) {
        let state = self.lock();
        for watch in state.watches.values().filter(|watch| watch.is_lost()) {
            let outage = now.saturating_duration_since(watch.since);
            if matches!(error, StoreError::Refused(_)) || watch.patience() <= outage {
                watch.relay.end(error.clone());
            }
        }
    }

    /// Nothing will be heard any more: all who listen are told so.
    pub(crate) fn ended(&self, error: &StoreError) {
        let state = self.lock();
        let watches = state.watches.values();
        for watch in watches.filter(|watch| !watch.relay.is_over()) {
            watch.relay.end(error.clone());
        }
        for Listening { stream, .. } in state.streams.values() {
            stream.end(error.clone());
        }
    }

    fn member(&self, state: &mut State<M>, at: &Address) -> Arc<M> {
        if let Some(member) = state.members.get(at) {
            return Arc::clone(member);
        }
        let member = (self.open)(at);
        state.members.insert(at.clone(), Arc::clone(&member));
        member
    }

    /// Has everybody listen where they should by now, and lets go of servers that nobody needs.
    fn settle(&self, state: &mut State<M>) {
        let mut watches = std::mem::take(&mut state.watches);
        for watch in watches.values_mut() {
            let owner = state.map.as_ref().and_then(|map| map.owner(watch.slot));
            // Where nobody keeps the slot, the last one who did may be back.
            if let Some(owner) = owner.cloned()
                && !watch.is_at(&owner)
                && !watch.relay.is_over()
            {
                let member = self.member(state, &owner);
                watch.go(owner, &*member);
            }
        }
        state.watches = watches;
        self.listen_to_primaries(state);
        let primaries = state.primaries();
        let State {
            members, watches, ..
        } = state;
        members.retain(|at, _| {
            primaries.contains(at) || watches.values().any(|watch| watch.is_at(at))
        });
    }

    fn listen_to_primaries(&self, state: &mut State<M>) {
        let primaries = state.primaries();
        let mut streams = std::mem::take(&mut state.streams);
        for Listening { stream, at } in streams.values_mut() {
            let gone: Vec<_> = at.extract_if(|at, _| !primaries.contains(at)).collect();
            let numbers: Vec<u64> = gone.iter().map(|(_, (number, _))| *number).collect();
            let new = primaries
                .iter()
                .filter(|primary| !at.contains_key(*primary));
            let new: Vec<Address> = new.cloned().collect();
            if numbers.is_empty() && new.is_empty() {
                continue;
            }
            let legs = stream.change(&numbers, new.len());
            drop(gone);
            for (address, (number, leg)) in new.into_iter().zip(legs) {
                let subscription = self.member(state, &address).listen(leg);
                at.insert(address, (number, subscription));
            }
        }
        state.streams = streams;
    }
}

impl<M: Member> State<M> {
    fn unsure(&self) {
        for member in self.members.values() {
            member.unsure();
        }
    }

    fn primaries(&self) -> Vec<Address> {
        let primaries = self.map.iter().flat_map(Map::primaries);
        primaries.cloned().collect()
    }
}

impl Watch {
    fn is_lost(&self) -> bool {
        self.at.is_none() && !self.relay.is_over()
    }

    /// What is shorter is no outage: it may be the way to the servers that takes so long.
    fn patience(&self) -> Duration {
        self.relay.patience().max(SHORTEST_OUTAGE)
    }

    fn is_at(&self, address: &Address) -> bool {
        self.at.as_ref().is_some_and(|(at, _)| at == address)
    }

    /// Begins anew there, with a snapshot.
    fn go(&mut self, address: Address, member: &impl Member) {
        // First the old one falls silent.
        let leg = self.relay.next_leg();
        self.at = None;
        let watch = member.watch(Arc::clone(&self.key), Arc::clone(&self.lock), leg);
        self.at = Some((address, watch));
    }
}

#[cfg(test)]
mod tests {
    use super::super::map::tests::{at, named, range};
    use super::*;
    use oneflight_store::{Change, WatchEvent};
    use redis::Value;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A server, and those who listen to it.
    #[derive(Default)]
    struct Fake {
        watchers: Mutex<Vec<Arc<dyn Watcher>>>,
        listeners: Mutex<Vec<Arc<dyn ChangeListener>>>,
        unsure: AtomicU64,
    }

    impl Member for Fake {
        fn watch(&self, _: Arc<str>, _: Arc<str>, watcher: Arc<dyn Watcher>) -> Subscription {
            self.watchers.lock().unwrap().push(watcher);
            Subscription::new(|| ())
        }

        fn listen(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
            listener.notify(Change::Connected);
            self.listeners.lock().unwrap().push(listener);
            Subscription::new(|| ())
        }

        fn unsure(&self) {
            self.unsure.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Fake {
        fn tell(&self) {
            for watcher in &*self.watchers.lock().unwrap() {
                watcher.notify(WatchEvent::Ended(StoreError::unavailable("told")));
            }
        }
    }

    fn map(owners: &[&str]) -> Map {
        let count = i64::try_from(owners.len()).unwrap();
        let width = 16384 / count;
        let ranges = owners.iter().zip(0..).map(|(owner, number)| {
            range(
                number * width,
                number * width + width - 1,
                vec![named(owner, 1)],
            )
        });
        Map::of(Value::Array(ranges.collect()), "").unwrap()
    }

    fn roster() -> Arc<Roster<Fake>> {
        Arc::new(Roster::new(|_| Arc::default()))
    }

    fn learn(roster: &Roster<Fake>, owners: &[&str]) {
        roster.learn(map(owners), (at("seed", 1), Arc::default()));
    }

    type Heard<E> = Arc<Mutex<Vec<E>>>;

    fn heard<E: Send + 'static>() -> (Heard<E>, Arc<impl Fn(E) + Send + Sync>) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&heard);
        (
            heard,
            Arc::new(move |event| told.lock().unwrap().push(event)),
        )
    }

    #[test]
    fn a_watch_is_where_its_slot_is() {
        let roster = roster();
        let (events, watcher) = heard::<WatchEvent>();
        let watch = roster.watch(3, "key".into(), "lock".into(), watcher);
        assert!(roster.has_subscribers() && roster.owner(3).is_none());
        learn(&roster, &["a", "b"]);
        let (_, a) = roster.owner(3).unwrap();
        assert_eq!(a.watchers.lock().unwrap().len(), 1);
        // The same again changes nothing.
        learn(&roster, &["a", "b"]);
        assert_eq!(a.watchers.lock().unwrap().len(), 1);

        roster.moved(3, at("b", 1));
        let (owner, b) = roster.owner(3).unwrap();
        assert_eq!(owner, at("b", 1));
        a.tell();
        assert_eq!(events.lock().unwrap().len(), 0);
        b.tell();
        assert_eq!(events.lock().unwrap().len(), 1);
        // It has ended, and does not begin again.
        roster.moved(3, at("a", 1));
        assert_eq!(a.watchers.lock().unwrap().len(), 1);
        assert!(!roster.has_subscribers());
        drop(watch);
        assert!(roster.lock().watches.is_empty());
    }

    #[test]
    fn what_is_known_is_in_doubt_once_slots_move() {
        let roster = roster();
        learn(&roster, &["a", "b"]);
        let (_, a) = roster.owner(3).unwrap();
        let unsure = || a.unsure.load(Ordering::SeqCst);
        learn(&roster, &["a", "b"]);
        assert_eq!(unsure(), 0);
        roster.moved(3, at("b", 1));
        assert_eq!(unsure(), 1);
        // Who is sent on as others were learns nothing new.
        roster.moved(3, at("b", 1));
        assert_eq!(unsure(), 1);
        learn(&roster, &["a", "b"]);
        assert_eq!(unsure(), 2);
    }

    #[test]
    fn servers_that_nobody_needs_are_let_go() {
        let roster = roster();
        learn(&roster, &["a", "b"]);
        assert_eq!(roster.primaries().len(), 2);
        learn(&roster, &["a"]);
        let members: Vec<_> = roster.members().into_iter().map(|(at, _)| at).collect();
        assert_eq!(members, [at("a", 1)]);
    }

    #[test]
    fn who_is_heard_by_nobody_is_told_so_when_the_patience_is_over() {
        let roster = roster();
        let (events, watcher) = heard::<WatchEvent>();
        let _watch = roster.watch(3, "key".into(), "lock".into(), watcher);
        let error = StoreError::unavailable("gone");
        let after = |seconds| Instant::now() + Duration::from_secs(seconds);
        assert!(roster.has_lost());
        roster.out_of_reach(after(1), &error);
        assert!(events.lock().unwrap().is_empty());
        roster.out_of_reach(after(10), &error);
        roster.out_of_reach(after(10), &error);
        assert!(!roster.has_lost());
        assert_eq!(*events.lock().unwrap(), [WatchEvent::Ended(error)]);
    }

    #[test]
    fn all_who_listen_are_told_of_the_end() {
        let roster = roster();
        let (events, watcher) = heard::<WatchEvent>();
        let (changes, listener) = heard::<Change>();
        let _stream = roster.listen(listener);
        learn(&roster, &["a"]);
        let watcher: Arc<dyn Watcher> = watcher;
        let watch = |slot| roster.watch(slot, "key".into(), "lock".into(), Arc::clone(&watcher));
        let _watches = [1, 2].map(watch);
        changes.lock().unwrap().clear();
        let error = StoreError::unavailable("closed");
        for _ in 0..2 {
            roster.ended(&error);
        }
        let ended = WatchEvent::Ended(error.clone());
        assert_eq!(*events.lock().unwrap(), [ended.clone(), ended]);
        assert_eq!(*changes.lock().unwrap(), [Change::Gap(error)]);
    }

    #[test]
    fn changes_are_heard_from_all_primaries() {
        let roster = roster();
        let (changes, listener) = heard::<Change>();
        let _stream = roster.listen(listener);
        let took = || std::mem::take(&mut *changes.lock().unwrap());
        learn(&roster, &["a", "b"]);
        assert_eq!(took(), [Change::Connected]);
        learn(&roster, &["b", "a"]);
        assert_eq!(took(), []);
        learn(&roster, &["a", "c"]);
        let changes = took();
        let is_gap = |change: &Change| matches!(change, Change::Gap(_));
        assert!(changes.first().is_some_and(is_gap), "{changes:?}");
        assert_eq!(changes.last(), Some(&Change::Connected));
    }
}
