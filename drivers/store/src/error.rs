//! How a store call fails.

use std::sync::Arc;

/// Why a store did not carry out a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store could not be reached, or did not answer in time. The call may or may not have
    /// happened: repeat it, or degrade.
    #[error("the store is unavailable: {0}")]
    Unavailable(Arc<str>),
    /// The store said no: not permitted, over quota, value too large, not a oneflight store.
    /// Nothing was changed; repeating the call gets the same answer.
    #[error("the store refused: {0}")]
    Refused(Arc<str>),
    /// What the store holds under this key is not what the contract writes. Nothing was changed.
    #[error("what is stored under key {key:?} is not a oneflight entry: {reason}")]
    Malformed {
        /// The key.
        key: Arc<str>,
        /// What is wrong with it.
        reason: Arc<str>,
    },
}

impl StoreError {
    /// [`StoreError::Unavailable`] for this cause.
    pub fn unavailable(cause: impl std::fmt::Display) -> Self {
        Self::Unavailable(cause.to_string().into())
    }

    /// [`StoreError::Refused`] for this cause.
    pub fn refused(cause: impl std::fmt::Display) -> Self {
        Self::Refused(cause.to_string().into())
    }
}
