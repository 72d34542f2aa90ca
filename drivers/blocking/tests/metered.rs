//! What the driver for threads counts through `metrics`: on all its threads, and down to zero in the end.
//! What each series means, the tests of the tokio driver try.

#![cfg(feature = "metrics")]

#[path = "../../tokio/tests/support/board.rs"]
mod board;
mod support;

use std::time::Duration;

use board::Board;
use oneflight_blocking::SingleFlight;
use support::{Caller, Flaky, Result, gate, until};

/// One test, for the recorder is the process's.
#[test]
fn gauges_come_down_again_whatever_ends_a_call() {
    let board = Board::wide();
    let store = Flaky::new();
    let (one, two) = (
        SingleFlight::new(store.clone()),
        SingleFlight::new(store.clone()),
    );
    let stand = |leases: f64, passengers: f64, watches: f64| {
        for (gauge, expected) in [
            ("leases_held", leases),
            ("passengers", passengers),
            ("watches", watches),
        ] {
            let series = format!("oneflight_{gauge}{{}}");
            until(&format!("{series} {expected}"), || {
                board.read().get(&series) == Some(&expected)
            });
        }
    };
    let led = |end: fn() -> std::result::Result<u64, String>| {
        let (go, gone) = gate();
        let leader = Caller::start({
            let one = one.clone();
            move || -> Result<u64> {
                let call = one.key("k").fresh_for(Duration::ZERO);
                call.run(|_| {
                    gone.pass();
                    end()
                })
            }
        });
        until("the leader fills", || !store.held().is_empty());
        let follower = Caller::start({
            let two = two.clone();
            move || -> Result<u64> { two.key("k").fresh_for(Duration::ZERO).run(|_| Ok(2)) }
        });
        until("the follower watches", || store.open_watches() == 1);
        stand(1.0, 2.0, 1.0);
        go.send(()).unwrap();
        let landed = leader.join();
        follower.result().unwrap();
        one.close();
        two.close();
        stand(0.0, 0.0, 0.0);
        landed
    };
    led(|| Ok(1)).unwrap().unwrap();
    led(|| Err(String::from("no"))).unwrap().unwrap_err();
    led(|| panic!("on purpose")).unwrap_err();

    // The driver's thread dies of a renewal, and another goes on.
    store.panic_in_renewals(1);
    let call = one.key("l").lease_ttl(Duration::from_millis(200));
    let landed: Result<u64> = call.run(|_| {
        until("a renewal has died", || store.renewals() > 1);
        stand(1.0, 1.0, 0.0);
        Ok(3)
    });
    landed.unwrap();
    drop((one.clone(), two.clone()));
    one.close();
    stand(0.0, 0.0, 0.0);
    for (labels, expected) in [
        ("source=computed,outcome=ok", 4.0),
        ("source=awaited,outcome=ok", 1.0),
        ("source=none,outcome=aborted", 1.0),
        ("source=none,outcome=panicked", 1.0),
        ("source=none,outcome=left", 0.0),
    ] {
        board.stands(&format!("oneflight_landings_total{{{labels}}}"), expected);
    }
    for (result, expected) in [("value", 4.0), ("error", 1.0), ("panic", 1.0)] {
        let series = format!("oneflight_fill_seconds{{result={result}}}");
        board.stands(&series, expected);
    }
}
