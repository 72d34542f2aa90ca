//! One channel: whether it is subscribed, what is known from it, and who hears it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oneflight_store::{KeyState, LockState, Revision, StoreError, WatchEvent, Watcher};

use super::Pair;
use crate::moment::{LockAt, Moment};
use crate::slot::Slot;
use crate::times::SHORTEST_OUTAGE;

/// Whether something is subscribed.
#[derive(Debug)]
pub(super) enum Standing {
    No,
    /// The request is on its way.
    Asked,
    Stands,
    /// Until the next connection.
    Refused(StoreError),
}

/// What of a channel somebody hears: a channel of a key tells of its default lock as well, which is
/// not for those who watch the key with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Key,
    Lock,
}

/// Somebody who hears one part.
pub(super) struct Hearer {
    slot: Arc<Slot<dyn Watcher>>,
    part: Part,
    pair: Pair,
    patience: Duration,
    /// Has been told how things stand, since the channel is subscribed.
    told: bool,
    /// Since when that could not be found out, if that is so.
    failing: Option<Instant>,
}

impl Hearer {
    pub(super) fn new(
        slot: Arc<Slot<dyn Watcher>>,
        part: Part,
        pair: Pair,
        patience: Duration,
    ) -> Self {
        Self {
            slot,
            part,
            pair,
            patience,
            told: false,
            failing: None,
        }
    }

    fn fails(&mut self) {
        self.failing.get_or_insert_with(Instant::now);
    }

    /// What is shorter is no outage.
    fn patience(&self) -> Duration {
        self.patience.max(SHORTEST_OUTAGE)
    }

    pub(super) fn is_of(&self, key: &str, lock: &str) -> bool {
        *self.pair.0 == *key && *self.pair.1 == *lock
    }

    /// Whether an outage has lasted for too long.
    pub(super) fn is_impatient(&self, outage: Duration) -> bool {
        self.patience() <= outage && self.slot.is_open()
    }

    /// Whether it could not be found out for too long how things stand.
    pub(super) fn is_given_up(&self, now: Instant) -> bool {
        let is_over = |since| now.saturating_duration_since(since) >= self.patience();
        self.failing.is_some_and(is_over) && self.slot.is_open()
    }

    fn tell(&mut self, event: WatchEvent) {
        self.told = true;
        self.failing = None;
        if let Some(watcher) = self.slot.get() {
            watcher.notify(event);
        }
    }
}

/// How a part stood when something was last told of it.
struct Known<T> {
    state: Option<(T, Instant)>,
    /// Of what was told last.
    moment: Moment,
    /// How often it was pushed.
    pushes: u64,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self {
            state: None,
            moment: Moment::default(),
            pushes: 0,
        }
    }
}

impl<T> Known<T> {
    fn set(&mut self, state: T, moment: Moment) {
        self.state = Some((state, Instant::now()));
        self.moment = moment;
    }

    /// It was pushed that it is so since then; whether that is news. What is told in order is.
    fn pushed(&mut self, moment: Moment, in_order: bool) -> bool {
        let is_news = in_order || moment >= self.moment;
        if is_news {
            self.pushes += 1;
            self.moment = moment;
        }
        is_news
    }
}

pub(super) struct Channel {
    standing: Standing,
    /// Which subscription it is.
    epoch: u64,
    key: Known<KeyState>,
    lock: Known<LockState>,
    hearers: Vec<Hearer>,
    /// When it was last of use.
    touched: Instant,
}

impl Channel {
    pub(super) fn new() -> Self {
        Self {
            standing: Standing::No,
            epoch: 0,
            key: Known::default(),
            lock: Known::default(),
            hearers: Vec::new(),
            touched: Instant::now(),
        }
    }

    pub(super) fn touch(&mut self) {
        self.touched = Instant::now();
    }

    /// Which subscription it is, and how often the part was pushed.
    pub(super) fn mark(&self, part: Part) -> (u64, u64) {
        let pushes = match part {
            Part::Key => self.key.pushes,
            Part::Lock => self.lock.pushes,
        };
        (self.epoch, pushes)
    }

    pub(super) fn is_unasked(&self) -> bool {
        matches!(self.standing, Standing::No)
    }

    pub(super) fn is_standing(&self) -> bool {
        matches!(self.standing, Standing::Stands)
    }

    pub(super) fn is_asked(&self) -> bool {
        matches!(self.standing, Standing::Asked | Standing::Stands)
    }

    pub(super) fn asked(&mut self, epoch: u64) {
        self.standing = Standing::Asked;
        self.epoch = epoch;
    }

    pub(super) fn stands(&mut self) {
        if matches!(self.standing, Standing::Asked) {
            self.standing = Standing::Stands;
        }
    }

    pub(super) fn refuse(&mut self, error: StoreError) {
        self.standing = Standing::Refused(error);
    }

    pub(super) fn refusal(&self) -> Option<StoreError> {
        match &self.standing {
            Standing::Refused(error) => Some(error.clone()),
            Standing::No | Standing::Asked | Standing::Stands => None,
        }
    }

    /// How things stand by now is not known, but will be told to those who hear.
    pub(super) fn unknown(&mut self) {
        self.key.state = None;
        self.lock.state = None;
    }

    /// The connection is lost; whether anybody still hears.
    pub(super) fn lost(&mut self) -> bool {
        self.standing = Standing::No;
        // It may have lost what it knew, and be behind what it has told.
        self.unknown();
        self.key.moment = Moment::default();
        self.lock.moment = Moment::default();
        for hearer in &mut self.hearers {
            hearer.told = false;
            hearer.fails();
        }
        self.has_hearers()
    }

