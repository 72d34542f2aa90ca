//! The numbers that order things: [`Token`], [`Revision`], [`Attempt`].

use core::fmt;
use core::num::NonZeroU64;

/// A fencing token: one number per grant of a lease, strictly increasing on its lock for ever,
/// across release, lapse and restart of the store.
///
/// Hand it to whatever the fill writes to; a resource that remembers the highest token it has
/// seen can refuse a holder that was overtaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Token(NonZeroU64);

impl Token {
    /// The token with this number, or `None` for zero, which no store ever grants.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number itself, at least 1.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The version of one key's value: strictly increasing with every publish, put and forget of
/// that key; [`Revision::NEVER`] before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Revision(u64);

impl Revision {
    /// The revision of a key that was never written; below all others.
    pub const NEVER: Self = Self(0);

    /// The revision with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number itself; 0 for [`Revision::NEVER`].
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of one order within one [`Flight`](crate::Flight), from 1.
///
/// An answer carries the attempt it answers, so that a late one is recognised. An order that is
/// repeated because its answer did not come keeps its attempt: it is the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Attempt(u32);

impl Attempt {
    /// The attempt with this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}
