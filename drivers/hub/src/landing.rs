//! How a call ends well.

use std::sync::Arc;

use oneflight_store::{Revision, Token};

/// A value, and how the caller came by it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Landing<V> {
    /// The value, shared with the other callers of this process.
    pub value: Arc<V>,
    /// Who computed it.
    pub source: Source,
    /// The caller wanted a fresher one, but its `wait_timeout` was over.
    pub stale: bool,
    /// The value is what the fleet shares. `false` only after the store could not be reached: then
    /// others may have computed their own.
    pub coordinated: bool,
    /// The version of the key; `None` if not coordinated.
    pub revision: Option<Revision>,
    /// The token of the lease it was published under, if it was.
    pub token: Option<Token>,
}

impl<V> Clone for Landing<V> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            source: self.source,
            stale: self.stale,
            coordinated: self.coordinated,
            revision: self.revision,
            token: self.token,
        }
    }
}

/// Who computed a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// Somebody, before: nobody had to wait for it.
    Cached,
    /// This call's own fill.
    Computed,
    /// Another caller's fill, which this call waited for.
    Awaited,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Cached => "cached",
            Self::Computed => "computed",
            Self::Awaited => "awaited",
        })
    }
}
