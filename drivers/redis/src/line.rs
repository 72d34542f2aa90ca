//! What is done over a connection, whichever flavour keeps it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use oneflight_store::{Claim, ClaimRequest, StoreError};
use redis::{Cmd, RedisError, Value};

use crate::call::{self, Call};
use crate::cluster::Turn;
use crate::fault::{self, About, Place};
use crate::hub::{Hub, Pair};
use crate::list::List;
use crate::moment::LockAt;
use crate::pulse::Pulse;
use crate::times::RESPONSE_TIMEOUT;

/// How often a call that changes nothing when it is repeated is made again after its connection was
/// lost.
const MOST_TRIES: usize = 3;

/// A connection that is there. What is queued first is sent first, and what is pushed comes in one order
/// with the answers.
pub(crate) trait Line: Clone + Send + Sync + 'static {
    fn number(&self) -> u64;

    fn hub(&self) -> &Arc<Hub>;

    fn place(&self) -> &Place;

    fn pulse(&self) -> &Pulse;

    /// Ends all that is under way, if it has not ended.
    fn lose(&self, error: StoreError);

    /// Sends a command, queued when the future is first looked at; an error if the connection is lost
    /// before it is answered.
    fn send(
        &self,
        command: &Cmd,
    ) -> impl Future<Output = Result<Result<Value, RedisError>, StoreError>> + Send;

    /// Queues the request for these channels, as one command. A refusal comes to [`refused`].
    fn subscribe(&self, names: Vec<Arc<str>>);

    /// Queues that these are given back.
    fn unsubscribe(&self, names: Vec<Arc<str>>);

    /// Queues the question whether somebody is there.
    fn ping(&self);
}

/// The way to a server, over one connection after the other.
pub(crate) trait Way: Send + Sync {
    type Line: Line;

    fn hub(&self) -> &Hub;

    /// The connection, once there is one; an error once one more could not be made.
    fn line(&self) -> impl Future<Output = Result<Self::Line, StoreError>> + Send;
}

/// Why there is no answer.
pub(crate) struct Fault {
    pub(crate) error: StoreError,
    /// The connection was lost, or there was none.
    pub(crate) is_lost: bool,
    /// It has not happened, for nobody was asked, or for who was asked is not the one to ask.
    pub(crate) has_not_happened: bool,
    /// What the server of a cluster has said instead.
    pub(crate) turn: Option<Turn>,
}

impl Fault {
    fn of(error: StoreError, is_lost: bool) -> Self {
        Self {
            error,
            is_lost,
            has_not_happened: false,
            turn: None,
        }
    }

    fn no_line(error: StoreError) -> Self {
        Self {
            has_not_happened: true,
            ..Self::of(error, true)
        }
    }
}

/// Asks over this connection.
async fn ask_over<T>(line: &impl Line, call: &Call<T>) -> Result<T, Fault> {
    let lost = |error| Fault::of(error, true);
    let mut answer = line.send(&call.by_digest()).await.map_err(lost)?;
    if answer.as_ref().is_err_and(fault::is_unknown_script) {
        answer = line.send(&call.in_full()).await.map_err(lost)?;
    }
    match answer {
        Ok(value) => {
            let answer = call.read(line.place(), value);
            answer.map_err(|error| Fault::of(error, false))
        }
        Err(error) => {
            let about = About {
                key: &call.key,
                places: call.places(),
            };
            let turn = Turn::of(&error);
            let fault = Fault {
                error: fault::of_call(line.place(), &error, about),
                is_lost: !fault::has_answered(&error),
                has_not_happened: turn.is_some(),
                turn,
            };
            // Another connection may lead to the new primary.
            if fault.is_lost || fault::is_read_only(&error) {
                line.lose(fault.error.clone());
            }
            Err(fault)
        }
    }
}

/// Makes a call.
pub(crate) async fn ask<T>(way: &impl Way, call: &Call<T>) -> Result<T, Fault> {
    let mut tries = 0;
    loop {
        tries += 1;
        let line = way.line().await.map_err(Fault::no_line)?;
        match ask_over(&line, call).await {
            Ok(answer) => {
                way.hub().unknown(&call.told_on);
                return Ok(answer);
            }
            Err(fault) if fault.is_lost && call.is_idempotent && tries < MOST_TRIES => {}
            Err(fault) => return Err(fault),
        }
    }
}

/// Makes a claim: subscribes to what the loser is going to watch, in one go with it, and keeps what it
/// is told for that watch. `sent`: whether the claim was sent before, here or elsewhere.
pub(crate) async fn claim(
    way: &impl Way,
    request: &ClaimRequest,
    sent: &AtomicBool,
) -> Result<Claim, Fault> {
    let hub = way.hub();
    let (key, lock) = (&request.key, &request.lock);
    let mut tries = 0;
    loop {
        tries += 1;
        hub.want(key, lock);
        let line = way.line().await.map_err(Fault::no_line)?;
        let call = call::claim(&hub.channels, request, sent.swap(true, Ordering::Relaxed));
        let ticket = hub.depart(line.number(), key, lock, |names| line.subscribe(names));
        match ask_over(&line, &call).await {
            Ok(claimed) => {
                if let Claim::Held {
                    token,
                    remaining,
                    holder,
                } = &claimed.claim
                {
                    let lock = LockAt::held(*token, *remaining, holder.clone());
                    hub.learn(ticket, claimed.key, &lock);
                } else {
                    hub.unknown(&call.told_on);
                }
                return Ok(claimed.claim);
            }
            Err(fault) if fault.is_lost && tries < MOST_TRIES => {}
            Err(fault) => return Err(fault),
        }
    }
}

