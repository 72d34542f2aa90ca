//! The fill runs without a lease.

use oneflight_core::{
    Command, Event, FillResult, Outcome, Phase, Policy, Revision, Verdict, Warning, Why,
};

use crate::scenario::*;

#[test]
fn a_value_is_put_where_nothing_newer_stands() {
    let mut it = Scenario::launch(Policy::DEFAULT, stale(3))
        .then(|it| Event::Unavailable { attempt: it.claim });
    assert_eq!(
        it.tell(it.done(FillResult::Value)),
        [
            Command::Put {
                seen: Revision::new(3)
            },
            Command::Land(Outcome::Computed { revision: None })
        ]
    );
    assert_eq!(it.phase(), Phase::Landed);
}

#[test]
fn an_error_or_a_panic_lands() {
    for (result, outcome) in [
        (FillResult::Error, Outcome::Aborted),
        (FillResult::Panic, Outcome::Panicked),
    ] {
        let mut it = Scenario::filling_locally();
        assert_eq!(it.tell(it.done(result)), [Command::Land(outcome)]);
    }
}

#[test]
fn a_hung_fill_is_warned_once() {
    let mut it = Scenario::launch(overdue_after(100), Verdict::UNKNOWN)
        .then(|it| Event::Unavailable { attempt: it.claim });
    assert_eq!(it.due(), Some((100, Why::FillTimeout)));
    assert_eq!(
        it.tick_at(100),
        [Command::WarnLeaseLost {
            token: None,
            warning: Warning::Overdue
        }]
    );
    assert_eq!(it.due(), None);
}

#[test]
fn a_new_caller_fills_anew_if_its_policy_is_to() {
    let mut it = Scenario::filling_locally();
    assert_eq!(
        it.tell(handed_over(Policy::DEFAULT, 0, Verdict::UNKNOWN)),
        [Command::Fill {
            attempt: attempt(3),
            lease: None
        }]
    );
    assert_eq!(
        it.tell(handed_over(strict(), 0, Verdict::UNKNOWN)),
        [Command::Land(Outcome::Unavailable)]
    );
}

#[test]
fn a_caller_who_leaves_leaves_nothing() {
    let mut it = Scenario::filling_locally();
    assert_eq!(it.tell(Event::Abandoned), []);
    assert_eq!(it.phase(), Phase::Landed);
}

#[test]
fn a_late_grant_is_released() {
    let mut it = Scenario::filling_locally();
    assert_eq!(it.tell(it.granted(TOKEN)), [release(3, TOKEN)]);
    assert_eq!(it.phase(), Phase::FillingLocally);
}

#[test]
fn a_watch_is_closed() {
    let mut it = Scenario::waiting().then(|_| Event::LockReleased);
    let _ = it.tick_at(it.due_at());
    let commands = it.tell(Event::Unavailable { attempt: it.claim });
    assert_eq!(commands.first(), Some(&Command::Unwatch));
}

#[test]
fn a_fill_that_is_given_no_time_is_given_some() {
    let mut it = Scenario::launch(overdue_after(0), Verdict::UNKNOWN);
    let _ = it.tick_at(5_000);
    assert_eq!(it.due(), Some((5_001, Why::FillTimeout)));
}
