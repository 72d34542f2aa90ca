//! The connection, from the call that needs it first.

use std::time::Duration;

use oneflight_store::StoreError;
use serde_json::json;

use super::{News, Output, Session};
use crate::clock::Moment;

/// How long a connection may take to be opened.
pub(super) const DIALING: Duration = Duration::from_secs(5);
/// How long leaving may take, before it joins all the same.
pub(super) const LEAVING: Duration = Duration::from_secs(1);
/// What was refused is tried again after this long: somebody may have put it right.
const REFUSED: Duration = Duration::from_secs(15);

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Nobody has needed it yet.
    Idle,
    /// Not connected, until this moment.
    Waiting { until: Moment },
    /// A connection is being opened.
    Dialing { since: Moment },
    /// The join under this reference is not answered.
    Joining { join: String, since: Moment },
    /// Joined, and told of the past, last at this moment.
    CatchingUp { join: String, told: Moment },
    /// Joined, and told of everything as it happens.
    Up { join: String, since: Moment },
    /// About to join again.
    Leaving {
        join: String,
        leave: String,
        since: Moment,
    },
}

impl Link {
    pub(super) const fn is_connected(&self) -> bool {
        match self {
            Self::Joining { .. }
            | Self::CatchingUp { .. }
            | Self::Up { .. }
            | Self::Leaving { .. } => true,
            Self::Idle | Self::Waiting { .. } | Self::Dialing { .. } => false,
        }
    }

    /// The join under which writes are sent.
    pub(super) fn writes_under(&self) -> Option<&str> {
        match self {
            Self::Up { join, .. } => Some(join),
            Self::Idle
            | Self::Waiting { .. }
            | Self::Dialing { .. }
            | Self::Joining { .. }
            | Self::CatchingUp { .. }
            | Self::Leaving { .. } => None,
        }
    }

    /// The join that stands or is under way.
    pub(super) fn join(&self) -> Option<&str> {
        match self {
            Self::Joining { join, .. }
            | Self::CatchingUp { join, .. }
            | Self::Up { join, .. }
            | Self::Leaving { join, .. } => Some(join),
            Self::Idle | Self::Waiting { .. } | Self::Dialing { .. } => None,
        }
    }
}

/// How long to wait before the next connection: not at all for the first, then longer and longer, and
/// not like everybody else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    failures: u32,
    seed: u64,
}

impl Backoff {
    pub(super) const fn new(seed: u64) -> Self {
        Self { failures: 0, seed }
    }

    fn next(&mut self) -> Duration {
        let failures = self.failures;
        self.failures = failures.saturating_add(1);
        if failures == 0 {
            return Duration::ZERO;
        }
        let most = Duration::from_millis(100 << (failures - 1).min(6)).min(Duration::from_secs(5));
        self.share_of(most)
    }

    /// Between half of it and all of it.
    fn share_of(&mut self, most: Duration) -> Duration {
        // SplitMix64.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let share = 512 + ((z ^ (z >> 31)) & 511) as u32;
        most.saturating_mul(share) / 1024
    }
}

impl Session {
    /// Somebody needs it.
    pub(crate) fn wanted(&mut self, now: Moment) {
        if self.link == Link::Idle {
            self.down_since = Some(now);
            self.dial(now);
        }
    }

    pub(super) fn dial(&mut self, now: Moment) {
        self.link = Link::Dialing { since: now };
        self.outputs.push_back(Output::Dial);
    }

    /// The connection is open. `date`: what the server said of the time, in seconds since 1970, between
    /// these moments.
    pub(crate) fn opened(&mut self, asked: Moment, now: Moment, date: Option<i64>) {
        let Link::Dialing { .. } = self.link else {
            return;
        };
        if let Some(seconds) = date {
            self.clock.told(asked, now, seconds);
        }
        self.heard = now;
        self.heartbeat.sent = None;
        self.heartbeat.next = now.saturating_add(self.settings.patience.heartbeat);
        self.join(now);
        self.turn(now);
    }

    /// The connection could not be opened.
    pub(crate) fn dial_failed(&mut self, now: Moment, why: StoreError) {
        if let Link::Dialing { .. } = self.link {
            self.fail(now, why);
        }
        self.turn(now);
    }

    /// The connection is gone.
    pub(crate) fn closed(&mut self, now: Moment, why: impl std::fmt::Display) {
        if self.link.is_connected() {
            self.lose(now, StoreError::unavailable(why));
        }
        self.turn(now);
    }

