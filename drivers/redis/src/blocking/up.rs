//! A connection that is there.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_channel::oneshot;
use oneflight_store::StoreError;
use redis::{Cmd, PushInfo, PushKind, RedisError, Value};

use super::bell::Bell;
use super::wire::Wire;
use crate::fault::{self, Place};
use crate::hub::Hub;
use crate::line::{self, Line};
use crate::message::Push;
use crate::pulse::{Pulse, Question};
use crate::times::RESPONSE_TIMEOUT;

#[derive(Clone)]
pub(crate) struct Up(Arc<Inner>);

struct Inner {
    number: u64,
    hub: Arc<Hub>,
    place: Place,
    /// Wakes the thread that writes.
    bell: Arc<Bell>,
    pulse: Arc<Pulse>,
    wire: Wire,
    queue: Mutex<Queue>,
}

/// What is under way, in the order in which it is sent and answered.
#[derive(Default)]
struct Queue {
    unsent: Vec<u8>,
    open: VecDeque<Open>,
    lost: Option<StoreError>,
}

/// A question that is not answered.
struct Open {
    question: Question,
    awaits: Awaits,
}

enum Awaits {
    /// One answer. Whoever wants it may have given up.
    Answer(oneshot::Sender<Result<Value, RedisError>>),
    /// A push for each channel, or one answer: that it is refused.
    Stands { names: Vec<Arc<str>>, left: usize },
    /// The same, for channels that are given back.
    Gone { left: usize },
}

impl Up {
    pub(crate) fn new(
        number: u64,
        hub: Arc<Hub>,
        place: Place,
        bell: Arc<Bell>,
        pulse: Arc<Pulse>,
        wire: Wire,
    ) -> Self {
        Self(Arc::new(Inner {
            number,
            hub,
            place,
            bell,
            pulse,
            wire,
            queue: Mutex::default(),
        }))
    }

    pub(crate) fn wire(&self) -> &Wire {
        &self.0.wire
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why it is lost, if it is.
    pub(crate) fn lost(&self) -> Option<StoreError> {
        self.queue().lost.clone()
    }

    /// Queues a command; whoever calls sees to its being sent. An error if the connection is lost.
    fn enqueue(&self, command: &Cmd, awaits: Awaits) -> Result<(), StoreError> {
        let question = self.0.pulse.ask();
        let words = command.get_packed_command();
        let mut queue = self.queue();
        if let Some(error) = &queue.lost {
            return Err(error.clone());
        }
        match queue.unsent.is_empty() {
            true => queue.unsent = words,
            false => queue.unsent.extend_from_slice(&words),
        }
        queue.open.push_back(Open { question, awaits });
        Ok(())
    }

    /// Sends all that is queued by now. For the thread that writes: it has more to do, however much is queued
    /// meanwhile, for which it is woken again; and does some of it while a server takes its time.
    pub(crate) fn flush(
        &self,
        meanwhile: &mut impl FnMut() -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let unsent = std::mem::take(&mut self.queue().unsent);
        if unsent.is_empty() && !self.wire().has_unsent() {
            return Ok(());
        }
        let error = |error: io::Error| fault::of_connection(&self.0.place, &error.into());
        let sealed = self.wire().seal(&unsent).map_err(error)?;
        let mut left = &*sealed;
        let mut last = Instant::now();
        while !left.is_empty() {
            match self.wire().send_some(left).map_err(error)? {
                0 if last.elapsed() > RESPONSE_TIMEOUT => {
                    return Err(error(io::ErrorKind::TimedOut.into()));
                }
                0 => {}
                count => {
                    left = left.get(count..).unwrap_or_default();
                    last = Instant::now();
                    // Somebody reads what is too much to be sent in one go.
                    if !left.is_empty() {
                        self.0.pulse.beat();
                    }
                }
            }
            meanwhile()?;
        }
        Ok(())
    }

    /// The server has said something. For the thread that reads.
    pub(crate) fn heard(&self, value: Value) {
        let Value::Push { kind, data } = value else {
            return self.answered(value);
        };
        if matches!(kind, PushKind::Subscribe | PushKind::Unsubscribe) {
            self.confirmed(&kind);
        }
        match Push::of(PushInfo { kind, data }) {
            Some(Push::Lost) | None => {}
            Some(push) => self.0.hub.pushed(self.0.number, push),
        }
    }

    /// A channel is subscribed, or given back.
    fn confirmed(&self, kind: &PushKind) {
        let mut queue = self.queue();
        let left = match (kind, queue.open.front_mut().map(|open| &mut open.awaits)) {
            (PushKind::Subscribe, Some(Awaits::Stands { left, .. }))
            | (PushKind::Unsubscribe, Some(Awaits::Gone { left })) => left,
            // Nobody has asked for it: a server may take channels away.
            _ => return,
        };
        *left = left.saturating_sub(1);
        if *left == 0
            && let Some(open) = queue.open.pop_front()
        {
            open.question.answered();
        }
    }

    fn answered(&self, answer: Value) {
        let open = self.queue().open.pop_front();
        let Some(Open { question, awaits }) = open else {
            return self.confused();
        };
        question.answered();
        let answer = answer.extract_error();
        match (awaits, answer) {
            (Awaits::Answer(tell), answer) => drop(tell.send(answer)),
            (Awaits::Stands { names, .. }, Err(error)) => line::refused(self, &names, &error),
            // What it says does not matter: nobody listens.
            (Awaits::Gone { .. }, Err(_)) => {}
            (Awaits::Stands { .. } | Awaits::Gone { .. }, Ok(_)) => self.confused(),
        }
    }

    /// From here on no answer could be told from another's.
    fn confused(&self) {
        let why = "it answers what it was not asked; is there a proxy on the way?";
        let error = io::Error::new(io::ErrorKind::InvalidData, why);
        self.lose(fault::of_connection(&self.0.place, &error.into()));
    }
}

impl Line for Up {
    fn number(&self) -> u64 {
        self.0.number
    }

