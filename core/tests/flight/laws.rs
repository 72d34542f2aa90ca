//! What holds whatever happens: over garbage, and over what a driver would tell.

use core::time::Duration;

use oneflight_core::{
    Attempt, Command, Commands, Event, FillResult, Flight, Instant, Judgement, OnAbort, OnFenced,
    OnUnavailable, Phase, Policy, Revision, Token, Verdict,
};
use proptest::prelude::*;

use crate::scenario::{attempt, cases, ms};

/// A flight under watch: each step is checked.
#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) flight: Flight,
    pub(crate) now: u64,
    /// All commands so far.
    commands: Vec<Command>,
    watching: bool,
    landed: bool,
    /// The caller left, or its last publish outlasts it.
    publishes_on: bool,
    abandoned: bool,
    /// The lease is known lost, by its token.
    lost: Option<Token>,
    /// The most recent of each kind of command, for a driver to answer.
    claim: Attempt,
    fill: Attempt,
    renewal: Attempt,
    publish: Attempt,
    release: Attempt,
    tokens: u64,
}

impl Watched {
    pub(crate) fn launch(policy: Policy, known: Verdict, now: u64) -> Self {
        let (flight, commands) = Flight::launch(policy, known, nanos(now));
        let none = attempt(0);
        let mut it = Self {
            flight,
            now,
            commands: Vec::new(),
            watching: false,
            landed: false,
            publishes_on: false,
            abandoned: false,
            lost: None,
            claim: none,
            fill: none,
            renewal: none,
            publish: none,
            release: none,
            tokens: 100,
        };
        it.take_note(commands);
        it
    }

    /// One step, and the laws of a step.
    pub(crate) fn step(&mut self, now: u64, event: Event) -> Commands {
        let before = self.flight;
        let due = before.deadline();
        // Time never goes back: an earlier moment counts as the last one.
        let (mut late, mut clamped) = (before, before);
        let commands = late.handle(nanos(now), event);
        assert_eq!(commands, clamped.handle(nanos(now.max(self.now)), event));
        assert_eq!(late, clamped);
        self.now = self.now.max(now);
        self.flight = late;

        if before.phase() == Phase::Landed {
            assert_eq!(late.phase(), Phase::Landed, "nothing leaves Landed");
        }
        if late.phase() == Phase::Landed {
            assert_eq!(late.deadline(), None);
        }
        if let (Event::Tick, Some(due)) = (event, due)
            && due.at <= nanos(self.now)
            && let Some(next) = late.deadline()
        {
            assert!(next.at > due.at, "{due:?}, then {next:?}");
        }
        match event {
            Event::WatchLost | Event::WatchRefused => self.watching = false,
            Event::Abandoned if before.phase() != Phase::Landed => self.abandoned = true,
            Event::LeaseLost { attempt } if attempt == self.renewal => {
                self.lost = before.lease().map(|lease| lease.token);
            }
            _ => {}
        }
        self.no_lease_leaks(&before, event, &commands);
        self.take_note(commands);
        commands
    }

    fn no_lease_leaks(&self, before: &Flight, event: Event, commands: &Commands) {
        let released = |token| {
            commands
                .iter()
                .any(|it| matches!(it, Command::Release { token: it, .. } if *it == token))
        };
        let held = self.flight.lease().map(|lease| lease.token);
        if let Event::LeaseGranted { token, .. } = event {
            assert!(held == Some(token) || released(token), "{token} leaks");
        }
        if let Some(lease) = before.lease() {
            if held == Some(lease.token) {
                assert!(!released(lease.token), "the lease in hand is not released");
                return;
            }
            let settled = matches!(event, Event::Published { .. } | Event::Fenced { .. });
            let lost = self.lost == Some(lease.token);
            assert!(
                settled || lost || released(lease.token),
                "{} leaks",
                lease.token
            );
        }
    }

    fn take_note(&mut self, commands: Commands) {
        assert!(commands.len() <= Commands::CAPACITY);
        for command in commands {
            self.commands.push(command);
            if self.landed || self.abandoned {
                let clean_up = match command {
                    Command::Unwatch | Command::Release { .. } => true,
                    Command::Publish { .. } | Command::Renew { .. } => self.publishes_on,
                    _ => false,
                };
                assert!(clean_up, "{command:?} after the end");
            }
            match command {
                Command::Watch => {
                    assert!(!self.watching);
                    self.watching = true;
                }
                Command::Unwatch => {
                    assert!(self.watching);
                    self.watching = false;
                }
                Command::Land(_) => {
                    assert!(!self.landed, "landed twice");
                    self.landed = true;
                }
                Command::Claim { attempt, .. } => self.claim = attempt,
                Command::Fill { attempt, .. } => self.fill = attempt,
                Command::Renew { attempt, .. } => self.renewal = attempt,
                Command::Publish { attempt, .. } => self.publish = attempt,
                Command::Release { attempt, .. } => self.release = attempt,
                Command::Put { .. } | Command::WarnLeaseLost { .. } => {}
            }
        }
        if self.flight.phase() == Phase::Publishing {
            self.publishes_on = true;
        }
        if self.flight.phase() == Phase::Landed {
            assert!(!self.watching, "a watch outlives the flight");
            assert!(self.landed || self.abandoned, "a caller is forgotten");
        }
    }

