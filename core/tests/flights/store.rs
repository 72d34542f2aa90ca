//! A store that keeps its contract, for several keys: what the interleavings are run against.

use core::time::Duration;
use std::collections::BTreeMap;

use oneflight_core::{
    Arrival, Attempt, Command, Event, FlightId, Instant, Notice, Revision, Token,
};

pub(crate) type Key = u8;

/// What the store keeps of one key and its lock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    /// The last revision, and the token of the value if there is one.
    pub(crate) revision: u64,
    pub(crate) value: Option<Option<Token>>,
    tokens: u64,
    pub(crate) lease: Option<Lease>,
    published: BTreeMap<Token, u64>,
    /// The token each revision was published under.
    pub(crate) origins: BTreeMap<u64, Option<Token>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Lease {
    token: Token,
    expires: u64,
    claimed_by: (usize, u64, Attempt),
}

/// What the watches are told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct News {
    /// The key was written or forgotten.
    pub(crate) key: bool,
    pub(crate) lock: Option<Event>,
}

impl Cell {
    /// The answer to a claim or to a watch that tells of the value.
    pub(crate) fn arrived(&self, flight: &FlightId<Key>, attempt: Option<Attempt>) -> Notice<Key> {
        Notice::Arrived {
            flight: flight.clone(),
            attempt,
            latest: Token::new(self.tokens).filter(|_| attempt.is_some()),
            arrival: Arrival {
                revision: Revision::new(self.revision),
                token: self.value.flatten(),
                value: self.value.is_some(),
            },
        }
    }

    /// What a watch begins with.
    pub(crate) fn snapshot(&self, flight: &FlightId<Key>, now: u64) -> Vec<Notice<Key>> {
        let mut notices = Vec::new();
        if self.revision > 0 {
            notices.push(self.arrived(flight, None));
        }
        let event = match &self.lease {
            Some(lease) => Event::LockHeld {
                remaining: Some(Duration::from_nanos(lease.expires.saturating_sub(now))),
            },
            None => Event::LockReleased,
        };
        notices.push(Notice::Answered {
            flight: flight.clone(),
            event,
        });
        notices
    }

    fn holds(&self, token: Token) -> bool {
        self.lease.as_ref().is_some_and(|it| it.token == token)
    }

    fn write(&mut self, token: Option<Token>) -> Revision {
        self.revision += 1;
        self.value = Some(token);
        self.origins.insert(self.revision, token);
        Revision::new(self.revision)
    }

    /// Deletes the value and voids the lease.
    pub(crate) fn forget(&mut self) -> News {
        self.write(None);
        self.value = None;
        self.lease = None;
        News {
            key: true,
            lock: Some(Event::LockReleased),
        }
    }

    /// Carries out a request; the answer, and what the watches are told.
    pub(crate) fn execute(
        &mut self,
        process: usize,
        flight: &FlightId<Key>,
        command: Command,
        ttl: Duration,
        now: Instant,
    ) -> (Option<Notice<Key>>, News) {
        let now = now.as_nanos();
        let mut news = News::default();
        let event = match command {
            Command::Claim { attempt, seen } => {
                if self.value.is_some() && self.revision > seen.get() {
                    return (Some(self.arrived(flight, Some(attempt))), news);
                }
                let by = (process, flight.number, attempt);
                let (event, held) = self.claim(by, ttl, now);
                news.lock = held;
                event
            }
            Command::Renew { attempt, token } if self.holds(token) => {
                if let Some(lease) = &mut self.lease {
                    lease.expires = now + nanos(ttl);
                }
                let remaining = Some(ttl);
                news.lock = Some(Event::LockHeld { remaining });
                Event::Renewed { attempt }
            }
            Command::Renew { attempt, .. } => Event::LeaseLost { attempt },
            Command::Publish { attempt, token } => {
                if let Some(revision) = self.published.get(&token) {
                    let revision = Revision::new(*revision);
                    Event::Published { attempt, revision }
                } else if self.holds(token) {
                    let revision = self.write(Some(token));
                    self.lease = None;
                    self.published.insert(token, self.revision);
                    news.key = true;
                    news.lock = Some(Event::LockReleased);
                    Event::Published { attempt, revision }
                } else {
                    Event::Fenced { attempt }
                }
            }
            Command::Put { seen } => {
                if self.revision <= seen.get() {
                    self.write(None);
                    news.key = true;
                }
                return (None, news);
            }
            Command::Release { attempt, token } => {
                if self.holds(token) {
                    self.lease = None;
                    news.lock = Some(Event::LockReleased);
                }
                Event::Released { attempt }
            }
            _ => return (None, news),
        };
        let flight = flight.clone();
        (Some(Notice::Answered { flight, event }), news)
    }

    fn claim(
        &mut self,
        by: (usize, u64, Attempt),
        ttl: Duration,
        now: u64,
    ) -> (Event, Option<Event>) {
        let attempt = by.2;
        // Until it is claimed, the holder of a lapsed lease may revive it.
        let standing = self.lease.take().filter(|lease| lease.expires > now);
        let lease = standing.unwrap_or_else(|| {
            self.tokens += 1;
            Lease {
                token: Token::new(self.tokens).unwrap(),
                expires: now + nanos(ttl),
                claimed_by: by,
            }
        });
        let (token, remaining) = (lease.token, Duration::from_nanos(lease.expires - now));
        let granted = lease.claimed_by == by;
        self.lease = Some(lease);
        if !granted {
            let event = Event::Held {
                attempt,
                token: Some(token),
                remaining: Some(remaining),
            };
            return (event, None);
        }
        let event = Event::LeaseGranted {
            attempt,
            token,
            remaining,
            generation: Revision::new(self.revision),
        };
        let remaining = Some(ttl);
        (event, Some(Event::LockHeld { remaining }))
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap()
}
