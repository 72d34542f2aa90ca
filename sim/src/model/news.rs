//! What comes to a process from the store, put into words for its machine.

use oneflight_core::{Arrival, Event, Notice, Revision, Token};

use super::driver::{Step, flight_id};
use super::invariants;
use super::state::{Arrived, Message, Push};
use crate::answers;
use crate::bugs::Bug;
use crate::trace::{Answer, Digest, Request};

impl Step<'_> {
    /// An answer has come.
    pub(super) fn answered(&mut self, node: usize, message: Message, answer: Answer) {
        let attempt = message.attempt;
        let flight = flight_id(message.flight);
        if let Some(floor) = invariants::floor(&answer) {
            let it = self.state.node(node);
            if let Some((number, claim, aboard)) = it.claim
                && (number, claim) == (message.flight, attempt)
            {
                let aboard = it.calls.iter_mut().filter(|call| call.passenger <= aboard);
                for call in aboard.filter(|call| call.is_open()) {
                    call.floor = call.floor.or(floor);
                }
            }
        }
        let mut told = answer;
        match answer {
            Answer::Granted { token, .. } => {
                if let Some(grant) = &mut self.state.lock.newest
                    && grant.token == token
                {
                    grant.told = true;
                }
            }
            Answer::Newer {
                revision,
                token,
                digest,
                ..
            } => self.arrives(node, revision, token, digest),
            Answer::Published { revision } => {
                if let Request::Publish { token, digest } = message.request {
                    self.arrives(node, revision, Some(token), digest);
                    for call in &mut self.state.node(node).calls {
                        if call.computed == Some(digest) {
                            call.acknowledged = Some(revision);
                        }
                    }
                }
            }
            Answer::Lost | Answer::Fenced => self.overtaken(node, message.request),
            Answer::Unavailable => match message.request {
                Request::Renew { .. } => self.state.node(node).quit = message.flight,
                Request::Publish { .. } if self.setup.bug == Some(Bug::LostPublishAnswer) => {
                    told = Answer::Fenced;
                }
                Request::Claim { .. }
                | Request::Publish { .. }
                | Request::Release { .. }
                | Request::Put { .. }
                | Request::Read
                | Request::Forget => {}
            },
            Answer::Held { .. }
            | Answer::Renewed
            | Answer::Released { .. }
            | Answer::Refused
            | Answer::Malformed
            | Answer::Written { .. }
            | Answer::Kept { .. }
            | Answer::State { .. } => {}
        }
        if let Some(notice) = answers::notice(flight, attempt, told) {
            self.tell(node, notice);
        }
    }

    /// A process hears that a lease of its own is gone.
    fn overtaken(&mut self, node: usize, request: Request) {
        let (Request::Publish { token, .. } | Request::Renew { token, .. }) = request else {
            return;
        };
        for call in &mut self.state.node(node).calls {
            let filling = call.filling.is_some_and(|fill| fill.token == Some(token));
            let publishing = call.filling.is_none() && call.computed.is_some();
            call.fenced |= filling || publishing;
        }
    }

    fn arrives(&mut self, node: usize, revision: Revision, token: Option<Token>, digest: Digest) {
        let it = self.state.node(node);
        it.news = it.news.max(revision);
        let arrived = &mut it.arrived;
        if arrived.is_none_or(|known| known.revision < revision) {
            *arrived = Some(Arrived {
                revision,
                token,
                digest,
            });
        }
    }

    /// The first push of a watch has come.
    pub(super) fn pushed(&mut self, node: usize, watch: usize) {
        let it = &mut self.state.node(node).watches[watch];
        let flight = flight_id(it.flight);
        let event = match it.pushes.remove(0) {
            Push::Key { revision, value } => {
                let (token, digest) = value.unzip();
                let it = self.state.node(node);
                it.news = it.news.max(revision);
                if let Some(digest) = digest {
                    self.arrives(node, revision, token.flatten(), digest);
                }
                let notice = Notice::Arrived {
                    flight,
                    attempt: None,
                    latest: None,
                    arrival: Arrival {
                        revision,
                        token: token.flatten(),
                        value: digest.is_some(),
                    },
                };
                return self.tell(node, notice);
            }
            Push::Free => Event::LockReleased,
            Push::Held(remaining) => Event::LockHeld {
                remaining: Some(std::time::Duration::from_nanos(remaining)),
            },
            Push::Ended => {
                self.state.node(node).watches.remove(watch);
                if self.setup.bug == Some(Bug::SlowDegrade) {
                    return;
                }
                Event::WatchLost
            }
            Push::Refused => {
                self.state.node(node).watches.remove(watch);
                Event::WatchRefused
            }
        };
        self.tell(node, Notice::Answered { flight, event });
    }
}
