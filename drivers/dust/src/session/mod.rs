//! The protocol machine: one client of one store, over one connection after another.
//!
//! Pure: the driver tells it what came and what time it is, and does what it orders.
//!
//! ```text
//!            dial              join                 the past is told
//!   Idle ──▶ Dialing ──▶ Joining ──▶ CatchingUp ──────▶ Up ──┐
//!               ▲            ▲                          │    │ something is missing
//!               │ in a while └────────── Leaving ◀──────┼────┘
//!            Waiting ◀──────────────────────────────────┘ lost
//! ```
//!
//! A **write** is sent once it is up, and settled by the event that carries its `client_op_id`, or by its
//! answer, whichever comes first. If the connection is lost in between, it is settled from what the next
//! join tells of the past: if it is not among that, it has not happened, and is sent again.
//!
//! A **wait** is for the mirror to have reached an operation: because nothing up to it is missing.

mod frames;
mod link;
#[cfg(test)]
mod tests;
mod turn;
mod waits;
mod writes;

pub(crate) use writes::device_id;

use std::collections::VecDeque;
use std::time::Duration;

use oneflight_store::StoreError;

use crate::clock::{Moment, ServerClock};
use crate::mirror::{Changed, Mirror, Scope};
use crate::wire::{Done, Failure, Frame, Message, Wire};

use link::{Backoff, Link};
use waits::Waits;
use writes::{Ledger, WrittenOff};

/// How patient a session is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// With a missing operation, before it joins again to be told of it.
    pub(crate) gap: Duration,
    /// With an outage, before calls fail.
    pub(crate) outage: Duration,
    /// With a rate limit, before calls fail.
    pub(crate) rate_limit: Duration,
    /// With an answer, before it takes the connection for lost.
    pub(crate) answer: Duration,
    /// Between two signs of life.
    pub(crate) heartbeat: Duration,
}

impl Patience {
    pub(crate) const DEFAULT: Self = Self {
        gap: Duration::from_millis(200),
        outage: Duration::from_secs(2),
        rate_limit: Duration::from_secs(2),
        answer: Duration::from_secs(10),
        heartbeat: Duration::from_secs(20),
    };
}

/// What a session is made with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `store:ORG/NAME`
    pub(crate) topic: String,
    pub(crate) wire: Wire,
    pub(crate) scope: Scope,
    /// Tells this process from all others, past and present.
    pub(crate) process: u64,
    pub(crate) patience: Patience,
}

/// Names something that was asked for.
pub(crate) type Ticket = u64;

/// What the driver is to do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Output {
    /// Open a connection, in place of any other.
    Dial,
    /// Send this.
    Send(Message),
    /// Close the connection.
    HangUp,
    /// Tell who asked, once all before it is sent.
    Answer(Ticket, Result<Done, Failure>),
}

/// What those who watch are to be told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum News {
    /// Something has changed in the mirror.
    Changed(Changed),
    /// From now on every change is told.
    Up,
    /// Changes may be missed.
    Down(StoreError),
}

/// See the [module](self).
pub(crate) struct Session {
    settings: Settings,
    link: Link,
    backoff: Backoff,
    pub(crate) mirror: Mirror,
    pub(crate) clock: ServerClock,
    /// What is not settled.
    writes: Ledger,
    /// When a write was last answered.
    answered: Moment,
    written_off: VecDeque<WrittenOff>,
    waits: Waits,
    /// Numbers for tickets, references and operations.
    last: u64,
    reference: u64,
    /// Since when it has not been up, if it was wanted.
    down_since: Option<Moment>,
    /// Why it is not up.
    trouble: Option<StoreError>,
    /// It has been up.
    news_up: bool,
    /// Those who watch know that it is not up.
    told_down: bool,
    /// They know that it does not come back soon, also those who came since.
    told_outage: bool,
    /// The token may not write.
    read_only: bool,
    /// No write is taken before then.
    limited_until: Option<Moment>,
    /// Something is missing since then, when this much was there.
    gap: Option<(Moment, u64)>,
    /// How often it has joined again for the sake of one gap.
    rejoins: u32,
    heartbeat: Heartbeat,
    heard: Moment,
    outputs: VecDeque<Output>,
    news: Vec<News>,
}

#[derive(Debug, Default)]
struct Heartbeat {
    next: Moment,
    /// Sent, and not answered.
    sent: Option<(String, Moment)>,
}

impl Session {
    /// `wall`: milliseconds since 1970 at `now`.
    pub(crate) fn new(settings: Settings, now: Moment, wall: i64) -> Self {
        Self {
            mirror: Mirror::new(settings.scope.clone()),
            backoff: Backoff::new(settings.process),
            settings,
            link: Link::Idle,
            clock: ServerClock::new(now, wall),
            writes: Ledger::default(),
            answered: now,
            written_off: VecDeque::new(),
            waits: Waits::default(),
            last: 0,
            reference: 0,
            down_since: None,
            trouble: None,
            news_up: false,
            told_down: false,
            told_outage: false,
            read_only: false,
            limited_until: None,
            gap: None,
            rejoins: 0,
            heartbeat: Heartbeat::default(),
            heard: now,
            outputs: VecDeque::new(),
            news: Vec::new(),
        }
    }

    /// What is to be done next.
    pub(crate) fn output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The answer that is next to be told, if nothing has to be done before.
    pub(crate) fn next_answer(&mut self) -> Option<(Ticket, Result<Done, Failure>)> {
        if !matches!(self.outputs.front()?, Output::Answer(..)) {
            return None;
        }
        match self.outputs.pop_front()? {
            Output::Answer(ticket, answer) => Some((ticket, answer)),
            Output::Dial | Output::Send(_) | Output::HangUp => None,
        }
    }

    pub(crate) fn has_output(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// Whether the answer to this is yet to be told.
    pub(crate) fn answers(&self, ticket: Ticket) -> bool {
        let is_it =
            |output: &Output| matches!(output, Output::Answer(known, _) if *known == ticket);
        self.outputs.iter().any(is_it)
    }

    /// What those who watch are to be told, all of it.
    pub(crate) fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Every change is told.
    pub(crate) fn is_up(&self) -> bool {
        // Also while it joins again, but not with a mirror that has lost what it knew.
        self.link.is_connected() && self.down_since.is_none() && !self.told_down
    }

    fn ticket(&mut self) -> Ticket {
        self.last += 1;
        self.last
    }

    fn reference(&mut self) -> String {
        self.reference += 1;
        self.reference.to_string()
    }

    fn send(
        &mut self,
        join: Option<&str>,
        reference: &str,
        topic: &str,
        event: &str,
        payload: serde_json::Value,
    ) {
        let frame = Frame {
            join_ref: join.map(str::to_owned),
            reference: Some(reference.to_owned()),
            topic: topic.to_owned(),
            event: event.to_owned(),
            payload,
        };
        // INVARIANT: what is sent here is made of strings and numbers, which both wires can say.
        if let Ok(message) = frame.encode(self.settings.wire) {
            self.outputs.push_back(Output::Send(message));
        }
    }

    fn answer(&mut self, ticket: Ticket, answer: Result<Done, Failure>) {
        self.outputs.push_back(Output::Answer(ticket, answer));
    }

    fn changed(&mut self, changed: Vec<Changed>) {
        self.news.extend(changed.into_iter().map(News::Changed));
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("link", &self.link)
            .field("writes", &self.writes.len())
            .finish_non_exhaustive()
    }
}
