//! No fill begins while its caller is judging what might satisfy it.

use oneflight_core::{
    Arrival, Attempt, Command, Event, FillResult, Judgement, Lease, Notice, Order, Outcome, Phase,
    Policy, Revision, Verdict, Warning,
};

use crate::scenario::*;

/// The pilot waits behind lease 7, hears of revision 8, and is still judging it when lease 9 is granted to
/// its claim. Whatever was ordered with the grant comes back.
fn granted_while_judging(policy: Policy) -> (Process, Vec<Order<Key>>) {
    let mut process = Process::new();
    let _ = process.board(1, policy);
    let _ = process.held(7);
    let _ = process.event(Event::LockReleased);
    let _ = process.pass_until(100);
    assert_eq!(process.phase(), Some(Phase::Claiming));
    assert_eq!(put(&mut process, 8), [judge(1, 8)]);
    let orders = process.granted(9);
    assert_eq!(process.phase(), Some(Phase::Filling), "the lease is held");
    (process, orders)
}

/// A value comes from the watch that was written without a lease.
fn put(process: &mut Process, revision: u64) -> Vec<Order<Key>> {
    process.tell(Notice::Arrived {
        flight: process.flight(),
        attempt: None,
        latest: None,
        arrival: Arrival {
            revision: Revision::new(revision),
            token: None,
            value: true,
        },
    })
}

/// A caller judges it.
fn judged(
    process: &mut Process,
    passenger: u64,
    revision: u64,
    judgement: Judgement,
) -> Vec<Order<Key>> {
    process.tell(Notice::Judged {
        key: KEY,
        passenger: id(passenger),
        verdict: Verdict {
            revision: Revision::new(revision),
            token: None,
            judgement,
        },
    })
}

fn fills(orders: &[Order<Key>]) -> Vec<(u64, Option<Lease>)> {
    let fills = orders.iter().filter_map(|order| match order {
        Order::Fill {
            passenger, lease, ..
        } => Some((passenger.0, *lease)),
        _ => None,
    });
    fills.collect()
}

fn lease(process: &Process) -> Option<Lease> {
    process.flights.lease(&process.flight())
}

#[test]
fn who_is_satisfied_by_what_it_was_judging_does_not_fill() {
    let (mut process, orders) = granted_while_judging(Policy::DEFAULT);
    assert_eq!(fills(&orders), [], "it has yet to judge");
    assert_eq!(
        judged(&mut process, 1, 8, Judgement::Fresh),
        [land(1, awaited(8)), release(1, 4, 9)]
    );
    let orders = process.answer(|attempt| Event::Released { attempt });
    assert_eq!(orders, [retired(1)]);
    process.assert_quiescent();
}

#[test]
fn who_has_not_waited_lands_with_what_was_there() {
    let mut process = Process::new();
    let _ = process.board(1, Policy::DEFAULT);
    // A push of a watch that an earlier flight had left behind.
    let _ = put(&mut process, 8);
    assert_eq!(fills(&process.granted(9)), []);
    let orders = judged(&mut process, 1, 8, Judgement::Fresh);
    assert_eq!(landings(&orders), [(1, cached(8, false))]);
}

#[test]
fn who_is_not_satisfied_fills_then() {
    let (mut process, _) = granted_while_judging(Policy::DEFAULT);
    let orders = judged(&mut process, 1, 8, Judgement::Stale);
    assert_eq!(orders, [fill(1, 1, 3, lease(&process))]);
    let _ = process.done(FillResult::Value);
    let orders = process.published(10);
    assert_eq!(landings(&orders), [(1, computed(10))]);
    process.assert_quiescent();
}

#[test]
fn what_does_not_decode_ends_the_call_and_not_the_lease_of_others() {
    let (mut process, _) = granted_while_judging(Policy::DEFAULT);
    assert_eq!(
        judged(&mut process, 1, 8, Judgement::Malformed),
        [land(1, Outcome::Malformed), release(1, 4, 9)]
    );
}

