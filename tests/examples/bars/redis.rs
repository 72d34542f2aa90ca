//! Processes of both drivers over a Redis server.

use std::time::Duration;

use oneflight_store::LockState;
use oneflight_tests::ground::{Meeting as _, Redis};
use oneflight_tests::participant::Participant;
use oneflight_tests::participant::words::{Call, Driver, Event};
use oneflight_tests::squad::Squad;
use oneflight_tests::time::now;

use crate::{row, spread};

pub(crate) fn redis() {
    stampede(50);
    stampede(2);
    takeover();
    degrade();
}

/// So many processes, connected.
fn connected(count: usize) -> Squad<Redis> {
    let mut squad = Squad::unrecorded();
    squad.start_many(count);
    for one in squad.iter_mut() {
        let id = one.call("first", &Call::default());
        one.landed(id);
    }
    squad
}

/// When something with this number was reported.
fn at(one: &Participant, id: u64, is: impl Fn(&Event) -> bool) -> Option<i64> {
    let reports = one.reports();
    let found = reports.iter().find(|it| it.id == id && is(&it.event));
    found.map(|it| it.at)
}

fn landed_at(one: &Participant, id: u64) -> i64 {
    one.landed(id);
    at(one, id, |event| matches!(event, Event::Landed(_))).unwrap()
}

/// The same by both drivers, each with a row of its own.
fn rows(what: &str, goal: &str, taken: [Vec<i64>; 2]) {
    for (driver, taken) in ["tokio", "blocking"].into_iter().zip(taken) {
        row(&format!("{what} ({driver})"), goal, spread(taken));
    }
}

fn stampede(count: usize) {
    let rounds = 500 / count;
    let mut squad = connected(count);
    let (mut fills, mut taken) = (Vec::new(), [Vec::new(), Vec::new()]);
    for round in 0..rounds {
        let key = format!("stampede {round}");
        let call = Call {
            takes: Duration::from_millis(200),
            ..Call::default()
        };
        let ids: Vec<u64> = squad.iter_mut().map(|it| it.call(&key, &call)).collect();
        let landed: Vec<i64> = squad
            .iter()
            .zip(&ids)
            .map(|(it, id)| landed_at(it, *id))
            .collect();
        fills.push(squad.iter().map(|it| it.fills(&key)).sum::<usize>());
        let filled = |(it, id): (&Participant, &u64)| at(it, *id, |event| *event == Event::Filled);
        let filled: Vec<Option<i64>> = squad.iter().zip(&ids).map(filled).collect();
        let end = filled.iter().flatten().max().unwrap();
        for ((one, landed), filled) in squad.iter().zip(landed).zip(&filled) {
            if filled.is_none() {
                taken[one.driver as usize].push(landed - end);
            }
        }
    }
    fills.dedup();
    let bar = format!("{count} processes on Redis, a cold key, a fill of 200 ms");
    row(
        &format!("{bar}: fills in each of {rounds} rounds"),
        "1",
        format!("{fills:?}"),
    );
    let goal = match count {
        50 => "median ≤ 6 ms, p99 ≤ 15 ms",
        _ => "",
    };
    rows(&format!("{bar}: fill's end → follower lands"), goal, taken);
}

fn takeover() {
    let mut taken = [Vec::new(), Vec::new()];
    for round in 0..10_u64 {
        for holder in Driver::ALL {
            let mut squad = Squad::<Redis>::unrecorded();
            squad.start(holder);
            for number in 0..4 {
                squad.start(Driver::ALL[number % 2]);
            }
            let call = Call {
                ttl: Duration::from_secs(2),
                ..Call::default()
            };
            let (_, rest) = squad.leads(&call, &Call::default());
            // At another moment between two renewals each time.
            std::thread::sleep(Duration::from_millis(70 * round));
            squad.kill(0);
            // Nobody renews it any more: this is when it lapses.
            let listed = squad.place.ground.list();
            let read = now();
            let LockState::Held {
                remaining: Some(remaining),
                ..
            } = &listed[0].state
            else {
                panic!("not held: {listed:?}");
            };
            let lapse = read + i64::try_from(remaining.as_nanos()).unwrap();
            for (one, id) in squad.iter().zip(&rest) {
                one.landed(*id);
            }
            let begun = squad.iter().zip(&rest);
            let begun = begun.filter_map(|(it, id)| {
                let at = at(it, *id, |event| matches!(event, Event::Filling(_)))?;
                Some((it.driver, at))
            });
            let (next, began) = begun.min_by_key(|it| it.1).unwrap();
            taken[next as usize].push(began - lapse);
        }
    }
    rows(
        "holder killed on Redis (ttl 2 s): lapse → next fill begins, by the next one's driver",
        "median ≤ 50 ms",
        taken,
    );
}

fn degrade() {
    const TIMEOUT: Duration = Duration::from_secs(1);
    let (mut waiting, mut calling) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..10 {
        let mut squad = connected(9);
        let call = Call {
            store: TIMEOUT,
            ..Call::default()
        };
        let (_, rest) = squad.leads(&call, &call);
        let killed = now();
        squad.place.ground.server.kill();
        for (one, id) in squad[1..].iter().zip(&rest) {
            waiting[one.driver as usize].push(landed_at(one, *id) - killed);
        }
        for one in &mut squad[1..] {
            let began = now();
            let id = one.call("another", &call);
            calling[one.driver as usize].push(landed_at(one, id) - began);
        }
    }
    let goal = "≤ `store_timeout`, 1 s";
    rows(
        "Redis killed → who waits has landed without it",
        goal,
        waiting,
    );
    rows("Redis dead: call → landed without it", goal, calling);
}
