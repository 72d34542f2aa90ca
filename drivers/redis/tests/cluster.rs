//! A cluster of several primaries, in both flavours.

#![cfg(all(feature = "tokio", feature = "blocking"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod common;

use std::cell::Cell;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use common::tagged::Tagged;
use common::{LONG, Opened, fill, granted, hears, lease, listen, published, request, watch};
use oneflight_redis::RedisStore;
use oneflight_store::{Change, LockState, Renewal, Revision, StoreError, WatchEvent, conformance};
use oneflight_test_servers::time::until;
use oneflight_test_servers::{Cluster, Config, Direction, Proxy, RedisServer, Traffic};
use oneflight_tokio::{SingleFlight, Source};
use tokio::sync::oneshot;

type Open = fn(&str) -> Opened;

both! {
    the_contract_is_kept
    keys_are_spread_and_all_are_listed
    locks_elsewhere_are_refused_before_anything_is_sent
    a_watch_follows_its_key
    a_slot_that_goes_elsewhere_takes_its_leases_and_watches_along
    what_another_server_passes_on_late_is_no_news
    a_slot_that_is_on_its_way_is_waited_for
    who_is_sent_on_late_goes_on
    a_replica_takes_over
    who_knows_one_address_is_told_of_the_cluster
    what_the_docs_permit_is_enough
    a_server_that_is_in_no_cluster_says_so
    a_watch_of_a_dead_cluster_ends
    nothing_is_left_of_a_store
    who_listens_on_is_told_of_the_end
    servers_that_name_each_other_are_not_asked_all_the_time
}

fn slot_of(cluster: &Cluster, key: &str) -> u16 {
    cluster.slot(&format!("{{p:{key}}}"))
}

/// A key that this primary keeps at first.
fn key_of(cluster: &Cluster, primary: usize) -> String {
    let mut keys = (0..).map(|number| format!("key {number}"));
    keys.find(|key| cluster.share(slot_of(cluster, key)) == primary)
        .unwrap()
}

fn the_contract_is_kept(open: Open) {
    let cluster = Cluster::new(3);
    let (url, tag) = (cluster.url(), Cell::new(0));
    conformance::check_all(|| {
        cluster.flush();
        // Each row somewhere else.
        tag.set(tag.get() + 1);
        let (url, tag) = (&url, tag.get().to_string());
        move || Tagged::new(open(url), &tag)
    });
}

fn keys_are_spread_and_all_are_listed(open: Open) {
    let cluster = Cluster::new(3);
    let store = open(&cluster.url());
    let keys: Vec<String> = (0..60).map(|number| format!("key {number}")).collect();
    for key in &keys {
        fill(&store, key, Revision::NEVER, "value");
    }
    let mut listed: Vec<_> = store.list().unwrap().into_iter().map(|it| it.key).collect();
    listed.sort();
    let mut expected: Vec<Arc<str>> = keys.iter().map(|key| key.as_str().into()).collect();
    expected.sort();
    assert_eq!(listed, expected);
    for primary in cluster.primaries() {
        let kept: u64 = primary.command(&["DBSIZE"]).unwrap();
        assert!(kept > 0);
    }
    // Nobody was asked for what is elsewhere.
    let missed = |primary: &RedisServer| {
        let errors: String = primary.command(&["INFO", "errorstats"]).unwrap();
        errors.contains("MOVED")
    };
    assert!(!cluster.primaries().iter().any(missed));
}

