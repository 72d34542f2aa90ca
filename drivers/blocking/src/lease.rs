//! The lease as a fill sees it.

use std::time::Duration;

use oneflight_hub::Loss;
use oneflight_store::{Revision, Token};

use crate::wait::wait_for;

/// The right to fill a key, in the hands of a fill.
///
/// Cheap to clone; may be sent to other threads. A fill that works in steps asks [`Lease::is_live`]
/// between them; one that cannot may have another thread wait for [`Lease::lost_within`] and stop it.
#[derive(Clone, Debug)]
pub struct Lease(pub(crate) oneflight_hub::Lease);

impl Lease {
    /// The fencing token: hand it to whatever the fill writes to, so that a holder that was
    /// overtaken can be refused there. `None` if the store is unreachable and the fill runs without
    /// a lease.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        self.0.token()
    }

    /// The revision of the key that this fill replaces; [`Revision::NEVER`] for the first.
    #[must_use]
    pub fn generation(&self) -> Revision {
        self.0.generation()
    }

    /// Whether the lease is known to be held at this moment: not taken away, and not lapsed by this
    /// process's own, conservative clock. Right even while the driver's thread cannot run.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.0.is_live()
    }

    /// The last warning, if there was one: see [`Lease::lost_within`].
    #[must_use]
    pub fn loss(&self) -> Option<Loss> {
        self.0.loss()
    }

    /// Waits until the fill is warned for the first time, or for this long: the lease was taken away,
    /// has lapsed by this process's own clock, or is not renewed any more because the fill is overdue.
    /// `None` if there was no warning meanwhile.
    ///
    /// A lease that has merely lapsed may still be renewed or published under, if nobody takes it:
    /// see [`Lease::taken_within`]. When the fill has ended there are no warnings any more.
    #[must_use]
    pub fn lost_within(&self, timeout: Duration) -> Option<Loss> {
        wait_for(timeout, self.0.lost())
    }

    /// Waits until the lease is known to be gone for good, or for this long: released, forgotten, or
    /// somebody else's. Then what the fill returns will not be published. Whether it is gone.
    #[must_use]
    pub fn taken_within(&self, timeout: Duration) -> bool {
        wait_for(timeout, self.0.taken()).is_some()
    }
}