    pub(crate) fn tick(&mut self) -> Commands {
        let due = self.flight.deadline().expect("a deadline").at.as_nanos();
        self.step(due, Event::Tick)
    }

    /// The answer a sound store, and a fill that ends, would give now; `None` if nothing is asked.
    fn sound_answer(&mut self) -> Option<Event> {
        Some(match self.flight.phase() {
            Phase::Claiming | Phase::Departing => self.grant(),
            Phase::Filling | Phase::FillingLocally => Event::FillDone {
                attempt: self.fill,
                result: FillResult::Value,
            },
            Phase::Publishing => Event::Published {
                attempt: self.publish,
                revision: Revision::new(self.tokens),
            },
            _ => return None,
        })
    }

    fn grant(&mut self) -> Event {
        self.tokens += 1;
        Event::LeaseGranted {
            attempt: self.claim,
            token: Token::new(self.tokens).unwrap(),
            remaining: self.flight.policy().lease_ttl,
            generation: Revision::NEVER,
        }
    }
}

fn nanos(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

pub(crate) fn policies() -> impl Strategy<Value = Policy> {
    let unavailable = prop_oneof![Just(OnUnavailable::RunLocal), Just(OnUnavailable::Error)];
    let fenced = prop_oneof![Just(OnFenced::Ride), Just(OnFenced::Error)];
    let abort = prop_oneof![Just(OnAbort::Share), Just(OnAbort::Promote)];
    let fill_timeout = prop_oneof![
        Just(None),
        (0_u64..10_000).prop_map(|it| Some(Duration::from_millis(it)))
    ];
    (
        (0_u64..10_000, prop_oneof![Just(0), 1_u64..20_000]),
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

fn durations() -> impl Strategy<Value = Duration> {
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

/// What a driver might tell next, chosen by a number.
fn plausible(it: &mut Watched, choice: u8, dice: u64, other: Policy) -> (u64, Event) {
    let soon = it.now + dice % 3_000_000;
    let late = dice.is_multiple_of(4);
    let pick = |last: Attempt| attempt(last.get().saturating_sub(u32::from(late)));
    let revision = dice % 9;
    let judgement = [
        Judgement::Stale,
        Judgement::Fresh,
        Judgement::Absent,
        Judgement::Stale,
        Judgement::Malformed,
    ][usize::try_from(dice % 5).unwrap()];
    let verdict = Verdict {
        revision: Revision::new(revision),
        token: Token::new(dice % 7),
        judgement,
    };
    let current = match it.flight.phase() {
        Phase::Claiming | Phase::Departing => it.claim,
        Phase::Filling if dice.is_multiple_of(3) => it.renewal,
        Phase::Filling | Phase::FillingLocally => it.fill,
        Phase::Publishing if dice.is_multiple_of(3) => it.renewal,
        Phase::Publishing => it.publish,
        _ => it.release,
    };
    let event = match choice {
        0..=5 => {
            if let Some(due) = it.flight.deadline() {
                let overslept = if late { 5_000_000_000 } else { 0 };
                return (due.at.as_nanos() + overslept, Event::Tick);
            }
            Event::Tick
        }
        6..=9 => it.grant(),
        10..=13 => Event::Held {
            attempt: pick(it.claim),
            token: Token::new(dice % 9),
            remaining: Some(ms(dice % 2_000)),
        },
        14..=16 => Event::Newer {
            attempt: pick(it.claim),
            latest: Token::new(dice % 9),
            verdict,
        },
        17 => Event::Renewed {
            attempt: pick(it.renewal),
        },
        18 => Event::LeaseLost {
            attempt: pick(it.renewal),
        },
        19..=21 => Event::FillDone {
            attempt: pick(it.fill),
            result: [FillResult::Value, FillResult::Error, FillResult::Panic]
                [usize::try_from(dice % 3).unwrap()],
        },
        22 => Event::Published {
            attempt: pick(it.publish),
            revision: Revision::new(9 + dice % 9),
        },
        23 => Event::Fenced {
            attempt: pick(it.publish),
        },
        24 => Event::Released {
            attempt: pick(it.release),
        },
        25..=27 => Event::Unavailable {
            attempt: pick(current),
        },
        28 => Event::Refused {
            attempt: pick(current),
        },
        29..=31 => Event::KeyEvent { verdict },
        32..=33 => Event::LockReleased,
        34 => Event::LockHeld {
            remaining: Some(ms(dice % 9_000)).filter(|_| !late),
        },
        35 => Event::WatchLost,
        36 => Event::HandedOver {
            policy: other,
            started: nanos(it.now.saturating_sub(dice % 1_000_000_000)),
            known: verdict,
            floor: Token::new(dice % 9),
        },
        37 if late => Event::Abandoned,
        38 if late => Event::WatchRefused,
        _ => Event::Tick,
    };
    (soon, event)
}

/// The store answers from now on, fills end; only ticks come besides. The flight ends.
fn ends(mut it: Watched) {
    for round in 0.. {
        assert!(round < 100, "does not end: {:?}", it.flight);
        if it.flight.phase() == Phase::Landed {
            return;
        }
        let now = it.now;
        match it.sound_answer() {
            Some(answer) => {
                let _ = it.step(now, answer);
            }
            None if it.flight.phase() == Phase::Releasing => {
                // One of the releases so far is the one that is awaited.
                for attempt in releases(&it) {
                    let _ = it.step(now, Event::Released { attempt });
                }
            }
            None => {
                let _ = it.tick();
            }
        }
    }
}

fn releases(it: &Watched) -> Vec<Attempt> {
    it.commands
        .iter()
        .filter_map(|command| match command {
            Command::Release { attempt, .. } => Some(*attempt),
            _ => None,
        })
        .collect()
}

/// Nobody ever answers again. All but a fill ends, and the clock never stands still.
fn ends_alone(mut it: Watched) {
    let (start, mut ticks) = (it.now, 0_u64);
    let policy = *it.flight.policy();
    while let Some(due) = it.flight.deadline() {
        ticks += 1;
        let _ = it.tick();
        // A renewal, a retry or a pause each millisecond at the very worst.
        let span = it.now.saturating_sub(start) / 1_000_000;
        assert!(
            ticks <= 2 * span + 20,
            "{ticks} ticks in {span} ms: {due:?}"
        );
        if ticks > 400 {
            let busy = matches!(
                it.flight.phase(),
                Phase::Filling | Phase::Publishing | Phase::Releasing
            );
            assert!(busy, "{:?} under {policy:?}", it.flight);
            return;
        }
    }
    assert!(matches!(
        it.flight.phase(),
        Phase::Landed | Phase::Filling | Phase::FillingLocally
    ));
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn garbage_breaks_no_law(
        policy in policies(),
        known in verdicts(),
        events in prop::collection::vec((0_u64..3_000_000_000, events()), 0..40),
    ) {
        let mut it = Watched::launch(policy, known, 1_000_000_000);
        for (moment, event) in &events {
            // Moments in any order: the machine sorts them out.
            let moment = it.now.saturating_sub(1_000_000_000) + moment;
            let _ = it.step(moment, *event);
        }
        ends(it.clone());
        ends_alone(it);
    }

    #[test]
    fn a_drivers_life_breaks_no_law(
        policy in policies(),
        other in policies(),
        known in verdicts(),
        choices in prop::collection::vec((0_u8..40, any::<u64>()), 0..80),
    ) {
        let mut it = Watched::launch(policy, known, 0);
        let mut told = Vec::new();
        for (choice, dice) in choices {
            let (now, event) = plausible(&mut it, choice, dice, other);
            told.push((now, event, it.step(now, event)));
        }
        // The same policy and the same events bring the same commands.
        let (mut again, _) = Flight::launch(policy, known, nanos(0));
        for (now, event, commands) in told {
            prop_assert_eq!(again.handle(nanos(now), event), commands);
        }
        prop_assert_eq!(again, it.flight);
        ends(it.clone());
        ends_alone(it);
    }
}

#[test]
fn the_driver_of_these_laws_reaches_every_phase_and_outcome() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut phases = std::collections::BTreeSet::new();
    let mut outcomes = std::collections::BTreeSet::new();
    let lives = (
        policies(),
        policies(),
        verdicts(),
        prop::collection::vec((0_u8..40, any::<u64>()), 80),
    );
    for _ in 0..1_000 {
        let (policy, other, known, choices) = lives.new_tree(&mut runner).unwrap().current();
        let mut it = Watched::launch(policy, known, 0);
        for (choice, dice) in choices {
            let (now, event) = plausible(&mut it, choice, dice, other);
            for command in it.step(now, event) {
                if let Command::Land(outcome) = command {
                    let text = format!("{outcome:?}");
                    let name = text.split([' ', '{']).next().unwrap().to_owned();
                    outcomes.insert(name);
                }
            }
            phases.insert(it.flight.phase());
        }
    }
    assert_eq!(phases.len(), 9, "{phases:?}");
    assert_eq!(outcomes.len(), 11, "{outcomes:?}");
}