fn locks_elsewhere_are_refused_before_anything_is_sent(open: Open) {
    let cluster = Cluster::new(3);
    let store = open(&cluster.url());
    let mut apart = request(&key_of(&cluster, 0), LONG, Revision::NEVER);
    apart.lock = "another".into();
    let key = Arc::clone(&apart.key);
    let mut errors = vec![store.claim(apart).unwrap_err()];
    errors.push(
        store
            .forget(Arc::clone(&key), "another".into())
            .unwrap_err(),
    );
    for error in errors {
        assert!(matches!(error, StoreError::Refused(_)), "{error}");
        for told in [&*key, "another", "same tag in braces"] {
            assert!(error.to_string().contains(told), "{error}");
        }
        assert!(!error.to_string().contains("CROSSSLOT"), "{error}");
    }
    let (told, hear) = std::sync::mpsc::channel();
    let watcher = Arc::new(move |event| drop(told.send(event)));
    let _watch = store.watch(key, "another".into(), watcher);
    let event = hear.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(
        matches!(event, WatchEvent::Ended(StoreError::Refused(_))),
        "{event:?}"
    );
    let errors =
        |primary: &RedisServer| -> String { primary.command(&["INFO", "errorstats"]).unwrap() };
    let refused = |primary: &RedisServer| errors(primary).contains("CROSSSLOT");
    assert!(!cluster.primaries().iter().any(refused));
    let mut together = request("{a}:key", LONG, Revision::NEVER);
    together.lock = "{a}:lock".into();
    granted(store.claim(together));
}

fn ended(events: &[WatchEvent]) -> bool {
    events
        .iter()
        .any(|event| matches!(event, WatchEvent::Ended(_)))
}

/// Who only watches is told by nobody that the key has gone.
fn a_watch_follows_its_key(open: Open) {
    let cluster = Cluster::new(3);
    let store = open(&cluster.url());
    let key = key_of(&cluster, 0);
    let heard = watch(&store, &key);
    let both = |events: &[WatchEvent]| (events.len() >= 2).then_some(());
    heard.until("the snapshot", both);
    let slot = slot_of(&cluster, &key);
    cluster.move_slot(slot, 0, 1);
    let channel = format!("oneflight:0:key:{key}");
    let watches = |primary: usize| -> u64 {
        let asked = &cluster.primaries()[primary];
        let counts: (String, u64) = asked.command(&["PUBSUB", "NUMSUB", &channel]).unwrap();
        counts.1
    };
    until("the watch to move", || (watches(1) == 1).then_some(()));
    heard.until("a new snapshot", |events| (events.len() >= 4).then_some(()));
    assert!(!ended(&heard.events()));
}

fn a_slot_that_goes_elsewhere_takes_its_leases_and_watches_along(open: Open) {
    let cluster = Cluster::new(3);
    let (store, other) = (open(&cluster.url()), open(&cluster.url()));
    let key = key_of(&cluster, 0);
    let slot = slot_of(&cluster, &key);
    let changes = listen(&store);
    let heard = watch(&store, &key);
    let mut seen = fill(&store, &key, Revision::NEVER, "first");
    hears(&heard, seen);
    let mut last = granted(store.claim(request(&key, LONG, seen)));
    // There and back again.
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        cluster.move_slot(slot, from, to);
        // The holder has never heard of it.
        assert_eq!(store.renew(lease(&key, last), LONG), Ok(Renewal::Renewed));
        let name: Arc<str> = key.as_str().into();
        let revision = published(store.publish(lease(&key, last), name, "next".into(), None));
        assert!(revision > seen);
        seen = revision;
        hears(&heard, seen);
        // Nor has this one.
        let token = granted(other.claim(request(&key, LONG, seen)));
        assert!(token > last);
        last = token;
    }
    assert!(!ended(&heard.events()));
    changes.until("the change", |changes| {
        let is_it =
            |change: &Change| matches!(change, Change::Moved { revision, .. } if *revision == seen);
        changes.iter().any(is_it).then_some(())
    });
}

