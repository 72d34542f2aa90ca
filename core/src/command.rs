//! Orders: what a [`Flight`](crate::Flight) wants done.

use core::ops::Deref;

use crate::{Attempt, Instant, Revision, Token};

/// The right to fill a key until it lapses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Lease {
    /// The fencing token.
    pub token: Token,
    /// When it lapses by the holder's own, conservative clock: counted from before the claim or the
    /// renewal was sent.
    pub expires: Instant,
    /// The revision of the key that the fill replaces.
    pub generation: Revision,
}

/// Why a fill is warned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Warning {
    /// The store says that the lease is released, forgotten or somebody else's: what the fill
    /// returns will not be published.
    Taken,
    /// The lease has lapsed by the holder's own clock; somebody else may take it at any moment.
    Lapsed,
    /// The fill has run for its `fill_timeout`; the lease is not renewed any more.
    Overdue,
}

/// Something to be done.
///
/// The driver carries out each command and tells its end as an event with the same attempt; a
/// command that cannot be carried out ends as `Unavailable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Command {
    /// Ask the store for the lease; answered by `LeaseGranted`, `Held` or `Newer`.
    Claim {
        /// The number of this command.
        attempt: Attempt,
        /// The last revision of the key that is known and not fresh.
        seen: Revision,
    },
    /// Listen to the key and the lock, beginning with how they stand; answered by `KeyEvent`,
    /// `LockReleased`, `LockHeld`, and at its end by `WatchLost` or `WatchRefused`.
    Watch,
    /// Stop listening.
    Unwatch,
    /// Run the caller's fill; answered by `FillDone`. A second `Fill` is for the caller that has
    /// taken over, or that was fenced and elected again.
    Fill {
        /// The number of this command.
        attempt: Attempt,
        /// The lease it runs under; `None` if the store is unreachable.
        lease: Option<Lease>,
    },
    /// Ask the store to prolong the lease; answered by `Renewed` or `LeaseLost`.
    Renew {
        /// The number of this command.
        attempt: Attempt,
        /// The lease.
        token: Token,
    },
    /// Write the fill's value under the lease; answered by `Published` or `Fenced`.
    Publish {
        /// The number of this command.
        attempt: Attempt,
        /// The lease.
        token: Token,
    },
    /// Write the fill's value without a lease, if the key's last revision is still this one. Nobody
    /// waits for the answer.
    Put {
        /// The last revision of the key that is known.
        seen: Revision,
    },
    /// Free the lock; answered by `Released`.
    Release {
        /// The number of this command.
        attempt: Attempt,
        /// The lease.
        token: Token,
    },
    /// Tell the fill, through its lease handle.
    WarnLeaseLost {
        /// The lease; `None` for a fill without one.
        token: Option<Token>,
        /// What is the matter with it.
        warning: Warning,
    },
    /// Tell the caller how its call ended. Comes once; only clean-up may follow.
    Land(Outcome),
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Outcome {
    /// With a value that stood before the call, or that it found published without waiting.
    Cached {
        /// Which.
        revision: Revision,
        /// The caller wanted a newer one, but its time was over.
        stale: bool,
    },
    /// With the value of its own fill.
    Computed {
        /// Which; `None` if it was not published under a lease: the landing is not coordinated.
        revision: Option<Revision>,
    },
    /// With a value it waited for.
    Awaited {
        /// Which; `None` if a caller of the same process computed it without the store.
        revision: Option<Revision>,
    },
    /// Its fill (or the one it shared) returned an error.
    Aborted,
    /// Its fill (or the one it shared) panicked.
    Panicked,
    /// Nothing satisfied it within its `wait_timeout`.
    TimedOut,
    /// Its fill was overtaken, and its policy is not to ride; or it was overtaken again when its
    /// patience was over.
    Fenced,
    /// The store is unreachable, and its policy is not to run without it.
    Unavailable,
    /// The store does not permit it.
    Refused,
    /// The value does not decode.
    Malformed,
    /// Its fill has a value that could not be published; the caller gets it with the error.
    Unpublished {
        /// Why.
        cause: Unpublished,
    },
}

impl Outcome {
    /// Which value it landed with; `None` if it has none, or one without a revision: it was not
    /// published under a lease.
    #[must_use]
    pub const fn revision(self) -> Option<Revision> {
        match self {
            Self::Cached { revision, .. } => Some(revision),
            Self::Computed { revision } | Self::Awaited { revision } => revision,
            Self::Aborted
            | Self::Panicked
            | Self::TimedOut
            | Self::Fenced
            | Self::Unavailable
            | Self::Refused
            | Self::Malformed
            | Self::Unpublished { .. } => None,
        }
    }
}

/// Why a computed value could not be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Unpublished {
    /// The store could not be reached; the publish may have happened all the same.
    Unavailable,
    /// The store does not permit it, or the value is too large.
    Refused,
    /// What the key holds is not what the contract writes, and was not overwritten.
    Malformed,
}

/// The commands of one step, in the order they are to be carried out: at most
/// [`Commands::CAPACITY`], inline.
#[derive(Clone, Copy)]
#[must_use = "commands are orders: each must be carried out"]
pub struct Commands {
    len: u8,
    items: [Command; Self::CAPACITY],
}

impl Commands {
    /// The most commands that one step emits.
    pub const CAPACITY: usize = 3;

    pub(crate) const fn none() -> Self {
        Self {
            len: 0,
            items: [Command::Unwatch; Self::CAPACITY],
        }
    }

    /// Appends a command. No step of the machine emits more than the capacity, which the exhaustive
    /// table test walks; one that did would lose the command in a release build, not panic.
    pub(crate) fn push(&mut self, command: Command) {
        debug_assert!(usize::from(self.len) < Self::CAPACITY, "too many commands");
        if let Some(slot) = self.items.get_mut(usize::from(self.len)) {
            *slot = command;
            self.len += 1;
        }
    }
}

impl Deref for Commands {
    type Target = [Command];

    fn deref(&self) -> &[Command] {
        self.items.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl core::fmt::Debug for Commands {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for Commands {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Commands {}

impl<const N: usize> PartialEq<[Command; N]> for Commands {
    fn eq(&self, other: &[Command; N]) -> bool {
        **self == *other
    }
}

impl IntoIterator for Commands {
    type Item = Command;
    type IntoIter = core::iter::Take<core::array::IntoIter<Command, { Commands::CAPACITY }>>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter().take(usize::from(self.len))
    }
}
