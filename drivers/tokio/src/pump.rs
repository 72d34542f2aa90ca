//! The driver's own task, which turns the pump: one per [`SingleFlight`](crate::SingleFlight), on the
//! runtime of the call that needed it first.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use oneflight_hub::{Driver, Hub, Pump, Until};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::unconstrained;
use tokio::time::{Instant, sleep_until};

pub(crate) struct Tokio;

impl Driver for Tokio {
    fn name(&self) -> &'static str {
        "tokio"
    }

    fn clock(&self) -> fn() -> std::time::Instant {
        || Instant::now().into_std()
    }

    /// Starts the pump on the current runtime, if there is one.
    fn start(&self, hub: &Arc<Hub>) -> bool {
        let Ok(runtime) = Handle::try_current() else {
            return false;
        };
        let pump = Pump::new(Arc::clone(hub));
        // Once the budget of a turn is spent, what a store has answered seems unanswered; and a turn is
        // bounded by itself.
        drop(runtime.spawn(unconstrained(run(pump))));
        true
    }
}

async fn run(mut pump: Pump) {
    let mut alarm = pin!(sleep_until(Instant::now()));
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
    if Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread {
        tokio::task::yield_now().await;
    }
}
