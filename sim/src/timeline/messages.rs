//! The messages between processes and store: which went where, which were lost.

use std::collections::BTreeMap;

use oneflight_core::{Event, Notice, Revision};
use serde::Serialize;

use super::words;
use crate::trace::{Answer, Fault, Key, Nanos, NodeId, Record, Request, RequestId, What};

/// An arrow between a process and the store.
#[derive(Debug, Serialize)]
pub(super) struct Message {
    node: NodeId,
    key: u32,
    /// `request`, `answer` or `push`.
    kind: &'static str,
    label: String,
    sent: Nanos,
    /// When it arrived; nothing if it never did.
    came: Option<Nanos>,
    /// It is not the first of its kind, or it came late.
    odd: bool,
    event: usize,
}

/// A request that is not answered yet.
struct Asked {
    node: NodeId,
    key: Key,
    request: Request,
    sent: Nanos,
    event: usize,
    reached: bool,
    /// When the store answered, what, and in which record.
    answered: Option<(Nanos, Answer, usize)>,
}

/// A push that has not arrived yet.
struct Push {
    node: NodeId,
    key: Key,
    flight: u64,
    sent: Nanos,
    event: usize,
    news: News,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum News {
    Value(Revision),
    /// The lock is held, or free; either, if the state is not known.
    Lock(Option<bool>),
}

impl News {
    fn may_be(self, other: Self) -> bool {
        match (self, other) {
            (Self::Lock(None), Self::Lock(_)) => true,
            _ => self == other,
        }
    }
}

pub(super) struct Messages {
    sees_store: bool,
    asked: BTreeMap<RequestId, Asked>,
    watches: Vec<(NodeId, Key, u64)>,
    revisions: BTreeMap<Key, Revision>,
    pushes: Vec<Push>,
    /// Pushes that were lost: when, whose.
    lost: Vec<(Nanos, NodeId)>,
    messages: Vec<Message>,
}

impl Messages {
    pub(super) fn new(sees_store: bool) -> Self {
        Self {
            sees_store,
            asked: BTreeMap::new(),
            watches: Vec::new(),
            revisions: BTreeMap::new(),
            pushes: Vec::new(),
            lost: Vec::new(),
            messages: Vec::new(),
        }
    }

    pub(super) fn see(&mut self, record: &Record<Key>, event: usize, at: Nanos) {
        let node = record.node;
        match &record.what {
            What::Sent {
                id, key, request, ..
            } => {
                let (key, request) = (*key, *request);
                self.asked.insert(
                    *id,
                    Asked {
                        node,
                        key,
                        request,
                        sent: at,
                        event,
                        reached: false,
                        answered: None,
                    },
                );
            }
            What::Committed {
                id,
                key,
                request,
                answer,
                ..
            } => {
                self.committed(*id, request, *answer, event, at);
                self.tell(*key, request, answer, event, at);
            }
            What::Answered { id, answer } => self.answered(*id, *answer, at),
            What::WatchOpened {
                key,
                watcher,
                flight,
            } => {
                let watch = (*watcher, *key, *flight);
                self.watches.push(watch);
                let revision = self.revisions.get(key).copied().unwrap_or_default();
                self.push(watch, News::Value(revision), event, at);
                self.push(watch, News::Lock(None), event, at);
            }
            What::WatchClosed {
                key,
                watcher,
                flight,
            } => {
                let watch = (*watcher, *key, *flight);
                self.watches.retain(|other| *other != watch);
            }
            What::Told { notice, .. } => self.told(node, notice, event, at),
            What::Fault {
                fault: Fault::PushLost,
                ..
            } => self.lost.push((at, node)),
            _ => {}
        }
    }

    fn committed(
        &mut self,
        id: RequestId,
        made: &Request,
        answer: Answer,
        event: usize,
        at: Nanos,
    ) {
        let Some(asked) = self.asked.get_mut(&id) else {
            return;
        };
        // A composite store's second step is not another message.
        if words::verb(made) != words::verb(&asked.request) {
            return;
        }
        let arrow = asked.arrow("request", Some(at), asked.reached);
        asked.reached = true;
        asked.answered = asked.answered.or(Some((at, answer, event)));
        self.messages.push(arrow);
    }

    fn answered(&mut self, id: RequestId, answer: Answer, at: Nanos) {
        let Some(asked) = self.asked.remove(&id) else {
            return;
        };
        if !self.sees_store {
            // Where the store stands in time is not known: half way.
            let half = asked.sent + (at - asked.sent) / 2;
            self.messages
                .push(asked.arrow("request", Some(half), false));
            if answer != Answer::Unavailable {
                let back = Asked {
                    answered: Some((half, answer, asked.event)),
                    ..asked
                };
                self.messages.extend(back.back(Some(at)));
            }
            return;
        }
        let came = (answer != Answer::Unavailable).then_some(at);
        // A composite store's last step may have changed what goes back.
        let answered = asked.answered.map(|(sent, first, event)| {
            let last = if came.is_some() { answer } else { first };
            (sent, last, event)
        });
        self.part(Asked { answered, ..asked }, came);
    }

