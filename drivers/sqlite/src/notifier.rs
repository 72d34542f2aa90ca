//! The thread that reads what has changed and tells whoever wants to know.
//!
//! ```text
//!        ┌──────────────▶ sleep ── somebody rings the bell, a subscription, the backstop ────┐
//!        │                                                                                   │
//!   tell them ◀── what changed above the cursor, and the snapshots of who is new ◀── one read┘
//! ```
//!
//! Every change has drawn a number from the one counter, and the tables are indexed by it; so "what
//! has changed above my cursor" costs as much as there are changes, however much the store holds.
//! Snapshots and changes are read at one moment, up to which the cursor then moves: nothing falls
//! between the two. How a subscriber is told never holds up the file: the read is over by then.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use oneflight_store::{Change, StoreError, WatchEvent};
use rusqlite::Connection;

use crate::ear::Ear;
use crate::fault::Fault;
use crate::hub::{Hub, Order, Subscriber, Wants};
use crate::meta::Meta;
use crate::open::connect_reader;
use crate::rows::{self, key_state, lock_state};
use crate::step::{View, in_transaction};

/// How long to wait after a failure before trying again.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

pub(crate) struct Notifier {
    hub: Arc<Hub>,
    ear: Arc<Ear>,
    /// Its own connection; none at first, and after a failure.
    conn: Option<Connection>,
    /// SQLite's mark of what this connection has last seen, to tell cheaply that nothing changed.
    data_version: i64,
    /// Everything up to this number has been told.
    cursor: i64,
    /// Those who have come and were told nothing yet.
    arrived: VecDeque<Arc<Subscriber>>,
    watchers: Watchers,
    listeners: HashMap<u64, Listener>,
    /// What to say next.
    tellings: Vec<Telling>,
}

struct Listener {
    subscriber: Arc<Subscriber>,
    /// Whether it was told that it hears everything.
    connected: bool,
}

/// One thing to tell one subscriber.
enum Telling {
    Event(Arc<Subscriber>, WatchEvent),
    Change(Arc<Subscriber>, Change),
    /// The watch cannot go on, for this reason.
    Ended(Arc<Subscriber>, StoreError),
}

/// Something that has changed.
enum Changed {
    Key(Vec<u8>),
    Lock(Vec<u8>),
}

impl Notifier {
    pub(crate) fn new(hub: Arc<Hub>, ear: Arc<Ear>) -> Self {
        Self {
            hub,
            ear,
            conn: None,
            data_version: 0,
            cursor: 0,
            arrived: VecDeque::new(),
            watchers: Watchers::default(),
            listeners: HashMap::new(),
            tellings: Vec::new(),
        }
    }

    pub(crate) fn run(mut self) {
        let mut woken = true;
        loop {
            match self.hub.order() {
                Order::GoOn { arrived, departed } => {
                    self.arrived.extend(arrived);
                    for id in departed {
                        self.watchers.remove(id);
                        self.listeners.remove(&id);
                    }
                }
                Order::End { arrived } => {
                    self.arrived.extend(arrived);
                    return self.end();
                }
            }
            let looked = self.look(woken);
            // What was read before a failure was true, and is told before it.
            self.tell();
            let pause = match looked {
                Ok(()) => self.ear.interval(),
                Err(fault) => {
                    let error = fault.of(&self.hub.place, "");
                    self.fail(&error);
                    AFTER_FAILURE
                }
            };
            woken = self.ear.wait(pause);
        }
    }

