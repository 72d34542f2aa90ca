//! Which of two things that are told of a key or of a lock is the newer one.
//!
//! One server tells in order. But in a cluster each server passes on what all of them tell, so once a
//! slot has gone to another server, what the old one has told may come late, after what the new one tells.

use std::time::Duration;

use oneflight_store::{Holder, LockState, Revision, Token};

/// A moment in the history of a key, by its revision, or of a lock, by its token: both only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    number: u64,
    /// The lease with that token has ended.
    is_ended: bool,
}

impl Moment {
    pub(crate) fn of_key(revision: Revision) -> Self {
        Self {
            number: revision.get(),
            is_ended: false,
        }
    }
}

/// How a lock stood at a moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LockAt {
    pub(crate) state: LockState,
    pub(crate) moment: Moment,
}

impl LockAt {
    pub(crate) fn held(token: Token, remaining: Option<Duration>, holder: Option<Holder>) -> Self {
        Self {
            state: LockState::Held {
                token,
                remaining,
                holder,
            },
            moment: Moment {
                number: token.get(),
                is_ended: false,
            },
        }
    }

    /// The lease with this token, zero if none is known, has run out: whoever held it may yet renew it.
    pub(crate) fn lapsed(number: u64) -> Self {
        Self {
            state: LockState::Free,
            moment: Moment {
                number,
                is_ended: false,
            },
        }
    }

    /// The lease with this token, zero if none is known, has ended for good, as have all before it.
    pub(crate) fn ended(number: u64) -> Self {
        Self {
            state: LockState::Free,
            moment: Moment {
                number,
                is_ended: true,
            },
        }
    }
}
