//! Writes, until they are settled.

use std::time::Duration;

use oneflight_store::{StoreError, Token};
use serde_json::{Value, json};

use super::{Session, Ticket};
use crate::clock::{Moment, ms};
use crate::holder::Label;
use crate::mirror::{Row, What};
use crate::path::Path;
use crate::wire::{
    Condition, Deed, Done, Event, Failure, Joined, Op, OpId, Reply, Stamp, Write, millis,
};

/// A write that is not settled.
#[derive(Debug)]
pub(super) struct Pending {
    write: Write,
    id: OpId,
    /// Who waits for it; nobody, if they have left or if it is a release of the session's own.
    askers: Vec<Ticket>,
    own: bool,
    /// It was sent more than once: what was sent first may be on its way still.
    again: bool,
    pub(super) stage: Stage,
}

impl Pending {
    /// What to remember of it, if it is for a lease.
    fn off(&self) -> Option<WrittenOff> {
        let Deed::Lease { holder, .. } = &self.write.deed else {
            return None;
        };
        Some(WrittenOff {
            number: self.id.number,
            lock: self.write.path.clone(),
            holder: holder.clone(),
        })
    }
}

/// A lease that was asked for and seems not to have been granted, with nobody to want it.
#[derive(Debug)]
pub(super) struct WrittenOff {
    number: u64,
    lock: Path,
    holder: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// To be sent, not before this moment.
    Queued(Moment),
    /// Sent under this reference.
    Sent { reference: String, at: Moment },
    /// Sent, but the answer will not come: the past will tell.
    Unsettled { at: Moment },
}

impl Session {
    /// Asks for a write. Answered once it is settled.
    pub(crate) fn write(&mut self, now: Moment, write: Write) -> Ticket {
        let ticket = self.ticket();
        self.wanted(now);
        let same = self.writes.values_mut().find(|pending| {
            // A publish that is repeated is the same publish.
            matches!(
                &write.deed,
                Deed::Set {
                    only: Condition::Fence { .. },
                    ..
                }
            ) && pending.write == write
        });
        match same {
            Some(pending) => pending.askers.push(ticket),
            None => self.queue(now, write, Some(ticket)),
        }
        self.turn(now);
        ticket
    }

    /// Who asked has left. What was not sent is not; what was is settled all the same. Answers whether
    /// there is a write that is not settled yet.
    pub(crate) fn abandon(&mut self, ticket: Ticket) -> bool {
        self.waits.abandon(ticket);
        let mut unsettled = false;
        self.writes.retain(|_, pending| {
            let asked = pending.askers.contains(&ticket);
            unsettled |= asked;
            pending.askers.retain(|&asker| asker != ticket);
            let useless =
                asked && pending.askers.is_empty() && matches!(pending.stage, Stage::Queued(_));
            // A lease is given up even if nobody waits for it.
            !useless || matches!(pending.write.deed, Deed::Release { .. })
        });
        unsettled
    }

    /// Gives up a lease. Nobody waits for it.
    pub(crate) fn release(&mut self, now: Moment, lock: Path, token: Token) {
        let deed = Deed::Release { token };
        self.queue(now, Write { path: lock, deed }, None);
        self.turn(now);
    }

    /// Whether this lease is being given up.
    pub(crate) fn is_releasing(&self, lock: &Path, token: Token) -> bool {
        let releases = |pending: &Pending| {
            pending.write.path == *lock && pending.write.deed == Deed::Release { token }
        };
        self.writes.values().any(releases)
    }

    fn queue(&mut self, now: Moment, write: Write, asker: Option<Ticket>) {
        let number = self.ticket();
        let stamp = match &write.deed {
            Deed::Set { only, .. } => Some(Stamp {
                token: match only {
                    Condition::Fence { token, .. } => Some(*token),
                    Condition::Match(_) | Condition::Absent => None,
                },
                sent: self.clock.at_least(now),
            }),
            Deed::Lease { .. } | Deed::Renew { .. } | Deed::Release { .. } | Deed::Delete => None,
        };
        let pending = Pending {
            write,
            id: OpId {
                process: self.settings.process,
                number,
                stamp,
            },
            own: asker.is_none(),
            again: false,
            askers: asker.into_iter().collect(),
            stage: Stage::Queued(now),
        };
        self.writes.insert(number, pending);
    }