#[test]
fn what_is_gone_need_not_be_judged() {
    let (mut process, _) = granted_while_judging(Policy::DEFAULT);
    let orders = process.arrived(None, 10, false);
    assert_eq!(orders, [fill(1, 1, 3, lease(&process))]);
    // The verdict comes too late to matter.
    assert_eq!(judged(&mut process, 1, 8, Judgement::Fresh), []);
}

#[test]
fn what_comes_meanwhile_is_judged_too() {
    let (mut process, _) = granted_while_judging(Policy::DEFAULT);
    assert_eq!(put(&mut process, 10), [judge(1, 10)]);
    assert_eq!(judged(&mut process, 1, 8, Judgement::Stale), [], "outdated");
    let orders = judged(&mut process, 1, 10, Judgement::Fresh);
    assert_eq!(landings(&orders), [(1, awaited(10))]);
}

#[test]
fn the_lease_that_one_is_satisfied_without_goes_to_the_next() {
    let (mut process, _) = granted_while_judging(Policy::DEFAULT);
    assert_eq!(process.board(2, Policy::DEFAULT), [judge(2, 8)]);
    assert_eq!(process.board(3, Policy::DEFAULT), [judge(3, 8)]);
    assert_eq!(judged(&mut process, 3, 8, Judgement::Stale), []);
    let orders = judged(&mut process, 1, 8, Judgement::Fresh);
    // The second is still judging.
    assert_eq!(
        orders,
        [land(1, awaited(8)), fill(1, 3, 4, lease(&process))]
    );
}

#[test]
fn who_leaves_while_it_is_judging_hands_over_or_releases() {
    let (mut process, _) = granted_while_judging(Policy::DEFAULT);
    assert_eq!(process.leave(1), [release(1, 4, 9)]);

    let (mut process, _) = granted_while_judging(Policy::DEFAULT);
    let _ = process.board(2, Policy::DEFAULT);
    let _ = judged(&mut process, 2, 8, Judgement::Stale);
    let orders = process.leave(1);
    assert_eq!(orders, [fill(1, 2, 4, lease(&process))]);
    assert_eq!(judged(&mut process, 1, 8, Judgement::Stale), []);
}

#[test]
fn who_never_judges_keeps_the_lease_no_longer_than_it_would_wait() {
    let (mut process, _) = granted_while_judging(patient(20));
    let mut renewed = 0;
    for ms in (1_000..20_000).step_by(1_000) {
        for order in process.pass_until(ms) {
            let Order::Command {
                command: Command::Renew { attempt, .. },
                ..
            } = order
            else {
                panic!("{order:?}");
            };
            renewed += 1;
            assert_eq!(process.event(Event::Renewed { attempt }), []);
        }
    }
    assert_eq!(renewed, 1, "at a third of the ttl");
    assert_eq!(
        landings(&process.pass_until(20_000)),
        [(1, Outcome::TimedOut)]
    );
    let _ = process.answer(|attempt| Event::Released { attempt });
    process.assert_quiescent();
}

#[test]
fn who_never_judges_leaves_the_lease_to_who_does() {
    let (mut process, _) = granted_while_judging(patient(5));
    let _ = process.board(2, Policy::DEFAULT);
    let _ = judged(&mut process, 2, 8, Judgement::Stale);
    let orders = process.pass_until(5_000);
    assert_eq!(landings(&orders), [(1, Outcome::TimedOut)]);
    assert_eq!(fills(&orders), [(2, lease(&process))]);
}

#[test]
fn who_does_not_wait_is_given_the_time_of_the_store_to_judge() {
    let mut process = Process::new();
    let _ = process.board(1, patient(0));
    let _ = put(&mut process, 8);
    process.ms = 1_000;
    assert_eq!(fills(&process.granted(9)), []);
    assert_eq!(landings(&process.pass_until(5_999)), []);
    let orders = process.pass_until(6_000);
    assert_eq!(landings(&orders), [(1, Outcome::TimedOut)]);
}

