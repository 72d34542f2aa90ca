//! The thread that keeps a connection: makes it, subscribes, looks, writes, and sees when nothing is
//! answered any more.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use futures_util::stream::{FuturesUnordered, StreamExt};
use oneflight_store::StoreError;

use super::bell::Bell;
use super::reader;
use super::up::Up;
use super::wire::Wire;
use crate::fault::{self, Place};
use crate::hub::Hub;
use crate::line::{self, Checkup, Line};
use crate::outage::Outage;
use crate::pulse::Pulse;
use crate::source::Source;
use crate::times::UNASKED_TICK;

/// What the thread and the calls share.
pub(crate) struct Link {
    pub(crate) source: Source,
    pub(crate) place: Place,
    pub(crate) hub: Arc<Hub>,
    /// There is something to do.
    pub(crate) bell: Arc<Bell>,
    pub(crate) phase: Mutex<Phase>,
}

/// How the link stands.
#[derive(Default)]
pub(crate) struct Phase {
    /// A thread keeps it.
    is_kept: bool,
    up: Option<Up>,
    /// Calls that wait for a connection.
    waiting: Vec<oneshot::Sender<Result<Up, StoreError>>>,
}

type Looks = FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send>>>;

impl Link {
    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_connected(&self) -> bool {
        let phase = self.phase();
        phase.up.as_ref().is_some_and(|up| up.lost().is_none())
    }

    /// Starts the thread, unless there is one.
    pub(crate) fn start(self: &Arc<Self>) -> Result<(), StoreError> {
        self.start_in(&mut self.phase())
    }

    fn start_in(self: &Arc<Self>, phase: &mut Phase) -> Result<(), StoreError> {
        if phase.is_kept {
            return Ok(());
        }
        let link = Arc::clone(self);
        let spawned = thread::Builder::new()
            .name("oneflight-redis".to_owned())
            .spawn(move || Kept(link).0.keep());
        phase.is_kept = spawned.is_ok();
        spawned.map(drop).map_err(|error| {
            StoreError::unavailable(format_args!(
                "{}: the thread that keeps the connection did not start: {error}",
                self.place
            ))
        })
    }

    /// The store is closed: whatever the threads do, they end now.
    pub(crate) fn end(&self) {
        self.bell.end();
        let up = self.phase().up.clone();
        if let Some(up) = up {
            up.lose(self.closed());
        }
    }

    fn closed(&self) -> StoreError {
        StoreError::unavailable(format_args!("{}: the store is closed", self.place))
    }

    /// Answers the calls that wait.
    fn tell(&self, outcome: &Result<Up, StoreError>) {
        self.tell_in(self.phase(), outcome);
    }

    fn tell_in(&self, mut phase: MutexGuard<'_, Phase>, outcome: &Result<Up, StoreError>) {
        phase.up = outcome.as_ref().ok().cloned();
        let waiting = std::mem::take(&mut phase.waiting);
        drop(phase);
        for caller in waiting {
            // Who has given up does not listen.
            drop(caller.send(outcome.clone()));
        }
    }

    fn is_wanted(&self) -> bool {
        let mut phase = self.phase();
        phase.waiting.retain(|caller| !caller.is_canceled());
        let is_awaited = !phase.waiting.is_empty();
        drop(phase);
        is_awaited || self.hub.has_subscribers()
    }

    /// Keeps the connection, until the store is closed.
    fn keep(&self) {
        let mut outage = Outage::new();
        loop {
            while !self.bell.is_over() && !self.is_wanted() {
                self.bell.wait();
                outage.is_felt();
            }
            if self.bell.is_over() {
                return;
            }
            let number = self.hub.next_connection();
            let delay = match self.during(&outage, || self.connect(number)) {
                Ok(up) => {
                    let made = Instant::now();
                    let mut checkup = Checkup::new();
                    let error = self.serve(&up, &mut checkup);
                    let silence = checkup.silence(up.pulse());
                    self.phase().up = None;
                    up.lose(error.clone());
                    self.hub.disconnected(number, &error);
                    outage.begins(made, silence)
                }
                Err(error) => {
                    let delay = outage.goes_on(&self.hub, &error);
                    self.tell(&Err(error));
                    delay
                }
            };
            self.pause(&outage, delay);
        }
    }