    /// Sends what is to be sent, in the order in which it was asked for.
    pub(super) fn send_writes(&mut self, now: Moment, join: &str) {
        let due = |pending: &Pending| matches!(pending.stage, Stage::Queued(at) if at <= now);
        let numbers: Vec<u64> = self
            .writes
            .iter()
            .filter_map(|(number, pending)| due(pending).then_some(*number))
            .collect();
        for number in numbers {
            if self.read_only {
                let refused = "this token may read the store but not write to it; give it the \
                               scope entries:write (missing_scope)";
                self.settle(
                    now,
                    number,
                    Err(Failure::Store(StoreError::refused(refused))),
                );
                continue;
            }
            if let Some(until) = self.limited_until.filter(|until| *until > now) {
                self.hold(now, number, until.saturating_sub(now));
                continue;
            }
            let reference = self.reference();
            let Some(pending) = self.writes.get_mut(&number) else {
                continue;
            };
            let payload = pending.write.payload(&pending.id.to_string());
            pending.stage = Stage::Sent {
                reference: reference.clone(),
                at: now,
            };
            let topic = self.settings.topic.clone();
            self.send(Some(join), &reference, &topic, "write", payload);
        }
    }

    /// Waits for the end of a rate limit, or does not.
    fn hold(&mut self, now: Moment, number: u64, after: Duration) {
        match self.writes.get_mut(&number) {
            Some(pending) if !pending.own && after <= self.settings.patience.rate_limit => {
                pending.stage = Stage::Queued(now.saturating_add(after));
            }
            _ => self.settle(now, number, Err(Failure::RateLimited(after))),
        }
    }

    /// When the first of them is to be sent, or to have been answered.
    pub(super) fn writes_due(&self) -> Option<Moment> {
        let due = |pending: &Pending| match &pending.stage {
            Stage::Queued(at) => Some(*at),
            Stage::Sent { at, .. } => Some(at.saturating_add(self.settings.patience.answer)),
            Stage::Unsettled { .. } => None,
        };
        self.writes.values().filter_map(due).min()
    }

    /// Whether an answer is overdue.
    pub(super) fn misses_an_answer(&self, now: Moment) -> bool {
        let late = |pending: &Pending| match &pending.stage {
            Stage::Sent { at, .. } => at.saturating_add(self.settings.patience.answer) <= now,
            Stage::Queued(_) | Stage::Unsettled { .. } => false,
        };
        self.writes.values().any(late)
    }

    /// An answer has come under this reference.
    pub(super) fn answered(&mut self, now: Moment, reference: &str, reply: Reply) {
        let sent = |pending: &Pending| matches!(&pending.stage, Stage::Sent { reference: sent, .. } if sent == reference);
        let number = self.writes.iter().find(|(_, pending)| sent(pending));
        let Some(number) = number.map(|(number, _)| *number) else {
            return;
        };
        match reply {
            Ok(response) => {
                let done = Done::read(&response);
                self.take_in(now, number, done, &response["holder"]);
                self.settle(now, number, Ok(done));
            }
            Err(Failure::RateLimited(after)) => {
                self.limited_until = Some(now.saturating_add(after));
                self.hold(now, number, after);
            }
            Err(Failure::NotJoined) => {
                if let Some(pending) = self.writes.get_mut(&number) {
                    pending.stage = Stage::Queued(now);
                }
                self.left(now);
            }
            Err(failure) => {
                let again = self
                    .writes
                    .get(&number)
                    .and_then(|pending| pending.again.then(|| pending.off()));
                self.settle(now, number, Err(failure));
                // It may be held by what was sent before, which nobody has heard of yet.
                if let Some(off) = again.flatten() {
                    self.write_off(off);
                }
            }
        }
    }

