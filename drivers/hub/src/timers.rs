//! Moments that the pump's futures wait for. The pump tells the time, so no runtime needs to.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use oneflight_core::Instant;

const TICK: Duration = Duration::from_nanos(1);

/// The alarms that are set.
#[derive(Clone, Default)]
pub(crate) struct Timers {
    alarms: Arc<Mutex<Alarms>>,
}

#[derive(Default)]
struct Alarms {
    /// The number of the last one: several may be set to one moment.
    last: u64,
    wakers: BTreeMap<(Instant, u64), Waker>,
}

impl Timers {
    /// Ends when the pump has been told a moment that is no earlier.
    pub(crate) fn sleep_until(&self, at: Instant) -> Sleep {
        Sleep {
            timers: self.clone(),
            at,
            number: None,
        }
    }

    /// The moment of the next alarm.
    pub(crate) fn next(&self) -> Option<Instant> {
        let alarms = self.alarms();
        alarms.wakers.keys().next().map(|(at, _)| *at)
    }

    /// Wakes whoever waits for this moment or an earlier one.
    pub(crate) fn fire(&self, now: Instant) {
        let due = {
            let mut alarms = self.alarms();
            if alarms.wakers.is_empty() {
                return;
            }
            let later = alarms.wakers.split_off(&(now.after(TICK), 0));
            std::mem::replace(&mut alarms.wakers, later)
        };
        for waker in due.into_values() {
            waker.wake();
        }
    }

    fn alarms(&self) -> MutexGuard<'_, Alarms> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Timers::sleep_until`]. Sets its alarm when it is first polled.
pub(crate) struct Sleep {
    timers: Timers,
    at: Instant,
    number: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut alarms = this.timers.alarms();
        let Some(number) = this.number else {
            alarms.last += 1;
            this.number = Some(alarms.last);
            let alarm = (this.at, alarms.last);
            alarms.wakers.insert(alarm, cx.waker().clone());
            return Poll::Pending;
        };
        match alarms.wakers.get_mut(&(this.at, number)) {
            Some(waker) => {
                waker.clone_from(cx.waker());
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.timers.alarms().wakers.remove(&(self.at, number));
        }
    }
}
