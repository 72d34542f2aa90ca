//! The lease as a fill sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use oneflight_core::Warning;
use oneflight_store::{Revision, Token};
use tokio::sync::watch;

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
    loss: watch::Sender<Option<Loss>>,
}

impl LeaseState {
    pub(crate) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            expires: AtomicU64::new(0),
            loss: watch::Sender::new(None),
        })
    }

    pub(crate) fn set_expiry(&self, expires: oneflight_core::Instant) {
        self.expires.store(expires.as_nanos(), Ordering::Release);
    }

    pub(crate) fn warn(&self, loss: Loss) {
        self.loss.send_modify(|current| {
            // Nothing is worse than taken.
            if *current != Some(Loss::Taken) {
                *current = Some(loss);
            }
        });
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
    /// process's own, conservative clock. Right even while the driver's task cannot run.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.token.is_some()
            && *self.state.loss.borrow() != Some(Loss::Taken)
            && self.state.clock.now().as_nanos() < self.state.expires.load(Ordering::Acquire)
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

    async fn wait_for(&self, matches: impl Fn(Loss) -> bool) -> Loss {
        let mut losses = self.state.loss.subscribe();
        let seen = losses.wait_for(|loss| loss.is_some_and(&matches)).await;
        match seen.map(|loss| *loss) {
            Ok(Some(loss)) => loss,
            // INVARIANT: the sender lives in `self.state`, and only a loss that matches is waited for.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}
