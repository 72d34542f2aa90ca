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

    /// Its number among the seed's flaws, or nothing; and what is wrong.
    #[must_use]
    pub const fn story(self) -> (&'static str, &'static str) {
        match self {
            Self::RedundantFill => ("F1", "a claim does not say what its caller has seen"),
            Self::LostRelease => ("F2", "a watch does not begin with the state of the lock"),
            Self::LateTakeover => ("F3", "a waiter does not know when the lease lapses"),
            Self::VainTimeout => (
                "F4",
                "a satisfying verdict is not heard before the time-out",
            ),
            Self::HeartbeatQuits => ("F5", "one failed renewal ends the renewals"),
            Self::ZombieHeartbeat => ("F6", "a cancelled caller's seat is not given back"),
            Self::GhostLease => ("F7", "a claim repeated by its own attempt is another claim"),
            Self::LostPublishAnswer => ("F8", "a publish without an answer counts as fenced"),
            Self::StaleClobber => (
                "F9",
                "an unfenced put does not say what its caller has seen",
            ),
            Self::DirtyRead => (
                "F10",
                "a value is served locally before its publish is acknowledged",
            ),
            Self::FencedDeadEnd => (
                "F11",
                "a fenced filler gets an error instead of the newer value",
            ),
            Self::SlowDegrade => ("F12", "a lost watch is not told"),
            Self::Overshoot => ("F13", "no timer fires while a request is at the store"),
            Self::NoGeneration => (
                "F14",
                "a value computed since the call began is judged by its predicate all the same",
            ),
            Self::Poison => (
                "F15",
                "a value that does not decode is an error for who treats it as absent",
            ),
            Self::HungFill => ("F16", "`fill_timeout` is ignored"),
            Self::ClockAtRestart => ("F17", "lapses are judged by a clock that jumps"),
            Self::WatchGap => ("F18", "a watch begins without a snapshot"),
            Self::Herd => ("F19", "every claim is sent eight times"),
            Self::SlowWinner => (
                "F20",
                "the winner waits for one more answer after its publish",
            ),
            Self::PublishNotFenced => ("", "a publish is accepted under any token"),
            Self::TokenReused => ("", "a restart of the store sets its counter back"),
            Self::OvertakenRenewal => ("", "a renewal of an overtaken lease is accepted"),
            Self::FirstWaiterOnly => ("", "only the first waiter is told"),
            Self::NoNotifications => ("", "nobody is told anything"),
            Self::AbortAllFill => (
                "",
                "callers fill one after another after a failure they share",
            ),
            Self::ForgottenComesBack => ("", "a forget leaves the lease standing"),
            Self::LateGrantLeaks => ("", "a lease granted too late is not released"),
            Self::BusyLoop => ("", "the timer fires one tick early, again and again"),
        }
    }

    /// The invariants that one would expect to catch it.
    #[must_use]
    pub const fn expected(self) -> &'static [&'static str] {
        match self {
            Self::RedundantFill | Self::NoGeneration => &["S5 NoRedundantFill"],
            Self::LostRelease => &["L2 Prompt", "L4 NoVainTimeout", "L3 Takeover"],
            Self::LateTakeover => &["L3 Takeover"],
            Self::VainTimeout => &["L4 NoVainTimeout"],
            Self::HeartbeatQuits | Self::HungFill => &["L6 Heartbeat"],
            Self::ZombieHeartbeat => &["S12 CancelSafe"],
            Self::LostPublishAnswer | Self::FencedDeadEnd => &["S9 HonestFailure"],
            Self::StaleClobber | Self::PublishNotFenced => &["S3 NoStalePublish"],
            Self::DirtyRead => &["S4 Provenance"],
            Self::SlowDegrade => &["L5 DegradePrompt"],
            Self::Overshoot | Self::BusyLoop => &["L1 Terminates"],
            Self::Poison => &["S11 NoPoison"],
            Self::ClockAtRestart | Self::OvertakenRenewal => &["S2 OneHolder"],
            Self::WatchGap => &["L2 Prompt", "L3 Takeover", "L4 NoVainTimeout"],
            Self::Herd => &["L8 Herd", "L9 Budget"],
            Self::SlowWinner | Self::FirstWaiterOnly | Self::NoNotifications => &["L2 Prompt"],
            Self::TokenReused => &["S1 TokenMonotonic"],
            Self::AbortAllFill => &["S6 ExcusedDuplicates"],
            Self::ForgottenComesBack => &["S14 Forgotten"],
            Self::GhostLease | Self::LateGrantLeaks => &["L7 Quiescent"],
        }
    }

    /// What the machine is told instead of a notice: `None` for nothing.
    #[cold]
    pub(crate) fn on_notice(self, notice: Notice<Key>) -> Option<Notice<Key>> {
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
            )
            | (
                Self::LateTakeover,
                Notice::Answered {
                    event: Event::LockHeld { .. },
                    ..
                },
            ) => None,
            (
                Self::FencedDeadEnd | Self::HungFill | Self::AbortAllFill,
                Notice::Boarded {
                    key,
                    passenger,
                    policy,
                    known,
                },
            ) => Some(Notice::Boarded {
                key,
                passenger,
                policy: self.on_policy(policy),
                known,
            }),
            (
                Self::LateTakeover,
                Notice::Answered {
                    flight,
                    event: Event::Held { attempt, token, .. },
                },
            ) => Some(Notice::Answered {
                flight,
                event: Event::Held {
                    attempt,
                    token,
                    remaining: None,
                },
            }),
            (
                Self::NoGeneration,
                Notice::Judged {
                    key,
                    passenger,
                    verdict,
                },
            ) => Some(Notice::Judged {
                key,
                passenger,
                verdict: Verdict {
                    token: None,
                    ..verdict
                },
            }),
            (_, notice) => Some(notice),
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
    #[cold]
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
