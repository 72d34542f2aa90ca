//! Those who watch.

use std::collections::HashMap;
use std::sync::Arc;

use oneflight_store::{
    Change, ChangeListener, KeyState, LockState, StoreError, WatchEvent, Watcher,
};

use crate::clock::Moment;
use crate::mirror::What;
use crate::path::Path;
use crate::session::{News, Session};

/// Who is told what.
#[derive(Default)]
pub(crate) struct Audience {
    last: u64,
    watches: HashMap<u64, Watch>,
    /// Whose key or lock a path is.
    by_path: HashMap<Path, Vec<u64>>,
    listeners: HashMap<u64, Listener>,
}

struct Watch {
    key: Path,
    lock: Path,
    watcher: Arc<dyn Watcher>,
    /// It has been told how things stand.
    begun: bool,
}

struct Listener {
    listener: Arc<dyn ChangeListener>,
    /// It knows that the stream is up.
    connected: bool,
    /// It knows that the stream is not.
    gap: bool,
}

/// How a key stands.
pub(crate) fn key_state(
    session: &Session,
    now: Moment,
    key: &Path,
) -> Result<KeyState, StoreError> {
    let mirror = &session.mirror;
    let malformed = |reason: &str| {
        Err(StoreError::Malformed {
            key: Arc::clone(key.text()),
            reason: reason.into(),
        })
    };
    let revision = mirror.revision(key);
    let nothing = KeyState {
        revision,
        entry: None,
    };
    let Some(row) = mirror.row(key) else {
        return Ok(nothing);
    };
    match &row.what {
        What::Gone => Ok(nothing),
        What::Text(text) => Ok(KeyState {
            revision,
            entry: Some(row.entry(text, now)),
        }),
        What::Unkept => Err(StoreError::refused(format_args!(
            "the mirror of the Dust store has no room for key {:?}: raise `mirror_room`, or mirror \
             fewer prefixes",
            key.text()
        ))),
        What::Lease(_) => malformed("it is a lease"),
        What::Other(what) => malformed(&format!("it is {what}, and not JSON text")),
    }
}

/// How a lock stands.
pub(crate) fn lock_state(session: &Session, now: Moment, lock: &Path) -> LockState {
    match session.mirror.row(lock).map(|row| &row.what) {
        Some(What::Lease(lease)) => lease.state(&session.clock, now),
        Some(What::Gone | What::Text(_) | What::Unkept | What::Other(_)) | None => LockState::Free,
    }
}

impl Audience {
    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Somebody watches from now on.
    pub(crate) fn watch(
        &mut self,
        session: &Session,
        now: Moment,
        key: Path,
        lock: Path,
        watcher: Arc<dyn Watcher>,
    ) -> u64 {
        let number = self.number();
        let paths = [&key, &lock];
        let same = key == lock;
        for path in paths.into_iter().take(if same { 1 } else { 2 }) {
            self.by_path.entry(path.clone()).or_default().push(number);
        }
        self.watches.insert(
            number,
            Watch {
                key,
                lock,
                watcher,
                begun: false,
            },
        );
        if session.is_up() {
            self.begin(session, now, number);
        } else if let Some(why) = session.outage(now) {
            self.end(number, why);
        }
        number
    }

    /// Somebody listens from now on.
    pub(crate) fn listen(
        &mut self,
        session: &Session,
        now: Moment,
        listener: Arc<dyn ChangeListener>,
    ) -> u64 {
        let number = self.number();
        let connected = session.is_up();
        let mut gap = false;
        if connected {
            listener.notify(Change::Connected);
        } else if let Some(why) = session.outage(now) {
            listener.notify(Change::Gap(why));
            gap = true;
        }
        self.listeners.insert(
            number,
            Listener {
                listener,
                connected,
                gap,
            },
        );
        number
    }

    /// Somebody has left.
    pub(crate) fn leave(&mut self, number: u64) {
        self.listeners.remove(&number);
        if let Some(watch) = self.watches.remove(&number) {
            for path in [watch.key, watch.lock] {
                if let Some(numbers) = self.by_path.get_mut(&path) {
                    numbers.retain(|known| *known != number);
                    if numbers.is_empty() {
                        self.by_path.remove(&path);
                    }
                }
            }
        }
    }

    fn begin(&mut self, session: &Session, now: Moment, number: u64) {
        let Some(watch) = self.watches.get_mut(&number) else {
            return;
        };
        watch.begun = true;
        let event = match key_state(session, now, &watch.key) {
            Ok(state) => WatchEvent::Key(state),
            Err(why) => return self.end(number, why),
        };
        watch.watcher.notify(event);
        let lock = lock_state(session, now, &watch.lock);
        watch.watcher.notify(WatchEvent::Lock(lock));
    }

    fn end(&mut self, number: u64, why: StoreError) {
        if let Some(watch) = self.watches.get(&number) {
            let watcher = Arc::clone(&watch.watcher);
            self.leave(number);
            watcher.notify(WatchEvent::Ended(why));
        }
    }

    /// Tells all whom it concerns.
    pub(crate) fn tell(&mut self, session: &Session, now: Moment, news: Vec<News>) {
        for news in news {
            match news {
                News::Changed(changed) => {
                    self.moved(session, now, &changed.path);
                    if !changed.lease {
                        let revision = session.mirror.revision(&changed.path);
                        let key = Arc::clone(changed.path.text());
                        let change = Change::Moved { key, revision };
                        for listener in self
                            .listeners
                            .values()
                            .filter(|listener| listener.connected)
                        {
                            listener.listener.notify(change.clone());
                        }
                    }
                }
                News::Up => {
                    let waiting = self.watches.iter().filter(|(_, watch)| !watch.begun);
                    let waiting: Vec<u64> = waiting.map(|(number, _)| *number).collect();
                    for number in waiting {
                        self.begin(session, now, number);
                    }
                    for listener in self.listeners.values_mut() {
                        listener.connected = true;
                        listener.gap = false;
                        listener.listener.notify(Change::Connected);
                    }
                }
                News::Down(why) => {
                    let numbers: Vec<u64> = self.watches.keys().copied().collect();
                    for number in numbers {
                        self.end(number, why.clone());
                    }
                    for listener in self.listeners.values_mut() {
                        listener.connected = false;
                        if !std::mem::replace(&mut listener.gap, true) {
                            listener.listener.notify(Change::Gap(why.clone()));
                        }
                    }
                }
            }
        }
    }

    fn moved(&mut self, session: &Session, now: Moment, path: &Path) {
        let Some(numbers) = self.by_path.get(path).cloned() else {
            return;
        };
        for number in numbers {
            let Some(watch) = self.watches.get(&number).filter(|watch| watch.begun) else {
                continue;
            };
            if watch.lock == *path {
                let lock = lock_state(session, now, path);
                watch.watcher.notify(WatchEvent::Lock(lock));
            }
            if watch.key == *path {
                match key_state(session, now, path) {
                    Ok(state) => watch.watcher.notify(WatchEvent::Key(state)),
                    Err(why) => self.end(number, why),
                }
            }
        }
    }
}
