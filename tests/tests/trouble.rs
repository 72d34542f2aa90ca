//! A Redis server in trouble, under processes of both drivers: nobody hangs, whoever had to do without the
//! fleet says so, and when the trouble is over, so are its effects. Each run is recorded, and judged.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::time::{Duration, SystemTime};

use oneflight_test_servers::{Config, Direction, Lost, RedisServer};
use oneflight_tests::ground::Redis;
use oneflight_tests::participant::words::{Call, Deed, Driver, Landed};
use oneflight_tests::squad::Squad;
use oneflight_tests::storm::{Storm, Weather};
use oneflight_tests::time::until;

/// Longer than the leases of these calls.
const LONGER: Duration = Duration::from_millis(1500);

/// A call for whom the store is soon gone.
fn impatient() -> Call {
    Call {
        ttl: Duration::from_secs(1),
        wait: Duration::from_secs(20),
        store: Duration::from_millis(700),
        ..Call::default()
    }
}

/// A call that waits for the store for longer than any trouble here takes.
fn patient() -> Call {
    Call {
        store: Duration::from_secs(30),
        ..impatient()
    }
}

/// It rather has no value than one that the fleet does not share.
fn strict() -> Call {
    Call {
        unavailable_is_error: true,
        ..impatient()
    }
}