    /// The answer came before the event, or in place of it: the mirror knows of it all the same.
    fn take_in(&mut self, now: Moment, number: u64, done: Done, holder: &Value) {
        let Some((pending, seq)) = self.writes.get(&number).zip(done.seq) else {
            return;
        };
        let event = Event {
            seq,
            path: Some(pending.write.path.clone()),
            op: match pending.write.deed {
                Deed::Lease { .. } | Deed::Renew { .. } => Op::Lease,
                Deed::Release { .. } => Op::Release,
                Deed::Set { .. } => Op::Set,
                Deed::Delete => Op::Delete,
            },
            value: pending.write.value(done.token, done.expires_at, holder),
            device: device_id(self.settings.process),
            op_id: pending.id.to_string(),
        };
        let changed = self.mirror.apply(now, &self.clock, event, true);
        self.changed(changed);
    }

    /// An operation was committed: perhaps it is one of ours.
    pub(super) fn committed(&mut self, now: Moment, op_id: &str, seq: u64, value: &Value) {
        let Some(id) = OpId::parse(op_id).filter(|id| id.process == self.settings.process) else {
            return;
        };
        let done = Done {
            seq: Some(seq),
            token: value["token"].as_u64(),
            expires_at: value["expires_at"].as_i64(),
        };
        if self
            .writes
            .get(&id.number)
            .is_some_and(|pending| pending.id == id)
        {
            self.settle(now, id.number, Ok(done));
        } else if let Some(at) = self
            .written_off
            .iter()
            .position(|off| off.number == id.number)
        {
            // It lay somewhere on its way, and has happened after all.
            if let Some(off) = self.written_off.remove(at)
                && let Some(token) = done.token.and_then(Token::new)
            {
                self.release(now, off.lock, token);
            }
        }
    }

    /// Remembers a lease that nobody wants, should it have been granted.
    fn write_off(&mut self, off: WrittenOff) {
        const MOST: usize = 256;
        self.written_off.push_back(off);
        if self.written_off.len() > MOST {
            self.written_off.pop_front();
        }
    }

    /// The same, if it shows in a snapshot only.
    fn release_ghosts(&mut self, now: Moment) {
        for off in std::mem::take(&mut self.written_off) {
            let done = granted(self.mirror.row(&off.lock), &off.holder);
            match done.and_then(|done| done.token).and_then(Token::new) {
                Some(token) => self.queue(
                    now,
                    Write {
                        path: off.lock,
                        deed: Deed::Release { token },
                    },
                    None,
                ),
                None => self.written_off.push_back(off),
            }
        }
    }

    /// Ends a write, one way or the other.
    pub(super) fn settle(&mut self, now: Moment, number: u64, answer: Result<Done, Failure>) {
        let Some(pending) = self.writes.remove(&number) else {
            return;
        };
        if let Ok(done) = &answer {
            self.measure(now, &pending, *done);
            let path = pending.write.path;
            let freed = match pending.write.deed {
                // A lease that was granted to nobody is given up.
                Deed::Lease { .. } if pending.askers.is_empty() => {
                    done.token.and_then(Token::new).map(|token| (path, token))
                }
                // What is published needs its lease no more. It is given up before who publishes is
                // answered, who may end right then.
                Deed::Set {
                    only: Condition::Fence { lock, token },
                    ..
                } => Some((lock, token)),
                Deed::Set { .. }
                | Deed::Lease { .. }
                | Deed::Renew { .. }
                | Deed::Release { .. }
                | Deed::Delete => None,
            };
            if let Some((lock, token)) = freed
                && !self.is_releasing(&lock, token)
            {
                let deed = Deed::Release { token };
                self.queue(now, Write { path: lock, deed }, None);
                if let Some(join) = self.link.writes_under().map(str::to_owned) {
                    self.send_writes(now, &join);
                }
            }
        }
        for asker in pending.askers {
            self.answer(asker, answer.clone());
        }
    }