    /// Does this, which takes all of this thread's time, and meanwhile has another one tell those whose patience
    /// is over.
    fn during<T>(&self, outage: &Outage, act: impl FnOnce() -> T) -> T {
        let (end, ended) = channel::<()>();
        let tell = move || {
            // This one is not woken when somebody comes who is less patient.
            let tick = || self.hub.pace().tick.min(UNASKED_TICK);
            while ended.recv_timeout(tick()) == Err(RecvTimeoutError::Timeout) {
                outage.lasts(&self.hub, &self.place);
            }
        };
        thread::scope(move |scope| {
            let thread = thread::Builder::new().name("oneflight-wait".to_owned());
            // Without it, they are told when this is done.
            let telling = thread.spawn_scoped(scope, tell);
            let done = act();
            drop(end);
            // What is done is done, also when a watcher has panicked.
            drop(telling.map(ScopedJoinHandle::join));
            done
        })
    }

    /// For so long, unless all is over. Those whose patience is over meanwhile are told so.
    fn pause(&self, outage: &Outage, time: Duration) {
        let until = Instant::now() + time;
        while !self.bell.is_over() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.bell.pause(left.min(self.hub.pace().tick));
            outage.lasts(&self.hub, &self.place);
        }
    }

    fn connect(&self, number: u64) -> Result<Up, StoreError> {
        let fault = |error| fault::of_connection(&self.place, &error);
        let pulse = Arc::<Pulse>::default();
        let client = self.source.client_blocking()?;
        let (wire, inbound) = Wire::connect(client.get_connection_info(), &pulse).map_err(fault)?;
        let up = Up::new(
            number,
            Arc::clone(&self.hub),
            self.place.clone(),
            Arc::clone(&self.bell),
            Arc::clone(&pulse),
            wire,
        );
        let started = reader::start(up.clone(), inbound, pulse);
        started.map_err(|error: io::Error| fault(error.into()))?;
        Ok(up)
    }

    /// Until the connection is lost, and why.
    fn serve(&self, up: &Up, checkup: &mut Checkup) -> StoreError {
        self.hub.connected(up.number());
        let waker = Waker::from(Arc::clone(&self.bell));
        let mut context = Context::from_waker(&waker);
        let mut looks = Looks::new();
        // The first subscription goes ahead of the first calls.
        self.start_wanted(up, &mut looks);
        self.tell(&Ok(up.clone()));
        loop {
            if self.bell.is_over() {
                return self.closed();
            }
            if let Some(error) = up.lost() {
                return error;
            }
            if Instant::now() >= checkup.due(&self.hub)
                && let Err(error) = checkup.tick(up)
            {
                return error;
            }
            self.start_wanted(up, &mut looks);
            while let Poll::Ready(Some(())) = looks.poll_next_unpin(&mut context) {}
            let mut meanwhile = || match self.bell.is_over() {
                true => Err(self.closed()),
                false if Instant::now() >= checkup.due(&self.hub) => checkup.tick(up),
                false => Ok(()),
            };
            if let Err(error) = up.flush(&mut meanwhile) {
                return error;
            }
            self.bell.wait_until(checkup.due(&self.hub));
        }
    }

    /// Subscribes and looks, as is wanted by now.
    fn start_wanted(&self, up: &Up, looks: &mut Looks) {
        let subscribe = |names| up.subscribe(names);
        for pair in self.hub.take_wanted(up.number(), subscribe) {
            looks.push(Box::pin(line::look(up.clone(), pair)));
        }
    }
}

impl Link {
    /// The connection, once there is one; an error once one more could not be made.
    pub(crate) async fn line(self: &Arc<Self>) -> Result<Up, StoreError> {
        let told = {
            let mut phase = self.phase();
            if let Some(up) = &phase.up
                && up.lost().is_none()
            {
                return Ok(up.clone());
            }
            self.start_in(&mut phase)?;
            let (tell, told) = oneshot::channel();
            phase.waiting.push(tell);
            told
        };
        self.bell.ring();
        let told = told.await;
        told.unwrap_or_else(|oneshot::Canceled| Err(self.closed()))
    }
}

/// Says that the thread has ended, however it did: a watcher may panic.
struct Kept(Arc<Link>);

impl Drop for Kept {
    fn drop(&mut self) {
        let link = &self.0;
        let error = link.closed();
        let up = link.phase().up.clone();
        if let Some(up) = up {
            up.lose(error.clone());
        }
        link.hub.ended(&error);
        let mut phase = link.phase();
        phase.is_kept = false;
        link.tell_in(phase, &Err(error));
    }
}
