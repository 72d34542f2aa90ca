//! A flight under arbitrary events: legal, late, repeated, impossible.
//!
//! What is generated is symbolic ("the last claim is granted"), so that a failing life stays one when
//! events are taken out of it; which answers are due is read from the [`Ledger`].

use core::time::Duration;

use oneflight_core::{
    Command, Commands, Event, FillResult, Flight, Instant, Outcome, Phase, Policy, Revision, Token,
    Verdict,
};
use proptest::prelude::*;
use proptest::strategy::Union;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use crate::ledger::{Kind, Ledger};
use crate::scenario::{cases, ms};
use crate::strategies::{durations, events, policies, verdicts};

const MS: u64 = 1_000_000;

/// A flight with its books.
#[derive(Clone, Debug)]
struct Life {
    flight: Flight,
    now: u64,
    ledger: Ledger,
    tokens: u64,
}

/// How far time is when something happens.
#[derive(Clone, Copy, Debug)]
enum When {
    /// Not later than the last time.
    Now,
    /// An earlier moment, from a clock that went back.
    Before(u64),
    After(u64),
    /// One nanosecond before the deadline.
    JustBefore,
    AtTheDeadline,
    /// The driver was asleep.
    Past(u64),
}

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Fact {
    /// An answer to the last order of a kind, or to the one this many before it.
    Answer(Kind, usize, Answer),
    /// What depends on no order.
    Told(Event),
    Tick,
    HandedOver {
        policy: Policy,
        ago: u64,
        known: Verdict,
        floor: Option<Token>,
    },
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Granted(Duration, u64),
    Held(Option<Token>, Option<Duration>),
    Newer(Option<Token>, Verdict),
    Renewed,
    Lost,
    Done(FillResult),
    Published(u64),
    Fenced,
    Released,
    Unavailable,
    Refused,
    Malformed,
}

impl Life {
    fn launch(policy: Policy, known: Verdict) -> Self {
        let now = 1_000 * MS;
        let (flight, commands) = Flight::launch(policy, known, Instant::from_nanos(now));
        let mut ledger = Ledger::default();
        ledger.enter(&flight, Event::Tick, &commands, &flight);
        Self {
            flight,
            now,
            ledger,
            tokens: 100,
        }
    }

    fn event(&self, fact: Fact) -> Event {
        let (kind, before, answer) = match fact {
            Fact::Answer(kind, before, answer) => (kind, before, answer),
            Fact::Told(event) => return event,
            Fact::Tick => return Event::Tick,
            Fact::HandedOver {
                policy,
                ago,
                known,
                floor,
            } => {
                let started = Instant::from_nanos(self.now.saturating_sub(ago));
                return Event::HandedOver {
                    policy,
                    started,
                    known,
                    floor,
                };
            }
        };
        let attempt = self.ledger.attempt(kind, before);
        match answer {
            Answer::Granted(remaining, generation) => Event::LeaseGranted {
                attempt,
                token: Token::new(self.tokens + 1).unwrap(),
                remaining,
                generation: Revision::new(generation),
            },
            Answer::Held(token, remaining) => Event::Held {
                attempt,
                token,
                remaining,
            },
            Answer::Newer(latest, verdict) => Event::Newer {
                attempt,
                latest,
                verdict,
            },
            Answer::Renewed => Event::Renewed { attempt },
            Answer::Lost => Event::LeaseLost { attempt },
            Answer::Done(result) => Event::FillDone { attempt, result },
            Answer::Published(revision) => Event::Published {
                attempt,
                revision: Revision::new(revision),
            },
            Answer::Fenced => Event::Fenced { attempt },
            Answer::Released => Event::Released { attempt },
            Answer::Unavailable => Event::Unavailable { attempt },
            Answer::Refused => Event::Refused { attempt },
            Answer::Malformed => Event::Malformed { attempt },
        }
    }

    fn moment(&self, when: When) -> u64 {
        let due = self
            .flight
            .deadline()
            .map_or(self.now, |it| it.at.as_nanos());
        match when {
            When::Now => self.now,
            When::Before(nanos) => self.now.saturating_sub(nanos),
            When::After(nanos) => self.now + nanos,
            When::JustBefore => due - 1,
            When::AtTheDeadline => due,
            When::Past(nanos) => due.saturating_add(nanos),
        }
    }

    /// One step; what was ordered.
    fn step(&mut self, when: When, fact: Fact, judge: bool) -> Vec<Command> {
        let (now, event) = (self.moment(when), self.event(fact));
        let before = self.flight;
        let commands = self.flight.handle(Instant::from_nanos(now), event);
        if judge {
            self.judge(&before, now, event, &commands);
            self.ledger.judge(&before, event, &commands, &self.flight);
        }
        self.ledger.enter(&before, event, &commands, &self.flight);
        self.now = self.now.max(now);
        self.tokens += 1;
        commands.to_vec()
    }

