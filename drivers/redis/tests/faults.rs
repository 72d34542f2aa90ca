//! What may go wrong with a server and on the way to it, in both flavours.

#![cfg(all(feature = "tokio", feature = "blocking"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{LONG, Opened, fill, granted, hears, lease, listen, published, request, watch};
use oneflight_store::{Bytes, Change, Claim, Renewal, Revision, StoreError, WatchEvent};
use oneflight_test_servers::time::until;
use oneflight_test_servers::{Config, Direction, Lost, Proxy, RedisServer};

type Open = fn(&str) -> Opened;

both! {
    scripts_that_were_flushed_are_sent_again
    clients_that_are_killed_come_back
    a_publish_whose_answer_was_cut_off_is_the_same_publish
    a_gap_becomes_a_snapshot
    tokens_grow_whatever_is_lost
    a_wrong_password_is_refused_and_not_shown
    a_user_without_scripts_is_refused
    a_user_without_channels_is_told_so
    a_replica_is_no_place_to_write
    a_full_server_refuses
    what_others_have_written_is_left_alone
    a_server_that_falls_silent_is_given_up
    a_dead_server_is_unavailable_until_it_is_back
    a_watch_of_a_dead_server_ends
    a_watch_lasts_as_long_as_its_watcher_is_patient
    nothing_is_left_of_a_store
    two_locks_in_one_slot_are_asked_for
    what_the_docs_permit_is_enough
}

fn scripts_that_were_flushed_are_sent_again(open: Open) {
    let server = RedisServer::new();
    let store = open(&server.url());
    let mut seen = Revision::NEVER;
    for _ in 0..3 {
        seen = fill(&store, "key", seen, "value");
        server.command::<()>(&["SCRIPT", "FLUSH"]).unwrap();
    }
    assert_eq!(store.read("key".into()).unwrap().revision, seen);
}

fn clients_that_are_killed_come_back(open: Open) {
    let server = RedisServer::new();
    let (store, watching) = (open(&server.url()), open(&server.url()));
    let heard = watch(&watching, "key");
    let over = AtomicBool::new(false);
    let last = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                server.kill_clients();
                thread::sleep(Duration::from_millis(5));
            }
        });
        let mut last = Revision::NEVER;
        for _ in 0..50 {
            // Whether a put that was cut off has happened is not known.
            let value = Bytes::from("value");
            match store.put("key".into(), value, None, Revision::new(u64::MAX)) {
                Ok(oneflight_store::PutOutcome::Written(revision)) => {
                    assert!(revision > last);
                    last = revision;
                }
                Err(StoreError::Unavailable(_)) => {}
                other => panic!("{other:?}"),
            }
            thread::sleep(Duration::from_millis(2));
        }
        over.store(true, Ordering::SeqCst);
        last
    });
    let revision = until("an answer", || {
        Some(store.read("key".into()).ok()?.revision)
    });
    assert!(revision >= last);
    hears(&heard, revision);
    let later = fill(&store, "key", revision, "later");
    hears(&heard, later);
}

fn is_publish(command: &[Vec<u8>]) -> bool {
    command.iter().any(|word| word == b"the value")
}

fn a_publish_whose_answer_was_cut_off_is_the_same_publish(open: Open) {
    let server = RedisServer::new();
    let proxy = Proxy::to(server.address());
    let store = open(&server.url_at(proxy.address()));
    let token = granted(store.claim(request("key", LONG, Revision::NEVER)));
    let publish = || store.publish(lease("key", token), "key".into(), "the value".into(), None);
    let heard = listen(&store);
    proxy.lose_answer(Lost::Cut, is_publish);
    let revision = published(publish());
    assert_eq!(proxy.lost(), 1);
    assert_eq!(published(publish()), revision);
    let told = |changes: &[Change]| {
        let is_it = |change: &Change| matches!(change, Change::Moved { .. } | Change::Connected);
        changes.iter().any(is_it).then_some(())
    };
    heard.until("the stream to be back", told);
}

