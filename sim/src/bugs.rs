//! Bugs to be put into a run, so that the checker is seen to catch them. Each is a switch in what lies
//! around the machine (the driver, the store, the network of the simulator), never in the product.

use oneflight_core::{Event, Judgement, Notice, OnAbort, OnFenced, Policy, Revision, Verdict};

use crate::trace::{Key, Request};

/// A bug: the seed's flaws F1-F20, and the classics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "told by `Bug::story`")]
pub enum Bug {
    RedundantFill,
    LostRelease,
    LateTakeover,
    VainTimeout,
    HeartbeatQuits,
    ZombieHeartbeat,
    GhostLease,
    LostPublishAnswer,
    StaleClobber,
    DirtyRead,
    FencedDeadEnd,
    SlowDegrade,
    Overshoot,
    NoGeneration,
    Poison,
    HungFill,
    ClockAtRestart,
    WatchGap,
    Herd,
    SlowWinner,
    PublishNotFenced,
    TokenReused,
    OvertakenRenewal,
    FirstWaiterOnly,
    NoNotifications,
    AbortAllFill,
    ForgottenComesBack,
    LateGrantLeaks,
    BusyLoop,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 29] = [
        Self::RedundantFill,
        Self::LostRelease,
        Self::LateTakeover,
        Self::VainTimeout,
        Self::HeartbeatQuits,
        Self::ZombieHeartbeat,
        Self::GhostLease,
        Self::LostPublishAnswer,
        Self::StaleClobber,
        Self::DirtyRead,
        Self::FencedDeadEnd,
        Self::SlowDegrade,
        Self::Overshoot,
        Self::NoGeneration,
        Self::Poison,
        Self::HungFill,
        Self::ClockAtRestart,
        Self::WatchGap,
        Self::Herd,
        Self::SlowWinner,
        Self::PublishNotFenced,
        Self::TokenReused,
        Self::OvertakenRenewal,
        Self::FirstWaiterOnly,
        Self::NoNotifications,
        Self::AbortAllFill,
        Self::ForgottenComesBack,
        Self::LateGrantLeaks,
        Self::BusyLoop,
    ];

    /// What the machine is told instead of a notice: `None` for the notice itself, `Some(None)` for
    /// nothing.
    pub(crate) fn on_notice(self, notice: &Notice<Key>) -> Option<Option<Notice<Key>>> {
        match (self, notice) {
            (
                Self::VainTimeout,
                Notice::Judged {
                    verdict:
                        Verdict {
                            judgement: Judgement::Fresh,
                            ..
                        },
                    ..
                },
            ) => Some(None),
            (
                Self::FencedDeadEnd | Self::HungFill | Self::AbortAllFill,
                Notice::Boarded {
                    key,
                    passenger,
                    policy,
                    known,
                },
            ) => Some(Some(Notice::Boarded {
                key: *key,
                passenger: *passenger,
                policy: self.on_policy(*policy),
                known: *known,
            })),
            (
                Self::LateTakeover,
                Notice::Answered {
                    flight,
                    event: Event::Held { attempt, token, .. },
                },
            ) => Some(Some(Notice::Answered {
                flight: flight.clone(),
                event: Event::Held {
                    attempt: *attempt,
                    token: *token,
                    remaining: None,
                },
            })),
            (
                Self::LateTakeover,
                Notice::Answered {
                    event: Event::LockHeld { .. },
                    ..
                },
            ) => Some(None),
            (
                Self::NoGeneration,
                Notice::Judged {
                    key,
                    passenger,
                    verdict,
                },
            ) => Some(Some(Notice::Judged {
                key: *key,
                passenger: *passenger,
                verdict: Verdict {
                    token: None,
                    ..*verdict
                },
            })),
            _ => None,
        }
    }

    fn on_policy(self, mut policy: Policy) -> Policy {
        if self == Self::FencedDeadEnd {
            policy.on_fenced = OnFenced::Error;
        }
        if self == Self::HungFill {
            policy.fill_timeout = None;
        }
        if self == Self::AbortAllFill {
            policy.on_abort = OnAbort::Promote;
        }
        policy
    }

    /// What is sent instead of a request: `None` for nothing.
    pub(crate) fn on_request(self, request: Request) -> Option<Request> {
        match (self, request) {
            (Self::RedundantFill, Request::Claim { attempt, ttl, .. }) => Some(Request::Claim {
                attempt,
                ttl,
                seen: Revision::new(u64::MAX),
            }),
            (Self::StaleClobber, Request::Put { digest, .. }) => Some(Request::Put {
                seen: Revision::new(u64::MAX),
                digest,
            }),
            (_, request) => Some(request),
        }
    }
}
