//! Many processes that use the library, by both drivers, on one key: written once for every store that
//! processes can share. Each is recorded, and judged.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::time::Duration;

use oneflight_tests::ground::{Meeting, Redis, Sqlite};
use oneflight_tests::participant::words::{Call, Deed, Driver, Ends, Landed};
use oneflight_tests::squad::Squad;
use rustix::process::Signal;

/// A leader of this driver fills until the file `go` is there, and some of both drivers wait for it.
fn led<G: Meeting>(leader: Driver, waiters: usize, call: &Call) -> (Squad<G>, u64, Vec<u64>) {
    let mut squad = Squad::<G>::new();
    squad.start(leader);
    for number in 0..waiters {
        squad.start(Driver::ALL[number % 2]);
    }
    let (first, rest) = squad.leads(call, &Call::default());
    (squad, first, rest)
}

/// All have the same value, which the fleet shares.
#[track_caller]
fn assert_shared(landed: &[Landed]) {
    for one in landed {
        assert!(
            one.is_shared() && one.value == landed[0].value,
            "{landed:?}"
        );
    }
}

fn fifty_processes_on_a_cold_key_make_one_fill<G: Meeting>(_: Driver) {
    let mut squad = Squad::<G>::new();
    squad.start_many(50);
    let call = Call {
        takes: Duration::from_millis(500),
        ..Call::default()
    };
    let ids: Vec<u64> = squad.iter_mut().map(|it| it.call("key", &call)).collect();
    let landed: Vec<_> = squad
        .iter()
        .zip(ids)
        .map(|(it, id)| it.landed(id))
        .collect();
    assert_shared(&landed);
    let count = |how| landed.iter().filter(|one| one.how == how).count();
    assert_eq!((squad.fills(), count("computed")), (1, 1));
    squad.ends_in_peace();
}

fn a_leader_that_is_killed_is_taken_over<G: Meeting>(leader: Driver) {
    let ttl = Duration::from_secs(2);
    let call = Call {
        ttl,
        ..Call::default()
    };
    let (mut squad, first, rest) = led::<G>(leader, 6, &call);
    let (token, _) = squad[0].await_filling(first);
    squad.kill(0);
    let landed: Vec<_> = squad
        .iter()
        .zip(rest)
        .map(|(it, id)| it.landed(id))
        .collect();
    assert_shared(&landed);
    assert!(landed[0].token > token);
    assert_eq!(squad.fills(), 1);
    squad.place.assert_nothing_held();
    squad.ends_in_peace();
}

fn a_leader_that_was_stopped_past_its_lease_rides_the_newer_value<G: Meeting>(leader: Driver) {
    for fill_is_over in [true, false] {
        let ttl = Duration::from_secs(1);
        let call = Call {
            ttl,
            ..Call::default()
        };
        let (squad, first, rest) = led::<G>(leader, 4, &call);
        squad[0].signal(Signal::STOP);
        squad[0].await_stopped();
        if fill_is_over {
            squad.place.write("go", "");
        }
        let mut landed = squad.others_landed(&rest);
        squad[0].signal(Signal::CONT);
        squad.place.write("go", "");
        landed.push(squad[0].landed(first));
        assert_shared(&landed);
        assert_eq!(squad.fills(), 2);
        squad.place.assert_nothing_held();
        squad.ends_in_peace();
    }
}

fn a_fill_that_fails_hands_over_at_once<G: Meeting>(leader: Driver) {
    for (ends, how) in [(Ends::Badly, "aborted"), (Ends::InPanic, "panicked")] {
        let call = Call {
            ends,
            ..Call::default()
        };
        let (squad, first, rest) = led::<G>(leader, 4, &call);
        squad.place.write("go", "");
        assert_eq!(squad[0].landed(first).how, how);
        assert_shared(&squad.others_landed(&rest));
        assert_eq!(squad.fills(), 2);
        squad.place.assert_nothing_held();
        squad.ends_in_peace();
    }
}