    /// A lease of ours shows the server's clock.
    fn measure(&mut self, now: Moment, pending: &Pending, done: Done) {
        let (Stage::Sent { at, .. }, Some(expires_at)) = (&pending.stage, done.expires_at) else {
            return;
        };
        if let Deed::Lease { ttl, .. } | Deed::Renew { ttl, .. } = &pending.write.deed {
            let ttl = ms(Duration::from_millis(millis(*ttl)));
            self.clock
                .measured(*at, now, expires_at.saturating_sub(ttl));
        }
    }

    /// The answers to what was sent will not come any more.
    pub(super) fn unsettle(&mut self) {
        for pending in self.writes.values_mut() {
            if let Stage::Sent { at, .. } = pending.stage {
                pending.stage = Stage::Unsettled { at };
            }
        }
    }

    /// All of the past is told: what is not settled now has not happened, and is sent again. But for a
    /// lease of ours that a snapshot shows, which tells no operations.
    pub(super) fn settle_from_the_past(&mut self, now: Moment) {
        self.release_ghosts(now);
        let unsettled = |pending: &Pending| matches!(pending.stage, Stage::Unsettled { .. });
        let numbers: Vec<u64> = self
            .writes
            .iter()
            .filter_map(|(number, pending)| unsettled(pending).then_some(*number))
            .collect();
        for number in numbers {
            let Some(pending) = self.writes.get_mut(&number) else {
                continue;
            };
            pending.stage = Stage::Queued(now);
            pending.again = true;
            let done = match &pending.write.deed {
                Deed::Lease { holder, .. } => granted(self.mirror.row(&pending.write.path), holder),
                Deed::Renew { .. } | Deed::Release { .. } | Deed::Set { .. } | Deed::Delete => None,
            };
            let nobody =
                pending.askers.is_empty() && !matches!(pending.write.deed, Deed::Release { .. });
            match done {
                Some(done) => self.settle(now, number, Ok(done)),
                None if nobody => {
                    let off = pending.off();
                    self.writes.remove(&number);
                    if let Some(off) = off {
                        self.write_off(off);
                    }
                }
                None => {}
            }
        }
    }

    /// Whether somebody waits for anything.
    pub(super) fn has_askers(&self) -> bool {
        !self.waits.is_empty()
            || self
                .writes
                .values()
                .any(|pending| !pending.askers.is_empty())
    }

    /// Calls fail: the store cannot be reached.
    pub(super) fn fail_writes(&mut self, now: Moment, why: &StoreError) {
        for pending in self.writes.values_mut() {
            for asker in std::mem::take(&mut pending.askers) {
                let answer = Err(Failure::Store(why.clone()));
                self.outputs.push_back(super::Output::Answer(asker, answer));
            }
        }
        // What was sent may yet turn out to have happened; a lease is given up as long as it may live.
        const LONGEST: Duration = Duration::from_secs(60);
        self.writes.retain(|_, pending| match pending.stage {
            Stage::Queued(at) => pending.own && now < at.saturating_add(LONGEST),
            Stage::Sent { .. } | Stage::Unsettled { .. } => true,
        });
    }

    /// What a join says of the token.
    pub(super) fn permitted(&mut self, joined: Joined) {
        self.read_only = !joined.writes;
    }
}

/// The lease that stands there, if it is that of this holder.
fn granted(row: Option<&Row>, holder: &str) -> Option<Done> {
    let What::Lease(lease) = &row?.what else {
        return None;
    };
    let own = Label::parse(holder)?;
    (**lease.label.as_ref()? == own).then(|| Done {
        seq: Some(lease.token.get()),
        token: Some(lease.token.get()),
        expires_at: None,
    })
}

/// What a client calls itself.
pub(crate) fn device_id(process: u64) -> String {
    format!("oneflight-{process:016x}")
}

/// What `status` is asked with.
pub(super) fn nothing() -> Value {
    json!({})
}