#[test]
fn a_lease_that_is_lost_while_its_caller_is_judging_is_not_filled_under() {
    let (mut process, _) = granted_while_judging(patient(60));
    let _ = process.pass_until(11_000);
    // Nobody fills who could be warned.
    assert_eq!(process.answer(|attempt| Event::LeaseLost { attempt }), []);
    let orders = judged(&mut process, 1, 8, Judgement::Stale);
    assert_eq!(orders, [claim(1, 5, 8)]);
}

#[test]
fn a_fill_is_overdue_counted_from_when_it_begins() {
    let policy = Policy {
        fill_timeout: Some(secs(3)),
        ..patient(60)
    };
    let (mut process, _) = granted_while_judging(policy);
    // Nothing is renewed any more: its caller may hang.
    assert_eq!(process.pass_until(15_000), []);
    let orders = judged(&mut process, 1, 8, Judgement::Stale);
    assert_eq!(fills(&orders), [(1, lease(&process))]);
    let mut orders = orders;
    for ms in [17_999, 18_000] {
        let before = orders.len();
        orders.extend(process.pass_until(ms));
        let warned = orders[before..].contains(&command(
            1,
            Command::WarnLeaseLost {
                token: Some(token(9)),
                warning: Warning::Overdue,
            },
        ));
        assert_eq!(warned, ms == 18_000);
    }
    let renews = |order: &&Order<Key>| {
        matches!(
            order,
            Order::Command {
                command: Command::Renew { .. },
                ..
            }
        )
    };
    assert_eq!(orders.iter().filter(renews).count(), 1);
}

#[test]
fn who_does_without_the_store_judges_first_too() {
    let claiming = || {
        let mut process = Process::new();
        let _ = process.board(1, Policy::DEFAULT);
        let _ = put(&mut process, 8);
        assert_eq!(fills(&process.unavailable()), []);
        assert_eq!(process.phase(), Some(Phase::FillingLocally));
        process
    };
    let mut process = claiming();
    assert_eq!(
        judged(&mut process, 1, 8, Judgement::Fresh),
        [land(1, cached(8, false)), retired(1)]
    );
    process.assert_quiescent();

    let mut process = claiming();
    assert_eq!(
        judged(&mut process, 1, 8, Judgement::Malformed),
        [land(1, Outcome::Malformed), retired(1)]
    );
    process.assert_quiescent();

    let mut process = claiming();
    assert_eq!(
        judged(&mut process, 1, 8, Judgement::Stale),
        [fill(1, 1, 2, None)]
    );
    // What the fill is to replace is what it has judged.
    let put = Command::Put {
        seen: Revision::new(8),
    };
    assert_eq!(process.done(FillResult::Value)[0], command(1, put));

    let mut process = claiming();
    let orders = process.pass_until(35_000);
    assert_eq!(orders, [land(1, Outcome::TimedOut), retired(1)]);
    process.assert_quiescent();
}

#[test]
fn who_is_told_to_fill_is_asked_nothing() {
    let (mut process, _) = granted_while_judging(Policy::DEFAULT);
    let _ = judged(&mut process, 1, 8, Judgement::Stale);
    assert_eq!(put(&mut process, 10), []);
    assert_eq!(process.arrived(Some(Attempt::new(2)), 11, true), []);
}

#[test]
fn a_lost_lease_is_claimed_anew_whoever_is_satisfied() {
    for (judgement, lands) in [
        (Judgement::Absent, None),
        (Judgement::Fresh, Some(awaited(8))),
        (Judgement::Malformed, Some(Outcome::Malformed)),
    ] {
        let (mut process, _) = granted_while_judging(patient(60));
        let _ = process.board(2, patient(60));
        let _ = judged(&mut process, 2, 8, Judgement::Stale);
        let _ = process.pass_until(11_000);
        let _ = process.answer(|attempt| Event::LeaseLost { attempt });
        let orders = judged(&mut process, 1, 8, judgement);
        let landed = lands.map(|outcome| (1, outcome));
        assert_eq!(landings(&orders), landed.into_iter().collect::<Vec<_>>());
        assert_eq!(orders.last(), Some(&claim(1, 5, 8)));
        assert_eq!(process.phase(), Some(Phase::Claiming));
    }
}
