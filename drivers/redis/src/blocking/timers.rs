//! What waits for a moment to come, without a runtime.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Whoever runs the futures that sleep looks at it between one poll and the next.
#[derive(Default)]
pub(super) struct Timers(Mutex<State>);

#[derive(Default)]
struct State {
    last: u64,
    /// By when, and told apart by a number.
    sleeping: BTreeMap<(Instant, u64), Waker>,
}

/// Until its moment has come.
pub(super) struct Sleep<'a> {
    timers: &'a Timers,
    until: (Instant, u64),
}

impl Timers {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sleep(&self, time: Duration) -> Sleep<'_> {
        let mut state = self.lock();
        state.last += 1;
        let until = (Instant::now() + time, state.last);
        Sleep {
            timers: self,
            until,
        }
    }

    /// When the first of them is to be woken.
    pub(super) fn next(&self) -> Option<Instant> {
        let state = self.lock();
        let ((moment, _), _) = state.sleeping.first_key_value()?;
        Some(*moment)
    }

    /// Wakes those whose moment has come.
    pub(super) fn wake(&self, now: Instant) {
        let mut state = self.lock();
        let later = state.sleeping.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut state.sleeping, later);
        drop(state);
        due.into_values().for_each(Waker::wake);
    }
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let (moment, _) = self.until;
        if Instant::now() >= moment {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        self.timers.lock().sleeping.insert(self.until, waker);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.timers.lock().sleeping.remove(&self.until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn each_is_woken_when_its_moment_has_come_and_none_that_has_gone() {
        let timers = Timers::default();
        let count = Arc::<Count>::default();
        let woken = || count.0.load(Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(timers.next(), None);
        {
            let mut long = pin!(timers.sleep(Duration::from_secs(60)));
            let mut gone = Box::pin(timers.sleep(Duration::from_secs(20)));
            // However often it is looked at, it is one.
            for _ in 0..2 {
                assert!(long.as_mut().poll(&mut context).is_pending());
                assert!(gone.as_mut().poll(&mut context).is_pending());
            }
            assert!(timers.next().is_some_and(|next| next < after(50)));
            drop(gone);
            assert!(timers.next().is_some_and(|next| next >= after(60)));
            timers.wake(after(50));
            assert_eq!(woken(), 0);
            timers.wake(after(90));
            assert_eq!((woken(), timers.next()), (1, None));
            assert!(long.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(timers.next(), None);
        let mut over = pin!(timers.sleep(Duration::ZERO));
        assert!(over.as_mut().poll(&mut context).is_ready());
    }
}
