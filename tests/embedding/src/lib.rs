#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::wildcard_enum_match_arm))]
//! What the machine leaves to whoever embeds it, whatever their loop is made of: the values.
//!
//! The machine speaks of revisions and never sees a value. [`Desks`] keeps, for each key that somebody
//! flies for, the value that arrived last and the value that was computed last, and adds them to the
//! machine's orders. It waits for nothing and calls nobody: that is what the examples differ in, and
//! `docs/embedding.md` tells their common rules.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use oneflight_core::{
    Attempt, Command, Event, FillResult, FlightId, Flights, Instant, Judgement, Notice, Order,
    Outcome, PassengerId, Policy, Verdict,
};
use oneflight_store::{
    Bytes, Entry, Errand, Holder, News, StoreError, Subscription, Watcher, default_lock,
};

/// A key.
pub type Key = Arc<str>;

/// Something that the machine is to be told. `M` is how to reach a caller: its mailbox, say.
#[derive(Debug)]
pub enum Told<M> {
    /// A caller wants a value of the key and knows of none. Callers are numbered in the order in which they
    /// board: the machine tells by it who was aboard when a fill began.
    Board(PassengerId, Key, Policy, M),
    /// A caller has judged the value it was asked to judge, and is content with it or not.
    Judged(Key, PassengerId, bool),
    /// A fill has ended, with a value or without.
    Filled(FlightId<Key>, Attempt, Option<Bytes>),
    /// A caller has gone away before it landed.
    Left(Key, PassengerId),
    /// The store has answered, or a watch tells something.
    News(News<Key>),
    /// Nobody boards any more.
    Close,
}

/// Something for the embedder's loop to do.
#[derive(Debug)]
pub enum Job<M> {
    /// Send this to the store, without waiting; what comes of it is news.
    Send(Errand<Key>),
    /// Open a watch for this flight, with the watcher that [`watcher`] makes, and hand its subscription to
    /// [`Desks::watches`]. With it comes the lock key.
    Watch(FlightId<Key>, Arc<str>),
    /// Hand this to a caller.
    Post(M, Letter),
}

/// What the machine has for a caller.
#[derive(Debug)]
pub enum Letter {
    /// What do you think of this value? [`Told::Judged`] is the answer.
    Judge(Entry),
    /// Run your fill; [`Told::Filled`] is the answer.
    Fill(FlightId<Key>, Attempt),
    /// Your call has ended: how, and with which value, or the error behind it.
    Land(Landed),
}

/// How a call ended, with the value of that outcome, or what the store said last if it failed.
pub type Landed = (Outcome, Result<Bytes, Option<StoreError>>);

/// The machine, and the values it does not see.
#[derive(Debug)]
pub struct Desks<M> {
    flights: Flights<Key>,
    desks: HashMap<Key, Desk>,
    seats: HashMap<PassengerId, Seat<M>>,
    closed: bool,
    holder: Holder,
    process: u64,
}

/// What is kept of a key for as long as somebody flies for it.
#[derive(Debug, Default)]
struct Desk {
    arrived: Option<Entry>,
    computed: Bytes,
    error: Option<StoreError>,
    /// The flight that wants to be told of changes; no flight has the number 0.
    listens: u64,
    watch: Option<Subscription>,
}

/// What is kept of a caller until it lands.
#[derive(Debug)]
struct Seat<M> {
    mailbox: M,
    judged: Option<Entry>,
}

impl<M: Clone> Desks<M> {
    /// No flights yet. `process` tells this process from all others, past and present: a random number.
    #[must_use]
    pub fn new(process: u64) -> Self {
        Self {
            flights: Flights::new(),
            desks: HashMap::new(),
            seats: HashMap::new(),
            closed: false,
            holder: Holder::this_process(),
            process,
        }
    }

