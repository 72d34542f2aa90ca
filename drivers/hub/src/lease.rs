//! The lease as a fill sees it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use oneflight_core::Warning;
use oneflight_store::{Revision, Token};

use crate::clock::Clock;

/// The right to fill a key, in the hands of a fill.
///
/// Cheap to clone; may be sent to other tasks and threads.
#[derive(Clone, Debug)]
pub struct Lease {
    token: Option<Token>,
    generation: Revision,
    state: Arc<LeaseState>,
}

/// Why a lease is not what it was.
pub type Loss = Warning;

#[derive(Debug)]
pub(crate) struct LeaseState {
    clock: Clock,
    /// When the lease lapses, on the machine's clock.
    expires: AtomicU64,
    warned: Mutex<Warned>,
}

#[derive(Debug, Default)]
struct Warned {
    loss: Option<Loss>,
    /// The number of the last one who waited.
    last: u64,
    waiting: BTreeMap<u64, Waker>,
}

impl LeaseState {
    pub(crate) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            expires: AtomicU64::new(0),
            warned: Mutex::default(),
        })
    }

    pub(crate) fn set_expiry(&self, expires: oneflight_core::Instant) {
        self.expires.store(expires.as_nanos(), Ordering::Release);
    }

    /// Answers whom to wake.
    pub(crate) fn warn(&self, loss: Loss) -> impl Iterator<Item = Waker> + use<> {
        let mut warned = self.warned();
        // Nothing is worse than taken.
        if warned.loss != Some(Loss::Taken) {
            warned.loss = Some(loss);
        }
        std::mem::take(&mut warned.waiting).into_values()
    }

    fn warned(&self) -> MutexGuard<'_, Warned> {
        self.warned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    pub(crate) fn new(lease: Option<oneflight_core::Lease>, state: Arc<LeaseState>) -> Self {
        if let Some(lease) = lease {
            state.set_expiry(lease.expires);
        }
        Self {
            token: lease.map(|lease| lease.token),
            generation: lease.map_or(Revision::NEVER, |lease| lease.generation),
            state,
        }
    }

    /// The fencing token: hand it to whatever the fill writes to, so that a holder that was
    /// overtaken can be refused there. `None` if the store is unreachable and the fill runs without
    /// a lease.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        self.token
    }

    /// The revision of the key that this fill replaces; [`Revision::NEVER`] for the first.
    #[must_use]
    pub fn generation(&self) -> Revision {
        self.generation
    }

    /// Whether the lease is known to be held at this moment: not taken away, and not lapsed by this
    /// process's own, conservative clock. Right even while the driver cannot run.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.token.is_some()
            && self.loss() != Some(Loss::Taken)
            && self.state.clock.now().as_nanos() < self.state.expires.load(Ordering::Acquire)
    }

    /// The last warning, if there was one: see [`Lease::lost`].
    #[must_use]
    pub fn loss(&self) -> Option<Loss> {
        self.state.warned().loss
    }

    /// Waits until the fill is warned for the first time: the lease was taken away, has lapsed by
    /// this process's own clock, or is not renewed any more because the fill is overdue.
    ///
    /// A lease that has merely lapsed may still be renewed or published under, if nobody takes it:
    /// see [`Lease::taken`]. Cancel-safe.
    pub async fn lost(&self) -> Loss {
        self.wait_for(|_| true).await
    }

    /// Waits until the lease is known to be gone for good: released, forgotten, or somebody else's.
    /// What the fill returns will not be published. Cancel-safe.
    pub async fn taken(&self) {
        self.wait_for(|loss| loss == Loss::Taken).await;
    }

    fn wait_for(&self, matches: fn(Loss) -> bool) -> impl Future<Output = Loss> + '_ {
        Wait {
            state: &self.state,
            matches,
            number: None,
        }
    }
}

struct Wait<'a> {
    state: &'a LeaseState,
    matches: fn(Loss) -> bool,
    number: Option<u64>,
}

impl Future for Wait<'_> {
    type Output = Loss;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Loss> {
        let state = self.state;
        let mut warned = state.warned();
        if let Some(loss) = warned.loss
            && (self.matches)(loss)
        {
            return Poll::Ready(loss);
        }
        let number = *self.number.get_or_insert_with(|| {
            warned.last += 1;
            warned.last
        });
        warned.waiting.insert(number, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.state.warned().waiting.remove(&number);
        }
    }
}