/// Four processes, two of each driver; the first one has this one.
fn four(ground: Redis, first: Driver) -> Squad<Redis> {
    let mut squad = Squad::over(ground);
    for driver in [first, first.other(), first, first.other()] {
        squad.start(driver);
    }
    squad
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

/// A value of its own, and it says so.
#[track_caller]
fn assert_alone(landed: &Landed) {
    let own = landed.how == "computed" && landed.value.is_some() && !landed.coordinated;
    assert!(own, "{landed:?}");
}

/// The trouble is over: before long, everybody shares again.
#[track_caller]
fn recovers(squad: &mut Squad<Redis>) {
    let fresh = Call {
        fresh: Some(Duration::ZERO),
        ..impatient()
    };
    for one in squad.iter_mut() {
        until("a call that is coordinated", || {
            let id = one.call("after", &fresh);
            one.landed(id).is_shared().then_some(())
        });
    }
}

/// For a while calls of all kinds go on, and something is done in between again and again.
fn storm(squad: &mut Squad<Redis>, mut trouble: impl FnMut(&Redis)) -> Storm {
    let seed = fastrand::u64(..);
    let mut storm = Storm::new(Weather::default(), seed);
    let Squad { members, place, .. } = squad;
    storm.rages(members, Duration::from_secs(2), || trouble(&place.ground));
    storm.settles(members);
    println!("{:?}", storm.tally);
    storm
}

fn a_server_that_is_killed_makes_callers_degrade(leader: Driver, keeps_all: bool) {
    let config = match keeps_all {
        true => Config::new().append_only(),
        false => Config::new(),
    };
    let mut squad = four(Redis::with(config), leader);
    let id = squad[3].call("before", &impatient());
    let before = squad[3].landed(id);
    let (first, rest) = squad.leads(&impatient(), &impatient());

    let since = SystemTime::now();
    squad.place.ground.server.kill();
    squad.others_landed(&rest).iter().for_each(assert_alone);
    let id = squad[1].call("key", &strict());
    let one = squad[1].landed(id);
    assert_eq!(one.how, "unavailable", "{one:?}");
    // What it has computed it gets.
    squad.place.write("go", "");
    assert_alone(&squad[0].landed(first));

    squad.place.ground.server.restart();
    if !keeps_all {
        squad.tells_of_amnesia(since);
    }
    recovers(&mut squad);
    let id = squad[1].call("before", &impatient());
    let after = squad[1].landed(id);
    assert!(after.is_shared(), "{after:?}");
    if keeps_all {
        assert_eq!(after.value, before.value);
    } else {
        assert!(after.token > before.token, "{after:?} {before:?}");
    }
    squad.ends_in_peace();
}

/// Whoever waits for no longer than that is on its own.
fn a_server_that_stands_still_makes_callers_degrade(leader: Driver) {
    let mut squad = four(Redis::with(Config::new()), leader);
    let (first, rest) = squad.leads(&impatient(), &impatient());
    squad.place.ground.server.pause();
    squad.others_landed(&rest).iter().for_each(assert_alone);
    squad.place.write("go", "");
    // Its publish may be on its way, and may be carried out later.
    let landed = squad[0].landed(first);
    assert!(landed.value.is_some(), "{landed:?}");
    squad.place.ground.server.resume();
    recovers(&mut squad);
    squad.ends_in_peace();
}

/// Whoever has time shares, though the lease has lapsed meanwhile.
fn a_server_that_stands_still_only_delays_the_patient(leader: Driver, stand: fn(&RedisServer)) {
    let mut squad = four(Redis::with(Config::new()), leader);
    let (first, rest) = squad.leads(&patient(), &patient());
    stand(&squad.place.ground.server);
    squad.place.write("go", "");
    let mut landed = squad.others_landed(&rest);
    landed.push(squad[0].landed(first));
    assert_shared(&landed);
    recovers(&mut squad);
    squad.ends_in_peace();
}

fn connections_that_are_cut_again_and_again(leader: Driver) {
    let mut squad = four(Redis::with(Config::new()), leader);
    storm(&mut squad, |ground| {
        ground.server.kill_clients();
        std::thread::sleep(Duration::from_millis(20));
    });
    recovers(&mut squad);
    squad.ends_in_peace();
}

fn scripts_that_are_flushed_are_sent_again(leader: Driver) {
    let mut squad = four(Redis::with(Config::new()), leader);
    let storm = storm(&mut squad, |ground| {
        ground.server.command::<()>(&["SCRIPT", "FLUSH"]).unwrap();
    });
    // Nobody notices.
    let tally = &storm.tally;
    let well = tally.of("computed") + tally.of("awaited") + tally.of("cached");
    assert_eq!((tally.uncoordinated, well), (0, tally.orders), "{tally:?}");
    squad.ends_in_peace();
}

fn a_server_that_is_full_refuses(leader: Driver) {
    let mut squad = four(Redis::with(Config::new()), leader);
    let id = squad[3].call("before", &impatient());
    let before = squad[3].landed(id);
    let (first, rest) = squad.leads(&impatient(), &impatient());
    let limit = |ground: &Redis, bytes: &str| {
        let set = ["CONFIG", "SET", "maxmemory", bytes];
        ground.server.command::<()>(&set).unwrap();
    };
    // An empty server uses more than that.
    limit(&squad.place.ground, "100000");

    squad.place.write("go", "");
    let one = squad[0].landed(first);
    assert_eq!(one.how, "unpublished", "{one:?}");
    assert!(one.value.is_some() && one.error.unwrap().contains("maxmemory"));
    for one in squad.others_landed(&rest) {
        assert_eq!(one.how, "refused", "{one:?}");
        assert!(one.error.unwrap().contains("maxmemory"));
    }
    // What is there can be had.
    let id = squad[1].order("before", Deed::Get);
    assert_eq!(squad[1].landed(id).value, before.value);

    limit(&squad.place.ground, "0");
    recovers(&mut squad);
    squad.ends_in_peace();
}

fn a_replica_that_is_read_only_is_out_of_reach(leader: Driver) {
    let primary = RedisServer::new();
    let replica = Redis::with(Config::new().replica_of(&primary));
    let mut squad = four(replica, leader);
    for one in squad.iter_mut() {
        let id = one.call("key", &impatient());
        assert_alone(&one.landed(id));
        let id = one.call("key", &strict());
        let landed = one.landed(id);
        assert_eq!(landed.how, "unavailable", "{landed:?}");
        assert!(landed.error.unwrap().contains("replica"));
    }
    squad.ends_in_peace();
}

/// All are refused, and told this; nobody runs its fill.
#[track_caller]
fn all_are_refused(mut squad: Squad<Redis>, why: &str) {
    for one in squad.iter_mut() {
        for deed in [Deed::Call(impatient()), Deed::Get, Deed::Forget] {
            let id = one.order("key", deed);
            let landed = one.landed(id);
            assert_eq!(landed.how, "refused", "{landed:?}");
            let error = landed.error.unwrap();
            assert!(error.contains(why) && !error.contains("secret"), "{error}");
        }
    }
    assert_eq!(squad.fills(), 0);
    squad.ends_in_peace();
}

fn a_wrong_password_is_refused(leader: Driver) {
    let ground = Redis::with(Config::new().password("right"));
    let url = format!("redis://:secret@{}/", ground.server.address());
    all_are_refused(four(ground.reached_by(url), leader), "password");
}

fn a_user_who_may_not_run_scripts_is_refused(leader: Driver) {
    let ground = Redis::with(Config::new().user("limited on >secret ~* &* +@all -evalsha"));
    let url = format!("redis://limited:secret@{}/", ground.server.address());
    all_are_refused(four(ground.reached_by(url), leader), "access list");
}

/// The replica has not heard of the last writes, leases among them.
fn a_replica_is_promoted_without_the_last_writes(leader: Driver) {
    let ground = Redis::with(Config::new()).proxied();
    let mut replica = Config::new().replica_of(&ground.server).start();
    let mut squad = four(ground, leader);
    let id = squad[3].call("before", &impatient());
    let before = squad[3].landed(id);
    until("a replica that follows", || {
        let info: String = replica.command(&["INFO", "replication"]).unwrap();
        let offset = |server: &RedisServer| {
            let info: String = server.command(&["INFO", "replication"]).unwrap();
            let line = info
                .lines()
                .find(|it| it.starts_with("master_repl_offset:"));
            line.unwrap().to_owned()
        };
        let is_up = info.contains("master_link_status:up");
        (is_up && offset(&replica) == offset(&squad.place.ground.server)).then_some(())
    });

    let since = SystemTime::now();
    replica.command::<()>(&["REPLICAOF", "NO", "ONE"]).unwrap();
    let id = squad[2].call("lost", &impatient());
    let lost = squad[2].landed(id);
    assert!(lost.is_shared());
    let (first, rest) = squad.leads(&patient(), &patient());
    let (token, _) = squad[0].await_filling(first);
    let ground = &mut squad.place.ground;
    ground.proxy().lead_to(replica.address());
    ground.server.kill();
    ground.proxy().cut();
    std::mem::swap(&mut ground.server, &mut replica);
    // Somebody else fills: the new primary knows of no lease.
    let landed = squad.others_landed(&rest);
    assert_shared(&landed);
    assert!(landed[0].token > token, "{landed:?}");
    squad.tells_of_amnesia(since);
    squad.place.write("go", "");
    assert!(squad[0].landed(first).value.is_some());

    recovers(&mut squad);
    let id = squad[1].call("before", &impatient());
    assert_eq!(squad[1].landed(id).value, before.value);
    let id = squad[1].call("lost", &impatient());
    let again = squad[1].landed(id);
    assert!(
        again.is_shared() && again.token > lost.token,
        "{again:?} {lost:?}"
    );
    squad.ends_in_peace();
}

fn a_slow_way_only_delays(leader: Driver) {
    let mut squad = four(Redis::with(Config::new()).proxied(), leader);
    for direction in [Direction::ToServer, Direction::ToClient] {
        let slow = Duration::from_millis(150);
        squad.place.ground.proxy().delay(direction, slow);
    }
    let slow = Call {
        ttl: Duration::from_secs(10),
        ..patient()
    };
    let (first, rest) = squad.leads(&slow, &slow);
    squad.place.write("go", "");
    let mut landed = squad.others_landed(&rest);
    landed.push(squad[0].landed(first));
    assert_shared(&landed);
    assert_eq!(squad.fills(), 1);
    squad.ends_in_peace();
}

fn a_way_that_is_cut_again_and_again(leader: Driver) {
    let mut squad = four(Redis::with(Config::new()).proxied(), leader);
    storm(&mut squad, |ground| {
        ground.proxy().cut();
        std::thread::sleep(Duration::from_millis(20));
    });
    recovers(&mut squad);
    squad.ends_in_peace();
}

fn a_black_hole_makes_callers_degrade(leader: Driver) {
    for direction in [Direction::ToServer, Direction::ToClient] {
        let mut squad = four(Redis::with(Config::new()).proxied(), leader);
        let (first, rest) = squad.leads(&impatient(), &impatient());
        squad.place.ground.proxy().hold(direction);
        squad.others_landed(&rest).iter().for_each(assert_alone);
        squad.place.write("go", "");
        let landed = squad[0].landed(first);
        assert!(landed.value.is_some(), "{landed:?}");
        squad.place.ground.proxy().heal();
        recovers(&mut squad);
        squad.ends_in_peace();
    }
}

/// Whether these are the words of a claim; or of a publish, for the values of participants name them.
fn is_claim(words: &[Vec<u8>]) -> bool {
    words[0].eq_ignore_ascii_case(b"EVALSHA") && !is_publish(words)
}

fn is_publish(words: &[Vec<u8>]) -> bool {
    let is_value = |word: &Vec<u8>| String::from_utf8_lossy(word).contains(" of ");
    words[0].eq_ignore_ascii_case(b"EVALSHA") && words.iter().any(is_value)
}

/// The server has done as it was told, and whoever told it does not learn of it.
fn an_answer_that_is_lost(leader: Driver, such: fn(&[Vec<u8>]) -> bool, lost: Lost) {
    let mut squad = four(Redis::with(Config::new()).proxied(), leader);
    for one in squad.iter_mut() {
        // Scripts and connections are there.
        let id = one.call("before", &patient());
        assert!(one.landed(id).is_shared());
    }
    // Nobody waits for the lease to lapse.
    let call = Call {
        ttl: match lost {
            Lost::Cut => Duration::from_secs(3600),
            Lost::Silence => Duration::from_secs(3),
        },
        ..impatient()
    };
    squad.place.ground.proxy().lose_answer(lost, such);
    let id = squad[0].call("key", &call);
    let landed = squad[0].landed(id);
    assert_eq!(squad.place.ground.proxy().lost(), 1);
    assert!(landed.value.is_some(), "{landed:?}");
    if lost == Lost::Cut {
        assert!(landed.is_shared() && landed.how == "computed", "{landed:?}");
    }
    // Whatever became of it, the key is nobody's for long.
    let fresh = Call {
        fresh: Some(Duration::ZERO),
        ..call
    };
    let id = squad[1].call("key", &fresh);
    let next = squad[1].landed(id);
    assert!(
        next.is_shared() && next.token > landed.token,
        "{next:?} {landed:?}"
    );
    recovers(&mut squad);
    squad.ends_in_peace();
}

/// Each with a leader, or a first one, of either driver.
macro_rules! troubles {
    ($($name:ident: $scenario:expr;)*) => { $(
        mod $name {
            use super::*;

            #[test]
            fn tokio() {
                $scenario(Driver::Tokio);
            }

            #[test]
            fn blocking() {
                $scenario(Driver::Blocking);
            }
        }
    )* };
}

troubles! {
    killed_and_restarted_with_all_it_knew:
        |it| a_server_that_is_killed_makes_callers_degrade(it, true);
    killed_and_restarted_with_nothing:
        |it| a_server_that_is_killed_makes_callers_degrade(it, false);
    stopped_longer_than_the_lease: a_server_that_stands_still_makes_callers_degrade;
    stopped_longer_than_the_lease_for_the_patient:
        |it| a_server_that_stands_still_only_delays_the_patient(it, |server| {
            server.pause();
            std::thread::sleep(LONGER);
            server.resume();
        });
    asleep_longer_than_the_lease:
        |it| a_server_that_stands_still_only_delays_the_patient(it, |server| {
            let sleep = ["DEBUG", "SLEEP", &LONGER.as_secs_f64().to_string()];
            server.command::<()>(&sleep).unwrap();
        });
    every_connection_killed_in_a_loop: connections_that_are_cut_again_and_again;
    scripts_flushed_in_a_loop: scripts_that_are_flushed_are_sent_again;
    full: a_server_that_is_full_refuses;
    read_only: a_replica_that_is_read_only_is_out_of_reach;
    wrong_password: a_wrong_password_is_refused;
    no_scripts_permitted: a_user_who_may_not_run_scripts_is_refused;
    a_replica_promoted_with_writes_lost: a_replica_is_promoted_without_the_last_writes;
    a_slow_way: a_slow_way_only_delays;
    a_way_cut_in_a_loop: a_way_that_is_cut_again_and_again;
    a_black_hole: a_black_hole_makes_callers_degrade;
    the_answer_to_a_claim_cut_off: |it| an_answer_that_is_lost(it, is_claim, Lost::Cut);
    the_answer_to_a_claim_swallowed: |it| an_answer_that_is_lost(it, is_claim, Lost::Silence);
    the_answer_to_a_publish_cut_off: |it| an_answer_that_is_lost(it, is_publish, Lost::Cut);
    the_answer_to_a_publish_swallowed: |it| an_answer_that_is_lost(it, is_publish, Lost::Silence);
}
