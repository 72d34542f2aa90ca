//! What can happen, but that random runs have hardly ever met: the groups of `sim/src/rare.rs`.

use oneflight_core::{Attempt, Event, FillResult, Judgement, Outcome, Phase, Policy, Revision};

use crate::scenario::*;

/// The watch is ordered, and the lease that its flight waits for has lapsed.
fn lapsed_before_the_watch_is_open() -> Process {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.held(7);
    let _ = process.pass_until(30_000);
    assert_eq!(process.phase(), Some(Phase::BackingOff));
    process
}

#[test]
fn a_watch_that_is_refused_after_a_lapse_ends_the_call() {
    let mut process = lapsed_before_the_watch_is_open();
    let orders = process.event(Event::WatchRefused);
    assert_eq!(orders, [land(1, Outcome::Refused), retired(1)]);
    process.assert_quiescent();
}

#[test]
fn a_watch_that_is_refused_after_the_next_claim_ends_the_call_but_not_the_claim() {
    let mut process = lapsed_before_the_watch_is_open();
    assert_eq!(process.pass_until(30_250), [claim(1, 2, 0)]);
    let orders = process.event(Event::WatchRefused);
    assert_eq!(orders, [land(1, Outcome::Refused)]);
    assert_eq!(process.phase(), None);
    assert_eq!(process.granted(8), [release(1, 3, 8)]);
}

#[test]
fn who_took_over_a_publish_and_needs_the_store_leaves_the_rest_to_who_does_not() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.board(2, strict());
    let _ = process.board(3, Policy::DEFAULT);
    let _ = process.granted(7);
    let _ = process.done(FillResult::Value);
    let _ = process.leave(1);
    let _ = process.unavailable();
    assert_eq!(process.phase(), Some(Phase::Publishing));
    // The publish may have happened before it was refused.
    let orders = process.answer(|attempt| Event::Refused { attempt });
    assert_eq!(
        orders,
        [
            release(1, 4, 7),
            land(2, Outcome::Unavailable),
            fill(2, 3, 1, None)
        ]
    );
    assert_eq!(process.phase(), Some(Phase::FillingLocally));
}

/// The pilot has judged revision 8 stale, and hears only then that lease 8 was granted after its call
/// began. The next aboard boarded later still, so that it does not hear of it.
fn judged_too_early(phase: Phase, next: bool) -> Process {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.held(7);
    let _ = process.board(2, Policy::DEFAULT);
    let _ = process.leave(1);
    // Lease 7 was renewed, which nobody has told: the second claims, and the answer is long in coming.
    let orders = process.pass_until(30_250);
    assert_eq!(orders, [claim(1, 2, 0)]);
    if next {
        let _ = process.board(3, Policy::DEFAULT);
    }
    let _ = process.heard(8);
    assert_eq!(process.judged(2, 8, Judgement::Stale), []);
    if next {
        assert_eq!(process.judged(3, 8, Judgement::Stale), []);
    }
    if phase == Phase::BackingOff {
        let _ = process.event(Event::LockReleased);
    }
    let _ = process.held(7);
    assert_eq!(process.phase(), Some(phase));
    process
}

#[test]
fn whatever_comes_next_lands_who_has_judged_before_it_heard_of_the_lease() {
    for phase in [Phase::Waiting, Phase::BackingOff] {
        // The same value once more, or a forget that came before it.
        for (revision, value) in [(8, true), (6, false)] {
            let mut process = judged_too_early(phase, false);
            let orders = process.arrived(None, revision, value);
            assert_eq!(landings(&orders), [(2, awaited(8))]);
            assert_eq!(process.phase(), None);
            process.assert_quiescent();

            let mut process = judged_too_early(phase, true);
            let orders = process.arrived(None, revision, value);
            assert_eq!(landings(&orders), [(2, awaited(8))]);
            assert_eq!(orders.last(), Some(&claim(2, 1, 8)), "of its own");
            assert_eq!(process.phase(), Some(Phase::Claiming));
        }
    }
}

/// The first flight is over; the next is in the pause before a claim, or fills without the store.
fn next_flight(phase: Phase) -> Process {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    let _ = process.granted(7);
    let _ = process.done(FillResult::Value);
    let _ = process.published(8);
    let _ = process.board_knowing(2, Policy::DEFAULT, verdict(8, Judgement::Stale));
    if phase == Phase::BackingOff {
        let _ = process.held(9);
        let _ = process.event(Event::LockReleased);
    } else {
        let _ = process.unavailable();
    }
    assert_eq!(process.phase(), Some(phase));
    process
}

#[test]
fn an_answer_to_a_flight_of_before_is_nothing_to_the_next() {
    let attempt = Attempt::new(2);
    let revision = Revision::new(8);
    for phase in [Phase::BackingOff, Phase::FillingLocally] {
        for event in [
            Event::Renewed { attempt },
            Event::LeaseLost { attempt },
            Event::Published { attempt, revision },
            Event::Fenced { attempt },
            Event::Refused { attempt },
        ] {
            let mut process = next_flight(phase);
            process.flight = 1;
            assert_eq!(process.event(event), [], "{event:?}");
            assert_eq!(process.phase(), Some(phase));
        }
        let mut process = next_flight(phase);
        process.flight = 1;
        assert_eq!(process.arrived(Some(Attempt::new(1)), 9, true), []);
        assert_eq!(process.phase(), Some(phase));
    }
}
