//! Writes, until they are settled.

mod ledger;
mod settle;

use std::time::Duration;

use oneflight_store::{StoreError, Token};

use super::{Session, Ticket};
use crate::clock::Moment;
use crate::path::Path;
use crate::wire::{Condition, Deed, Done, Failure, Joined, OpId, Reply, Stamp, Write};

pub(super) use ledger::Ledger;

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
    /// Nobody wants it any more. A lease is given up even if nobody waits for it.
    fn is_useless(&self) -> bool {
        self.askers.is_empty() && !matches!(self.write.deed, Deed::Release { .. })
    }

    /// What to remember of it, if it is for a lease, and was granted at most as this token.
    fn off(&self, granted: Option<Token>) -> Option<WrittenOff> {
        let Deed::Lease { holder, .. } = &self.write.deed else {
            return None;
        };
        Some(WrittenOff {
            number: self.id.number,
            lock: self.write.path.clone(),
            holder: holder.clone(),
            granted,
        })
    }
}

/// A lease that was asked for, and may be granted once more with nobody to want it: what was sent before
/// a connection was lost may be on its way still.
#[derive(Debug)]
pub(super) struct WrittenOff {
    number: u64,
    lock: Path,
    holder: String,
    /// The last grant that was heard of.
    granted: Option<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// To be sent, not before this moment.
    Queued(Moment),
    /// Sent under this reference.
    Sent { reference: u64, at: Moment },
    /// Sent, but the answer will not come: the past will tell.
    Unsettled,
}

impl Session {
    /// Asks for a write. Answered once it is settled.
    pub(crate) fn write(&mut self, now: Moment, write: Write) -> Ticket {
        let ticket = self.ticket();
        self.wanted(now);
        // A publish that is repeated is the same publish.
        if !self.writes.join(&write, ticket) {
            self.queue(now, write, Some(ticket));
        }
        self.turn(now);
        ticket
    }

    /// Who asked has left. What was not sent is not; what was is settled all the same. Answers whether
    /// there is a write that is not settled yet.
    pub(crate) fn abandon(&mut self, ticket: Ticket) -> bool {
        self.waits.abandon(ticket);
        let Some(number) = self.writes.leave(ticket) else {
            return false;
        };
        let useless = |pending: &Pending| {
            pending.is_useless() && !pending.again && matches!(pending.stage, Stage::Queued(_))
        };
        if self.writes.get(number).is_some_and(useless) {
            self.writes.remove(number);
        }
        true
    }

    /// Gives up a lease. Nobody waits for it.
    pub(crate) fn release(&mut self, now: Moment, lock: Path, token: Token) {
        let deed = Deed::Release { token };
        self.queue(now, Write { path: lock, deed }, None);
        self.turn(now);
    }

    /// The same, and answers once that is sent, if it can be sent now.
    pub(crate) fn send_release(&mut self, now: Moment, lock: Path, token: Token) -> Ticket {
        self.release(now, lock, token);
        let ticket = self.ticket();
        self.answer(ticket, Ok(Done::default()));
        ticket
    }

    /// Whether this lease is being given up.
    pub(crate) fn is_releasing(&self, lock: &Path, token: Token) -> bool {
        self.writes.releases(lock, token)
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
        while let Some(number) = self.writes.due(now) {
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
            let text = self.reference();
            let reference = self.reference;
            let Some(pending) = self.writes.get(number) else {
                continue;
            };
            let payload = pending.write.payload(&pending.id.to_string());
            self.writes
                .set_stage(number, Stage::Sent { reference, at: now });
            let topic = self.settings.topic.clone();
            self.send(Some(join), &text, &topic, "write", payload);
        }
    }

    /// Waits for the end of a rate limit, or does not.
    fn hold(&mut self, now: Moment, number: u64, after: Duration) {
        if after <= self.settings.patience.rate_limit {
            let after = after.max(Duration::from_millis(1));
            self.writes
                .set_stage(number, Stage::Queued(now.saturating_add(after)));
        } else {
            self.settle(now, number, Err(Failure::RateLimited(after)));
        }
    }

    /// When the first of them is to be sent, or an answer is overdue.
    pub(super) fn writes_due(&self) -> Option<Moment> {
        [self.writes.next_due(), self.answer_due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// When an answer is overdue: nothing has come since the longest was sent, or for as long.
    pub(super) fn answer_due(&self) -> Option<Moment> {
        let since = self.writes.oldest()?.max(self.answered);
        Some(since.saturating_add(self.settings.patience.answer))
    }

    /// An answer has come under this reference.
    pub(super) fn answered(&mut self, now: Moment, reference: &str, reply: Reply) {
        let Some(number) = self.writes.sent_under(reference) else {
            return;
        };
        self.answered = now;
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
                self.writes.set_stage(number, Stage::Queued(now));
                self.left(now);
            }
            Err(failure) => {
                let again = self.writes.get(number).filter(|pending| pending.again);
                let off = again.and_then(|pending| pending.off(None));
                self.settle(now, number, Err(failure));
                // It may be held by what was sent before, which nobody has heard of yet.
                if let Some(off) = off {
                    self.write_off(off);
                }
            }
        }
    }

    /// What a join says of the token.
    pub(super) fn permitted(&mut self, joined: Joined) {
        self.read_only = !joined.writes;
    }
}

/// What a client calls itself.
pub(crate) fn device_id(process: u64) -> String {
    format!("oneflight-{process:016x}")
}
