//! What comes over the connection.

use serde_json::Value;

use super::Session;
use super::link::Link;
use crate::clock::Moment;
use crate::wire::{Event, Failure, Frame, Joined, Message, Reply, Snapshot, read_reply};
use oneflight_store::StoreError;

impl Session {
    /// A message has come. What is no frame, or none that is known, changes nothing but that the other
    /// side lives.
    pub(crate) fn received(&mut self, now: Moment, message: &Message) {
        if self.link.is_connected() {
            self.heard = now;
            if let Ok(frame) = Frame::decode(message) {
                self.handle(now, frame);
            }
        }
        self.turn(now);
    }

    fn handle(&mut self, now: Moment, mut frame: Frame) {
        if frame.event == "phx_reply" {
            if let Some(reference) = frame.reference {
                self.reply(now, &reference, read_reply(&mut frame.payload));
            }
            return;
        }
        if frame.topic != self.settings.topic {
            return;
        }
        // What belongs to an earlier join.
        let current = frame.join_ref.as_deref() == self.link.join();
        // What is told live is no sign that the rest of the past will come.
        if current && let Link::CatchingUp { told, .. } = &mut self.link {
            *told = now;
        }
        match &*frame.event {
            "event" => self.event(now, frame.join_ref.is_none(), &mut frame.payload),
            "snapshot" if current => {
                if let Some(snapshot) = Snapshot::read(&mut frame.payload) {
                    let changed = self.mirror.replace(snapshot);
                    self.changed(changed);
                }
            }
            "catch_up_complete" if current => self.complete(now, &frame.payload),
            "phx_close" if current => self.ended(now, "the server has closed the channel"),
            "phx_error" if current => {
                self.suspect_status();
                self.ended(now, "the channel has crashed");
            }
            _ => {}
        }
    }

    fn event(&mut self, now: Moment, live: bool, payload: &mut Value) {
        let Some(event) = Event::read(payload) else {
            return;
        };
        let (op_id, seq, value) = (event.op_id.clone(), event.seq, lease_of(&event.value));
        let changed = self.mirror.apply(now, &self.clock, event, live);
        self.changed(changed);
        self.committed(now, &op_id, seq, &value);
    }

    fn complete(&mut self, now: Moment, payload: &Value) {
        let Link::CatchingUp { join, .. } = &self.link else {
            return;
        };
        let join = join.clone();
        if let Some(through) = payload["through_seq"].as_u64() {
            self.mirror.seqs.know_through(through);
        }
        self.caught_up(now, join);
    }

    /// The channel has ended over there.
    fn ended(&mut self, now: Moment, why: &str) {
        match self.link.clone() {
            Link::Leaving { .. } => self.left(now),
            // Once is an accident.
            Link::Up { since, .. } if now > since.saturating_add(self.settings.patience.outage) => {
                self.left(now);
            }
            Link::Up { .. } | Link::Joining { .. } | Link::CatchingUp { .. } => {
                self.lose(now, StoreError::unavailable(why));
            }
            Link::Idle | Link::Waiting { .. } | Link::Dialing { .. } => {}
        }
    }

    fn reply(&mut self, now: Moment, reference: &str, reply: Reply) {
        if self
            .heartbeat
            .sent
            .take_if(|(sent, _)| sent == reference)
            .is_some()
        {
            return;
        }
        let current = reply
            .as_ref()
            .ok()
            .and_then(|response| response["current_seq"].as_u64());
        if self.told_status(reference, current) {
            return;
        }
        if let Some(current) = current {
            // The one that goes with a heartbeat.
            self.mirror.seqs.exists(current);
            return;
        }
        match self.link.clone() {
            Link::Joining { join, .. } if join == reference => match reply {
                Ok(response) => self.joined(now, join, Joined::read(&response)),
                Err(failure) => self.not_joined(now, failure),
            },
            Link::Leaving { leave, .. } if leave == reference => self.left(now),
            Link::Idle
            | Link::Waiting { .. }
            | Link::Dialing { .. }
            | Link::Joining { .. }
            | Link::CatchingUp { .. }
            | Link::Up { .. }
            | Link::Leaving { .. } => self.answered(now, reference, reply),
        }
    }

    fn joined(&mut self, now: Moment, join: String, joined: Joined) {
        self.permitted(joined);
        self.link = Link::CatchingUp { join, told: now };
        if joined.seq < self.mirror.seqs.through() {
            // Somebody has made the store anew, or has put back a copy.
            self.tell_down(&StoreError::unavailable(
                "the store has gone back to an earlier state",
            ));
            let changed = self.mirror.reset();
            self.changed(changed);
            self.rejoin(now);
        }
    }

    fn not_joined(&mut self, now: Moment, failure: Failure) {
        let mut after = None;
        if let Failure::RateLimited(limited) = &failure {
            after = Some(*limited);
        }
        self.lose(now, failure.into_error("join"));
        if let (Some(after), Link::Waiting { until }) = (after, &mut self.link) {
            *until = (*until).max(now.saturating_add(after));
        }
    }
}

/// What a lease tells of itself, without copying a value that is none.
fn lease_of(value: &Value) -> Value {
    let Some(map) = value.as_object().filter(|map| map.contains_key("token")) else {
        return Value::Null;
    };
    let fields = ["token", "expires_at"].into_iter();
    fields
        .filter_map(|name| Some((name.to_owned(), map.get(name)?.clone())))
        .collect()
}