    /// Whatever is known of a request that nothing more will come of.
    fn part(&mut self, asked: Asked, came: Option<Nanos>) {
        if !asked.reached {
            self.messages.push(asked.arrow("request", None, false));
        }
        self.messages.extend(asked.back(came));
    }

    /// The pushes that a commit brings about.
    fn tell(&mut self, key: Key, request: &Request, answer: &Answer, event: usize, at: Nanos) {
        let revision = match (request, answer) {
            (_, Answer::Published { revision } | Answer::Written { revision }) => Some(*revision),
            _ => None,
        };
        if let Some(revision) = revision {
            self.revisions.insert(key, revision);
        }
        let held = match answer {
            Answer::Granted { .. } | Answer::Renewed => Some(true),
            Answer::Published { .. } | Answer::Released { freed: true } => Some(false),
            Answer::Written { .. } if *request == Request::Forget => Some(false),
            _ => None,
        };
        for watch in self.watches.clone() {
            if watch.1 == key {
                if let Some(revision) = revision {
                    self.push(watch, News::Value(revision), event, at);
                }
                if held.is_some() {
                    self.push(watch, News::Lock(held), event, at);
                }
            }
        }
    }

    fn push(&mut self, watch: (NodeId, Key, u64), news: News, event: usize, at: Nanos) {
        let (node, key, flight) = watch;
        self.pushes.push(Push {
            node,
            key,
            flight,
            sent: at,
            event,
            news,
        });
    }

    /// A push has arrived: the last that fits, for the ones before it may have been lost.
    fn told(&mut self, node: NodeId, notice: &Notice<Key>, event: usize, at: Nanos) {
        let (flight, news, label) = match notice {
            Notice::Arrived {
                flight,
                attempt: None,
                arrival,
                ..
            } => {
                let label = format!("r{}", arrival.revision);
                (flight, News::Value(arrival.revision), label)
            }
            Notice::Answered {
                flight,
                event: Event::LockReleased,
            } => (flight, News::Lock(Some(false)), "free".to_owned()),
            Notice::Answered {
                flight,
                event: Event::LockHeld { .. },
            } => (flight, News::Lock(Some(true)), "held".to_owned()),
            _ => return,
        };
        let is_it = |push: &Push| {
            (push.node, push.key, push.flight) == (node, flight.key, flight.number)
                && push.news.may_be(news)
        };
        let Some(position) = self.pushes.iter().rposition(is_it) else {
            return;
        };
        let push = self.pushes.remove(position);
        self.messages.push(Message {
            node,
            key: push.key.0,
            kind: "push",
            label,
            sent: push.sent,
            came: Some(at),
            odd: false,
            event,
        });
    }

    pub(super) fn finish(mut self, end: Nanos) -> Vec<Message> {
        let asked = std::mem::take(&mut self.asked);
        for asked in asked.into_values() {
            let sent = asked.answered.map_or(asked.sent, |(at, ..)| at);
            // What is still under way when the run ends is not lost.
            if self.sees_store && sent < end {
                self.part(asked, None);
            }
        }
        for (at, node) in std::mem::take(&mut self.lost) {
            let is_it = |push: &Push| push.sent == at && push.node == node;
            let Some(position) = self.pushes.iter().position(is_it) else {
                continue;
            };
            let push = self.pushes.remove(position);
            self.messages.push(Message {
                node,
                key: push.key.0,
                kind: "push",
                label: match push.news {
                    News::Value(revision) => format!("r{revision}"),
                    News::Lock(_) => "lock".to_owned(),
                },
                sent: at,
                came: None,
                odd: true,
                event: push.event,
            });
        }
        self.messages.sort_by_key(|message| message.sent);
        self.messages
    }
}

impl Asked {
    fn arrow(&self, kind: &'static str, came: Option<Nanos>, odd: bool) -> Message {
        Message {
            node: self.node,
            key: self.key.0,
            kind,
            label: words::verb(&self.request).to_owned(),
            sent: self.sent,
            came,
            odd: odd || came.is_none(),
            event: self.event,
        }
    }

    fn back(&self, came: Option<Nanos>) -> Option<Message> {
        let (sent, answer, event) = self.answered?;
        Some(Message {
            label: words::answer(&answer),
            sent,
            event,
            ..self.arrow("answer", came, false)
        })
    }
}
