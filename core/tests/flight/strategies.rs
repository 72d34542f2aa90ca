//! What policies, verdicts and events there are.

use core::time::Duration;

use oneflight_core::{
    Attempt, Event, FillResult, Instant, Judgement, OnAbort, OnFenced, OnUnavailable, Policy,
    Revision, Token, Verdict,
};
use proptest::prelude::*;

use crate::scenario::ms;

pub(crate) fn policies() -> impl Strategy<Value = Policy> {
    let unavailable = prop_oneof![Just(OnUnavailable::RunLocal), Just(OnUnavailable::Error)];
    let fenced = prop_oneof![Just(OnFenced::Ride), Just(OnFenced::Error)];
    let abort = prop_oneof![Just(OnAbort::Share), Just(OnAbort::Promote)];
    let fill_timeout = prop_oneof![
        Just(None),
        (0_u64..10_000).prop_map(|it| Some(Duration::from_millis(it)))
    ];
    (
        (
            0_u64..10_000,
            prop_oneof![Just(0), 1_u64..500, 1_u64..20_000],
        ),
        (0_u64..5_000, 0_u64..500),
        (fill_timeout, unavailable, fenced, abort, any::<u64>()),
    )
        .prop_map(
            |((ttl, wait), (store, backoff), (fill_timeout, unavailable, fenced, abort, seed))| {
                Policy {
                    lease_ttl: ms(ttl),
                    wait_timeout: ms(wait),
                    store_timeout: ms(store),
                    max_backoff: ms(backoff),
                    fill_timeout,
                    on_unavailable: unavailable,
                    on_fenced: fenced,
                    on_abort: abort,
                    seed,
                }
            },
        )
}

pub(crate) fn verdicts() -> impl Strategy<Value = Verdict> {
    let judgement = prop_oneof![
        Just(Judgement::Absent),
        Just(Judgement::Stale),
        Just(Judgement::Fresh),
        Just(Judgement::Malformed)
    ];
    (0_u64..12, 0_u64..12, judgement).prop_map(|(revision, token, judgement)| Verdict {
        revision: Revision::new(revision),
        token: Token::new(token),
        judgement,
    })
}

pub(crate) fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        (0_u64..20_000).prop_map(ms),
        Just(Duration::MAX)
    ]
}

/// Anything at all.
pub(crate) fn events() -> impl Strategy<Value = Event> {
    let attempt = (0_u32..14).prop_map(Attempt::new);
    let tokens = (1_u64..12).prop_map(|it| Token::new(it).unwrap());
    let maybe = prop::option::of(tokens.clone());
    let results = prop_oneof![
        Just(FillResult::Value),
        Just(FillResult::Error),
        Just(FillResult::Panic)
    ];
    let answers = (
        attempt,
        0..12_u8,
        (tokens, maybe.clone()),
        (durations(), any::<bool>()),
        (verdicts(), results),
    )
        .prop_map(
            |(attempt, kind, (token, maybe), (remaining, known), (verdict, result))| match kind {
                0 => Event::LeaseGranted {
                    attempt,
                    token,
                    remaining,
                    generation: verdict.revision,
                },
                1 => Event::Held {
                    attempt,
                    token: maybe,
                    remaining: Some(remaining).filter(|_| known),
                },
                2 => Event::Newer {
                    attempt,
                    latest: maybe,
                    verdict,
                },
                3 => Event::Renewed { attempt },
                4 => Event::LeaseLost { attempt },
                5 => Event::FillDone { attempt, result },
                6 => Event::Published {
                    attempt,
                    revision: verdict.revision,
                },
                7 => Event::Fenced { attempt },
                8 => Event::Released { attempt },
                9 => Event::Unavailable { attempt },
                10 => Event::Refused { attempt },
                _ => Event::Malformed { attempt },
            },
        );
    let handed_over =
        (policies(), verdicts(), maybe).prop_map(|(policy, known, floor)| Event::HandedOver {
            policy,
            started: Instant::from_nanos(0),
            known,
            floor,
        });
    prop_oneof![
        12 => answers,
        2 => verdicts().prop_map(|verdict| Event::KeyEvent { verdict }),
        1 => Just(Event::LockReleased),
        1 => prop::option::of(durations()).prop_map(|remaining| Event::LockHeld { remaining }),
        1 => Just(Event::WatchLost),
        1 => Just(Event::WatchRefused),
        1 => Just(Event::Abandoned),
        1 => handed_over,
        3 => Just(Event::Tick),
    ]
}