    /// The laws of time.
    fn judge(&self, before: &Flight, now: u64, event: Event, told: &Commands) {
        let mut clamped = *before;
        let again = clamped.handle(Instant::from_nanos(now.max(self.now)), event);
        assert_eq!(again, *told);
        assert_eq!(clamped, self.flight, "an earlier moment counts as the last");
        if before.phase() == Phase::Landed {
            assert_eq!(self.flight.phase(), Phase::Landed, "nothing leaves Landed");
        }
        if self.flight.phase() == Phase::Landed {
            assert_eq!(self.flight.deadline(), None);
        }
        if let (Event::Tick, Some(due)) = (event, before.deadline())
            && due.at <= Instant::from_nanos(now.max(self.now))
            && let Some(next) = self.flight.deadline()
        {
            assert!(next.at > due.at, "{due:?}, then {next:?}");
        }
    }

    /// The store answers from now on, fills end; only ticks come besides. The flight ends.
    fn ends(mut self) {
        for _ in 0..100 {
            let answer = |kind, answer| Fact::Answer(kind, 0, answer);
            let fact = match self.flight.phase() {
                Phase::Landed => return,
                Phase::Claiming | Phase::Departing => {
                    let ttl = self.flight.policy().lease_ttl;
                    answer(Kind::Claim, Answer::Granted(ttl, 0))
                }
                Phase::Filling | Phase::FillingLocally => {
                    answer(Kind::Fill, Answer::Done(FillResult::Value))
                }
                Phase::Publishing => answer(Kind::Publish, Answer::Published(99)),
                Phase::Releasing => {
                    // One of the releases so far is the one that is awaited.
                    for before in 0..self.ledger.releases().len() {
                        let fact = Fact::Answer(Kind::Release, before, Answer::Released);
                        let _ = self.step(When::Now, fact, true);
                    }
                    continue;
                }
                _ => {
                    let _ = self.step(When::AtTheDeadline, Fact::Tick, true);
                    continue;
                }
            };
            let _ = self.step(When::Now, fact, true);
        }
        panic!("does not end: {:?}", self.flight);
    }

    /// Nobody ever answers again. All but a fill ends, and the clock never stands still.
    fn ends_alone(mut self) {
        let (start, mut ticks) = (self.now, 0_u64);
        while let Some(due) = self.flight.deadline() {
            ticks += 1;
            let _ = self.step(When::AtTheDeadline, Fact::Tick, true);
            // A renewal, a retry or a pause each millisecond at the very worst.
            let span = self.now.saturating_sub(start) / MS;
            assert!(
                ticks <= 2 * span + 20,
                "{ticks} ticks in {span} ms: {due:?}"
            );
            if ticks > 400 {
                let phase = self.flight.phase();
                let busy = [Phase::Filling, Phase::Publishing, Phase::Releasing];
                assert!(busy.contains(&phase), "{:?}", self.flight);
                return;
            }
        }
        let phase = self.flight.phase();
        let rest = [Phase::Landed, Phase::Filling, Phase::FillingLocally];
        assert!(rest.contains(&phase), "{:?}", self.flight);
    }
}

fn moments() -> impl Strategy<Value = When> {
    prop_oneof![
        4 => Just(When::Now),
        1 => (0..2_000 * MS).prop_map(When::Before),
        4 => (0..3_000 * MS).prop_map(When::After),
    ]
}

fn ticks() -> impl Strategy<Value = When> {
    prop_oneof![
        6 => Just(When::AtTheDeadline),
        1 => Just(When::JustBefore),
        1 => Just(When::Past(5_000 * MS)),
    ]
}

fn tokens() -> impl Strategy<Value = Option<Token>> {
    (0_u64..9).prop_map(Token::new)
}

fn remaining() -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![
        4 => (0_u64..2_000).prop_map(|it| Some(ms(it))),
        1 => prop::option::of(durations()),
    ]
}

/// The answers there are to an order of this kind.
fn answers(kind: Kind) -> BoxedStrategy<Answer> {
    let results = prop_oneof![
        2 => Just(FillResult::Value),
        1 => Just(FillResult::Error),
        1 => Just(FillResult::Panic),
    ];
    let failures = prop_oneof![
        3 => Just(Answer::Unavailable),
        1 => Just(Answer::Refused),
        1 => Just(Answer::Malformed),
    ];
    let ttl = prop_oneof![(1_u64..10_000).prop_map(ms), durations()];
    let sound = match kind {
        Kind::Claim => prop_oneof![
            3 => (ttl, 0_u64..9).prop_map(|(ttl, it)| Answer::Granted(ttl, it)),
            3 => (tokens(), remaining()).prop_map(|(token, it)| Answer::Held(token, it)),
            2 => (tokens(), verdicts()).prop_map(|(latest, it)| Answer::Newer(latest, it)),
        ]
        .boxed(),
        Kind::Fill => results.prop_map(Answer::Done).boxed(),
        Kind::Renewal => prop_oneof![Just(Answer::Renewed), Just(Answer::Lost)].boxed(),
        Kind::Publish => prop_oneof![
            2 => (0_u64..20).prop_map(Answer::Published),
            1 => Just(Answer::Fenced),
        ]
        .boxed(),
        Kind::Release => Just(Answer::Released).boxed(),
    };
    prop_oneof![3 => sound, 1 => failures].boxed()
}