    /// Reads what there is to tell.
    fn look(&mut self, woken: bool) -> Result<(), Fault> {
        self.hub.place.check()?;
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => {
                let conn = connect_reader(&self.hub.place)?;
                // Whatever came before this, nobody has been promised to hear of.
                self.cursor = Meta::read(&conn)?.seq;
                conn
            }
        };
        let data_version: i64 = conn
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get(0))?;
        let waiting = self.listeners.values().any(|listener| !listener.connected);
        if woken || waiting || !self.arrived.is_empty() || data_version != self.data_version {
            in_transaction(&conn, "BEGIN", |conn| self.read(conn))?;
        }
        self.data_version = data_version;
        self.conn = Some(conn);
        Ok(())
    }

    /// Reads changes and snapshots, all as they are at one moment.
    fn read(&mut self, conn: &Connection) -> Result<(), Fault> {
        let meta = Meta::read(conn)?;
        let hub = Arc::clone(&self.hub);
        let view = View::new(conn, hub.boot, &*hub.clock);
        if meta.seq > self.cursor {
            for (revision, changed) in self.changes(&view)? {
                match changed {
                    Changed::Key(key) => self.key_changed(&view, key, revision)?,
                    Changed::Lock(lock) => self.lock_changed(&view, lock)?,
                }
            }
        }
        self.cursor = meta.seq;
        for listener in self.listeners.values_mut() {
            if !listener.connected {
                listener.connected = true;
                let subscriber = Arc::clone(&listener.subscriber);
                self.tellings
                    .push(Telling::Change(subscriber, Change::Connected));
            }
        }
        while let Some(subscriber) = self.arrived.front().cloned() {
            match &subscriber.wants {
                Wants::Watch { key, lock, .. } => {
                    self.begin_watch(&view, &subscriber, key, lock)?
                }
                Wants::Changes(_) => {
                    self.listen(&subscriber, true);
                    self.tellings
                        .push(Telling::Change(subscriber, Change::Connected));
                }
            }
            self.arrived.pop_front();
        }
        Ok(())
    }

    fn begin_watch(
        &mut self,
        view: &View<'_>,
        subscriber: &Arc<Subscriber>,
        key: &Arc<str>,
        lock: &Arc<str>,
    ) -> Result<(), Fault> {
        let snapshot = key_state(view, key).and_then(|state| Ok((state, lock_state(view, lock)?)));
        match snapshot {
            Ok((state, lock)) => {
                for event in [WatchEvent::Key(state), WatchEvent::Lock(lock)] {
                    self.tellings
                        .push(Telling::Event(Arc::clone(subscriber), event));
                }
                self.watchers.add(subscriber);
                Ok(())
            }
            Err(fault) => self.give_up(vec![Arc::clone(subscriber)], key, fault),
        }
    }

    /// What has changed above the cursor, in order; a key before the lock that went with it.
    fn changes(&self, view: &View<'_>) -> Result<Vec<(i64, Changed)>, Fault> {
        let mut changes = view.rows(
            "SELECT revision, key FROM entries WHERE revision > ?1 ORDER BY revision",
            [self.cursor],
            |row| Ok((row.get(0)?, Changed::Key(row.get(1)?))),
        )?;
        if !self.watchers.is_empty() {
            changes.extend(view.rows(
                "SELECT seq, lock FROM locks WHERE seq > ?1 ORDER BY seq",
                [self.cursor],
                |row| Ok((row.get(0)?, Changed::Lock(row.get(1)?))),
            )?);
            // Stable, so that the keys stay before the locks.
            changes.sort_by_key(|(seq, _)| *seq);
        }
        Ok(changes)
    }

    fn key_changed(&mut self, view: &View<'_>, key: Vec<u8>, revision: i64) -> Result<(), Fault> {
        let moved = match rows::key(key) {
            Ok(key) => {
                self.tell_watchers(view, &key)?;
                vec![Change::Moved {
                    key,
                    revision: rows::revision(revision),
                }]
            }
            // Nobody can watch a key that is no string, but a listener is told of all keys.
            Err(fault) => vec![
                Change::Gap(fault.of(&self.hub.place, "")),
                Change::Connected,
            ],
        };
        for listener in self.listeners.values().filter(|one| one.connected) {
            for change in &moved {
                let subscriber = Arc::clone(&listener.subscriber);
                self.tellings
                    .push(Telling::Change(subscriber, change.clone()));
            }
        }
        Ok(())
    }

    fn tell_watchers(&mut self, view: &View<'_>, key: &Arc<str>) -> Result<(), Fault> {
        let watching = self.watchers.of_key(key);
        if watching.is_empty() {
            return Ok(());
        }
        match key_state(view, key) {
            Ok(state) => self.tellings.extend(
                watching
                    .into_iter()
                    .map(|one| Telling::Event(one, WatchEvent::Key(state.clone()))),
            ),
            Err(fault) => self.give_up(watching, key, fault)?,
        }
        Ok(())
    }

    fn lock_changed(&mut self, view: &View<'_>, lock: Vec<u8>) -> Result<(), Fault> {
        let Ok(lock) = rows::key(lock) else {
            return Ok(()); // Nobody can watch a lock that is no string.
        };
        let watching = self.watchers.of_lock(&lock);
        if watching.is_empty() {
            return Ok(());
        }
        match lock_state(view, &lock) {
            Ok(state) => self.tellings.extend(
                watching
                    .into_iter()
                    .map(|one| Telling::Event(one, WatchEvent::Lock(state.clone()))),
            ),
            Err(fault) => self.give_up(watching, &lock, fault)?,
        }
        Ok(())
    }

    /// Ends the watches of a row that cannot be read; if it is not the row, all of them end.
    fn give_up(
        &mut self,
        watching: Vec<Arc<Subscriber>>,
        key: &str,
        fault: Fault,
    ) -> Result<(), Fault> {
        let fault = rows::of_row(fault)?;
        let error = fault.of(&self.hub.place, key);
        for one in watching {
            self.watchers.remove(one.id);
            self.tellings.push(Telling::Ended(one, error.clone()));
        }
        Ok(())
    }

    fn listen(&mut self, subscriber: &Arc<Subscriber>, connected: bool) {
        let listener = Listener {
            subscriber: Arc::clone(subscriber),
            connected,
        };
        self.listeners.insert(subscriber.id, listener);
    }

    fn tell(&mut self) {
        for telling in self.tellings.drain(..) {
            match telling {
                Telling::Event(one, event) => one.tell_event(event),
                Telling::Change(one, change) => one.tell_change(change),
                Telling::Ended(one, error) => one.tell_error(&error),
            }
        }
    }

    /// Nothing can be read: all watches end, all listeners hear of a gap, and the next round tries
    /// with a new connection.
    fn fail(&mut self, error: &StoreError) {
        self.conn = None;
        for subscriber in self.watchers.take() {
            subscriber.tell_error(error);
        }
        for listener in self.listeners.values_mut().filter(|one| one.connected) {
            listener.connected = false;
            listener.subscriber.tell_error(error);
        }
        for subscriber in std::mem::take(&mut self.arrived) {
            subscriber.tell_error(error);
            if matches!(subscriber.wants, Wants::Changes(_)) {
                self.listen(&subscriber, false);
            }
        }
    }

    /// Nobody is left to be told, or nothing to be read from.
    fn end(self) {
        let error =
            StoreError::unavailable(format_args!("{}: the store was closed", self.hub.place));
        let watching = self.watchers.by_id.into_values();
        let listening = self.listeners.into_values().map(|one| one.subscriber);
        for subscriber in watching.chain(listening).chain(self.arrived) {
            subscriber.tell_error(&error);
        }
    }
}