/// Lists all keys of this server, in addition to those of others.
pub(crate) async fn list(way: &impl Way, list: &mut List) -> Result<(), StoreError> {
    list.begin();
    while let Some(scan) = list.scan() {
        let line = way.line().await?;
        let found = line.send(&scan).await?;
        let found = found.map_err(|error| fault::of_connection(line.place(), &error))?;
        list.found(line.place(), found)?;
        let calls = list.take_found();
        let answers = calls.iter().map(|call| ask_over(&line, call));
        for answer in futures_util::future::join_all(answers).await {
            match answer {
                // It has moved to another server, which is asked for a list of its own.
                Err(Fault { turn: Some(_), .. }) => list.skip(),
                answer => list.add(answer.map_err(|fault| fault.error))?,
            }
        }
    }
    Ok(())
}

/// Looks at a pair, and tells its watchers.
pub(crate) async fn look<L: Line>(line: L, pair: Pair) {
    let (key, lock) = &pair;
    let call = call::look(key, lock);
    let hub = line.hub();
    let ticket = hub.depart(line.number(), key, lock, |names| line.subscribe(names));
    match ask_over(&line, &call).await {
        Ok((key, lock)) => hub.learn(ticket, Some(key), &lock),
        Err(fault) => match fault.turn {
            // The watch is going to move, or the slot to arrive: that is no matter of patience.
            Some(turn) if hub.turned(&turn) && !matches!(turn, Turn::Down) => hub.not_here(pair),
            Some(_) | None => hub.look_failed(pair, &fault.error),
        },
    }
}

/// The server has refused the request for these channels.
pub(crate) fn refused(line: &impl Line, names: &[Arc<str>], error: &RedisError) {
    let error = fault::of_connection(line.place(), error);
    if matches!(error, StoreError::Unavailable(_)) {
        // It will be otherwise soon: the next connection asks again.
        line.lose(error);
    } else if names.len() > 1 {
        // One of them is enough for all to be refused.
        for name in names {
            let subscribe = |names| line.subscribe(names);
            line.hub().ask_by_itself(line.number(), name, subscribe);
        }
    } else {
        line.hub().refused(line.number(), names, &error);
    }
}

/// Looks after a connection, as often as those who watch need it.
pub(crate) struct Checkup {
    last: Instant,
    /// For how long nothing had been answered by then.
    unanswered: Duration,
    /// When it was last asked whether somebody is there.
    pinged: Option<Instant>,
}

impl Checkup {
    /// The connection is there now.
    pub(crate) fn new() -> Self {
        Self {
            last: Instant::now(),
            unanswered: Duration::ZERO,
            pinged: None,
        }
    }

    /// How long there may have been nobody, now that the connection is lost.
    pub(crate) fn silence(&self, pulse: &Pulse) -> Duration {
        pulse.outage(pulse.unanswered().max(self.unanswered))
    }

    /// When the next [`tick`](Self::tick) is due: earlier than it was, once somebody watches who is less
    /// patient. The hub rings then.
    pub(crate) fn due(&self, hub: &Hub) -> Instant {
        self.last + hub.pace().tick
    }

    /// An error once nobody answers any more. Those who are not so patient are told before that.
    pub(crate) fn tick(&mut self, line: &impl Line) -> Result<(), StoreError> {
        let (hub, pulse) = (line.hub(), line.pulse());
        self.last = Instant::now();
        // Not at first sight: this thread may have been busy for as long, and what was answered
        // meanwhile be unread.
        let before = std::mem::replace(&mut self.unanswered, pulse.unanswered());
        let unanswered = self.unanswered.min(before);
        let error = |silence: Duration| {
            let (place, silence) = (line.place(), silence.as_millis());
            StoreError::unavailable(format_args!("{place}: no answer for {silence} ms"))
        };
        if unanswered > RESPONSE_TIMEOUT {
            return Err(error(self.unanswered));
        }
        let silence = pulse.outage(unanswered);
        hub.outlasts(silence, || error(silence));
        hub.look_again();
        // Once: the answer to an earlier one may be on its way.
        let is_asked = self
            .pinged
            .is_some_and(|pinged| pulse.unheard() >= pinged.elapsed());
        let is_quiet = pulse.unheard() > hub.pace().quiet && !is_asked && hub.has_subscribers();
        if pulse.was_given_up() || is_quiet {
            self.pinged = Some(self.last);
            line.ping();
        }
        hub.leave_idle(self.last, |names| line.unsubscribe(names));
        Ok(())
    }
}