fn a_gap_becomes_a_snapshot(open: Open) {
    let server = RedisServer::new();
    let proxy = Proxy::to(server.address());
    let (store, other) = (open(&server.url_at(proxy.address())), open(&server.url()));
    let changes = listen(&store);
    changes.until("the stream", |changes| (!changes.is_empty()).then_some(()));
    let heard = watch(&store, "key");
    let first = fill(&other, "key", Revision::NEVER, "first");
    hears(&heard, first);
    changes.until("the change", |changes| (changes.len() >= 2).then_some(()));

    proxy.refuse();
    changes.until("the gap", |changes| {
        matches!(
            changes.last(),
            Some(Change::Gap(StoreError::Unavailable(_)))
        )
        .then_some(())
    });
    let missed = fill(&other, "key", first, "missed");
    proxy.heal();
    hears(&heard, missed);
    changes.until("the stream to be back", |changes| {
        (changes.last() == Some(&Change::Connected)).then_some(())
    });
    let heard_again = fill(&other, "key", missed, "heard");
    hears(&heard, heard_again);
    let ended = |event: &WatchEvent| matches!(event, WatchEvent::Ended(_));
    assert!(!heard.events().iter().any(ended));
}

fn tokens_grow_whatever_is_lost(open: Open) {
    let mut server = RedisServer::new();
    let store = open(&server.url());
    let claim = || {
        until("a claim", || {
            match store.claim(request("key", LONG, Revision::NEVER)) {
                Err(StoreError::Unavailable(_)) => None,
                claim => Some(granted(claim)),
            }
        })
    };
    let first = claim();
    server.command::<()>(&["FLUSHALL"]).unwrap();
    let second = claim();
    assert!(second > first);
    let fenced = store.publish(lease("key", first), "key".into(), "old".into(), None);
    assert_eq!(fenced, Ok(oneflight_store::Publication::Fenced));
    // As an eviction would take it.
    let removed: u64 = server.command(&["DEL", "oneflight:lock:{p:key}"]).unwrap();
    assert_eq!(removed, 1);
    let third = claim();
    assert!(third > second);
    server.restart();
    let fourth = claim();
    assert!(fourth > third);
    assert_eq!(store.renew(lease("key", third), LONG), Ok(Renewal::Lost));
}

fn a_wrong_password_is_refused_and_not_shown(open: Open) {
    let server = Config::new().password("right").start();
    let url = format!("redis://:sesame@{}/", server.address());
    let store = open(&url);
    let error = store.read("key".into()).unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    let none = open(&format!("redis://{}/", server.address()));
    let nobody = none.read("key".into()).unwrap_err();
    assert!(matches!(nobody, StoreError::Refused(_)), "{nobody}");
    for told in [error.to_string(), format!("{error:?}"), nobody.to_string()] {
        assert!(!told.contains("sesame"), "{told}");
        assert!(told.contains("another user or password"), "{told}");
        assert!(told.contains(&server.address().to_string()), "{told}");
    }
}

fn a_user_without_scripts_is_refused(open: Open) {
    let config = Config::new().user("limited on >sesame ~* &* +@all -evalsha -eval");
    let server = config.start();
    let store = open(&format!("redis://limited:sesame@{}/", server.address()));
    let error = store.read("key".into()).unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    let told = error.to_string();
    assert!(
        told.contains("access list") && !told.contains("sesame"),
        "{told}"
    );
}

fn what_the_docs_permit_is_enough(open: Open) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/redis.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rules) = page.split_once("ACL SETUSER ").unwrap();
    let (rules, _) = rules.split_once("```").unwrap();
    let rules: Vec<&str> = rules.split_whitespace().collect();
    let server = Config::new().user(&rules.join(" ")).start();
    let store = open(&format!("redis://oneflight:PASSWORD@{}/", server.address()));
    let (heard, changes) = (watch(&store, "key"), listen(&store));
    let seen = fill(&store, "key", Revision::NEVER, "value");
    hears(&heard, seen);
    changes.until("the stream", |changes| (!changes.is_empty()).then_some(()));
    let token = granted(store.claim(request("key", LONG, seen)));
    assert_eq!(store.renew(lease("key", token), LONG), Ok(Renewal::Renewed));
    store.release(lease("key", token)).unwrap();
    let retain = Some(LONG);
    store.put("key".into(), "put".into(), retain, seen).unwrap();
    assert_eq!(store.list().unwrap().len(), 1);
    let revision = store.forget("key".into(), "_dust:sf/key".into()).unwrap();
    hears(&heard, revision);
}

