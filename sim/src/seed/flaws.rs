//! Which of the seed's known flaws a broken promise shows: by the invariant and the circumstances.
//!
//! Where the invariant does not tell which flaw it was, and the trace does not either, the finding is
//! the invariant alone.

use std::fmt;

use oneflight_core::{Command, Event, Judgement, Notice, Order, Outcome, Revision, Token};

use crate::check::Violation;
use crate::trace::{Answer, Digest, Key, Nanos, NodeId, Record, Request, What};

/// A flaw, or an invariant that was broken in a way that is none of the known flaws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// One of F1 to F20.
    Flaw(u8),
    /// Only what was broken is known.
    Only(&'static str),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flaw(number) => write!(f, "F{number}"),
            Self::Only(_) => f.write_str("-"),
        }
    }
}

/// The flaws, as they show in a run of this algorithm.
#[must_use]
pub const fn story(flaw: u8) -> &'static str {
    match flaw {
        1 => "redundant fill: it never looks again at the value after it has won",
        2 => "lost release: it subscribes to a lock that is free already, and sleeps",
        3 => "late takeover: it counts a lease's length from its own subscribing",
        4 => "vain time-out: it times out with a value in hand",
        5 => "heartbeat quits: one failed renewal ends the renewals",
        6 => "zombie heartbeat: renewals outlive the fill",
        7 => "ghost lease: a repeated claim is granted to nobody",
        8 => "lost publish answer: an error, and the value stands",
        9 => "stale clobber: an unfenced put lands over a newer value",
        10 => "dirty read: a value is served that was never committed",
        11 => "fenced dead end: an error though the newer value exists",
        12 => "slow degrade: a disconnect while waiting goes unseen",
        13 => "overshoot: a store call longer than the wait",
        14 => "no generation: a value that is younger than the call is not fresh enough",
        15 => "poison: a value that does not decode crashes its readers",
        16 => "hung fill: it is renewed for ever",
        17 => "clock at restart: the store judges lapses by a clock that jumped",
        18 => "watch gap: a reconnect by snapshot wakes nobody",
        19 => "herd: all waiters claim for one release",
        20 => "slow winner: it returns only after the release is answered",
        _ => "",
    }
}

/// Whether an invariant says nothing about this algorithm: it is about the orders of our machine.
#[must_use]
pub fn is_exempt(invariant: &str) -> bool {
    matches!(invariant, "S12 CancelSafe" | "S13 Isolation" | "L9 Budget")
}

/// What a violation shows.
#[must_use]
pub fn classify(violation: &Violation, records: &[Record<Key>]) -> Finding {
    let until = records.partition_point(|record| record.at <= violation.at);
    let Some(key) = violation.key else {
        return Finding::Only(violation.invariant);
    };
    let case = Case {
        violation,
        key,
        past: &records[..until],
    };
    let flaw = match violation.invariant {
        "S5 NoRedundantFill" => Some(if case.had_judged_it_stale() { 14 } else { 1 }),
        "S3 NoStalePublish" => case.is_put().then_some(9),
        "S4 Provenance" => case.is_uncommitted().then_some(10),
        "S9 HonestFailure" => case.failure(),
        "S11 NoPoison" => Some(15),
        "L1 Terminates" => case.is_blocked_too_long().then_some(13),
        "L2 Prompt" => case
            .slept_on_a_free_lock()
            .or_else(|| case.slept_on_a_gap()),
        "L3 Takeover" => Some(3),
        // It serves as stale what it would have found fresh, had it asked.
        "L4 NoVainTimeout" | "S10 HonestStale" => Some(4),
        "L5 DegradePrompt" => Some(12),
        "L6 Heartbeat" => case.heartbeat(),
        "L7 Quiescent" => case.is_held_by_itself().then_some(7),
        "L8 Herd" => Some(19),
        _ => None,
    };
    flaw.map_or(Finding::Only(violation.invariant), Finding::Flaw)
}

/// A violation, and all that happened until then.
struct Case<'a> {
    violation: &'a Violation,
    key: Key,
    past: &'a [Record<Key>],
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
    fn had_judged_it_stale(&self) -> bool {
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
    fn is_held_by_itself(&self) -> bool {
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

    fn is_put(&self) -> bool {
        self.commits()
            .next_back()
            .is_some_and(|(at, _, request, _)| {
                at == self.violation.at && matches!(request, Request::Put { .. })
            })
    }

    /// The value that a call landed with is not in the store, nor was it ever.
    fn is_uncommitted(&self) -> bool {
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

    fn failure(&self) -> Option<u8> {
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
    fn is_blocked_too_long(&self) -> bool {
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
    fn slept_on_a_free_lock(&self) -> Option<u8> {
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
    fn slept_on_a_gap(&self) -> Option<u8> {
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

    fn heartbeat(&self) -> Option<u8> {
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