fn a_fill_may_take_many_leases<G: Meeting>(leader: Driver) {
    let call = Call {
        ttl: Duration::from_millis(1500),
        takes: Duration::from_secs(5),
        ..Call::default()
    };
    let (squad, first, rest) = led::<G>(leader, 4, &call);
    squad.place.write("go", "");
    let mut landed = squad.others_landed(&rest);
    assert!(landed.iter().all(|it| it.how == "awaited"), "{landed:?}");
    landed.push(squad[0].landed(first));
    assert_shared(&landed);
    assert_eq!(squad.fills(), 1);
    squad.ends_in_peace();
}

fn callers_that_give_up_change_nothing<G: Meeting>(leader: Driver) {
    let (mut squad, first, rest) = led::<G>(leader, 4, &Call::default());
    let hasty = Call {
        wait: Duration::from_millis(100),
        ..Call::default()
    };
    let ids: Vec<u64> = squad[1..]
        .iter_mut()
        .map(|it| it.call("key", &hasty))
        .collect();
    for (it, id) in squad[1..].iter().zip(ids) {
        assert_eq!(it.landed(id).how, "timed-out");
    }
    // The first waiter uses the tokio driver, where a call can be given up.
    squad[1].leave(rest[0]);
    assert_eq!(squad[1].landed(rest[0]).how, "left");
    squad.place.write("go", "");
    let mut landed = squad.others_landed(&rest);
    landed[0] = squad[0].landed(first);
    assert_shared(&landed);
    assert_eq!(squad.fills(), 1);
    squad.place.assert_nothing_held();
    squad.ends_in_peace();
}

fn a_leader_that_leaves_hands_over_at_once<G: Meeting>(_: Driver) {
    let (mut squad, first, rest) = led::<G>(Driver::Tokio, 4, &Call::default());
    squad[0].leave(first);
    assert_eq!(squad[0].landed(first).how, "left");
    assert_shared(&squad.others_landed(&rest));
    assert_eq!(squad.fills(), 2);
    squad.place.assert_nothing_held();
    squad.ends_in_peace();
}

fn a_forget_voids_the_fill_under_way<G: Meeting>(leader: Driver) {
    let (mut squad, first, rest) = led::<G>(leader, 4, &Call::default());
    let forget = squad[1].order("key", Deed::Forget);
    assert_eq!(squad[1].landed(forget).how, "forgotten");
    let (before, _) = squad[0].await_filling(first);
    squad.place.write("go", "");
    let mut landed = squad.others_landed(&rest);
    landed.push(squad[0].landed(first));
    assert_shared(&landed);
    assert!(landed[0].token > before, "{landed:?}");
    assert_eq!(squad.fills(), 2);
    squad.place.assert_nothing_held();
    squad.ends_in_peace();
}

macro_rules! meetings {
    ($($store:ident: $ground:ty;)*) => { $(
        mod $store {
            use super::*;

            meetings!(of $ground, by Driver::Tokio, in led_by_tokio:
                fifty_processes_on_a_cold_key_make_one_fill
                a_leader_that_is_killed_is_taken_over
                a_leader_that_was_stopped_past_its_lease_rides_the_newer_value
                a_fill_that_fails_hands_over_at_once
                a_fill_may_take_many_leases
                callers_that_give_up_change_nothing
                a_leader_that_leaves_hands_over_at_once
                a_forget_voids_the_fill_under_way
            );
            meetings!(of $ground, by Driver::Blocking, in led_by_blocking:
                a_leader_that_is_killed_is_taken_over
                a_leader_that_was_stopped_past_its_lease_rides_the_newer_value
                a_fill_that_fails_hands_over_at_once
                a_fill_may_take_many_leases
                callers_that_give_up_change_nothing
                a_forget_voids_the_fill_under_way
            );
        }
    )* };
    (of $ground:ty, by $driver:expr, in $name:ident: $($scenario:ident)*) => {
        mod $name {
            use super::*;

            $(
                #[test]
                fn $scenario() {
                    super::super::$scenario::<$ground>($driver);
                }
            )*
        }
    };
}

meetings! {
    sqlite: Sqlite;
    redis: Redis;
}