/// As when a slot has moved, and the server that kept it before is slow to pass on what it has told.
fn what_another_server_passes_on_late_is_no_news(open: Open) {
    let cluster = Cluster::new(2);
    let store = open(&cluster.url());
    let key = key_of(&cluster, 0);
    let channel = format!("oneflight:0:key:{key}");
    let heard = watch(&store, &key);
    let old = granted(store.claim(request(&key, LONG, Revision::NEVER)));
    let first =
        published(store.publish(lease(&key, old), key.as_str().into(), "first".into(), None));
    let revision = fill(&store, &key, first, "second");
    hears(&heard, revision);
    let other = &cluster.primaries()[1];
    let (first, old, last) = (first.get(), old.get(), revision.get() + 1);
    for late in [
        format!("v,{first},{old};f,{old}\nfirst"),
        format!(";h,{old},{}\n1 1 hu", LONG.as_micros()),
        // In the same order, and the only one of them that is news.
        format!(";h,{last},{}\n1 1 hu", LONG.as_micros()),
    ] {
        other.command::<()>(&["PUBLISH", &channel, &late]).unwrap();
    }
    let token = |event: &WatchEvent| match event {
        WatchEvent::Lock(LockState::Held { token, .. }) => Some(token.get()),
        _ => None,
    };
    let since = heard.until("the last one", |events| {
        let at = events.iter().position(|event| token(event) == Some(last))?;
        let is_second = |event: &WatchEvent| matches!(event, WatchEvent::Key(state) if state.revision == revision);
        Some(events[events.iter().position(is_second)?..at].to_vec())
    });
    let is_old = |event: &WatchEvent| match event {
        WatchEvent::Key(state) => state.revision < revision,
        event => token(event) == Some(old),
    };
    assert!(!since.iter().any(is_old), "{since:?}");
    hears(&heard, revision);
}

fn a_slot_that_is_on_its_way_is_waited_for(open: Open) {
    let cluster = Cluster::new(3);
    let store = open(&cluster.url());
    let key = key_of(&cluster, 0);
    let slot = slot_of(&cluster, &key);
    let seen = fill(&store, &key, Revision::NEVER, "value");
    let token = granted(store.claim(request(&key, LONG, seen)));
    cluster.begin_move(slot, 0, 1);
    // What is still there is there.
    assert_eq!(store.renew(lease(&key, token), LONG), Ok(Renewal::Renewed));
    cluster.move_keys(slot, 0, 1);
    std::thread::scope(|scope| {
        let publish = scope.spawn(|| {
            store.publish(
                lease(&key, token),
                key.as_str().into(),
                "later".into(),
                None,
            )
        });
        let errors = |info: String| info.contains("errorstat_ASK:");
        let asked = &cluster.primaries()[0];
        until("the call", || {
            errors(asked.command(&["INFO", "errorstats"]).unwrap()).then_some(())
        });
        assert!(!publish.is_finished());
        cluster.end_move(slot, 0, 1);
        assert!(published(publish.join().unwrap()) > seen);
    });
}

/// Who hears late that the slot is elsewhere has not been sent to and fro.
fn who_is_sent_on_late_goes_on(open: Open) {
    let cluster = Cluster::new(2);
    let proxies = cluster.behind_proxies();
    let url = format!("redis-cluster://{}", proxies[0].address());
    let store = open(&url);
    let key = key_of(&cluster, 0);
    let seen = fill(&store, &key, Revision::NEVER, "value");
    cluster.move_slot(slot_of(&cluster, &key), 0, 1);
    // Longer than servers may take to agree, and not so long that the connection is given up.
    proxies[0].delay(Direction::ToClient, Duration::from_millis(5_100));
    let state = store.read(key.as_str().into()).unwrap();
    assert_eq!(state.revision, seen);
}

fn a_replica_takes_over(open: Open) {
    let mut cluster = Cluster::with_replicas(3);
    let store = open(&cluster.url());
    let key = key_of(&cluster, 2);
    let changes = listen(&store);
    let watched = watch(&store, &key);
    let first = fill(&store, &key, Revision::NEVER, "first");
    hears(&watched, first);
    changes.until("the stream", |it| {
        it.contains(&Change::Connected).then_some(())
    });
    // So that the promoted one knows what the dead one knew.
    let kept: u64 = cluster.primaries()[2]
        .command(&["WAIT", "1", "20000"])
        .unwrap();
    assert_eq!(kept, 1);
    cluster.primary(2).kill();
    changes.until("the gap", |it| {
        let is_gap = |change: &Change| matches!(change, Change::Gap(_));
        it.iter().any(is_gap).then_some(())
    });
    // The others go on.
    fill(&store, &key_of(&cluster, 0), Revision::NEVER, "value");
    let error = store.read(key.as_str().into()).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    let state = until("the replica", || store.read(key.as_str().into()).ok());
    assert_eq!(state.revision, first);
    let second = fill(&store, &key, first, "second");
    assert!(second > first);
    // Who was patient hears of it, and who was not watches anew.
    if ended(&watched.events()) {
        hears(&watch(&store, &key), second);
    } else {
        hears(&watched, second);
    }
    changes.until("the stream to be back", |it| {
        let last = |is: fn(&Change) -> bool| it.iter().rposition(is);
        let gap = last(|change| matches!(change, Change::Gap(_)));
        (last(|change| *change == Change::Connected) > gap).then_some(())
    });
    let found: u64 = cluster.replica(2).command(&["DBSIZE"]).unwrap();
    assert!(found > 0);
}

