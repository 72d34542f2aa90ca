//! Who keeps what: one task asks, and looks again when it has changed.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use oneflight_store::StoreError;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::super::node::{Node, Runtime};
use crate::cluster::{Address, Map, Roster, Seeds, Turn};
use crate::fault::{self, Place};
use crate::line::{Line as _, Way as _};
use crate::pace::Pace;
use crate::times::{CONNECT_TIMEOUT, FIRST_DELAY, TICK};

/// How often it is looked whether anything has changed while somebody listens: who only listens is told by
/// nobody that a key has gone elsewhere.
const EVERY: Duration = Duration::from_secs(5);

/// How long a server that is connected may take to tell, before the next one is asked.
const ANSWER: Duration = Duration::from_secs(1);

/// The longest delay between surveys that follow one another: callers wait for them as long as things do not
/// stand as they should.
const LONGEST_DELAY: Duration = Duration::from_millis(160);

pub(super) struct Chart {
    seeds: Arc<Seeds>,
    pub(super) runtime: Runtime,
    pub(super) roster: Arc<Roster<Node>>,
    bell: Notify,
    /// How many surveys were asked for.
    wanted: AtomicU64,
    /// Who is to know, by what another server has said.
    hint: Mutex<Option<Address>>,
    phase: watch::Sender<Phase>,
}

#[derive(Default)]
struct Phase {
    is_kept: bool,
    /// How many of the surveys asked for have been made.
    made: u64,
    /// Of the last one.
    error: Option<StoreError>,
}

/// Says that the task has ended, however it did: its runtime may have, even before it began.
pub(super) struct Kept(Arc<Chart>);

impl Kept {
    pub(super) fn new(chart: Arc<Chart>) -> Self {
        chart.phase.send_modify(|phase| phase.is_kept = true);
        Self(chart)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let error = StoreError::unavailable(format_args!(
            "{}: the runtime that kept the connections has ended",
            self.0.place()
        ));
        self.0.phase.send_modify(|phase| {
            phase.is_kept = false;
            phase.error = Some(error);
        });
    }
}

/// Keeps the chart, until it is dropped.
pub(super) async fn keep(kept: Kept) {
    let chart = &kept.0;
    let (mut delay, mut last) = (FIRST_DELAY, Instant::now());
    for round in 0.. {
        chart.something_to_do().await;
        if last.elapsed() > LONGEST_DELAY {
            delay = FIRST_DELAY;
        }
        // What is asked for from now on is not answered by what is read before.
        let wanted = chart.wanted.load(Ordering::SeqCst);
        let error = chart.look_out(round).await.err();
        let nobody = || chart.unavailable("nobody keeps the slot");
        let why = error.clone().unwrap_or_else(nobody);
        chart.roster.out_of_reach(Instant::now(), &why);
        chart.phase.send_modify(|phase| {
            phase.made = wanted;
            phase.error = error;
        });
        sleep(delay).await;
        delay = (delay * 2).min(LONGEST_DELAY);
        last = Instant::now();
    }
}

impl Chart {
    pub(super) fn new(seeds: Seeds) -> Arc<Self> {
        let (seeds, runtime) = (Arc::new(seeds), Runtime::default());
        Arc::new_cyclic(|chart: &Weak<Self>| {
            let chart = chart.clone();
            let (like, on) = (Arc::clone(&seeds), runtime.clone());
            let open = move |at: &Address| {
                let node = Node::new(like.source(at), on.clone());
                let (chart, at) = (chart.clone(), at.clone());
                node.link.hub.tell_turns(move |turn| {
                    if let Some(chart) = chart.upgrade() {
                        chart.turned(turn, &at);
                    }
                });
                Arc::new(node)
            };
            Self {
                seeds,
                runtime,
                roster: Arc::new(Roster::new(open)),
                bell: Notify::new(),
                wanted: AtomicU64::new(0),
                hint: Mutex::new(None),
                phase: watch::Sender::new(Phase::default()),
            }
        })
    }

    pub(super) fn place(&self) -> &Place {
        self.seeds.place()
    }

    fn unavailable(&self, why: &str) -> StoreError {
        StoreError::unavailable(format_args!("{}: {why}", self.place()))
    }

    pub(super) fn is_kept(&self) -> bool {
        self.phase.borrow().is_kept
    }

    /// There may be something to do.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    fn hint(&self) -> MutexGuard<'_, Option<Address>> {
        self.hint.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A survey is to be made; its number.
    fn want(&self) -> u64 {
        let number = self.wanted.fetch_add(1, Ordering::SeqCst) + 1;
        self.ring();
        number
    }

