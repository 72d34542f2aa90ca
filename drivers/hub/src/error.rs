//! How a call ends badly.

use std::sync::Arc;

use oneflight_store::StoreError;

/// Why a call has no value, or could not share the one it has.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error<V, E> {
    /// The fill returned this error: this call's own, or the one it shared with another caller of
    /// the process. Nothing was published; call again to try again.
    #[error("the fill failed: {0}")]
    Aborted(Arc<E>),
    /// The fill of another caller of this process panicked while this call waited for it. Nothing
    /// was published; call again to try again.
    #[error("the fill panicked in another caller of this process; call again to try again")]
    Panicked,
    /// Somebody else's fill went on for longer than this call's `wait_timeout`. Wait longer, or call
    /// again.
    #[error("another caller's fill took longer than the wait timeout; wait longer, or call again")]
    TimedOut,
    /// The fill took so long that another holder overtook it, or the key was forgotten meanwhile.
    /// Nothing of it was published; call again for the newer value.
    #[error("the fill was overtaken by a newer one; call again for its value")]
    Fenced,
    /// The store cannot be reached, and the call was told not to do without it; or the driver has no
    /// thread or runtime to wait for the store with. Call again later.
    #[error("{0}; call again later, or let the call run without the store")]
    Unavailable(StoreError),
    /// The store does not permit the call. Calling again gets the same answer.
    #[error("{0}")]
    Refused(StoreError),
    /// The value does not decode as what the caller wants, or does not encode. Forget the key, or
    /// let the call treat what does not decode as absent.
    #[error(
        "the value of key {key:?} is malformed: {reason}; forget the key, or treat it as absent"
    )]
    Malformed {
        /// The key.
        key: Arc<str>,
        /// What is wrong with its value.
        reason: Arc<str>,
    },
    /// The fill has a value, but it could not be published: the others will compute their own. It
    /// may have been published all the same if the cause is `Unavailable`.
    #[error(
        "the value was computed but not published: {cause}; use it, others will compute their own"
    )]
    Unpublished {
        /// The value.
        value: Arc<V>,
        /// Why it was not published.
        cause: StoreError,
    },
}