fn who_knows_one_address_is_told_of_the_cluster(open: Open) {
    let cluster = Cluster::like(&Config::new().password("sesame"), 2);
    let alone = open(&cluster.primaries()[0].url());
    let error = alone.read(key_of(&cluster, 1).into()).unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    assert!(error.to_string().contains("redis-cluster://"), "{error}");
    // One is enough, as are others that are dead.
    let address = cluster.primaries()[0].address();
    let url = format!("redis-cluster://:sesame@127.0.0.1:1?node={address}");
    fill(&open(&url), &key_of(&cluster, 1), Revision::NEVER, "value");
    let wrong = open(&url.replace("sesame", "secret"));
    let error = wrong.read("key".into()).unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

fn what_the_docs_permit_is_enough(open: Open) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/redis.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rules) = page.split_once("ACL SETUSER ").unwrap();
    let (rules, rest) = rules.split_once("```").unwrap();
    let (_, more) = rest.split_once("in a cluster also `").unwrap();
    let (more, _) = more.split_once('`').unwrap();
    let mut rules: Vec<&str> = rules.split_whitespace().collect();
    rules.push(more);
    let cluster = Cluster::like(&Config::new().user(&rules.join(" ")), 2);
    let url = cluster.url();
    let store = open(&url.replace("://", "://oneflight:PASSWORD@"));
    let (heard, changes) = (watch(&store, "key"), listen(&store));
    let revision = fill(&store, "key", Revision::NEVER, "value");
    hears(&heard, revision);
    changes.until("the stream", |it| {
        it.contains(&Change::Connected).then_some(())
    });
    assert_eq!(store.list().unwrap().len(), 1);
    // Who may not ask is told so.
    let order: [&str; 4] = ["ACL", "SETUSER", "oneflight", "-cluster|slots"];
    for server in cluster.primaries() {
        server.command::<()>(&order).unwrap();
    }
    let late = open(&url.replace("://", "://oneflight:PASSWORD@"));
    let error = late.read("key".into()).unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    assert!(error.to_string().contains("access list"), "{error}");
}

fn a_server_that_is_in_no_cluster_says_so(open: Open) {
    let server = RedisServer::new();
    let store = open(&server.url().replace("redis:", "redis-cluster:"));
    let error = store.read("key".into()).unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    assert!(error.to_string().contains("redis://"), "{error}");
}

/// A watch of what cannot be reached ends, and so does one of what is gone.
fn a_watch_of_a_dead_cluster_ends(open: Open) {
    let mut cluster = Cluster::new(1);
    let url = cluster.url();
    let store = open(&url);
    let key = key_of(&cluster, 0);
    let heard = watch(&store, &key);
    fill(&store, &key, Revision::NEVER, "value");
    cluster.primary(0).kill();
    let late = open(&url);
    for heard in [heard, watch(&late, &key)] {
        heard.until("the end", |events| ended(events).then_some(()));
    }
}

fn nothing_is_left_of_a_store(open: Open) {
    let cluster = Cluster::new(2);
    let store = open(&cluster.url());
    let (heard, changes) = (watch(&store, "key"), listen(&store));
    let revision = fill(&store, "key", Revision::NEVER, "value");
    hears(&heard, revision);
    let clients = || {
        let clients = cluster.primaries().iter().map(|it| it.clients());
        clients.flatten().collect::<Vec<_>>()
    };
    assert!(!clients().is_empty());
    drop((heard, changes));
    drop(store);
    until("the end of all connections", || {
        clients().is_empty().then_some(())
    });
}