fn a_user_without_channels_is_told_so(open: Open) {
    let config = Config::new().user("limited on >sesame ~* resetchannels +@all");
    let server = config.start();
    let store = open(&format!("redis://limited:sesame@{}/", server.address()));
    let heard = watch(&store, "key");
    let refused = |events: &[WatchEvent]| match events.last()? {
        WatchEvent::Ended(StoreError::Refused(why)) => Some(why.to_string()),
        other => panic!("{other:?}"),
    };
    let why = heard.until("the end", refused);
    assert!(why.contains("access list"), "{why}");
    store.read("key".into()).unwrap();
}

fn a_replica_is_no_place_to_write(open: Open) {
    let primary = RedisServer::new();
    let replica = Config::new().replica_of(&primary).start();
    let store = open(&replica.url());
    until("the replica", || store.read("key".into()).ok());
    let error = store
        .claim(request("key", LONG, Revision::NEVER))
        .unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(error.to_string().contains("read-only replica"), "{error}");
    replica.command::<()>(&["REPLICAOF", "NO", "ONE"]).unwrap();
    until("the promotion", || {
        store.claim(request("key", LONG, Revision::NEVER)).ok()
    });
}

fn a_full_server_refuses(open: Open) {
    let server = Config::new().max_memory(3_000_000).start();
    let store = open(&server.url());
    let seen = fill(&store, "small", Revision::NEVER, "value");
    let filled = (0..200).find_map(|number| {
        let (key, value) = (format!("{number}"), Bytes::from(vec![0; 100_000]));
        store.put(key.into(), value, None, Revision::NEVER).err()
    });
    let error = filled.unwrap();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    assert!(error.to_string().contains("maxmemory"), "{error}");
    // What is there is still there.
    assert_eq!(store.read("small".into()).unwrap().revision, seen);
    let claim = store
        .claim(request("small", LONG, Revision::NEVER))
        .unwrap();
    assert!(matches!(claim, Claim::Newer { .. }), "{claim:?}");
}

fn what_others_have_written_is_left_alone(open: Open) {
    let server = RedisServer::new();
    let store = open(&server.url());
    let places = ["oneflight:value:{p:key}", "oneflight:lock:{p:key}"];
    for place in places {
        let foreign: [&[&str]; 3] = [
            &["SET", place, "text"],
            &["HSET", place, "field", "text"],
            &["HSET", place, "r", "x", "t", "-1"],
        ];
        for write in foreign {
            server.command::<()>(write).unwrap();
            let before: Vec<u8> = server.command(&["DUMP", place]).unwrap();
            let claim = store.claim(request("key", LONG, Revision::NEVER));
            let forget = store.forget("key".into(), "_dust:sf/key".into());
            for error in [claim.unwrap_err(), forget.unwrap_err()] {
                let StoreError::Malformed { key, reason } = error else {
                    panic!("{error}");
                };
                assert_eq!(&*key, "key");
                assert!(reason.contains(place), "{reason}");
            }
            assert_eq!(store.list().unwrap(), vec![]);
            let after: Vec<u8> = server.command(&["DUMP", place]).unwrap();
            assert_eq!(before, after);
            server.command::<()>(&["DEL", place]).unwrap();
        }
    }
}

fn a_server_that_falls_silent_is_given_up(open: Open) {
    let server = RedisServer::new();
    let proxy = Proxy::to(server.address());
    let store = open(&server.url_at(proxy.address()));
    store.read("key".into()).unwrap();
    proxy.hold(Direction::ToClient);
    let since = Instant::now();
    let error = store.read("key".into()).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(since.elapsed() < Duration::from_secs(60));
    proxy.heal();
    until("an answer", || store.read("key".into()).ok());
}