    pub(super) fn has_hearers(&self) -> bool {
        !self.hearers.is_empty()
    }

    pub(super) fn is_idle(&self, now: Instant, linger: Duration) -> bool {
        !self.has_hearers() && now.saturating_duration_since(self.touched) >= linger
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = Pair> {
        self.hearers.iter().map(|hearer| hearer.pair.clone())
    }

    pub(super) fn clear_closed(&mut self) {
        let before = self.hearers.len();
        self.hearers.retain(|hearer| hearer.slot.is_open());
        if self.hearers.len() < before {
            self.touch();
        }
    }

    /// A look at this pair has failed; whether anybody is to be told of it.
    pub(super) fn look_failed(&mut self, key: &str, lock: &str) -> bool {
        let mut is_watched = false;
        for hearer in self.hearers.iter_mut().filter(|it| it.is_of(key, lock)) {
            is_watched = true;
            // Who knows how things stand is told of what comes.
            if !hearer.told {
                hearer.fails();
            }
        }
        is_watched
    }

    /// The watches of those who are like that.
    pub(super) fn those(
        &self,
        such: impl Fn(&Hearer) -> bool,
    ) -> impl Iterator<Item = Arc<Slot<dyn Watcher>>> {
        let those = self.hearers.iter().filter(move |it| such(it));
        those.map(|it| Arc::clone(&it.slot))
    }

    pub(super) fn drop_hearers(&mut self, is_gone: impl Fn(&Arc<Slot<dyn Watcher>>) -> bool) {
        self.hearers.retain(|it| !is_gone(&it.slot));
    }

    /// Of the least patient who hears.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.hearers.iter().map(|it| it.patience).min()
    }

    /// One more hears; whether it could be told how things stand.
    pub(super) fn hear(&mut self, mut hearer: Hearer) -> bool {
        self.touch();
        let now = Instant::now();
        let event = match hearer.part {
            Part::Key => self.key.state.as_ref().map(|(state, at)| {
                let mut state = state.clone();
                if let Some(entry) = &mut state.entry {
                    entry.age += now.saturating_duration_since(*at);
                }
                WatchEvent::Key(state)
            }),
            Part::Lock => self.lock.state.as_ref().map(|(state, at)| {
                let mut state = state.clone();
                let passed = now.saturating_duration_since(*at);
                if let LockState::Held {
                    remaining: Some(remaining),
                    ..
                } = &mut state
                {
                    *remaining = remaining.saturating_sub(passed);
                    if remaining.is_zero() {
                        state = LockState::Free;
                    }
                }
                WatchEvent::Lock(state)
            }),
        };
        let told = match event {
            Some(event) if self.is_standing() => {
                hearer.tell(event);
                true
            }
            Some(_) | None => false,
        };
        self.hearers.push(hearer);
        told
    }

    fn hearers(&mut self, part: Part) -> impl Iterator<Item = &mut Hearer> {
        self.hearers.iter_mut().filter(move |it| it.part == part)
    }

    /// How the key stands, as was answered to a question that was sent at this mark.
    pub(super) fn learn_key(&mut self, key: &KeyState, mark: (u64, u64)) {
        let moment = Moment::of_key(key.revision);
        if self.is_subscription(mark) && moment > self.key.moment {
            self.told_key(key, false);
        } else if self.mark(Part::Key) == mark {
            self.key.set(key.clone(), moment);
            for hearer in self.hearers(Part::Key).filter(|hearer| !hearer.told) {
                hearer.tell(WatchEvent::Key(key.clone()));
            }
        }
    }

    /// How the lock stands, as was answered to a question that was sent at this mark.
    pub(super) fn learn_lock(&mut self, lock: &LockAt, mark: (u64, u64)) {
        if self.is_subscription(mark) && lock.moment > self.lock.moment {
            self.told_lock(lock, false);
        } else if self.mark(Part::Lock) == mark {
            self.lock.set(lock.state.clone(), lock.moment);
            for hearer in self.hearers(Part::Lock).filter(|hearer| !hearer.told) {
                hearer.tell(WatchEvent::Lock(lock.state.clone()));
            }
        }
    }

    fn is_subscription(&self, (epoch, _): (u64, u64)) -> bool {
        epoch == self.epoch
    }

    /// How the key stands, as pushed; `in_order` if that is no older than what was told last, whatever it says.
    pub(super) fn told_key(&mut self, key: &KeyState, in_order: bool) {
        let moment = Moment::of_key(key.revision);
        if !self.key.pushed(moment, in_order) {
            return;
        }
        self.key.set(key.clone(), moment);
        for hearer in self.hearers(Part::Key) {
            hearer.tell(WatchEvent::Key(key.clone()));
        }
    }

    /// How the lock stands, as pushed.
    pub(super) fn told_lock(&mut self, lock: &LockAt, in_order: bool) {
        if !self.lock.pushed(lock.moment, in_order) {
            return;
        }
        self.lock.set(lock.state.clone(), lock.moment);
        for hearer in self.hearers(Part::Lock) {
            hearer.tell(WatchEvent::Lock(lock.state.clone()));
        }
    }

    /// The key has moved to a value that was not pushed; what is to be looked at.
    pub(super) fn moved(&mut self, revision: Revision, in_order: bool) -> Vec<Pair> {
        if !self.key.pushed(Moment::of_key(revision), in_order) {
            return Vec::new();
        }
        self.key.state = None;
        self.hearers(Part::Key)
            .map(|hearer| {
                hearer.told = false;
                hearer.pair.clone()
            })
            .collect()
    }
}
