//! What is asked of a store and what it answers stay the same on their way.

use super::Checker;
use super::state::Last;
use crate::trace::{Answer, Key, NodeId, Request, RequestId, StoreProfile};

/// The requests of a run and the last answers to them.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    /// What was sent, by number.
    sent: Vec<Request>,
    answers: Last<(RequestId, Answer)>,
}

impl Requests {
    /// As at first, but for the room in its lists.
    pub(super) fn cleared(mut self) -> Self {
        self.sent.clear();
        self.answers.clear();
        self
    }

    /// A request leaves its process.
    pub(super) fn sent(&mut self, id: RequestId, request: Request) {
        if id as usize == self.sent.len() {
            self.sent.push(request);
        }
    }

    /// Store: what is written is what was to be.
    fn written(&mut self, id: RequestId, request: &Request, answer: Answer) -> Option<String> {
        self.answers.push((id, answer));
        let sent = *self.sent.get(id as usize)?;
        match (sent, request) {
            (Request::Publish { .. }, Request::Publish { .. })
            | (Request::Put { .. }, Request::Put { .. })
                if sent != *request =>
            {
                Some(story!(
                    "request {id} was {sent:?}, carried out as {request:?}"
                ))
            }
            _ => None,
        }
    }

    /// Store: what comes back is what the store has answered.
    fn came_back(&self, profile: &StoreProfile, id: RequestId, answer: &Answer) -> Option<String> {
        match answer {
            Answer::Refused | Answer::Malformed | Answer::Unavailable => return None,
            // It is put together from what the steps of such a store have found.
            Answer::Newer { .. } if !profile.atomic_claim => return None,
            _ => {}
        }
        let known = self.answers.is_partial()
            || self
                .answers
                .iter()
                .any(|(known, given)| *known == id && given == answer);
        (!known).then(|| {
            story!("{answer:?} came back to request {id}, which is not what the store said")
        })
    }
}

impl Checker {
    pub(super) fn carried_out(
        &mut self,
        key: Key,
        from: NodeId,
        id: RequestId,
        request: &Request,
        answer: Answer,
    ) {
        let story = self.requests.written(id, request, answer);
        self.report("Store", from, Some(key), story);
    }

    pub(super) fn came_back(&mut self, node: NodeId, id: RequestId, answer: &Answer) {
        if self.state.sees_store {
            let story = self.requests.came_back(&self.state.profile, id, answer);
            self.report("Store", node, None, story);
        }
    }
}