/// The watches, by what they watch.
#[derive(Default)]
struct Watchers {
    by_id: HashMap<u64, Arc<Subscriber>>,
    by_key: HashMap<Arc<str>, Vec<u64>>,
    by_lock: HashMap<Arc<str>, Vec<u64>>,
}

impl Watchers {
    fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    fn add(&mut self, subscriber: &Arc<Subscriber>) {
        let Wants::Watch { key, lock, .. } = &subscriber.wants else {
            return;
        };
        let id = subscriber.id;
        self.by_id.insert(id, Arc::clone(subscriber));
        self.by_key.entry(Arc::clone(key)).or_default().push(id);
        self.by_lock.entry(Arc::clone(lock)).or_default().push(id);
    }

    fn remove(&mut self, id: u64) {
        let Some(subscriber) = self.by_id.remove(&id) else {
            return;
        };
        if let Wants::Watch { key, lock, .. } = &subscriber.wants {
            forget(&mut self.by_key, key, id);
            forget(&mut self.by_lock, lock, id);
        }
    }

    fn take(&mut self) -> Vec<Arc<Subscriber>> {
        std::mem::take(self).by_id.into_values().collect()
    }

    fn of_key(&self, key: &str) -> Vec<Arc<Subscriber>> {
        self.named(self.by_key.get(key))
    }

    fn of_lock(&self, lock: &str) -> Vec<Arc<Subscriber>> {
        self.named(self.by_lock.get(lock))
    }

    fn named(&self, ids: Option<&Vec<u64>>) -> Vec<Arc<Subscriber>> {
        let ids = ids.into_iter().flatten();
        ids.filter_map(|id| self.by_id.get(id).cloned()).collect()
    }
}

fn forget(index: &mut HashMap<Arc<str>, Vec<u64>>, name: &str, id: u64) {
    if let Some(ids) = index.get_mut(name) {
        ids.retain(|other| *other != id);
        if ids.is_empty() {
            index.remove(name);
        }
    }
}