    /// Tells the machine all that there is to tell, and then the time; answers what is to be done, in
    /// order.
    ///
    /// In this order: what has been told may hold the answer that is overdue by now. And always both:
    /// a loop that is never idle must not forget a renewal.
    #[must_use = "each job must be done"]
    pub fn tell(&mut self, now: Instant, told: impl IntoIterator<Item = Told<M>>) -> Vec<Job<M>> {
        let mut jobs = Vec::new();
        for told in told {
            if let Some(notice) = self.notice(told) {
                self.handle(now, notice, &mut jobs);
            }
        }
        self.handle(now, Notice::Tick, &mut jobs);
        // Nobody flies for the others any more, and what is left to clean up needs no value.
        self.desks.retain(|key, _| self.flights.view(key).is_some());
        jobs
    }

    fn handle(&mut self, now: Instant, notice: Notice<Key>, jobs: &mut Vec<Job<M>>) {
        for order in self.flights.handle(now, notice) {
            jobs.extend(self.job(order));
        }
    }

    /// When to come back at the latest, with nothing to tell but the time. Every `tell` may change it.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.flights.deadline()
    }

    /// Nobody is aboard or will be, and nothing is left to be cleaned up.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.closed && self.flights.is_idle()
    }

    /// A watch was opened for a flight.
    pub fn watches(&mut self, flight: &FlightId<Key>, watch: Subscription) {
        // Not if it has stopped listening meanwhile: then the watch closes here.
        if let Some(desk) = self.desks.get_mut(&flight.key)
            && desk.listens == flight.number
        {
            desk.watch = Some(watch);
        }
    }

    /// Puts what is told into the machine's words, and keeps what it does not see.
    fn notice(&mut self, told: Told<M>) -> Option<Notice<Key>> {
        Some(match told {
            Told::Board(passenger, key, mut policy, mailbox) => {
                // Processes that wait together are not to claim together.
                policy.seed = self.process ^ passenger.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                self.desks.entry(Arc::clone(&key)).or_default();
                let judged = None;
                self.seats.insert(passenger, Seat { mailbox, judged });
                let known = Verdict::UNKNOWN;
                Notice::Boarded {
                    key,
                    passenger,
                    policy,
                    known,
                }
            }
            Told::Judged(key, passenger, good) => {
                let entry = self.seats.get(&passenger)?.judged.as_ref()?;
                let verdict = Verdict {
                    revision: entry.revision,
                    token: entry.token,
                    judgement: match good {
                        true => Judgement::Fresh,
                        false => Judgement::Stale,
                    },
                };
                Notice::Judged {
                    key,
                    passenger,
                    verdict,
                }
            }
            Told::Filled(flight, attempt, value) => {
                let result = match &value {
                    Some(_) => FillResult::Value,
                    None => FillResult::Error,
                };
                if let (Some(desk), Some(value)) = (self.desks.get_mut(&flight.key), value) {
                    desk.computed = value;
                }
                let event = Event::FillDone { attempt, result };
                Notice::Answered { flight, event }
            }
            Told::Left(key, passenger) => {
                self.seats.remove(&passenger);
                Notice::Left { key, passenger }
            }
            Told::News(news) => {
                let key = news.notice.key();
                if let Some(desk) = key.and_then(|key| self.desks.get_mut(key)) {
                    // The value first: the machine may ask for it in the same breath.
                    let revision = |entry: &Option<Entry>| entry.as_ref().map(|it| it.revision);
                    if revision(&news.entry) > revision(&desk.arrived) {
                        desk.arrived = news.entry;
                    }
                    desk.error = news.error.or(desk.error.take());
                }
                news.notice
            }
            Told::Close => {
                self.closed = true;
                return None;
            }
        })
    }

    fn job(&mut self, order: Order<Key>) -> Option<Job<M>> {
        match order {
            Order::Command { flight, command } => self.command(flight, command),
            Order::Judge { key, passenger, .. } => {
                let entry = self.desks.get(&key)?.arrived.clone()?;
                let seat = self.seats.get_mut(&passenger)?;
                seat.judged = Some(entry.clone());
                let letter = Letter::Judge(entry);
                Some(Job::Post(seat.mailbox.clone(), letter))
            }
            Order::Fill {
                flight,
                passenger,
                attempt,
                ..
            } => {
                let mailbox = self.seats.get(&passenger)?.mailbox.clone();
                let letter = Letter::Fill(flight, attempt);
                Some(Job::Post(mailbox, letter))
            }
            Order::Land {
                key,
                passenger,
                outcome,
            } => {
                let seat = self.seats.remove(&passenger)?;
                let letter = Letter::Land(self.landed(&key, seat.judged, outcome));
                Some(Job::Post(seat.mailbox, letter))
            }
            Order::Retired { .. } => None,
        }
    }

    fn command(&mut self, flight: FlightId<Key>, command: Command) -> Option<Job<M>> {
        let desk = self.desks.get_mut(&flight.key);
        match command {
            Command::Watch => {
                desk?.listens = flight.number;
                let lock = default_lock(&flight.key);
                return Some(Job::Watch(flight, lock.into()));
            }
            Command::Unwatch => {
                let desk = desk?;
                (desk.listens, desk.watch) = (0, None);
                return None;
            }
            // Fills that take long are to hear of it through a handle: the examples' do not.
            Command::WarnLeaseLost { .. } | Command::Fill { .. } | Command::Land(_) => return None,
            Command::Claim { .. }
            | Command::Renew { .. }
            | Command::Publish { .. }
            | Command::Put { .. }
            | Command::Release { .. } => {}
        }
        let policy = self.flights.policy(&flight);
        Some(Job::Send(Errand {
            key: Arc::clone(&flight.key),
            lock: default_lock(&flight.key).into(),
            ttl: policy.map(|policy| policy.lease_ttl).unwrap_or_default(),
            value: desk.map(|desk| desk.computed.clone()).unwrap_or_default(),
            retain: None,
            holder: self.holder.clone(),
            process: self.process,
            flight,
            command,
        }))
    }

    fn landed(&self, key: &Key, judged: Option<Entry>, outcome: Outcome) -> Landed {
        let desk = self.desks.get(key);
        let value = match outcome {
            // Of a revision that it has judged, or that lies on the desk for it.
            Outcome::Cached { revision, .. }
            | Outcome::Awaited {
                revision: Some(revision),
            } => {
                let arrived = desk.and_then(|desk| desk.arrived.clone());
                let mut known = [judged, arrived].into_iter().flatten();
                let entry = known.find(|entry| entry.revision == revision);
                entry.map(|entry| entry.value)
            }
            Outcome::Computed { .. }
            | Outcome::Awaited { revision: None }
            | Outcome::Unpublished { .. } => desk.map(|desk| desk.computed.clone()),
            Outcome::Aborted
            | Outcome::Panicked
            | Outcome::TimedOut
            | Outcome::Fenced
            | Outcome::Unavailable
            | Outcome::Refused
            | Outcome::Malformed
            | _ => None,
        };
        let error = || desk.and_then(|desk| desk.error.clone());
        (outcome, value.ok_or_else(error))
    }
}

/// A watcher for a flight, which tells the machine's side from the store's own thread.
pub fn watcher<M>(
    flight: &FlightId<Key>,
    tell: impl Fn(Told<M>) + Send + Sync + 'static,
) -> Arc<dyn Watcher> {
    let flight = flight.clone();
    Arc::new(move |event| tell(Told::News(News::watched(flight.clone(), event))))
}

/// A clock for the machine: nanoseconds since it was made, and never back.
pub fn clock() -> impl Fn() -> Instant + Copy {
    let epoch = std::time::Instant::now();
    move || Instant::from_nanos(u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

/// Numbers the callers of a process in the order in which they board.
#[derive(Debug, Default)]
pub struct Line(Mutex<u64>);

impl Line {
    /// Lets a caller board under the next number; no other boards meanwhile.
    pub fn next(&self, board: impl FnOnce(PassengerId)) -> PassengerId {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last += 1;
        let me = PassengerId(*last);
        board(me);
        me
    }
}

/// Does something when it is dropped, on every way out.
#[derive(Debug)]
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
