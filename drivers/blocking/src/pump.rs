//! The driver's own thread, which turns the pump: one per [`SingleFlight`](crate::SingleFlight), started
//! by the call that needs it first.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use oneflight_hub::{CLOSING_PATIENCE, Driver, Pump, Until};
use oneflight_store::StoreError;

use crate::sync::mpsc::{self, Receiver, TryRecvError};
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Mutex, MutexGuard, now};
use crate::wait::Signal;

/// For how long the last handle waits for the thread: it ends within [`CLOSING_PATIENCE`] by itself, and
/// a busy machine may let it come late.
const PATIENCE: Duration = CLOSING_PATIENCE.saturating_add(Duration::from_secs(1));

/// The thread that turns the pump; while one ends, perhaps the next as well.
#[derive(Default)]
pub(crate) struct Threads {
    started: Mutex<Vec<Turner>>,
}

struct Turner {
    thread: JoinHandle<()>,
    /// Tells nothing but that its sender, and so the pump, is gone.
    ended: Receiver<Infallible>,
}

impl Driver for Threads {
    fn name(&self) -> &'static str {
        "blocking"
    }

    fn clock(&self) -> fn() -> Instant {
        now
    }

    fn start(&self, pump: Pump) -> Result<(), StoreError> {
        let (turning, ended) = mpsc::channel();
        let hub = Arc::clone(pump.hub());
        let turn = move || {
            let _turning = turning;
            // A store may panic here. Fills that run on their own threads count on renewals all the same.
            if catch_unwind(AssertUnwindSafe(|| run(pump))).is_err() {
                // If that cannot be, whoever waits tries in turn.
                drop(hub.revive());
            }
        };
        let spawned = thread::Builder::new()
            .name(String::from("oneflight-pump"))
            .spawn(turn);
        let thread = spawned.map_err(|error| {
            StoreError::unavailable(format_args!("the driver's thread did not start: {error}"))
        })?;
        let mut started = self.started();
        started.retain(|it| it.ended.try_recv() != Err(TryRecvError::Disconnected));
        started.push(Turner { thread, ended });
        Ok(())
    }

    /// Waits for the thread, so that what was held is released and the store let go.
    fn closed(&self) {
        let give_up = now() + PATIENCE;
        // One that dies may have started another.
        while let Some(Turner { thread, ended }) = self.last() {
            if thread.thread().id() == thread::current().id() {
                // It has dropped the last handle itself, with an error of a fill that held it.
                continue;
            }
            let left = give_up.saturating_duration_since(now());
            if ended.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Disconnected) {
                // It has told of its panics when they happened.
                drop(thread.join());
            }
        }
    }
}

impl Threads {
    fn started(&self) -> MutexGuard<'_, Vec<Turner>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last(&self) -> Option<Turner> {
        self.started().pop()
    }
}

fn run(mut pump: Pump) {
    let signal = Signal::new();
    let waker = Waker::from(Arc::clone(&signal));
    let mut cx = Context::from_waker(&waker);
    while let Until::Moment(moment) = pump.turn(&mut cx) {
        signal.wait_until(moment);
    }
}
