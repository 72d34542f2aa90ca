//! How writes are settled: by their events, by their answers, or from the past.

use std::time::Duration;

use oneflight_store::{StoreError, Token};
use serde_json::Value;

use super::{Pending, Stage, WrittenOff, device_id};
use crate::clock::{Moment, ms};
use crate::holder::Label;
use crate::mirror::{Row, What};
use crate::session::Session;
use crate::wire::{Condition, Deed, Done, Event, Failure, Op, OpId, Write, millis};

impl Session {
    /// The answer came before the event, or in place of it: the mirror knows of it all the same.
    pub(super) fn take_in(&mut self, now: Moment, number: u64, done: Done, holder: &Value) {
        let Some((pending, seq)) = self.writes.get(number).zip(done.seq) else {
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
    pub(in crate::session) fn committed(
        &mut self,
        now: Moment,
        op_id: &str,
        seq: u64,
        value: &Value,
    ) {
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
            .get(id.number)
            .is_some_and(|pending| pending.id == id)
        {
            self.settle(now, id.number, Ok(done));
        } else if let Some(token) = done.token.and_then(Token::new)
            && let Some(off) = self
                .written_off
                .iter_mut()
                .find(|off| off.number == id.number && off.granted < Some(token))
        {
            // It lay somewhere on its way, and has happened after all, or once more.
            off.granted = Some(token);
            let lock = off.lock.clone();
            self.release(now, lock, token);
        }
    }

    /// Remembers a lease that nobody wants, should it be granted after all, or once more.
    pub(super) fn write_off(&mut self, off: WrittenOff) {
        const MOST: usize = 256;
        self.written_off.push_back(off);
        if self.written_off.len() > MOST {
            self.written_off.pop_front();
        }
    }

    /// The same holder has asked once more, and is granted what is not to be given up.
    fn granted_anew(&mut self, granted: &WrittenOff) {
        let same = |off: &&mut WrittenOff| off.lock == granted.lock && off.holder == granted.holder;
        for off in self.written_off.iter_mut().filter(same) {
            off.granted = off.granted.max(granted.granted);
        }
    }

    /// The same, if it shows in a snapshot only.
    fn release_ghosts(&mut self, now: Moment) {
        for mut off in std::mem::take(&mut self.written_off) {
            let done = granted(self.mirror.row(&off.lock), &off.holder);
            let token = done.and_then(|done| done.token).and_then(Token::new);
            if let Some(token) = token.filter(|token| off.granted < Some(*token)) {
                off.granted = Some(token);
                let path = off.lock.clone();
                let deed = Deed::Release { token };
                self.queue(now, Write { path, deed }, None);
            }
            self.written_off.push_back(off);
        }
    }

    /// Ends a write, one way or the other.
    pub(super) fn settle(&mut self, now: Moment, number: u64, answer: Result<Done, Failure>) {
        let Some(pending) = self.writes.remove(number) else {
            return;
        };
        if let Ok(done) = &answer {
            self.measure(now, &pending, *done);
            if let Some(off) = pending.off(done.token.and_then(Token::new)) {
                self.granted_anew(&off);
                if pending.again {
                    self.write_off(off);
                }
            }
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
        // Of what was sent more than once, nobody knows which it was.
        if let Deed::Lease { ttl, .. } | Deed::Renew { ttl, .. } = &pending.write.deed
            && !pending.again
        {
            let ttl = ms(Duration::from_millis(millis(*ttl)));
            self.clock
                .measured(*at, now, expires_at.saturating_sub(ttl));
        }
    }

    /// All of the past is told: what is not settled now has not happened, and is sent again. But for a
    /// lease of ours that a snapshot shows, which tells no operations.
    pub(in crate::session) fn settle_from_the_past(&mut self, now: Moment) {
        self.release_ghosts(now);
        for number in self
            .writes
            .numbers(|pending| pending.stage == Stage::Unsettled)
        {
            self.writes.again(now, number);
            let Some(pending) = self.writes.get(number) else {
                continue;
            };
            let done = match &pending.write.deed {
                Deed::Lease { holder, .. } => granted(self.mirror.row(&pending.write.path), holder),
                Deed::Renew { .. } | Deed::Release { .. } | Deed::Set { .. } | Deed::Delete => None,
            };
            if let Some(done) = done {
                self.settle(now, number, Ok(done));
            } else if pending.is_useless() {
                let off = pending.off(None);
                self.writes.remove(number);
                if let Some(off) = off {
                    self.write_off(off);
                }
            }
        }
    }

    /// Whether somebody waits for anything.
    pub(in crate::session) fn has_askers(&self) -> bool {
        !self.waits.is_empty() || self.writes.has_askers()
    }

    /// Calls fail: the store cannot be reached.
    pub(in crate::session) fn fail_writes(&mut self, now: Moment, why: &StoreError) {
        for asker in self.writes.leave_all() {
            self.answer(asker, Err(Failure::Store(why.clone())));
        }
        // What was sent may yet turn out to have happened; a lease is given up as long as it may live.
        const LONGEST: Duration = Duration::from_secs(60);
        let over =
            |pending: &Pending, at: Moment| !pending.own || at.saturating_add(LONGEST) <= now;
        for number in self.writes.queued(over) {
            self.writes.remove(number);
        }
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
