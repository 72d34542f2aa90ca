//! The connection: one task keeps it, subscribes, looks, and sees when nothing is answered any more.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::stream::{FuturesUnordered, StreamExt};
use oneflight_store::StoreError;
use redis::AsyncConnectionConfig;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{sleep, sleep_until};

use super::up::{Job, Up};
use crate::fault::{self, Place};
use crate::hub::Hub;
use crate::line::{self, Checkup, Line};
use crate::message::Push;
use crate::outage::Outage;
use crate::pulse::Pulse;
use crate::source::Source;
use crate::times::CONNECT_TIMEOUT;

/// More requests than can be on their way to a connection.
const NO_WAITING: usize = 1 << 24;

/// What the task and the calls share.
pub(crate) struct Link {
    pub(crate) source: Source,
    pub(crate) place: Place,
    pub(crate) hub: Arc<Hub>,
    /// There is something to do.
    pub(crate) bell: Arc<Notify>,
    pub(crate) phase: watch::Sender<Phase>,
    /// How many calls wait for a connection.
    pub(crate) waiting: AtomicUsize,
}

/// How the link stands.
#[derive(Default)]
pub(crate) struct Phase {
    /// A task keeps it.
    pub(crate) is_kept: bool,
    pub(crate) up: Option<Up>,
    /// How often no connection could be made, and why the last time.
    pub(crate) failed: u64,
    pub(crate) error: Option<StoreError>,
}

impl Phase {
    /// The one there is, unless it was lost a moment ago.
    pub(crate) fn connection(&self) -> Option<&Up> {
        self.up.as_ref().filter(|up| !up.is_lost())
    }
}

/// Says that the task has ended, however it did: its runtime may have, even before it began.
pub(crate) struct Kept(pub(crate) Arc<Link>);

impl Drop for Kept {
    fn drop(&mut self) {
        let error = StoreError::unavailable(format_args!(
            "{}: the runtime that kept the connection has ended",
            self.0.place
        ));
        let up = self.0.phase.borrow().up.clone();
        if let Some(up) = up {
            up.lose(error.clone());
        }
        self.0.hub.ended(&error);
        self.0.phase.send_modify(|phase| {
            phase.is_kept = false;
            phase.up = None;
            phase.failed += 1;
            phase.error = Some(error);
        });
    }
}

/// Keeps the connection, until it is dropped.
pub(crate) async fn keep(kept: Kept) {
    let link = &kept.0;
    let mut outage = Outage::new();
    loop {
        if !link.is_wanted() {
            link.somebody_wants().await;
            outage.is_felt();
        }
        let number = link.hub.next_connection();
        let connected = link.during(&outage, link.connect(number)).await;
        let delay = match connected {
            Ok((up, jobs)) => {
                let made = Instant::now();
                let mut checkup = Checkup::new();
                let error = link.serve(&up, jobs, &mut checkup).await;
                let silence = checkup.silence(&up.pulse);
                link.phase.send_modify(|phase| phase.up = None);
                up.lose(error.clone());
                link.hub.disconnected(number, &error);
                outage.begins(made, silence)
            }
            Err(error) => {
                let delay = outage.goes_on(&link.hub, &error);
                link.phase.send_modify(|phase| {
                    phase.failed += 1;
                    phase.error = Some(error);
                });
                delay
            }
        };
        if !delay.is_zero() {
            link.during(&outage, sleep(delay)).await;
        }
    }
}

impl Link {
    fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0 || self.hub.has_subscribers()
    }

    async fn somebody_wants(&self) {
        while !self.is_wanted() {
            self.bell.notified().await;
        }
    }

    /// Does this, and meanwhile tells those whose patience is over. What the bell says is looked at after it.
    async fn during<T>(&self, outage: &Outage, act: impl Future<Output = T>) -> T {
        let mut act = pin!(act);
        let mut last = Instant::now();
        loop {
            let due = last + self.hub.pace().tick;
            tokio::select! {
                biased;
                done = &mut act => return done,
                () = sleep_until(due.into()) => {
                    outage.lasts(&self.hub, &self.place);
                    last = Instant::now();
                }
                () = self.bell.notified() => {}
            }
        }
    }

    async fn connect(&self, number: u64) -> Result<(Up, mpsc::UnboundedReceiver<Job>), StoreError> {
        let pulse = Arc::<Pulse>::default();
        let (lose, lost) = watch::channel(None);
        let lose = Arc::new(lose);
        let pushed = {
            let (hub, pulse) = (Arc::clone(&self.hub), Arc::clone(&pulse));
            let (lose, place) = (Arc::clone(&lose), self.place.clone());
            move |info| {
                pulse.beat();
                match Push::of(info) {
                    Some(Push::Lost) => {
                        let error = StoreError::unavailable(format_args!(
                            "{place}: the connection is lost"
                        ));
                        lose.send_replace(Some(error));
                    }
                    Some(push) => hub.pushed(number, push),
                    None => {}
                }
                Ok::<(), ()>(())
            }
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            // What is not answered is seen by the pulse, without a timer for each call.
            .set_response_timeout(None)
            // A request that had to wait for its place might be overtaken, and a claim must never
            // overtake its subscription. What is queued is bounded by the callers.
            .set_pipeline_buffer_size(NO_WAITING)
            .set_push_sender(pushed);
        let client = self.source.client().await?;
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|error| fault::of_connection(&self.place, &error))?;
        let (jobs, to_do) = mpsc::unbounded_channel();
        let up = Up {
            number,
            connection,
            hub: Arc::clone(&self.hub),
            place: self.place.clone(),
            jobs,
            pulse,
            lose,
            lost,
        };
        Ok((up, to_do))
    }

    /// Until the connection is lost, and why.
    async fn serve(
        &self,
        up: &Up,
        mut jobs: mpsc::UnboundedReceiver<Job>,
        checkup: &mut Checkup,
    ) -> StoreError {
        self.hub.connected(up.number);
        let mut work = FuturesUnordered::new();
        // The first subscription goes ahead of the first calls.
        self.start_wanted(up, &mut work);
        self.phase.send_modify(|phase| phase.up = Some(up.clone()));
        let mut tick = pin!(sleep_until(checkup.due(&self.hub).into()));
        loop {
            let due = checkup.due(&self.hub).into();
            if tick.deadline() != due {
                tick.as_mut().reset(due);
            }
            tokio::select! {
                biased;
                error = up.lost() => return error,
                // INVARIANT: `up` holds a sender.
                Some(job) = jobs.recv() => work.push(job),
                Some(()) = work.next(), if !work.is_empty() => {}
                () = self.bell.notified() => self.start_wanted(up, &mut work),
                () = &mut tick => {
                    if let Err(error) = checkup.tick(up) {
                        return error;
                    }
                    self.start_wanted(up, &mut work);
                }
            }
        }
    }

    /// Subscribes and looks, as is wanted by now.
    fn start_wanted(&self, up: &Up, work: &mut FuturesUnordered<Job>) {
        let subscribe = |names| up.subscribe(names);
        for pair in self.hub.take_wanted(up.number, subscribe) {
            work.push(Box::pin(line::look(up.clone(), pair)));
        }
    }
}
