//! What a caller may choose.

use std::sync::Arc;
use std::time::Duration;

use oneflight_core::{OnAbort, OnFenced, OnUnavailable, Policy};
use oneflight_trace::{Freshness, nanos};
use tokio::time::Instant;

use crate::value::Times;

/// What a caller may choose.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) lease_ttl: Option<Duration>,
    pub(crate) wait_timeout: Option<Duration>,
    pub(crate) store_timeout: Option<Duration>,
    pub(crate) fill_timeout: Option<Duration>,
    pub(crate) max_age: Option<Duration>,
    pub(crate) local_max_age: Option<Duration>,
    pub(crate) retain: Option<Duration>,
    pub(crate) lock: Option<Arc<str>>,
    pub(crate) on_unavailable: OnUnavailable,
    pub(crate) on_fenced: OnFenced,
    pub(crate) on_abort: OnAbort,
    pub(crate) malformed_is_absent: bool,
}

impl Options {
    pub(crate) fn policy(&self) -> Policy {
        let default = Policy::DEFAULT;
        // A lease of no time would be anybody's at once.
        let lease_ttl = self
            .lease_ttl
            .unwrap_or(default.lease_ttl)
            .max(Duration::from_millis(1));
        Policy {
            lease_ttl,
            wait_timeout: self
                .wait_timeout
                .unwrap_or(Policy::wait_timeout_for(lease_ttl)),
            store_timeout: self.store_timeout.unwrap_or(default.store_timeout),
            fill_timeout: self.fill_timeout,
            on_unavailable: self.on_unavailable,
            on_fenced: self.on_fenced,
            on_abort: self.on_abort,
            ..default
        }
    }

    /// The same for the recorder.
    pub(crate) fn freshness(&self, predicate: bool) -> Freshness {
        Freshness {
            max_age: self.max_age.map(nanos),
            predicate,
            malformed_as_absent: self.malformed_is_absent,
        }
    }

    pub(crate) fn store_timeout(&self) -> Duration {
        self.store_timeout.unwrap_or(Policy::DEFAULT.store_timeout)
    }

    /// Whether a copy may be served, as far as its age goes.
    #[inline]
    pub(crate) fn timing(&self, times: Times) -> Timing {
        // Reading the clock is most of what a hit costs: only who cares for the age pays for it.
        if self.max_age.is_none() && self.local_max_age.is_none() {
            return Timing::Good;
        }
        self.timing_now(times)
    }

    fn timing_now(&self, times: Times) -> Timing {
        let (max_age, local) = (self.max_age, self.local_max_age);
        let now = Instant::now();
        if local.is_some_and(|limit| times.unread_for(now) > limit) {
            Timing::TooLongUnread
        } else if max_age.is_some_and(|limit| times.age_at(now) > limit) {
            Timing::TooOld
        } else {
            Timing::Good
        }
    }
}

/// See [`Options::timing`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timing {
    Good,
    /// Older than the caller accepts.
    TooOld,
    /// The caller wants the store to be asked again.
    TooLongUnread,
}
