//! The driver's own task, which turns the pump: one per [`SingleFlight`](crate::SingleFlight), on the
//! runtime of the call that needed it first.

use std::future::{Future, poll_fn};
use std::panic::catch_unwind;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use oneflight_hub::{Driver, Pump, Until, no_answer};
use oneflight_store::StoreError;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

pub(crate) struct Tokio;

impl Driver for Tokio {
    fn name(&self) -> &'static str {
        "tokio"
    }

    fn clock(&self) -> fn() -> std::time::Instant {
        || Instant::now().into_std()
    }

    /// Starts the pump on the current runtime, if there is one.
    fn start(&self, pump: Pump) -> Result<(), StoreError> {
        let alarm = alarm()?;
        // Once the budget of a turn is spent, what a store has answered seems unanswered; and a turn is
        // bounded by itself.
        let task = tokio::spawn(unconstrained(run(pump, alarm)));
        let mut cx = Context::from_waker(Waker::noop());
        match pin!(unconstrained(task)).poll(&mut cx) {
            Poll::Ready(Err(error)) if error.is_cancelled() => {
                Err(StoreError::unavailable("the tokio runtime has ended"))
            }
            Poll::Ready(_) | Poll::Pending => Ok(()),
        }
    }
}

/// An alarm of the current runtime, which goes off at once; or why there is none.
fn alarm() -> Result<Sleep, StoreError> {
    if Handle::try_current().is_err() {
        let why = "nobody can wait for it outside of a tokio runtime; await the call within one";
        return Err(StoreError::unavailable(why));
    }
    catch_unwind(|| sleep_until(Instant::now())).map_err(|_| {
        let why = "the timer of the tokio runtime is not enabled; build it with `enable_time`";
        StoreError::unavailable(why)
    })
}

/// Waits for an answer of the store for no longer than this.
pub(crate) async fn bounded<T>(
    limit: Duration,
    answer: impl Future<Output = T>,
) -> Result<T, StoreError> {
    drop(alarm()?);
    let answered = timeout(limit, answer).await;
    answered.map_err(|_| no_answer(limit))
}

async fn run(mut pump: Pump, alarm: Sleep) {
    let mut alarm = pin!(alarm);
    poll_fn(|cx| match pump.turn(cx) {
        Until::Ended => Poll::Ready(()),
        Until::Moment(None) => Poll::Pending,
        Until::Moment(Some(at)) => {
            let at = Instant::from_std(at);
            if alarm.deadline() != at {
                alarm.as_mut().reset(at);
            }
            if alarm.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        }
    })
    .await;
}

/// On many threads the pump may have been put into this worker's own slot, from where no other worker
/// can take it: it must have run before a fill blocks this thread.
pub(crate) async fn let_it_run() {
    if let Ok(runtime) = Handle::try_current()
        && runtime.runtime_flavor() != RuntimeFlavor::CurrentThread
    {
        tokio::task::yield_now().await;
    }
}
