//! The circumstances of a broken promise, as the trace tells them.

use oneflight_core::{Command, Event, Judgement, Notice, Order, Outcome, Revision, Token};

use crate::check::Violation;
use crate::trace::{Answer, Digest, Key, Nanos, NodeId, Record, Request, What};

/// A violation, and all that happened until then.
pub(super) struct Case<'a> {
    pub(super) violation: &'a Violation,
    pub(super) key: Key,
    pub(super) past: &'a [Record<Key>],
}

impl<'a> Case<'a> {
    /// What happened at the violation's own moment, where it was seen.
    fn moment(&self) -> impl Iterator<Item = &'a What<Key>> + use<'a> {
        let (at, node) = (self.violation.at, self.violation.node);
        self.past
            .iter()
            .rev()
            .take_while(move |record| record.at == at)
            .filter(move |record| record.node == node || record.node == 0)
            .map(|record| &record.what)
    }

    /// The call that landed at that moment, and how.
    fn landed(&self) -> Option<(u64, Outcome, Option<Digest>)> {
        self.moment().find_map(|what| match what {
            What::Landed {
                key,
                passenger,
                outcome,
                digest,
                ..
            } if *key == self.key => Some((passenger.0, *outcome, *digest)),
            _ => None,
        })
    }

    /// The key's commits: when, by whom, what, answered how.
    fn commits(&self) -> impl DoubleEndedIterator<Item = (Nanos, NodeId, Request, Answer)> + '_ {
        self.past.iter().filter_map(|record| match &record.what {
            What::Committed {
                key,
                from,
                request,
                answer,
                ..
            } if *key == self.key => Some((record.at, *from, *request, *answer)),
            _ => None,
        })
    }

    /// The values that were committed, each with its revision.
    fn writes(&self) -> impl DoubleEndedIterator<Item = (Nanos, Digest, Revision)> + '_ {
        self.commits()
            .filter_map(|(at, _, request, answer)| match (request, answer) {
                (Request::Publish { digest, .. }, Answer::Published { revision })
                | (Request::Put { digest, .. }, Answer::Written { revision }) => {
                    Some((at, digest, revision))
                }
                _ => None,
            })
    }

    fn granted_at(&self, token: Token) -> Option<Nanos> {
        self.commits().find_map(|(at, _, _, answer)| match answer {
            Answer::Granted { token: other, .. } if other == token => Some(at),
            _ => None,
        })
    }

    /// The fill that began then is of a call that knew the value and did not want it.
    pub(super) fn had_judged_it_stale(&self) -> bool {
        let began = self.moment().find_map(|what| match what {
            What::FillBegan {
                key,
                passenger,
                token,
                ..
            } if *key == self.key => Some((*passenger, (*token)?)),
            _ => None,
        });
        let Some((passenger, token)) = began else {
            return false;
        };
        let granted = self.granted_at(token).unwrap_or(0);
        let last = self.writes().rfind(|(at, ..)| *at <= granted);
        let Some((_, _, standing)) = last else {
            return false;
        };
        let node = self.violation.node;
        self.past
            .iter()
            .filter(|record| record.node == node)
            .any(|record| match &record.what {
                What::Told {
                    notice:
                        Notice::Judged {
                            passenger: other,
                            verdict,
                            ..
                        }
                        | Notice::Boarded {
                            passenger: other,
                            known: verdict,
                            ..
                        },
                    ..
                } => {
                    *other == passenger
                        && verdict.judgement == Judgement::Stale
                        && verdict.revision == standing
                }
                _ => false,
            })
    }

    /// A claim was answered that somebody holds the lock: the claim itself, repeated underway.
    pub(super) fn is_held_by_itself(&self) -> bool {
        self.moment().any(|what| {
            matches!(
                what,
                What::Committed {
                    again: true,
                    request: Request::Claim { .. },
                    answer: Answer::Held { .. },
                    ..
                }
            )
        })
    }

    /// An unfenced put has replaced something else than its own value, carried out before.
    pub(super) fn is_clobbered(&self) -> bool {
        let mut moves =
            self.commits()
                .rev()
                .filter_map(|(_, _, request, answer)| match (request, answer) {
                    (Request::Put { digest, .. }, Answer::Written { .. }) => {
                        Some((true, Some(digest)))
                    }
                    (Request::Publish { digest, .. }, Answer::Published { .. }) => {
                        Some((false, Some(digest)))
                    }
                    (Request::Forget, Answer::Written { .. }) => Some((false, None)),
                    _ => None,
                });
        let last = moves.next();
        let put = last.filter(|(put, _)| *put).and_then(|(_, digest)| digest);
        put.is_some() && moves.next().is_some_and(|(_, digest)| digest != put)
    }

    /// The value that a call landed with is not in the store, nor was it ever.
    pub(super) fn is_uncommitted(&self) -> bool {
        let digest = self.landed().and_then(|(_, _, digest)| digest);
        digest.is_some_and(|digest| self.writes().all(|(_, other, _)| other != digest))
    }

    /// The last fill of a call: its lease, and what it returned.
    fn last_fill(&self, call: u64) -> (Option<Token>, Option<Digest>) {
        let node = self.violation.node;
        let mut fill = (None, None);
        for record in self.past.iter().filter(|record| record.node == node) {
            match &record.what {
                What::FillBegan {
                    passenger, token, ..
                } if passenger.0 == call => fill = (*token, None),
                What::FillEnded {
                    passenger, digest, ..
                } if passenger.0 == call => fill.1 = *digest,
                _ => {}
            }
        }
        fill
    }

    pub(super) fn failure(&self) -> Option<u8> {
        let Some((call, outcome, _)) = self.landed() else {
            return Some(8); // The value was committed after its call had failed.
        };
        let (token, digest) = self.last_fill(call);
        if outcome == Outcome::Fenced {
            let granted = self.granted_at(token?)?;
            let newer = self.writes().any(|(at, ..)| at > granted);
            return newer.then_some(11);
        }
        let committed = self.writes().any(|(_, other, _)| Some(other) == digest);
        committed.then_some(8)
    }

    /// At the call's deadline it was blocked on the answer to a request.
    pub(super) fn is_blocked_too_long(&self) -> bool {
        let Some((call, ..)) = self.landed() else {
            return false;
        };
        let node = self.violation.node;
        let mut deadline = None;
        let mut sent = None;
        let mut blocked = false;
        for record in self.past.iter().filter(|record| record.node == node) {
            match &record.what {
                What::Told {
                    notice:
                        Notice::Boarded {
                            passenger, policy, ..
                        },
                    ..
                } if passenger.0 == call => {
                    let wait = policy.wait_timeout.as_nanos() as Nanos;
                    deadline = Some(record.at + wait);
                }
                What::Sent {
                    id,
                    flight: Some(flight),
                    request: Request::Claim { .. },
                    ..
                } if *flight == call => sent = Some((*id, record.at)),
                What::Answered { id, .. } => {
                    blocked |= sent.is_some_and(|(it, _)| it == *id)
                        && deadline.is_some_and(|deadline| record.at >= deadline);
                }
                _ => {}
            }
        }
        blocked
    }

    /// Somebody listened when the lock was free, and was never told so: it subscribed too late (F2), or
    /// its feed had a gap (F18).
    pub(super) fn slept_on_a_free_lock(&self) -> Option<u8> {
        let mut free = false;
        let mut listening: Vec<(NodeId, u64)> = Vec::new();
        let mut sleepers: Vec<(NodeId, u64, u8)> = Vec::new();
        for record in self.past {
            match &record.what {
                What::Committed { key, answer, .. } if *key == self.key => match answer {
                    Answer::Granted { .. } => {
                        free = false;
                        sleepers.clear();
                    }
                    Answer::Released { freed: true } => free = true,
                    _ => {}
                },
                What::WatchOpened {
                    key,
                    watcher,
                    flight,
                } if *key == self.key => {
                    let again = listening.contains(&(*watcher, *flight));
                    listening.push((*watcher, *flight));
                    if free {
                        sleepers.push((*watcher, *flight, if again { 18 } else { 2 }));
                    }
                }
                What::Told { notice, orders, .. } => {
                    if let Notice::Answered {
                        flight,
                        event: Event::LockReleased,
                    } = notice
                    {
                        sleepers.retain(|it| (it.0, it.1) != (record.node, flight.number));
                    }
                    for order in orders {
                        if let Order::Command {
                            flight,
                            command: Command::Unwatch,
                        } = order
                        {
                            listening.retain(|it| *it != (record.node, flight.number));
                        }
                    }
                }
                _ => {}
            }
        }
        // What was seen is a watch that ended, or a claim that came late: not a landing.
        let (.., flaw) = sleepers.first()?;
        self.landed().is_none().then_some(*flaw)
    }

    /// The call that landed late was subscribed when its process lost its feed and got it back.
    pub(super) fn slept_on_a_gap(&self) -> Option<u8> {
        let (call, ..) = self.landed()?;
        let mut opened = 0;
        for record in self.past {
            match &record.what {
                What::Told { orders, .. } if record.node == self.violation.node => {
                    let watches = orders.iter().any(|order| {
                        matches!(order, Order::Command { flight, command: Command::Watch }
                            if flight.number == call)
                    });
                    if watches {
                        opened = 0;
                    }
                }
                What::WatchOpened {
                    watcher, flight, ..
                } if (*watcher, *flight) == (self.violation.node, call) => opened += 1,
                _ => {}
            }
        }
        (opened > 1).then_some(18)
    }

    pub(super) fn heartbeat(&self) -> Option<u8> {
        let renews = self.moment().any(|what| match what {
            What::Told { orders, .. } => orders.iter().any(|order| {
                let command = match order {
                    Order::Command { command, .. } => command,
                    _ => return false,
                };
                matches!(command, Command::Renew { .. })
            }),
            _ => false,
        });
        if renews {
            return Some(16);
        }
        // The lease that lapsed is the one before the grant at which that was seen.
        let at = self.violation.at;
        let lapsed = self
            .commits()
            .filter_map(|(granted, _, _, answer)| match answer {
                Answer::Granted { token, .. } if granted < at => Some(token),
                _ => None,
            })
            .next_back()?;
        let renewals: Vec<u64> = self
            .past
            .iter()
            .filter_map(|record| match &record.what {
                What::Sent {
                    id,
                    request: Request::Renew { token, .. },
                    ..
                } if *token == lapsed => Some(*id),
                _ => None,
            })
            .collect();
        let quit = self.past.iter().any(|record| match &record.what {
            What::Answered { id, answer } => {
                renewals.contains(id) && *answer == Answer::Unavailable
            }
            _ => false,
        });
        quit.then_some(5)
    }
}
