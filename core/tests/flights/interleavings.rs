//! Several processes, several keys, one store: whatever the order of things, nobody is forgotten.

use core::time::Duration;

use oneflight_core::{FillResult, OnAbort, OnFenced, OnUnavailable, PassengerId, Policy};
use proptest::prelude::*;
use proptest::strategy::Union;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use crate::faults::Loss;
use crate::store::Key;
use crate::world::{KEYS, PROCESSES, World};

const MS: u64 = 1_000_000;

/// What happens next. Things on their way are told by a number that is taken modulo how many there are.
#[derive(Clone, Debug)]
enum Act {
    Board {
        process: usize,
        key: Key,
        policy: Policy,
        wants: u64,
        /// It has a copy of the value, which does not satisfy it.
        knows: bool,
        /// It never judges.
        mute: bool,
    },
    Arrive(usize, FillResult),
    Leave(PassengerId),
    Lose(usize, Loss),
    Cut(usize),
    Repeat(usize),
    /// Time passes.
    Pass(u64),
    /// The next deadline comes, or is overslept by this much.
    Tick(u64),
    TickEarly(usize),
    /// The clock goes back by this much, for one notice.
    Slip(u64),
    Forget(Key),
}

/// The callers that have boarded, and whether they have left.
#[derive(Clone, Debug)]
struct Boarded {
    left: Vec<bool>,
    /// What decides the order in which things come to rest.
    dice: u64,
}

fn policies(calm: bool) -> BoxedStrategy<Policy> {
    let policy = (1_u64..10, any::<u64>()).prop_map(|(ttl, seed)| Policy {
        lease_ttl: Duration::from_secs(ttl),
        seed,
        ..Policy::DEFAULT
    });
    if calm {
        return policy.boxed();
    }
    let wait = prop::sample::select(vec![0_u64, 500, 5_000, 35_000]);
    let choices = (
        prop::option::weighted(0.25, Just(Duration::from_secs(3))),
        prop_oneof![2 => Just(OnUnavailable::RunLocal), 1 => Just(OnUnavailable::Error)],
        prop_oneof![2 => Just(OnFenced::Ride), 1 => Just(OnFenced::Error)],
        prop_oneof![Just(OnAbort::Share), Just(OnAbort::Promote)],
    );
    (policy, wait, choices)
        .prop_map(
            |(policy, wait, (fill_timeout, on_unavailable, on_fenced, on_abort))| Policy {
                wait_timeout: Duration::from_millis(wait),
                fill_timeout,
                on_unavailable,
                on_fenced,
                on_abort,
                ..policy
            },
        )
        .boxed()
}

fn boards(calm: bool) -> BoxedStrategy<Act> {
    let mute = if calm { 0.0 } else { 0.1 };
    let who = (0..PROCESSES, 0..KEYS, policies(calm));
    (who, 1_u64..4, any::<bool>(), prop::bool::weighted(mute))
        .prop_map(|((process, key, policy), wants, knows, mute)| Act::Board {
            process,
            key,
            policy,
            wants,
            knows,
            mute,
        })
        .boxed()
}

fn arrives(calm: bool) -> BoxedStrategy<Act> {
    let mut results = vec![(5, Just(FillResult::Value))];
    if !calm {
        results.push((1, Just(FillResult::Error)));
        results.push((1, Just(FillResult::Panic)));
    }
    (0_usize..32, Union::new_weighted(results))
        .prop_map(|(nth, result)| Act::Arrive(nth, result))
        .boxed()
}

fn loses() -> BoxedStrategy<Act> {
    let losses = prop::sample::select(vec![Loss::Gone, Loss::Failed, Loss::Twice]);
    (0_usize..16, losses)
        .prop_map(|(nth, loss)| Act::Lose(nth, loss))
        .boxed()
}

/// Processes and their callers; if `CALM`, nothing goes wrong.
struct Fleet<const CALM: bool>;

impl<const CALM: bool> ReferenceStateMachine for Fleet<CALM> {
    type State = Boarded;
    type Transition = Act;

    fn init_state() -> BoxedStrategy<Boarded> {
        let none = |dice| Boarded {
            left: Vec::new(),
            dice,
        };
        any::<u64>().prop_map(none).boxed()
    }

