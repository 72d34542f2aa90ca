//! One process: its lines must agree with one another.

use std::collections::{BTreeMap, BTreeSet};

use oneflight_core::{Attempt, Command, Event, FillResult, Notice, Order, Outcome, Token};

use crate::trace::{Answer, Key, Request, RequestId, What};

#[derive(Clone, Debug, Default)]
pub(super) struct Process {
    pub(super) clock: Option<String>,
    /// How it ended: `Some(false)` in peace. Without it, it was killed.
    pub(super) down: Option<bool>,
    /// The requests under way.
    pub(super) asks: BTreeMap<RequestId, usize>,
    under_way: BTreeMap<RequestId, (Key, Option<u64>, Request)>,
    open: BTreeSet<u64>,
    /// How the calls were told to land.
    to_land: BTreeMap<u64, Outcome>,
    /// What was ordered and is not sent yet.
    to_send: Vec<(u64, Command)>,
    /// The fills that were ordered and have not begun.
    to_fill: Vec<(u64, u64, Attempt, Option<Token>)>,
    /// What was answered and is not told yet.
    to_tell: Vec<(u64, Request, Answer)>,
    /// How fills have ended, not told yet.
    to_tell_of: Vec<(u64, Attempt, FillResult)>,
    /// The leases in hand.
    leases: BTreeSet<(Key, Token)>,
    /// A request went unanswered: a lease may lapse unreleased.
    cut_off: bool,
}