    fn hub(&self) -> &Arc<Hub> {
        &self.0.hub
    }

    fn place(&self) -> &Place {
        &self.0.place
    }

    fn pulse(&self) -> &Pulse {
        &self.0.pulse
    }

    fn lose(&self, error: StoreError) {
        let mut queue = self.queue();
        if queue.lost.is_some() {
            return;
        }
        queue.lost = Some(error);
        queue.unsent = Vec::new();
        let open = std::mem::take(&mut queue.open);
        drop(queue);
        self.wire().shut_down();
        // Out here: each of them wakes somebody.
        drop(open);
        self.0.bell.ring();
    }

    async fn send(&self, command: &Cmd) -> Result<Result<Value, RedisError>, StoreError> {
        let (tell, told) = oneshot::channel();
        self.enqueue(command, Awaits::Answer(tell))?;
        // With what was queued before it.
        self.0.bell.ring();
        told.await.map_err(|oneshot::Canceled| {
            let lost = self.lost();
            lost.unwrap_or_else(|| StoreError::unavailable("the connection is lost"))
        })
    }

    fn subscribe(&self, names: Vec<Arc<str>>) {
        let command = of_channels("SUBSCRIBE", &names);
        let left = names.len();
        // If the connection is lost, the next one asks again. Nobody is woken: it is to be sent in one go
        // with the question that follows.
        drop(self.enqueue(&command, Awaits::Stands { names, left }));
    }

    fn unsubscribe(&self, names: Vec<Arc<str>>) {
        let command = of_channels("UNSUBSCRIBE", &names);
        let left = names.len();
        drop(self.enqueue(&command, Awaits::Gone { left }));
    }

    fn ping(&self) {
        let (nobody, _) = oneshot::channel();
        drop(self.enqueue(&redis::cmd("PING"), Awaits::Answer(nobody)));
    }
}

fn of_channels(name: &str, channels: &[Arc<str>]) -> Cmd {
    let words: Vec<&str> = channels.iter().map(|channel| &**channel).collect();
    let mut command = redis::cmd(name);
    command.arg(words);
    command
}
