//! Who keeps what: one task asks, and looks again when it has changed.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use oneflight_store::StoreError;

use super::chart::{Chart, Kept};
use super::{Address, Map};
use crate::fault;
use crate::flavour::{Flavour, Server, before};
use crate::line::{Line as _, Way as _};
use crate::pace::Pace;
use crate::times::{CONNECT_TIMEOUT, FIRST_DELAY, TICK, UNASKED_TICK};

/// How often it is looked whether anything has changed while somebody listens: who only listens is told by
/// nobody that a key has gone elsewhere.
const EVERY: Duration = Duration::from_secs(5);

/// How long a server that is connected may take to tell, before the next one is asked.
const ANSWER: Duration = Duration::from_secs(1);

/// The longest delay between surveys that follow one another: callers wait for them as long as things do not
/// stand as they should.
const LONGEST_DELAY: Duration = Duration::from_millis(160);

/// Keeps the chart, until it is dropped.
pub(super) async fn keep<F: Flavour>(kept: Kept<F>) {
    let chart = &kept.0;
    let (mut delay, mut last) = (FIRST_DELAY, Instant::now());
    for round in 0.. {
        chart.something_to_do().await;
        if last.elapsed() > LONGEST_DELAY {
            delay = FIRST_DELAY;
        }
        // What is asked for from now on is not answered by what is read before.
        let wanted = chart.wanted();
        let outcome = chart.look_out(round).await;
        let nobody = || chart.unavailable("nobody keeps the slot");
        let why = outcome.clone().err().unwrap_or_else(nobody);
        chart.roster.out_of_reach(Instant::now(), &why);
        chart.made(wanted, &outcome);
        chart.flavour.sleep(delay).await;
        delay = (delay * 2).min(LONGEST_DELAY);
        last = Instant::now();
    }
}

impl<F: Flavour> Chart<F> {
    async fn something_to_do(&self) {
        let mut since = Instant::now();
        while !self.is_survey_wanted() {
            match self.roster.has_subscribers() {
                true => {
                    before(self.flavour.sleep(TICK), self.rung()).await;
                }
                false => self.rung().await,
            }
            if !self.roster.has_subscribers() {
                since = Instant::now();
                continue;
            }
            let members = self.roster.members();
            let is_unheard = members.iter().any(|(_, server)| server.is_unheard());
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
            let tick = Pace::of(self.roster.patience()).tick.min(UNASKED_TICK);
            if let Some(found) = before(self.flavour.sleep(tick), looking.as_mut()).await {
                return found;
            }
            let silent = self.unavailable("no server of it answers");
            self.roster.out_of_reach(Instant::now(), &silent);
        }
    }

    /// Asks one server after the other until one tells who keeps what.
    async fn look_around(&self, round: usize) -> Result<(), StoreError> {
        let members: BTreeMap<Address, Arc<F::Server>> =
            self.roster.members().into_iter().collect();
        let (mut near, far): (Vec<_>, Vec<_>) = members
            .into_iter()
            .partition(|(_, server)| server.is_connected());
        // Each in its turn: one that has lost touch with the others is not to be believed for ever.
        if !near.is_empty() {
            let first = round % near.len();
            near.rotate_left(first);
        }
        if let Some(hint) = self.take_hint() {
            near.sort_by_key(|(at, _)| *at != hint);
        }
        let mut refusal = None;
        let mut last = self.unavailable("no server of it is known");
        let asked: Vec<Address> = near.iter().map(|(at, _)| at.clone()).collect();
        for (at, server) in near {
            match self.ask(&at, &*server, ANSWER).await {
                Ok(map) => {
                    self.roster.learn(map, (at, server));
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        // And then all others that were ever named, at once.
        let mut others: BTreeMap<Address, Arc<F::Server>> = far.into_iter().collect();
        for at in self.roster.known().iter().chain(self.seeds.addresses()) {
            if !asked.contains(at) && !others.contains_key(at) {
                others.insert(at.clone(), self.roster.stranger(at));
            }
        }
        let mut asking: FuturesUnordered<_> = others
            .into_iter()
            .map(|(at, server)| async move {
                let map = self.ask(&at, &*server, CONNECT_TIMEOUT).await;
                (at, server, map)
            })
            .collect();
        while let Some((at, server, map)) = asking.next().await {
            match map {
                Ok(map) => {
                    self.roster.learn(map, (at, server));
                    return Ok(());
                }
                Err(error @ StoreError::Refused(_)) => refusal = Some(error),
                Err(error) => last = error,
            }
        }
        Err(refusal.unwrap_or(last))
    }

    async fn ask(
        &self,
        at: &Address,
        server: &F::Server,
        limit: Duration,
    ) -> Result<Map, StoreError> {
        let place = server.place();
        let ask = async {
            let line = server.line().await?;
            let answer = line.send(redis::cmd("CLUSTER").arg("SLOTS")).await?;
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
        let silent = || {
            let limit = limit.as_millis();
            StoreError::unavailable(format_args!("{place}: no answer for {limit} ms"))
        };
        let answer = before(self.flavour.sleep(limit), ask).await;
        answer.unwrap_or_else(|| Err(silent()))
    }
}
