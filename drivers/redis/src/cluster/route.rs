//! A store on a cluster: each call goes to the server that keeps its key.

use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use oneflight_store::{
    ChangeListener, Claim, ClaimRequest, KeyStatus, StoreError, Subscription, WatchEvent, Watcher,
};

use super::chart::{Chart, Kept};
use super::survey::keep;
use super::{Address, Seeds, Turn, slot};
use crate::call::Call;
use crate::fault::{self, Place};
use crate::flavour::Flavour;
use crate::layout::{self, Channels};
use crate::line::{self, Fault};
use crate::list::List;
use crate::times::RESPONSE_TIMEOUT;

/// How often another server is looked for because the one that kept the slot is gone.
const MOST_SEARCHES: u32 = 2;

pub(crate) struct Cluster<F: Flavour> {
    chart: Arc<Chart<F>>,
    channels: Channels,
    /// Whoever makes the surveys.
    task: Mutex<Option<F::Task>>,
}

impl<F: Flavour> Drop for Cluster<F> {
    fn drop(&mut self) {
        // And then the task is dropped.
        self.chart.close();
    }
}

impl<F: Flavour> Cluster<F> {
    pub(crate) fn new(seeds: Seeds, flavour: F) -> Self {
        Self {
            chart: Chart::new(seeds, flavour),
            channels: Channels::new(0),
            task: Mutex::new(None),
        }
    }

    pub(crate) fn place(&self) -> &Place {
        self.chart.place()
    }

    pub(crate) fn channels(&self) -> &Channels {
        &self.channels
    }

    /// Has surveys made, unless somebody makes them.
    fn start(&self) -> Result<(), StoreError> {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if self.chart.is_kept() {
            return Ok(());
        }
        let surveys = keep(Kept::new(Arc::clone(&self.chart)));
        *task = Some(self.chart.flavour.spawn(self.place(), surveys)?);
        Ok(())
    }

    /// The slot that all these are in.
    fn slot(&self, places: &[String]) -> Result<u16, StoreError> {
        slot(places).ok_or_else(|| fault::apart(self.place(), places))
    }

    /// Who keeps the slot.
    async fn owner(&self, slot: u16) -> Result<(Address, Arc<F::Server>), StoreError> {
        if let Some(owner) = self.chart.roster.owner(slot) {
            return Ok(owner);
        }
        self.chart.survey().await?;
        self.chart.roster.owner(slot).ok_or_else(|| {
            StoreError::unavailable(format_args!(
                "{}: slot {slot} is kept by no server",
                self.place()
            ))
        })
    }

    /// Asks whoever keeps the slot.
    async fn route<T, A: Future<Output = Result<T, Fault>>>(
        &self,
        slot: u16,
        is_idempotent: bool,
        ask: impl Fn(Arc<F::Server>) -> A,
    ) -> Result<T, StoreError> {
        self.start()?;
        let since = Instant::now();
        let (mut sent_on, mut sent_on_by, mut searches) = (None, Vec::new(), 0);
        loop {
            let (at, server) = self.owner(slot).await?;
            let fault = match ask(server).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            match fault.turn {
                Some(turn @ Turn::Moved { .. }) => {
                    let since = sent_on.get_or_insert_with(Instant::now);
                    // While a slot moves they may name each other: it takes them a moment to agree.
                    if since.elapsed() >= RESPONSE_TIMEOUT {
                        return Err(StoreError::unavailable(format_args!(
                            "{}: its servers do not agree who keeps slot {slot}: {at} says another one",
                            self.place()
                        )));
                    }
                    sent_on_by.push(at.clone());
                    self.chart.turned(&turn, &at, &sent_on_by);
                    // The first is told by who knows. Then they do not agree yet.
                    if sent_on_by.len() > 1 {
                        self.chart.survey().await?;
                    }
                }
                Some(Turn::OnItsWay) => {
                    if since.elapsed() >= RESPONSE_TIMEOUT {
                        return Err(StoreError::unavailable(format_args!(
                            "{}: slot {slot} is on its way from {at} to another server",
                            self.place()
                        )));
                    }
                    // By then it may be there: surveys take their time when they follow one another.
                    self.chart.survey().await?;
                }
                turn @ (Some(Turn::Down) | None) => {
                    if turn.is_none() && !fault.is_lost {
                        return Err(fault.error);
                    }
                    // Somebody else may have taken over.
                    searches += 1;
                    let may_repeat = is_idempotent || fault.has_not_happened;
                    let found = self.chart.survey().await;
                    let owner = self.chart.roster.owner(slot);
                    let is_elsewhere = owner.is_some_and(|(owner, _)| owner != at);
                    if found.is_err() || !is_elsewhere || !may_repeat || searches > MOST_SEARCHES {
                        return Err(fault.error);
                    }
                }
            }
        }
    }

    pub(crate) async fn ask<T>(&self, call: &Call<T>) -> Result<T, StoreError> {
        let slot = self.slot(call.places())?;
        let ask = |server: Arc<F::Server>| async move { line::ask(&*server, call).await };
        self.route(slot, call.is_idempotent, ask).await
    }

    pub(crate) async fn claim(&self, request: &ClaimRequest) -> Result<Claim, StoreError> {
        let slot = self.slot(&places(&request.key, &request.lock))?;
        let sent = &AtomicBool::new(false);
        let ask =
            |server: Arc<F::Server>| async move { line::claim(&*server, request, sent).await };
        self.route(slot, true, ask).await
    }

    pub(crate) async fn list(&self) -> Result<Vec<KeyStatus>, StoreError> {
        self.start()?;
        // Not as it was: a server that nobody has asked for anything may have come since.
        self.chart.survey().await?;
        let mut list = List::default();
        for server in self.chart.roster.primaries() {
            line::list(&*server, &mut list).await?;
        }
        Ok(list.into_lines())
    }

    pub(crate) fn watch(
        &self,
        key: Arc<str>,
        lock: Arc<str>,
        watcher: Arc<dyn Watcher>,
    ) -> Subscription {
        let slot = match self.slot(&places(&key, &lock)) {
            Ok(slot) => slot,
            Err(error) => {
                watcher.notify(WatchEvent::Ended(error));
                return Subscription::new(|| ());
            }
        };
        let watch = self.chart.roster.watch(slot, key, lock, watcher);
        self.listened();
        watch
    }

    pub(crate) fn listen(&self, listener: Arc<dyn ChangeListener>) -> Subscription {
        let changes = self.chart.roster.listen(listener);
        self.listened();
        changes
    }

    /// Somebody more listens.
    fn listened(&self) {
        // Else it begins with the first call that can.
        drop(self.start());
        self.chart.ring();
    }
}

fn places(key: &str, lock: &str) -> [String; 2] {
    [layout::value(key), layout::lock(lock)]
}
