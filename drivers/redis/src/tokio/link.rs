//! The connection: one task keeps it, subscribes, looks, and sees when nothing is answered any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::stream::{FuturesUnordered, StreamExt};
use oneflight_store::StoreError;
use redis::AsyncConnectionConfig;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::pulse::Pulse;
use super::up::{Job, Up};
use crate::call;
use crate::fault::{self, Place};
use crate::hub::{Hub, Pair};
use crate::message::Push;
use crate::source::Source;
use crate::times::{CONNECT_TIMEOUT, FIRST_DELAY, LAST_DELAY, TICK};

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

/// Says that the task has ended, however it did: its runtime may have.
struct Kept(Arc<Link>);

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
pub(crate) async fn keep(link: Arc<Link>) {
    let kept = Kept(link);
    let link = &kept.0;
    let mut delay = FIRST_DELAY;
    let mut lost = Instant::now();
    loop {
        link.somebody_wants().await;
        let number = link.hub.next_connection();
        match link.connect(number).await {
            Ok((up, jobs)) => {
                let since = Instant::now();
                let error = link.serve(&up, jobs).await;
                link.phase.send_modify(|phase| phase.up = None);
                up.lose(error.clone());
                link.hub.disconnected(number, &error);
                lost = Instant::now();
                if since.elapsed() > LAST_DELAY {
                    delay = FIRST_DELAY;
                    continue;
                }
            }
            Err(error) => {
                let refused = matches!(error, StoreError::Refused(_));
                if refused {
                    link.hub.ended(&error);
                } else {
                    link.hub.out_of_reach(lost.elapsed(), &error);
                }
                link.hub.leave_idle(Instant::now(), drop);
                link.phase.send_modify(|phase| {
                    phase.failed += 1;
                    phase.error = Some(error);
                });
            }
        }
        sleep(delay).await;
        delay = (delay * 2).min(LAST_DELAY);
    }
}

impl Link {
    async fn somebody_wants(&self) {
        while self.waiting.load(Ordering::SeqCst) == 0 && !self.hub.has_subscribers() {
            self.bell.notified().await;
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
        Ok((Up::new(number, connection, jobs, pulse, lose, lost), to_do))
    }

    /// Until the connection is lost, and why.
    async fn serve(&self, up: &Up, mut jobs: mpsc::UnboundedReceiver<Job>) -> StoreError {
        self.hub.connected(up.number);
        let mut work = FuturesUnordered::new();
        // The first subscription goes ahead of the first calls.
        self.start_wanted(up, &mut work);
        self.phase.send_modify(|phase| phase.up = Some(up.clone()));
        let mut was_silent = false;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                error = up.lost() => return error,
                // INVARIANT: `up` holds a sender.
                Some(job) = jobs.recv() => work.push(job),
                Some(()) = work.next(), if !work.is_empty() => {}
                () = self.bell.notified() => self.start_wanted(up, &mut work),
                _ = tick.tick() => {
                    let silence = up.pulse.silence();
                    // Not at first sight: this thread may have been busy for as long, and what was
                    // answered meanwhile be unread.
                    if let Some(silence) = silence && was_silent {
                        return StoreError::unavailable(format_args!(
                            "{}: no answer for {} ms", self.place, silence.as_millis()
                        ));
                    }
                    was_silent = silence.is_some();
                    let is_quiet = up.pulse.is_quiet() && self.hub.has_subscribers();
                    if up.pulse.was_given_up() || is_quiet {
                        up.ping();
                    }
                    self.hub.leave_idle(Instant::now(), |names| up.unsubscribe(names));
                    self.start_wanted(up, &mut work);
                }
            }
        }
    }

    /// Subscribes and looks, as is wanted by now.
    fn start_wanted(&self, up: &Up, work: &mut FuturesUnordered<Job>) {
        let subscribe = |names| up.subscribe(names, &self.hub, &self.place);
        for pair in self.hub.take_wanted(up.number, subscribe) {
            let (hub, up, place) = (Arc::clone(&self.hub), up.clone(), self.place.clone());
            work.push(Box::pin(async move { look(&hub, &up, &place, pair).await }));
        }
    }
}

/// Looks at a pair, and tells its watchers.
async fn look(hub: &Arc<Hub>, up: &Up, place: &Place, pair: Pair) {
    let (key, lock) = &pair;
    let call = call::look(key, lock);
    let ticket = hub.depart(up.number, key, lock, |names| {
        up.subscribe(names, hub, place)
    });
    match up.ask(place, &call).await {
        Ok((key, lock)) => hub.learn(ticket, Some(key), &lock),
        Err(fault) => hub.look_failed(pair, &fault.error),
    }
}
