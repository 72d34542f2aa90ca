//! The session against what was recorded, and against the stand-in for the server.

mod garbage;
mod pair;
mod recorded;
mod scenarios;

use std::time::Duration;

use super::{Output, Patience, Session, Settings, Ticket};
use crate::clock::Moment;
use crate::mirror::Scope;
use crate::path::Path;
use crate::wire::{Deed, Done, Failure, Frame, Message, Wire, Write};

/// 1970 and a bit: when the tests begin by the server's clock.
const EPOCH: i64 = 1_795_466_000_000;

fn settings(topic: &str, wire: Wire) -> Settings {
    Settings {
        topic: topic.to_owned(),
        wire,
        scope: Scope {
            prefixes: Vec::new(),
            room: 1 << 20,
        },
        process: 7,
        patience: Patience::DEFAULT,
    }
}

fn path(key: &str) -> Path {
    Path::of_key(&key.into()).unwrap()
}

fn ms(ms: u64) -> Moment {
    Duration::from_millis(ms)
}

/// A session and all it has said so far.
struct Said {
    session: Session,
    frames: Vec<Frame>,
    answers: Vec<(Ticket, Result<Done, Failure>)>,
    /// What was sent and who was answered, in this order.
    order: Vec<String>,
    dials: usize,
    hung_up: bool,
}

impl Said {
    fn new(settings: Settings) -> Self {
        Self {
            session: Session::new(settings, ms(0), EPOCH),
            frames: Vec::new(),
            answers: Vec::new(),
            order: Vec::new(),
            dials: 0,
            hung_up: false,
        }
    }

    /// Does something, and takes note of what comes of it; answers the frames sent.
    fn with<T>(&mut self, act: impl FnOnce(&mut Session) -> T) -> (T, Vec<Frame>) {
        let done = act(&mut self.session);
        let mut sent = Vec::new();
        while let Some(output) = self.session.output() {
            match output {
                Output::Dial => self.dials += 1,
                Output::HangUp => self.hung_up = true,
                Output::Send(message) => {
                    let frame = Frame::decode(&message).unwrap();
                    let op = frame.payload["op"].as_str().unwrap_or(&frame.event);
                    self.order.push(op.to_owned());
                    sent.push(frame);
                }
                Output::Answer(ticket, answer) => {
                    self.order.push(format!("answer {ticket}"));
                    self.answers.push((ticket, answer));
                }
            }
        }
        self.frames.extend(sent.iter().cloned());
        (done, sent)
    }

    fn answer(&self, ticket: Ticket) -> Option<&Result<Done, Failure>> {
        let mut answers = self
            .answers
            .iter()
            .filter(|(answered, _)| *answered == ticket);
        let answer = answers.next().map(|(_, answer)| answer);
        assert!(answers.next().is_none(), "answered twice");
        answer
    }

    fn receive(&mut self, now: Moment, message: &Message) -> Vec<Frame> {
        self.with(|session| session.received(now, message)).1
    }

    fn text(&self, key: &str) -> Option<String> {
        match &self.session.mirror.row(&path(key))?.what {
            crate::mirror::What::Text(text) => {
                Some(String::from_utf8_lossy(&text.value).into_owned())
            }
            _ => None,
        }
    }
}

fn lease(lock: &str, ttl: u64, holder: &str) -> Write {
    Write {
        path: path(lock),
        deed: Deed::Lease {
            ttl: ms(ttl),
            holder: holder.to_owned(),
        },
    }
}
