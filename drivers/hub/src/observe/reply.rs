//! What a store answers, in one word.

use oneflight_store::{Claim, KeyState, Publication, PutOutcome, Renewal, Revision, StoreError};

use super::StoreCall;

/// What a store answers to one of its calls: each call has an answer of its own type.
pub(crate) trait Reply: Send + 'static {
    const CALL: StoreCall;

    fn word(&self) -> &'static str;
}

macro_rules! replies {
    ($($type:ty, $call:ident { $($pattern:pat => $word:literal,)* })*) => {
        $(impl Reply for $type {
            const CALL: StoreCall = StoreCall::$call;

            fn word(&self) -> &'static str {
                match self { $($pattern => $word,)* }
            }
        })*

        /// The words of all answers to a call.
        #[cfg(feature = "metrics")]
        pub(crate) fn words(call: StoreCall) -> impl Iterator<Item = &'static str> {
            let own: &[&str] = match call { $(StoreCall::$call => &[$($word,)*],)* };
            own.iter().chain(FAILURES).copied()
        }
    };
}

replies! {
    Claim, Claim {
        Self::Granted { .. } => "granted",
        Self::Held { .. } => "held",
        Self::Newer { .. } => "newer",
    }
    Renewal, Renew {
        Self::Renewed => "renewed",
        Self::Lost => "lost",
    }
    Publication, Publish {
        Self::Published(_) => "published",
        Self::Fenced => "fenced",
    }
    (), Release {
        () => "released",
    }
    PutOutcome, Put {
        Self::Written(_) => "written",
        Self::Newer(_) => "newer",
    }
    KeyState, Read {
        Self { entry: Some(_), .. } => "found",
        Self { entry: None, .. } => "absent",
    }
    Revision, Forget {
        _ => "forgotten",
    }
}

/// Whatever the call.
#[cfg(feature = "metrics")]
const FAILURES: &[&str] = &["unavailable", "refused", "malformed", UNANSWERED];

/// Nobody waits for the answer any more.
pub(crate) const UNANSWERED: &str = "none";

/// The word for an answer, or for none.
pub(crate) fn word<T: Reply>(came: &Result<T, StoreError>) -> &'static str {
    match came {
        Ok(reply) => reply.word(),
        Err(StoreError::Refused(_)) => "refused",
        Err(StoreError::Malformed { .. }) => "malformed",
        Err(StoreError::Unavailable(_) | _) => "unavailable",
    }
}