    /// Whoever drives it has ended: nothing is open, and what was to be sent will not be.
    pub(crate) fn abort(&mut self, now: Moment, why: StoreError) {
        self.outputs
            .retain(|output| matches!(output, Output::Answer(..)));
        if self.link != Link::Idle {
            self.lose(now, why.clone());
            self.fail_writes(now, &why);
            self.fail_waits(&why);
            self.outputs
                .retain(|output| matches!(output, Output::Answer(..)));
            self.link = Link::Waiting { until: now };
        }
    }

    pub(super) fn join(&mut self, now: Moment) {
        let reference = self.reference();
        let through = self.mirror.seqs.through();
        let topic = self.settings.topic.clone();
        let payload = json!({"last_store_seq": through});
        self.send(Some(&reference), &reference, &topic, "phx_join", payload);
        self.waits.joining();
        self.link = Link::Joining {
            join: reference,
            since: now,
        };
    }

    /// Joins again, to be told what is missing. What was sent before is answered before.
    pub(super) fn rejoin(&mut self, now: Moment) {
        let Some(join) = self.link.join().map(str::to_owned) else {
            return;
        };
        let leave = self.reference();
        let topic = self.settings.topic.clone();
        self.send(Some(&join), &leave, &topic, "phx_leave", json!({}));
        self.link = Link::Leaving {
            join,
            leave,
            since: now,
        };
    }

    /// The channel has ended here or there.
    pub(super) fn left(&mut self, now: Moment) {
        self.writes.unsettle();
        self.join(now);
    }

    /// The past is told.
    pub(super) fn caught_up(&mut self, now: Moment, join: String) {
        self.link = Link::Up { join, since: now };
        self.backoff.failures = 0;
        self.trouble = None;
        self.down_since = None;
        self.told_outage = false;
        if std::mem::take(&mut self.told_down) || !self.news_up {
            self.news_up = true;
            self.news.push(News::Up);
        }
        self.waits.joined(self.mirror.seqs.through());
        self.settle_from_the_past(now);
    }

    /// Hangs up, and tries again later.
    pub(super) fn lose(&mut self, now: Moment, why: StoreError) {
        self.outputs.push_back(Output::HangUp);
        if self.news_up {
            self.tell_down(&why);
        }
        self.writes.unsettle();
        self.fail(now, why);
    }

    pub(super) fn tell_down(&mut self, why: &StoreError) {
        if !std::mem::replace(&mut self.told_down, true) {
            self.news.push(News::Down(why.clone()));
        }
    }

    pub(super) fn fail(&mut self, now: Moment, why: StoreError) {
        self.waits.lost();
        let pause = match &why {
            StoreError::Refused(_) => self.backoff.share_of(REFUSED),
            StoreError::Unavailable(_) | StoreError::Malformed { .. } | _ => self.backoff.next(),
        };
        self.link = Link::Waiting {
            until: now.saturating_add(pause),
        };
        self.down_since.get_or_insert(now);
        self.trouble = Some(why);
    }

    /// Why calls fail now, if they do.
    pub(crate) fn outage(&self, now: Moment) -> Option<StoreError> {
        let trouble = self.trouble.clone().or_else(|| self.silence())?;
        let refused = matches!(trouble, StoreError::Refused(_));
        let over = self.outage_at().is_some_and(|at| at <= now);
        (refused || over).then_some(trouble)
    }

    /// When calls fail, unless it is up by then.
    pub(super) fn outage_at(&self) -> Option<Moment> {
        let patience = self.settings.patience.outage;
        let patience = match &self.trouble {
            Some(_) => patience,
            // Nothing is known to be wrong yet: as long as a connection may take, and joined by then.
            None => {
                self.silence()?;
                patience.max(DIALING)
            }
        };
        Some(self.down_since?.saturating_add(patience))
    }

    /// Why it is not up, if nothing was ever heard. Who is told of a long past is not waiting in vain.
    fn silence(&self) -> Option<StoreError> {
        let what = match self.link {
            Link::Dialing { .. } => "the connection is not made in time",
            Link::Joining { .. } => "Dust does not answer the join",
            Link::Idle
            | Link::Waiting { .. }
            | Link::CatchingUp { .. }
            | Link::Up { .. }
            | Link::Leaving { .. } => return None,
        };
        Some(StoreError::unavailable(what))
    }
}
