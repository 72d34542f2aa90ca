//! A server that says nothing any more, though nobody is told that it is gone: who watches learns of it as soon
//! as its patience is over, and nobody else does. In both flavours.

#![cfg(all(feature = "tokio", feature = "blocking"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod common;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use common::{Heard, LONG, Opened, fill, hears, watch_for};
use oneflight_redis::RedisStore;
use oneflight_store::conformance::Waited;
use oneflight_store::{Revision, Store as _, StoreError, WatchEvent};
use oneflight_test_servers::time::until;
use oneflight_test_servers::{Cluster, Config, Direction, Proxy, RedisServer};

type Open = fn(&str) -> Opened;

both! {
    a_connection_that_falls_silent_is_noticed_by_the_impatient
    who_comes_while_nobody_answers_waits_no_longer
    a_connection_that_cannot_be_made_is_noticed_by_the_impatient
    who_waits_for_the_first_connection_waits_no_longer
    who_comes_after_a_long_rest_has_all_its_patience
    only_for_the_impatient_a_server_is_asked_often
    a_server_that_cannot_answer_now_is_noticed_by_the_impatient
    who_watches_while_nobody_reads_waits_no_longer
}

const SHORT: Duration = Duration::from_millis(500);

fn is_told(heard: &Heard<WatchEvent>) {
    heard.until("the snapshot", |events| (events.len() >= 2).then_some(()));
}

fn end(events: &[WatchEvent]) -> Option<&StoreError> {
    events.iter().find_map(|event| match event {
        WatchEvent::Ended(error) => Some(error),
        WatchEvent::Key(_) | WatchEvent::Lock(_) => None,
    })
}

/// A busy machine takes its time, but it is no matter of the time that connections or answers are given.
#[track_caller]
fn ends_soon(heard: &Heard<WatchEvent>, since: Instant, limit: Duration) {
    let error = heard.until("the end", |events| end(events).cloned());
    let took = since.elapsed();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(took < limit, "{error}: after {took:?}");
    assert!(took > SHORT / 3, "{error}: after {took:?}");
}

/// Less than an answer is given.
const OF_ANSWER: Duration = Duration::from_secs(4);
/// Less than a connection is given.
const OF_CONNECTION: Duration = Duration::from_millis(2_500);

/// The number of its connection.
fn connection(server: &RedisServer) -> String {
    let clients = server.clients();
    assert_eq!(clients.len(), 1, "{clients:?}");
    clients[0].split(' ').next().unwrap().to_owned()
}

fn a_connection_that_falls_silent_is_noticed_by_the_impatient(open: Open) {
    let server = RedisServer::new();
    let proxy = Proxy::to(server.address());
    let store = open(&server.url_at(proxy.address()));
    let [patient, hasty] = [LONG, SHORT].map(|patience| watch_for(&store, "key", patience));
    is_told(&patient);
    is_told(&hasty);
    let before = connection(&server);
    proxy.hold(Direction::ToClient);
    ends_soon(&hasty, Instant::now(), OF_ANSWER);
    proxy.heal();
    // Over the same connection.
    assert_eq!(connection(&server), before);
    let other = open(&server.url());
    let revision = fill(&other, "key", Revision::NEVER, "value");
    hears(&patient, revision);
    assert_eq!(end(&patient.events()), None);
}

fn who_comes_while_nobody_answers_waits_no_longer(open: Open) {
    let server = RedisServer::new();
    let store = open(&server.url());
    let patient = watch_for(&store, "key", LONG);
    is_told(&patient);
    // Its connections stand, and new ones are made: by the kernel.
    server.pause();
    let since = Instant::now();
    let hasty = watch_for(&store, "key", SHORT);
    ends_soon(&hasty, since, OF_ANSWER);
    server.resume();
    let revision = fill(&store, "key", Revision::NEVER, "value");
    hears(&patient, revision);
    assert_eq!(end(&patient.events()), None);
}

fn a_connection_that_cannot_be_made_is_noticed_by_the_impatient(open: Open) {
    let server = RedisServer::new();
    let proxy = Proxy::to(server.address());
    let store = open(&server.url_at(proxy.address()));
    let [patient, hasty] = [LONG, SHORT].map(|patience| watch_for(&store, "key", patience));
    is_told(&patient);
    is_told(&hasty);
    proxy.hold(Direction::ToClient);
    let since = Instant::now();
    proxy.cut();
    ends_soon(&hasty, since, OF_CONNECTION);
    let other = open(&server.url());
    let revision = fill(&other, "key", Revision::NEVER, "value");
    proxy.heal();
    hears(&patient, revision);
    assert_eq!(end(&patient.events()), None);
}