fn who_listens_on_is_told_of_the_end(open: Open) {
    let cluster = Cluster::new(2);
    let store = open(&cluster.url());
    let watches = [0, 1].map(|primary| watch(&store, &key_of(&cluster, primary)));
    let changes = listen(&store);
    let stands = |it: &[Change]| it.contains(&Change::Connected).then_some(());
    changes.until("the stream", stands);
    drop(store);
    for heard in watches {
        heard.until("the end", |events| ended(events).then_some(()));
    }
    let is_gap = |change: &Change| matches!(change, Change::Gap(StoreError::Unavailable(_)));
    changes.until("the gap", |it| it.last().is_some_and(is_gap).then_some(()));
}

/// As with a single server: on one thread, where what is sent together cannot be torn apart.
#[tokio::test(flavor = "current_thread")]
async fn a_winner_makes_two_trips_and_a_loser_one() {
    let cluster = Cluster::new(3);
    let proxies = cluster.behind_proxies();
    let flights = [(); 2].map(|()| {
        let servers = proxies.iter().map(|it| format!("redis://{}", it.address()));
        SingleFlight::new(RedisStore::cluster(servers).unwrap())
    });
    let keys = [0, 1, 2].map(|primary| key_of(&cluster, primary));
    let run = async |process: usize, key: &str, value: &str| {
        let call = flights[process].key(key).lease_ttl(LONG).wait_timeout(LONG);
        let landing = call.run(|_| async { Ok::<_, String>(value.to_owned()) });
        landing.await.unwrap()
    };
    // Both are connected to all servers, which know the scripts.
    for process in [0, 1] {
        for key in &keys {
            run(process, &format!("{{p:{key}}} before"), "value").await;
        }
    }
    for server in cluster.primaries() {
        let listening = ["PUBSUB", "NUMSUB", "oneflight:0:changes"];
        while server.command::<(String, u64)>(&listening).unwrap().1 < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    // Once they listen, each looks at its copies again, which nobody can be asked about.
    let answers = || proxies.iter().map(|it| it.traffic().answers).sum::<u64>();
    let mut before = u64::MAX;
    while std::mem::replace(&mut before, answers()) != before {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    proxies.iter().for_each(Proxy::count_anew);
    let (filling, is_filling) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let (mut filling, mut ended) = (Some(filling), Some(ended));
    let winner = flights[0].key(&keys[1]).lease_ttl(LONG);
    let winner = winner.run(|_| {
        filling.take().unwrap().send(()).unwrap();
        let ended = ended.take().unwrap();
        async move { Ok::<_, String>(ended.await.unwrap()) }
    });
    let loser = async {
        is_filling.await.unwrap();
        let end = async {
            while proxies[1].traffic().sent(&["EVALSHA"]) < 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            end.send("value".to_owned()).unwrap();
        };
        tokio::join!(run(1, &keys[1], "never"), end).0
    };
    let (won, lost) = tokio::join!(winner, loser);
    assert_eq!(
        (won.unwrap().source, lost.source),
        (Source::Computed, Source::Awaited)
    );
    two_trips_and_one(&proxies);
}

/// Of the winner and the loser, to the server in the middle.
#[track_caller]
fn two_trips_and_one(proxies: &[Proxy]) {
    // Now and then it is looked whether the slots are where they were.
    let trips = |traffic: &Traffic| traffic.trips - traffic.sent(&["CLUSTER"]);
    let traffic = proxies[1].traffic();
    let sent = ["SUBSCRIBE", "EVALSHA"].map(|command| traffic.sent(&[command]));
    assert_eq!((sent, trips(&traffic)), ([2, 3], 3), "{traffic:?}");
    for other in [&proxies[0], &proxies[2]] {
        assert_eq!(trips(&other.traffic()), 0, "{:?}", other.traffic());
    }
}

#[test]
fn a_winner_among_threads_makes_two_trips_and_a_loser_one() {
    let cluster = Cluster::new(3);
    let proxies = cluster.behind_proxies();
    let flights = [(); 2].map(|()| {
        let servers = proxies.iter().map(|it| format!("redis://{}", it.address()));
        let store = oneflight_redis::blocking::RedisStore::cluster(servers).unwrap();
        oneflight_blocking::SingleFlight::new(store)
    });
    let keys = [0, 1, 2].map(|primary| key_of(&cluster, primary));
    let run = |process: usize, key: &str, fill: &dyn Fn() -> String| {
        let call = flights[process].key(key).lease_ttl(LONG).wait_timeout(LONG);
        call.run(|_| Ok::<_, String>(fill())).unwrap().source
    };
    for process in [0, 1] {
        for key in &keys {
            run(process, &format!("{{p:{key}}} before"), &|| "value".into());
        }
    }
    for server in cluster.primaries() {
        until("both to listen", || {
            let listening = ["PUBSUB", "NUMSUB", "oneflight:0:changes"];
            let (_, count): (String, u64) = server.command(&listening).unwrap();
            (count == 2).then_some(())
        });
    }
    // As above.
    let answers = || proxies.iter().map(|it| it.traffic().answers).sum::<u64>();
    let mut before = u64::MAX;
    while std::mem::replace(&mut before, answers()) != before {
        thread::sleep(Duration::from_millis(100));
    }
    proxies.iter().for_each(Proxy::count_anew);
    let (filling, is_filling) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    thread::scope(|scope| {
        let (run, key) = (&run, &keys[1]);
        let winner = scope.spawn(move || {
            run(0, key, &|| {
                filling.send(()).unwrap();
                ended.recv().unwrap()
            })
        });
        is_filling.recv().unwrap();
        let loser = scope.spawn(|| run(1, key, &|| panic!("a second fill")));
        until("the loser's claim", || {
            (proxies[1].traffic().sent(&["EVALSHA"]) >= 2).then_some(())
        });
        end.send("value".to_owned()).unwrap();
        assert_eq!(winner.join().unwrap(), Source::Computed);
        assert_eq!(loser.join().unwrap(), Source::Awaited);
    });
    two_trips_and_one(&proxies);
}

/// As after a move that was told to one of them only.
fn servers_that_name_each_other_are_not_asked_all_the_time(open: Open) {
    let cluster = Cluster::new(3);
    let store = open(&cluster.url());
    let key = key_of(&cluster, 0);
    let slot = slot_of(&cluster, &key).to_string();
    let ids: Vec<String> = cluster
        .primaries()
        .iter()
        .map(|primary| primary.command(&["CLUSTER", "MYID"]).unwrap())
        .collect();
    let first = &cluster.primaries()[0];
    first
        .command::<()>(&["CLUSTER", "SETSLOT", &slot, "NODE", &ids[1]])
        .unwrap();
    let watch = common::watch_for(&store, &key, LONG);
    let looks = || -> u64 {
        let refused = |primary: &RedisServer| -> Option<u64> {
            let errors: String = primary.command(&["INFO", "errorstats"]).unwrap();
            let (_, count) = errors.split_once("errorstat_MOVED:count=")?;
            count.lines().next()?.parse().ok()
        };
        cluster.primaries().iter().filter_map(refused).sum()
    };
    // Of the same slot.
    let _others: Vec<_> = (0..20)
        .map(|number| common::watch_for(&store, &format!("{{p:{key}}} {number}"), LONG))
        .collect();
    until("a look", || (looks() > 0).then_some(()));
    let before = looks();
    thread::scope(|scope| {
        let read = scope.spawn(|| store.read(key.as_str().into()));
        thread::sleep(Duration::from_secs(1));
        let number = looks() - before;
        assert!(number < 250, "{number} looks in a second");
        // It is put right.
        for primary in cluster.primaries() {
            primary
                .command::<()>(&["CLUSTER", "SETSLOT", &slot, "NODE", &ids[1]])
                .unwrap();
        }
        assert_eq!(read.join().unwrap().unwrap().revision, Revision::NEVER);
    });
    let revision = fill(&store, &key, Revision::NEVER, "value");
    hears(&watch, revision);
}