    /// Waits for a survey that begins after this; an error if nobody could be asked.
    pub(super) async fn survey(&self) -> Result<(), StoreError> {
        let number = self.want();
        let mut phases = self.phase.subscribe();
        let made = phases.wait_for(|phase| phase.made >= number || !phase.is_kept);
        // INVARIANT: `self` holds the sender.
        let phase = made.await.map_err(|_| self.unavailable("it is closed"))?;
        phase.error.clone().map_or(Ok(()), Err)
    }

    /// A server has said that another one is to be asked.
    pub(super) fn turned(&self, turn: &Turn, said_by: &Address) {
        if let Turn::Moved { slot, to } = turn
            && let Some(to) = Address::of(to, &said_by.host)
        {
            self.roster.moved(*slot, to.clone());
            *self.hint() = Some(to);
        }
        self.want();
    }

    async fn something_to_do(&self) {
        let is_asked = || self.wanted.load(Ordering::SeqCst) > self.phase.borrow().made;
        let mut since = Instant::now();
        while !is_asked() {
            let is_listened = self.roster.has_subscribers();
            tokio::select! {
                () = self.bell.notified() => {}
                () = sleep(TICK), if is_listened => {}
            }
            if !self.roster.has_subscribers() {
                since = Instant::now();
                continue;
            }
            let members = self.roster.members();
            let is_unheard = members.iter().any(|(_, node)| node.is_unheard());
            let is_due = since.elapsed() >= EVERY;
            if is_due || is_unheard || !self.roster.has_map() || self.roster.has_lost() {
                return;
            }
        }
    }

    /// Looks around, and meanwhile tells those whose patience is over.
    async fn look_out(&self, round: usize) -> Result<(), StoreError> {
        let mut looking = pin!(self.look_around(round));
        loop {
            let tick = Pace::of(self.roster.patience()).tick;
            if let Ok(found) = timeout(tick, looking.as_mut()).await {
                return found;
            }
            let silent = self.unavailable("no server of it answers");
            self.roster.out_of_reach(Instant::now(), &silent);
        }
    }

    /// Asks one server after the other until one tells who keeps what.
    async fn look_around(&self, round: usize) -> Result<(), StoreError> {
        let members: BTreeMap<Address, Arc<Node>> = self.roster.members().into_iter().collect();
        let (mut near, far): (Vec<_>, Vec<_>) = members
            .into_iter()
            .partition(|(_, node)| node.is_connected());
        // Each in its turn: one that has lost touch with the others is not to be believed for ever.
        if !near.is_empty() {
            let first = round % near.len();
            near.rotate_left(first);
        }
        if let Some(hint) = self.hint().take() {
            near.sort_by_key(|(at, _)| *at != hint);
        }
        let mut refusal = None;
        let mut last = self.unavailable("no server of it is known");
        let asked: Vec<Address> = near.iter().map(|(at, _)| at.clone()).collect();
        for (at, node) in near {
            match self.ask(&at, &node, ANSWER).await {
                Ok(map) => {
                    self.roster.learn(map, (at, node));
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        // And then all others that were ever named, at once.
        let mut others: BTreeMap<Address, Arc<Node>> = far.into_iter().collect();
        for at in self.roster.known().iter().chain(self.seeds.addresses()) {
            if !asked.contains(at) && !others.contains_key(at) {
                others.insert(at.clone(), self.roster.stranger(at));
            }
        }
        let mut asking: FuturesUnordered<_> = others
            .into_iter()
            .map(|(at, node)| async move {
                let map = self.ask(&at, &node, CONNECT_TIMEOUT).await;
                (at, node, map)
            })
            .collect();
        while let Some((at, node, map)) = asking.next().await {
            match map {
                Ok(map) => {
                    self.roster.learn(map, (at, node));
                    return Ok(());
                }
                Err(error @ StoreError::Refused(_)) => refusal = Some(error),
                Err(error) => last = error,
            }
        }
        Err(refusal.unwrap_or(last))
    }

    async fn ask(&self, at: &Address, node: &Node, limit: Duration) -> Result<Map, StoreError> {
        let place = &node.link.place;
        let ask = async {
            let answer = node
                .line()
                .await?
                .send(redis::cmd("CLUSTER").arg("SLOTS"))
                .await?;
            let answer = answer.map_err(|error| fault::of_map(place, &error))?;
            let map = Map::of(answer, &at.host).ok_or_else(|| {
                StoreError::refused(format_args!(
                    "{place}: it answers CLUSTER SLOTS as no server does"
                ))
            })?;
            match map.is_empty() {
                true => Err(StoreError::unavailable(format_args!(
                    "{place}: it knows of no slots"
                ))),
                false => Ok(map),
            }
        };
        let silent = |_| {
            let limit = limit.as_millis();
            StoreError::unavailable(format_args!("{place}: no answer for {limit} ms"))
        };
        timeout(limit, ask).await.map_err(silent)?
    }
}