fn who_waits_for_the_first_connection_waits_no_longer(open: Open) {
    let server = RedisServer::new();
    let proxy = Proxy::to(server.address());
    proxy.refuse();
    let store = open(&server.url_at(proxy.address()));
    store.read("key".into()).unwrap_err();
    proxy.heal();
    proxy.hold(Direction::ToClient);
    let since = Instant::now();
    let [patient, hasty] = [LONG, SHORT].map(|patience| watch_for(&store, "key", patience));
    ends_soon(&hasty, since, OF_CONNECTION);
    proxy.heal();
    is_told(&patient);
    assert_eq!(end(&patient.events()), None);
}

/// While nobody wanted a connection, nobody was out of reach.
fn who_comes_after_a_long_rest_has_all_its_patience(open: Open) {
    let server = RedisServer::new();
    let proxy = Proxy::to(server.address());
    let store = open(&server.url_at(proxy.address()));
    store.read("key".into()).unwrap();
    proxy.cut();
    until("the loss", || server.clients().is_empty().then_some(()));
    thread::sleep(SHORT);
    proxy.delay(Direction::ToClient, SHORT / 5);
    let hasty = watch_for(&store, "key", SHORT);
    is_told(&hasty);
    assert_eq!(end(&hasty.events()), None);
}

/// A server that answers is not given up, and nobody is asked for nothing.
fn only_for_the_impatient_a_server_is_asked_often(open: Open) {
    let servers = [(); 2].map(|()| RedisServer::new());
    let proxies = servers.each_ref().map(|server| Proxy::to(server.address()));
    let pings = |number: usize| proxies[number].traffic().sent(&["PING"]);
    let store = |number: usize| open(&servers[number].url_at(proxies[number].address()));
    let (calm, busy) = (store(0), store(1));
    let patient = watch_for(&calm, "key", LONG);
    let also_patient = watch_for(&busy, "key", LONG);
    let hasty = watch_for(&busy, "key", SHORT);
    [&patient, &also_patient, &hasty]
        .into_iter()
        .for_each(is_told);
    let before = [0, 1].map(|number| connection(&servers[number]));
    let asked = |more| {
        let enough = pings(1) + more;
        until("questions", || (pings(1) >= enough).then_some(()));
    };
    asked(8);
    assert_eq!(pings(0), 0);
    assert_eq!([0, 1].map(|number| connection(&servers[number])), before);
    assert_eq!(end(&hasty.events()), None);
    // No longer than it watches.
    drop(hasty);
    let hasty = watch_for(&calm, "key", SHORT);
    let last = pings(1);
    until("questions", || (pings(0) >= 8).then_some(()));
    assert!(pings(1) <= last + 2, "{} after {last}", pings(1));
    drop(hasty);
}

/// A value is on its way that no buffer holds.
fn who_watches_while_nobody_reads_waits_no_longer(open: Open) {
    let server = RedisServer::new();
    let store = open(&server.url());
    let [patient, hasty] = [LONG, SHORT].map(|patience| watch_for(&store, "key", patience));
    is_told(&patient);
    is_told(&hasty);
    server.pause();
    thread::scope(|scope| {
        let since = Instant::now();
        let large = vec![b'x'; 12 << 20];
        let put = scope.spawn(|| store.put("large".into(), large.into(), None, Revision::NEVER));
        ends_soon(&hasty, since, OF_ANSWER);
        server.resume();
        put.join().unwrap().unwrap();
    });
    let revision = fill(&store, "key", Revision::NEVER, "value");
    hears(&patient, revision);
    assert_eq!(end(&patient.events()), None);
}

/// Who has asked may not look at the answer: that is no fault of the server.
#[tokio::test(flavor = "current_thread")]
async fn an_answer_that_nobody_takes_is_no_silence() {
    let server = RedisServer::new();
    let store = RedisStore::open(server.url()).unwrap();
    let opened: Opened = Arc::new(Waited::new(store.clone()));
    let hasty = watch_for(&opened, "key", SHORT);
    while hasty.events().len() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut read = pin!(store.read("key".into()));
    let mut nobody = Context::from_waker(Waker::noop());
    assert!(read.as_mut().poll(&mut nobody).is_pending());
    tokio::time::sleep(3 * SHORT).await;
    assert_eq!(end(&hasty.events()), None);
    read.await.unwrap();
}

