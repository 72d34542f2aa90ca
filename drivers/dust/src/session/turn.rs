//! What there is to do at a moment.

use oneflight_store::StoreError;
use serde_json::json;

use super::link::{DIALING, LEAVING, Link};
use super::{News, Session};
use crate::clock::Moment;

/// How much longer each time it joins again for the same gap.
const MOST_REJOINS: u32 = 5;

impl Session {
    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Moment) {
        self.turn(now);
    }

    /// When to come back with a `tick`, at the latest.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        let patience = &self.settings.patience;
        let link = match &self.link {
            Link::Idle => None,
            Link::Waiting { until } => Some(*until),
            Link::Dialing { since } => Some(since.saturating_add(DIALING)),
            Link::Joining { since, .. } => {
                Some(since.max(&self.heard).saturating_add(patience.answer))
            }
            Link::CatchingUp { told, .. } => Some(told.saturating_add(patience.answer)),
            Link::Leaving { since, .. } => Some(since.saturating_add(LEAVING)),
            Link::Up { .. } => [self.gap_over(), self.writes_due()]
                .into_iter()
                .flatten()
                .min(),
        };
        let heartbeat = self.link.is_connected().then_some(self.heartbeat.next);
        let asked = !self.told_outage || self.has_askers();
        let outage = self.outage_at().filter(|_| asked);
        [link, heartbeat, outage].into_iter().flatten().min()
    }

    /// Does what there is to do.
    pub(super) fn turn(&mut self, now: Moment) {
        self.time_out(now);
        self.watch_the_gap(now);
        self.end_waits();
        if let Link::Up { join, .. } = self.link.clone() {
            self.send_writes(now, &join);
            self.ask_status(now, &join);
        }
        if let Some(why) = self.outage(now) {
            self.fail_writes(now, &why);
            self.fail_waits(&why);
            if !std::mem::replace(&mut self.told_outage, true) {
                self.told_down = true;
                self.news.push(News::Down(why));
            }
        }
    }

    fn time_out(&mut self, now: Moment) {
        let patience = self.settings.patience;
        let lost =
            |what: &str| StoreError::unavailable(format_args!("Dust does not answer {what}"));
        match &self.link {
            Link::Waiting { until } if *until <= now => self.dial(now),
            Link::Dialing { since } if since.saturating_add(DIALING) <= now => {
                self.lose(
                    now,
                    StoreError::unavailable("the connection is not made in time"),
                );
            }
            Link::Joining { since, .. }
                if since.max(&self.heard).saturating_add(patience.answer) <= now =>
            {
                self.lose(now, lost("the join"));
            }
            Link::CatchingUp { told, .. } if told.saturating_add(patience.answer) <= now => {
                self.lose(now, lost("with all of the past"));
            }
            Link::Leaving { since, .. } if since.saturating_add(LEAVING) <= now => self.left(now),
            Link::Up { .. } if self.answer_due().is_some_and(|due| due <= now) => {
                self.lose(now, lost("a write"))
            }
            Link::Idle
            | Link::Waiting { .. }
            | Link::Dialing { .. }
            | Link::Joining { .. }
            | Link::CatchingUp { .. }
            | Link::Up { .. }
            | Link::Leaving { .. } => {}
        }
        if self.link.is_connected() && self.heartbeat.next <= now {
            self.beat(now);
        }
    }

    /// A sign of life; and, where nothing is told of what is written over HTTP, a look at how far the store
    /// has come.
    fn beat(&mut self, now: Moment) {
        if let Some((_, sent)) = &self.heartbeat.sent
            && self.heard < *sent
        {
            let why = StoreError::unavailable("Dust does not answer the heartbeat");
            return self.lose(now, why);
        }
        let reference = self.reference();
        self.send(None, &reference, "phoenix", "heartbeat", json!({}));
        self.heartbeat.sent = Some((reference, now));
        self.heartbeat.next = now.saturating_add(self.settings.patience.heartbeat);
        if let Link::Up { join, .. } = self.link.clone()
            && !self.waits.no_status
        {
            self.status(&join);
        }
    }

    fn gap_over(&self) -> Option<Moment> {
        let (since, _) = self.gap?;
        let longer = 1 << self.rejoins.min(MOST_REJOINS);
        Some(since.saturating_add(self.settings.patience.gap.saturating_mul(longer)))
    }

    /// Joins again if something is missing for too long.
    fn watch_the_gap(&mut self, now: Moment) {
        let through = self.mirror.seqs.through();
        if !self.mirror.seqs.misses_some() {
            self.gap = None;
            self.rejoins = 0;
            return;
        }
        if self.gap.is_none_or(|(_, then)| then != through) {
            self.gap = Some((now, through));
        }
        let over =
            self.mirror.seqs.is_far_ahead() || self.gap_over().is_some_and(|over| over <= now);
        if over && matches!(self.link, Link::Up { .. }) {
            self.rejoins += 1;
            self.gap = None;
            self.rejoin(now);
        }
    }
}