fn news() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => verdicts().prop_map(|verdict| Event::KeyEvent { verdict }),
        2 => Just(Event::LockReleased),
        1 => remaining().prop_map(|remaining| Event::LockHeld { remaining }),
        1 => Just(Event::WatchLost),
    ]
}

fn ends() -> impl Strategy<Value = Event> {
    prop_oneof![Just(Event::Abandoned), Just(Event::WatchRefused)]
}

struct Lives;

impl ReferenceStateMachine for Lives {
    type State = Life;
    type Transition = (When, Fact);

    fn init_state() -> BoxedStrategy<Life> {
        let lives = (policies(), verdicts());
        lives
            .prop_map(|(policy, known)| Life::launch(policy, known))
            .boxed()
    }

    fn transitions(life: &Life) -> BoxedStrategy<(When, Fact)> {
        let told = |events: BoxedStrategy<Event>| (moments(), events.prop_map(Fact::Told)).boxed();
        let handed_over = (policies(), 0..1_000 * MS, verdicts(), tokens()).prop_map(
            |(policy, ago, known, floor)| Fact::HandedOver {
                policy,
                ago,
                known,
                floor,
            },
        );
        // A value under way is there for a moment only: the rarest time for a new caller to come.
        let publishing = life.flight.phase() == Phase::Publishing;
        let hand_overs = if publishing { 15 } else { 3 };
        let mut all = vec![
            (16, (ticks(), Just(Fact::Tick)).boxed()),
            (2, (moments(), Just(Fact::Tick)).boxed()),
            (10, told(news().boxed())),
            (1, told(ends().boxed())),
            // Anything at all, to any attempt.
            (3, told(events().boxed())),
            (hand_overs, (moments(), handed_over).boxed()),
        ];
        for kind in life.ledger.open() {
            let due = answers(kind).prop_map(move |it| Fact::Answer(kind, 0, it));
            all.push((12, (moments(), due).boxed()));
        }
        for kind in [Kind::Claim, Kind::Renewal, Kind::Publish, Kind::Release] {
            let late = (0_usize..3, answers(kind));
            let late = late.prop_map(move |(before, it)| Fact::Answer(kind, before, it));
            all.push((1, (moments(), late).boxed()));
        }
        Union::new_weighted(all).boxed()
    }

    fn apply(mut life: Life, (when, fact): &(When, Fact)) -> Life {
        let _ = life.step(*when, *fact, false);
        life
    }
}

impl StateMachineTest for Lives {
    type SystemUnderTest = Life;
    type Reference = Self;

    fn init_test(life: &Life) -> Life {
        life.clone()
    }

    fn apply(mut life: Life, reference: &Life, (when, fact): (When, Fact)) -> Life {
        let _ = life.step(when, fact, true);
        // The same policy and the same events lead to the same flight.
        assert_eq!(life.flight, reference.flight);
        life
    }

    fn teardown(life: Life, _: Life) {
        life.clone().ends();
        life.ends_alone();
    }
}

prop_state_machine! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn no_life_breaks_a_law(sequential 1..60 => Lives);
}

#[test]
fn these_lives_reach_every_phase_and_outcome() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    use std::collections::BTreeSet;
    let mut runner = TestRunner::deterministic();
    let (mut phases, mut outcomes) = (BTreeSet::new(), BTreeSet::new());
    let lives = Lives::sequential_strategy(60);
    for _ in 0..3_000 {
        let (mut life, facts, _) = lives.new_tree(&mut runner).unwrap().current();
        for (when, fact) in facts {
            for command in life.step(when, fact, false) {
                if let Command::Land(outcome) = command {
                    outcomes.insert(name(outcome));
                }
            }
            phases.insert(life.flight.phase());
        }
        if phases.len() == 9 && outcomes.len() == 11 {
            return;
        }
    }
    panic!("only {phases:?}, {outcomes:?}");
}

fn name(outcome: Outcome) -> String {
    let text = format!("{outcome:?}");
    text.split([' ', '{']).next().unwrap().to_owned()
}
