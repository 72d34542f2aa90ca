//! What a caller may choose.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oneflight_core::{OnAbort, OnFenced, OnUnavailable, Policy};
use oneflight_trace::{Freshness, nanos};

use crate::clock::Clock;
use crate::value::Times;

/// What a caller may choose: what each means is said at the methods of `Call`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
#[expect(missing_docs, reason = "documented once, at the methods of `Call`")]
pub struct Options {
    pub lease_ttl: Option<Duration>,
    pub wait_timeout: Option<Duration>,
    pub store_timeout: Option<Duration>,
    pub fill_timeout: Option<Duration>,
    pub max_age: Option<Duration>,
    pub local_max_age: Option<Duration>,
    pub retain: Option<Duration>,
    pub lock: Option<Arc<str>>,
    pub on_unavailable: OnUnavailable,
    pub on_fenced: OnFenced,
    pub on_abort: OnAbort,
    pub malformed_is_absent: bool,
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

    /// How long the store may take to answer before it counts as unreachable.
    #[must_use]
    pub fn store_timeout(&self) -> Duration {
        self.store_timeout.unwrap_or(Policy::DEFAULT.store_timeout)
    }

    /// Whether a copy may be served, as far as its age goes.
    #[inline]
    pub(crate) fn timing(&self, times: Times, clock: &Clock) -> Timing {
        // Reading the clock is most of what a hit costs: only who cares for the age pays for it.
        if self.max_age.is_none() && self.local_max_age.is_none() {
            return Timing::Good;
        }
        self.timing_at(times, clock.read())
    }

    fn timing_at(&self, times: Times, now: Instant) -> Timing {
        let (max_age, local) = (self.max_age, self.local_max_age);
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