fn a_dead_server_is_unavailable_until_it_is_back(open: Open) {
    let mut server = RedisServer::new();
    let store = open(&server.url());
    let changes = listen(&store);
    changes.until("the stream", |changes| (!changes.is_empty()).then_some(()));
    server.kill();
    let error = store.read("key".into()).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    server.restart();
    until("an answer", || store.read("key".into()).ok());
    changes.until("the stream to be back", |changes| {
        (changes.last() == Some(&Change::Connected)).then_some(())
    });
}

/// Who waits for another's fill is to learn of it long before that one's lease lapses.
fn a_watch_of_a_dead_server_ends(open: Open) {
    let mut server = RedisServer::new();
    let store = open(&server.url());
    let heard = watch(&store, "key");
    let revision = fill(&store, "key", Revision::NEVER, "value");
    hears(&heard, revision);
    server.kill();
    heard.until("the end of the watch", |events| {
        matches!(
            events.last(),
            Some(WatchEvent::Ended(StoreError::Unavailable(_)))
        )
        .then_some(())
    });
    server.restart();
    until("an answer", || store.read("key".into()).ok());
    let heard = watch(&store, "key");
    let revision = fill(&store, "key", revision, "again");
    hears(&heard, revision);
}

/// Who is patient still hears of what comes after the outage, who is not is told of the outage.
fn a_watch_lasts_as_long_as_its_watcher_is_patient(open: Open) {
    let mut server = RedisServer::new();
    let store = open(&server.url());
    let [patient, hasty] = [LONG, Duration::from_millis(200)]
        .map(|patience| common::watch_for(&store, "key", patience));
    let has_ended = |events: &[WatchEvent]| {
        let ended = |event: &WatchEvent| matches!(event, WatchEvent::Ended(_));
        events.iter().any(ended).then_some(())
    };
    let revision = fill(&store, "key", Revision::NEVER, "value");
    server.kill();
    hasty.until("the end", has_ended);
    server.restart();
    until("an answer", || store.read("key".into()).ok());
    let revision = fill(&store, "key", revision, "again");
    hears(&patient, revision);
    assert_eq!(has_ended(&patient.events()), None);
}

fn nothing_is_left_of_a_store(open: Open) {
    let server = RedisServer::new();
    let store = open(&server.url());
    let heard = watch(&store, "key");
    let changes = listen(&store);
    let revision = fill(&store, "key", Revision::NEVER, "value");
    hears(&heard, revision);
    assert!(!server.clients().is_empty());
    drop((heard, changes));
    drop(store);
    until("the end of all connections", || {
        server.clients().is_empty().then_some(())
    });
}

/// As a cluster would have it; here its refusal is only looked at.
fn two_locks_in_one_slot_are_asked_for(open: Open) {
    let server = Config::new().line("cluster-enabled yes").start();
    let slots: Vec<String> = (0..16384).map(|slot| slot.to_string()).collect();
    let mut add = vec!["CLUSTER", "ADDSLOTS"];
    add.extend(slots.iter().map(String::as_str));
    server.command::<()>(&add).unwrap();
    let store = open(&server.url());
    until("the cluster", || store.read("key".into()).ok());
    // A key and its default lock are in one slot, whatever the key.
    for key in ["key", "", "}", "{", "{}", "{a}b", "a}b{c}"] {
        fill(&store, key, Revision::NEVER, "value");
    }
    let mut apart = request("key", LONG, Revision::NEVER);
    apart.key = "other".into();
    let error = store.claim(apart).unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    for told in ["{p:other}", "{p:key}", "same tag in braces"] {
        assert!(error.to_string().contains(told), "{error}");
    }
    let mut together = request("{a}:key", LONG, Revision::NEVER);
    together.lock = "{a}:lock".into();
    granted(store.claim(together));
}