/// The answer is there when the thread has time to look at it.
#[tokio::test(flavor = "current_thread")]
async fn a_thread_that_was_busy_does_not_take_its_answers_for_missing() {
    let server = RedisServer::new();
    let proxy = Proxy::to(server.address());
    let store = RedisStore::open(server.url_at(proxy.address())).unwrap();
    store.read("key".into()).await.unwrap();
    let opened: Opened = Arc::new(Waited::new(store.clone()));
    let hasty = watch_for(&opened, "key", SHORT);
    while hasty.events().len() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    proxy.delay(Direction::ToClient, SHORT / 5);
    let read = tokio::spawn(store.read("key".into()));
    tokio::time::sleep(SHORT / 20).await;
    thread::sleep(4 * SHORT);
    read.await.unwrap().unwrap();
    // Looked after again, and again.
    tokio::time::sleep(SHORT / 2).await;
    assert_eq!(end(&hasty.events()), None);
}

/// Each server of a cluster is noticed by those who watch its keys.
#[test]
fn a_server_of_a_cluster_that_falls_silent_is_noticed_by_the_impatient() {
    let cluster = Cluster::new(3);
    let store = common::waited(&cluster.url());
    let key_of = |primary: usize| {
        let mut keys = (0..).map(|number| format!("key {number}"));
        let share = |key: &String| cluster.share(cluster.slot(&format!("{{p:{key}}}")));
        keys.find(|key| share(key) == primary).unwrap()
    };
    let (silent, heard) = (key_of(0), key_of(1));
    let [patient, hasty] = [LONG, SHORT].map(|patience| watch_for(&store, &silent, patience));
    let elsewhere = watch_for(&store, &heard, SHORT);
    [&patient, &hasty, &elsewhere].into_iter().for_each(is_told);
    cluster.primaries()[0].pause();
    ends_soon(&hasty, Instant::now(), OF_ANSWER);
    assert_eq!(end(&elsewhere.events()), None);
    let revision = fill(&store, &heard, Revision::NEVER, "value");
    hears(&elsewhere, revision);
    cluster.primaries()[0].resume();
    let revision = until("the server", || {
        let put = store.put(
            silent.as_str().into(),
            "value".into(),
            None,
            Revision::NEVER,
        );
        match put {
            Ok(oneflight_store::PutOutcome::Written(revision)) => Some(revision),
            _ => None,
        }
    });
    hears(&patient, revision);
    assert_eq!(end(&patient.events()), None);
}

/// It is not known whose the key is, and whoever might tell says nothing.
#[test]
fn a_cluster_that_says_nothing_is_noticed_by_the_impatient() {
    let cluster = Cluster::new(3);
    let pause = || cluster.primaries().iter().for_each(RedisServer::pause);
    pause();
    let store = common::waited(&cluster.url());
    let since = Instant::now();
    let [patient, hasty] = [LONG, SHORT].map(|patience| watch_for(&store, "key", patience));
    ends_soon(&hasty, since, OF_CONNECTION);
    cluster.primaries().iter().for_each(RedisServer::resume);
    is_told(&patient);
    assert_eq!(end(&patient.events()), None);
}

/// It is there, and connections to it are made: but what is asked is refused for now.
fn a_server_that_cannot_answer_now_is_noticed_by_the_impatient(open: Open) {
    let server = Config::new().line("lua-time-limit 20").start();
    let store = open(&server.url());
    let patient = watch_for(&store, "key", LONG);
    is_told(&patient);
    thread::scope(|scope| {
        scope.spawn(|| server.command::<()>(&["EVAL", "while true do end", "0"]));
        until("the script", || server.command::<()>(&["GET", "a"]).err());
        let since = Instant::now();
        let hasty = watch_for(&store, "other", SHORT);
        ends_soon(&hasty, since, OF_ANSWER);
        server.command::<()>(&["SCRIPT", "KILL"]).unwrap();
    });
    let other = open(&server.url());
    let revision = fill(&other, "key", Revision::NEVER, "value");
    hears(&patient, revision);
    assert_eq!(end(&patient.events()), None);
}
