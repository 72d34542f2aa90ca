//! What the checker says of a violation, and that nothing that may stand in a file confuses it.

use oneflight_core::{Attempt, Event, FlightId, Instant, Notice, Outcome, PassengerId};
use oneflight_sim::check::{Checker, Violation};
use oneflight_sim::trace::{Digest, Key, Trace, What};

use crate::story::Story;
use crate::words::{ANN, ANY, BOB, KEY, awaited};

#[test]
fn a_violation_names_the_invariant_the_key_the_call_and_the_moment() {
    let mut story = Story::new();
    story.calls(ANN).landed(ANN, awaited(1), None);
    let [violation] = &story.judge()[..] else {
        panic!("one violation");
    };
    let Violation {
        invariant,
        at,
        node,
        key,
        story,
    } = violation;
    assert_eq!((*invariant, *node, *key), ("S4 Provenance", 1, Some(KEY)));
    assert_eq!(*at, 1_000_000_000);
    assert!(story.starts_with("call 1: "), "{story}");
    assert_eq!(
        violation.to_string(),
        format!("S4 Provenance at 1000000000 ns, node 1, key k0: {story}")
    );
    let mut story = Story::new();
    story.ends_with(&["it is open"]);
    assert_eq!(
        story.judge()[0].to_string(),
        "L1 Terminates at 1000000000 ns, node 0: it is open"
    );
}

#[test]
fn sixteen_violations_are_enough() {
    for (count, kept) in [(15, 15), (16, 16), (17, 16)] {
        let mut story = Story::new();
        for _ in 0..count {
            story.leaves(ANN);
        }
        assert_eq!(story.judge().len(), kept);
    }
}

#[test]
fn an_empty_trace_is_clean() {
    assert_eq!(Checker::check(&Trace::default()), []);
    assert_eq!(Checker::new(Default::default(), None).violations(), []);
}

#[test]
fn violations_can_be_looked_at_underway() {
    use oneflight_sim::world::Observer;
    let mut checker = Checker::new(Default::default(), None);
    let (key, passenger) = (KEY, PassengerId(1));
    checker.see(1, 1, &What::Left { key, passenger });
    assert_eq!(checker.violations().len(), 1);
    assert_eq!(checker.finish().len(), 1);
}

#[test]
fn who_sees_the_store_judges_by_its_commits() {
    use oneflight_sim::world::Observer;
    let unknown = |mut checker: Checker| {
        let (key, passenger) = (KEY, PassengerId(1));
        let (freshness, outcome) = (ANY, awaited(1));
        let (digest, local) = (Some(Digest(1)), false);
        checker.see(
            1,
            1,
            &What::Began {
                key,
                passenger,
                freshness,
            },
        );
        checker.see(
            1,
            1,
            &What::Landed {
                key,
                passenger,
                outcome,
                digest,
                local,
            },
        );
        let names = checker.finish().into_iter().map(|it| it.invariant);
        names.collect::<Vec<_>>()
    };
    let checker = || Checker::new(Default::default(), None);
    assert_eq!(unknown(checker()), ["S8 OneLanding"]);
    assert_eq!(unknown(checker().seeing_the_store()), ["S4 Provenance"]);
}

#[test]
fn what_a_machine_was_told_is_judged_with_or_without_its_record() {
    use oneflight_sim::world::Observer;
    let (now, attempt) = (Instant::from_nanos(1), Attempt::new(1));
    let flight = FlightId {
        key: KEY,
        number: 1,
    };
    let event = Event::Renewed { attempt };
    let notice = Notice::Answered { flight, event };
    let mut with = Checker::new(Default::default(), None);
    let mut without = with.clone();
    without.see_told(1, 1, now, &notice, &[]);
    let orders = Vec::new();
    with.see(
        1,
        1,
        &What::Told {
            now,
            notice,
            orders,
        },
    );
    let found = with.finish();
    // No line says that a renewal was answered.
    assert_eq!(found[0].invariant, "Recording");
    assert_eq!(without.finish(), found);
}

/// Nothing of what is told here has begun, been sent or been granted.
#[test]
fn what_comes_from_nowhere_is_judged_all_the_same() {
    let zero = crate::words::Who {
        node: 0,
        call: 0,
        flight: 0,
    };
    for who in [zero, ANN, BOB] {
        let mut story = Story::new();
        story.key = Key(7);
        story
            .fills(who, 1)
            .returns(who, Some(1))
            .hears_published(who, 1);
        story
            .hears_fenced(who)
            .hears_held(who, 1)
            .unwatches(who)
            .retires(who);
        story.renews(who, 1).publishes(who, 1, 1, 1).down(who.node);
        story.lands(who, Outcome::TimedOut, None).leaves(who).ends();
        assert!(!story.judge().is_empty());
    }
}