    fn transitions(boarded: &Boarded) -> BoxedStrategy<Act> {
        if CALM {
            return prop_oneof![3 => boards(true), 17 => arrives(true)].boxed();
        }
        let oversleeps = prop_oneof![1 => Just(0), 1 => 0..9_000 * MS];
        let mut acts = vec![
            (6, boards(false)),
            (20, arrives(false)),
            (3, loses()),
            (1, (0_usize..8).prop_map(Act::Cut).boxed()),
            (
                1,
                any::<prop::sample::Index>()
                    .prop_map(|it| Act::Repeat(it.index(64)))
                    .boxed(),
            ),
            (2, (0..20 * MS).prop_map(Act::Pass).boxed()),
            (2, oversleeps.prop_map(Act::Tick).boxed()),
            (1, (0..PROCESSES).prop_map(Act::TickEarly).boxed()),
            (1, (0..50 * MS).prop_map(Act::Slip).boxed()),
            (1, (0..KEYS).prop_map(Act::Forget).boxed()),
        ];
        let here = (1..).zip(&boarded.left).filter(|(_, left)| !**left);
        let here: Vec<_> = here.map(|(id, _)| PassengerId(id)).collect();
        if !here.is_empty() {
            acts.push((2, prop::sample::select(here).prop_map(Act::Leave).boxed()));
        }
        Union::new_weighted(acts).boxed()
    }

    fn preconditions(boarded: &Boarded, act: &Act) -> bool {
        match act {
            Act::Leave(PassengerId(id)) => {
                let index = usize::try_from(*id - 1).unwrap();
                boarded.left.get(index) == Some(&false)
            }
            _ => true,
        }
    }

    fn apply(mut boarded: Boarded, act: &Act) -> Boarded {
        match act {
            Act::Board { .. } => boarded.left.push(false),
            Act::Leave(PassengerId(id)) => {
                boarded.left[usize::try_from(*id - 1).unwrap()] = true;
            }
            _ => {}
        }
        boarded
    }
}

impl<const CALM: bool> StateMachineTest for Fleet<CALM> {
    type SystemUnderTest = World;
    type Reference = Self;

    fn init_test(_: &Boarded) -> World {
        World::new(CALM)
    }

    fn apply(mut world: World, _: &Boarded, act: Act) -> World {
        match act {
            Act::Board {
                process,
                key,
                policy,
                wants,
                knows,
                mute,
            } => world.board(process, key, policy, wants, mute, knows),
            Act::Arrive(nth, result) => {
                let _ = world.arrive(nth, result);
            }
            Act::Leave(passenger) => world.leave(passenger),
            Act::Lose(nth, loss) => world.lose(nth, loss),
            Act::Cut(nth) => world.cut(nth),
            Act::Repeat(nth) => world.repeat(nth),
            Act::Pass(nanos) => world.pass(world.now + nanos),
            Act::Tick(overslept) => {
                if let Some(due) = world.deadline() {
                    world.pass(due + overslept);
                }
            }
            Act::TickEarly(process) => world.tick_early(process),
            Act::Slip(nanos) => world.slip = nanos.min(world.now),
            Act::Forget(key) => world.forget(key),
        }
        world
    }

    fn check_invariants(world: &World, boarded: &Boarded) {
        let callers = world.laws.callers.values();
        assert_eq!(callers.len(), boarded.left.len());
        for (caller, left) in callers.zip(&boarded.left) {
            assert!(*left || !caller.left);
        }
    }

    fn teardown(mut world: World, boarded: Boarded) {
        world.come_to_rest(boarded.dice);
    }
}

fn cases(number: u32) -> ProptestConfig {
    if std::env::var_os("PROPTEST_CASES").is_some() {
        ProptestConfig::default()
    } else {
        ProptestConfig::with_cases(number)
    }
}

prop_state_machine! {
    #![proptest_config(cases(800))]

    #[test]
    fn whatever_goes_wrong_nobody_is_forgotten(sequential 1..120 => Fleet<false>);

    #[test]
    fn when_nothing_goes_wrong_each_generation_is_filled_once(sequential 1..120 => Fleet<true>);
}