type Complaint = (&'static str, Option<Key>, String);

impl Process {
    pub(super) fn see(&mut self, what: &What<Key>) -> Vec<Complaint> {
        let mut wrong = Vec::new();
        // What befalls a process is no deed of its own.
        if self.down.is_some() && !matches!(what, What::Fault { .. }) {
            let story = format!("{what:?} after it was down");
            wrong.push(("L7 Quiescent", None, story));
        }
        match what {
            What::Up { clock, .. } => self.clock.clone_from(clock),
            What::Down { crashed } => {
                self.down = Some(*crashed);
                if !crashed {
                    wrong.extend(self.at_rest());
                }
            }
            What::Began { passenger, .. } => {
                self.open.insert(passenger.0);
            }
            What::Left { passenger, .. } => {
                self.open.remove(&passenger.0);
            }
            What::Landed {
                key,
                passenger,
                outcome,
                local,
                ..
            } => {
                self.open.remove(&passenger.0);
                let ordered = self.to_land.remove(&passenger.0);
                if !may_land(*outcome, ordered, *local) {
                    let story = format!(
                        "call {}: {outcome:?}, but what was ordered is {ordered:?}",
                        passenger.0
                    );
                    wrong.push(("S8 OneLanding", Some(*key), story));
                }
            }
            What::FillBegan {
                key,
                passenger,
                flight,
                attempt,
                token,
            } => {
                let fill = (*flight, passenger.0, *attempt, *token);
                if !take(&mut self.to_fill, |ordered| *ordered == fill) {
                    let story = format!("{what:?} was not ordered");
                    wrong.push(("Recording", Some(*key), story));
                }
            }
            What::FillEnded {
                flight,
                attempt,
                result,
                ..
            } => self.to_tell_of.push((*flight, *attempt, *result)),
            What::Sent {
                id,
                key,
                flight,
                request,
            } => {
                self.under_way.insert(*id, (*key, *flight, *request));
                if let Some(flight) = flight
                    && !take(&mut self.to_send, |(number, command)| {
                        number == flight && is_ordered(command, request)
                    })
                {
                    let story = format!("{request:?} was sent, but not ordered");
                    wrong.push(("Recording", Some(*key), story));
                }
            }
            What::Answered { id, answer } => self.answered(*id, answer),
            What::Told { notice, orders, .. } => {
                if let Some(story) = self.unfounded(notice) {
                    wrong.push(("Recording", notice.key().copied(), story));
                }
                self.ordered(orders);
            }
            _ => {}
        }
        wrong
    }

    fn answered(&mut self, id: RequestId, answer: &Answer) {
        let Some((key, flight, request)) = self.under_way.remove(&id) else {
            return;
        };
        match (*answer, request) {
            (Answer::Granted { token, .. }, _) => {
                self.leases.insert((key, token));
            }
            (Answer::Published { .. } | Answer::Fenced, Request::Publish { token, .. })
            | (Answer::Lost, Request::Renew { token, .. }) => {
                self.leases.remove(&(key, token));
            }
            (Answer::Unavailable | Answer::Refused | Answer::Malformed, _) => self.cut_off = true,
            _ => {}
        }
        if let Some(flight) = flight {
            self.to_tell.push((flight, request, *answer));
        }
    }

    fn ordered(&mut self, orders: &[Order<Key>]) {
        for order in orders {
            match order {
                Order::Command { flight, command } => {
                    if let Command::Release { token, .. } = command {
                        self.leases.remove(&(flight.key, *token));
                    }
                    self.to_send.push((flight.number, *command));
                }
                Order::Fill {
                    flight,
                    passenger,
                    attempt,
                    lease,
                } => {
                    let token = lease.map(|lease| lease.token);
                    self.to_fill
                        .push((flight.number, passenger.0, *attempt, token));
                }
                Order::Land {
                    passenger, outcome, ..
                } => {
                    self.to_land.insert(passenger.0, *outcome);
                }
                Order::Retired { flight } => {
                    self.to_fill.retain(|fill| fill.0 != flight.number);
                    let keep = |command: &Command| {
                        // A renewal may have been on its way when the flight was over.
                        matches!(
                            command,
                            Command::Put { .. } | Command::Release { .. } | Command::Renew { .. }
                        )
                    };
                    self.to_send
                        .retain(|(number, command)| *number != flight.number || keep(command));
                }
                Order::Judge { .. } => {}
            }
        }
    }

    /// A notice that tells of an answer, or of a fill's end, of which there is no line.
    fn unfounded(&mut self, notice: &Notice<Key>) -> Option<String> {
        let founded = match notice {
            Notice::Boarded { passenger, .. } => self.open.contains(&passenger.0),
            Notice::Answered { flight, event } => match event {
                Event::FillDone { attempt, result } => {
                    let fill = (flight.number, *attempt, *result);
                    take(&mut self.to_tell_of, |ended| *ended == fill)
                }
                Event::Released { .. }
                | Event::LockReleased
                | Event::LockHeld { .. }
                | Event::WatchLost
                | Event::WatchRefused => true,
                event => take(&mut self.to_tell, |(number, request, answer)| {
                    *number == flight.number && tells(event, request, answer)
                }),
            },
            Notice::Arrived {
                flight,
                attempt: Some(attempt),
                latest,
                arrival,
            } => take(&mut self.to_tell, |(number, request, answer)| {
                let said = matches!(answer, Answer::Newer { revision, token, latest: highest, .. }
                    if *revision == arrival.revision && *token == arrival.token && highest == latest);
                *number == flight.number && is_claim(request, *attempt) && said
            }),
            _ => true,
        };
        (!founded).then(|| format!("{notice:?} was told, but nothing says that it happened"))
    }

    /// What must not be left when a process has closed in peace.
    fn at_rest(&self) -> Vec<Complaint> {
        let mut wrong = Vec::new();
        if let Some(passenger) = self.open.first() {
            let story = format!("call {passenger} never ended, and its process has closed");
            wrong.push(("L1 Terminates", None, story));
        }
        if let Some((key, token)) = self.leases.first().filter(|_| !self.cut_off) {
            let story = format!("token {token} was not given back, and its process has closed");
            wrong.push(("L7 Quiescent", Some(*key), story));
        }
        wrong
    }
}

/// Takes the first that matches out of a list.
fn take<T>(list: &mut Vec<T>, matches: impl FnMut(&T) -> bool) -> bool {
    match list.iter().position(matches) {
        Some(index) => {
            drop(list.remove(index));
            true
        }
        None => false,
    }
}

/// A call lands as it was told to, unless what it was to get does not decode for it.
fn may_land(outcome: Outcome, ordered: Option<Outcome>, local: bool) -> bool {
    match ordered {
        _ if local => ordered.is_none() && matches!(outcome, Outcome::Cached { stale: false, .. }),
        Some(ordered) => {
            let value = ordered.revision().is_some() || matches!(ordered, Outcome::Awaited { .. });
            outcome == ordered || outcome == Outcome::Malformed && value
        }
        None => false,
    }
}

fn is_claim(request: &Request, attempt: Attempt) -> bool {
    matches!(request, Request::Claim { attempt: asked, .. } if *asked == attempt)
}

fn is_ordered(command: &Command, request: &Request) -> bool {
    match (*command, *request) {
        (
            Command::Claim { attempt, seen },
            Request::Claim {
                attempt: asked,
                seen: known,
                ..
            },
        ) => attempt == asked && seen == known,
        (Command::Renew { token, .. }, Request::Renew { token: asked, .. })
        | (Command::Publish { token, .. }, Request::Publish { token: asked, .. })
        | (Command::Release { token, .. }, Request::Release { token: asked }) => token == asked,
        (Command::Put { seen }, Request::Put { seen: known, .. }) => seen == known,
        _ => false,
    }
}

/// Whether an event tells of this answer.
fn tells(event: &Event, request: &Request, answer: &Answer) -> bool {
    match (*event, *answer) {
        (
            Event::LeaseGranted {
                attempt,
                token,
                remaining,
                generation,
            },
            Answer::Granted {
                token: granted,
                remaining: left,
                generation: last,
            },
        ) => {
            is_claim(request, attempt)
                && token == granted
                && generation == last
                && remaining.as_nanos() == u128::from(left)
        }
        (
            Event::Held {
                attempt,
                token,
                remaining,
            },
            Answer::Held {
                token: held,
                remaining: left,
            },
        ) => {
            is_claim(request, attempt)
                && token == Some(held)
                && remaining.map(|it| it.as_nanos()) == left.map(u128::from)
        }
        (Event::Renewed { .. }, Answer::Renewed)
        | (Event::LeaseLost { .. }, Answer::Lost)
        | (Event::Fenced { .. }, Answer::Fenced)
        | (Event::Unavailable { .. }, Answer::Unavailable)
        | (Event::Refused { .. }, Answer::Refused)
        | (Event::Malformed { .. }, Answer::Malformed) => true,
        (Event::Published { revision, .. }, Answer::Published { revision: written }) => {
            revision == written
        }
        _ => false,
    }
}
