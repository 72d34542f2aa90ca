//! What a fleet costs a server: counted on the way to it.

#![cfg(all(feature = "tokio", feature = "blocking"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod common;

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use common::{LONG, Opened, fill, granted, lease, listen, request, watch};
use oneflight_redis::RedisStore;
use oneflight_store::{Revision, Store, WatchEvent};
use oneflight_test_servers::time::{BOUND, until};
use oneflight_test_servers::{Proxy, RedisServer};
use oneflight_tokio::{Landing, SingleFlight, Source};
use tokio::sync::oneshot;

/// One process, and what it sends.
struct Process {
    proxy: Proxy,
    flights: SingleFlight,
}

impl Process {
    /// It is connected, and has sent nothing since.
    async fn new(server: &RedisServer) -> Self {
        let proxy = Proxy::to(server.address());
        let store = RedisStore::open(server.url_at(proxy.address())).unwrap();
        store.read("".into()).await.unwrap();
        proxy.count_anew();
        let flights = SingleFlight::new(store);
        Self { proxy, flights }
    }

    /// What it has sent, and in how many trips.
    fn sent(&self) -> (Vec<(String, u64)>, u64) {
        let traffic = self.proxy.traffic();
        (traffic.commands.into_iter().collect(), traffic.trips)
    }

    async fn run(&self, value: &str) -> Landing<String> {
        let call = self.flights.key("key").lease_ttl(LONG).wait_timeout(LONG);
        let landing = call.run(|_| async { Ok::<_, String>(value.to_owned()) });
        landing.await.unwrap()
    }
}

fn commands(sent: &[(&str, u64)]) -> Vec<(String, u64)> {
    let sent = sent
        .iter()
        .map(|(name, count)| (String::from(*name), *count));
    sent.collect()
}

/// The server knows the scripts already.
fn warm(server: &RedisServer) {
    let store = common::blocking(&server.url());
    let seen = fill(&store, "warm", Revision::NEVER, "value");
    granted(store.claim(request("warm", LONG, seen)));
}

/// On one thread, where what is sent together cannot be torn apart.
#[tokio::test(flavor = "current_thread")]
async fn a_winner_makes_two_trips_and_a_loser_one() {
    let server = RedisServer::new();
    warm(&server);
    let (winner, loser) = (Process::new(&server).await, Process::new(&server).await);
    let late = Process::new(&server).await;
    let (filling, is_filling) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let winning = {
        let (mut filling, mut ended) = (Some(filling), Some(ended));
        let call = winner.flights.key("key").lease_ttl(LONG);
        async move {
            let landing = call.run(|_| {
                filling.take().unwrap().send(()).unwrap();
                let ended = ended.take().unwrap();
                async move { Ok::<_, String>(ended.await.unwrap()) }
            });
            landing.await.unwrap()
        }
    };
    let others = async {
        is_filling.await.unwrap();
        let waiting = futures_util::future::join_all((0..10).map(|_| loser.run("never")));
        let end = async {
            while loser.proxy.traffic().sent(&["EVALSHA"]) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // The loser has its answer, and watches.
            while loser.proxy.traffic().answers < 3 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            end.send("value".to_owned()).unwrap();
        };
        tokio::join!(waiting, end).0
    };
    let (landing, others) = tokio::join!(winning, others);
    assert_eq!(landing.source, Source::Computed);
    for landing in others {
        assert_eq!(
            (&**landing.value, landing.source),
            ("value", Source::Awaited)
        );
    }
    let subscribed_and = |scripts| commands(&[("EVALSHA", scripts), ("SUBSCRIBE", 1)]);
    assert_eq!(winner.sent(), (subscribed_and(2), 2));
    // Ten callers, and one of them asked.
    assert_eq!(loser.sent(), (subscribed_and(1), 1));
    assert!(loser.proxy.traffic().pushes > 0);

    // Whoever has the value does not ask for it, and who comes late asks once.
    assert_eq!(loser.run("never").await.source, Source::Cached);
    assert_eq!(loser.sent(), (subscribed_and(1), 1));
    assert_eq!(late.run("never").await.source, Source::Cached);
    assert_eq!(late.sent(), (subscribed_and(1), 1));
}

/// A process of threads, and what it sends.
struct Threads {
    proxy: Proxy,
    flights: oneflight_blocking::SingleFlight,
}

impl Threads {
    /// It is connected and hears of changes, and has sent nothing since.
    fn new(server: &RedisServer) -> Self {
        let proxy = Proxy::to(server.address());
        let url = server.url_at(proxy.address());
        let store = oneflight_redis::blocking::RedisStore::open(url).unwrap();
        let opened: Opened = Arc::new(store.clone());
        let heard = listen(&opened);
        heard.until("the stream", |changes| (!changes.is_empty()).then_some(()));
        let flights = oneflight_blocking::SingleFlight::new(store);
        proxy.count_anew();
        // From here on the driver hears of changes itself.
        flights.key("").get::<String>().unwrap();
        drop((heard, opened));
        proxy.count_anew();
        Self { proxy, flights }
    }

    fn sent(&self) -> (Vec<(String, u64)>, u64) {
        let traffic = self.proxy.traffic();
        (traffic.commands.into_iter().collect(), traffic.trips)
    }

    fn run(&self, fill: impl Fn() -> String) -> (String, Source) {
        let call = self.flights.key("key").lease_ttl(LONG).wait_timeout(LONG);
        let landing = call.run(|_| Ok::<_, String>(fill())).unwrap();
        ((*landing.value).clone(), landing.source)
    }
}

#[test]
fn a_winner_among_threads_makes_two_trips_and_a_loser_one() {
    let server = RedisServer::new();
    warm(&server);
    let (winner, loser) = (Threads::new(&server), Threads::new(&server));
    let late = Threads::new(&server);
    let never = || panic!("a second fill");
    let (filling, is_filling) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    thread::scope(|scope| {
        let winner = &winner;
        let winning = scope.spawn(move || {
            winner.run(|| {
                filling.send(()).unwrap();
                ended.recv().unwrap()
            })
        });
        is_filling.recv().unwrap();
        let waiting: Vec<_> = (0..10).map(|_| scope.spawn(|| loser.run(never))).collect();
        until("the loser's answer", || {
            (loser.proxy.traffic().answers >= 2).then_some(())
        });
        end.send("value".to_owned()).unwrap();
        let value = "value".to_owned();
        assert_eq!(winning.join().unwrap(), (value.clone(), Source::Computed));
        for waiting in waiting {
            // Who comes after the push finds the copy.
            let (got, source) = waiting.join().unwrap();
            assert_eq!(got, value);
            assert!(matches!(source, Source::Awaited | Source::Cached));
        }
    });
    let subscribed_and = |scripts| commands(&[("EVALSHA", scripts), ("SUBSCRIBE", 1)]);
    assert_eq!(winner.sent(), (subscribed_and(2), 2));
    // Ten callers, and one of them asked.
    assert_eq!(loser.sent(), (subscribed_and(1), 1));
    assert!(loser.proxy.traffic().pushes > 0);

    // Whoever has the value does not ask for it, and who comes late asks once.
    assert_eq!(loser.run(never).1, Source::Cached);
    assert_eq!(loser.sent(), (subscribed_and(1), 1));
    assert_eq!(late.run(never).1, Source::Cached);
    assert_eq!(late.sent(), (subscribed_and(1), 1));
    // What lingers a moment is no second connection.
    assert_eq!(server.clients().len(), 3);
}

async fn a_hundred_renewals<S: Store>(open: impl Fn(String) -> S) {
    let server = RedisServer::new();
    warm(&server);
    let proxy = Proxy::to(server.address());
    let store = open(server.url_at(proxy.address()));
    let keys: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let claims = keys
        .iter()
        .map(|key| store.claim(request(key, LONG, Revision::NEVER)));
    let claims = futures_util::future::join_all(claims).await;
    let tokens: Vec<_> = claims.into_iter().map(granted).collect();
    let renew = |ttl| {
        let leases = keys.iter().zip(&tokens);
        let renewals = leases.map(|(key, token)| store.renew(lease(key, *token), ttl));
        futures_util::future::join_all(renewals)
    };
    renew(LONG).await;
    proxy.count_anew();
    // All are under way before the first is answered.
    server.pause();
    let all_are_sent = async {
        while proxy.traffic().sent(&["EVALSHA"]) < 100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.resume();
    };
    let renewed = futures_util::future::join(renew(LONG), all_are_sent);
    tokio::time::timeout(BOUND, renewed).await.unwrap();
    let traffic = proxy.traffic();
    assert_eq!(traffic.sent(&["EVALSHA"]), 100);
    assert_eq!(traffic.trips, 1, "{traffic:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn renewals_travel_together() {
    a_hundred_renewals(|url| RedisStore::open(url).unwrap()).await;
}

/// Whoever makes them, it is another thread that writes.
#[tokio::test(flavor = "current_thread")]
async fn renewals_of_threads_travel_together() {
    a_hundred_renewals(|url| oneflight_redis::blocking::RedisStore::open(url).unwrap()).await;
}

/// Nobody waits for another's answer.
#[test]
fn callers_that_block_share_a_trip() {
    let server = RedisServer::new();
    warm(&server);
    let proxy = Proxy::to(server.address());
    let store = common::blocking(&server.url_at(proxy.address()));
    store.read("".into()).unwrap();
    proxy.count_anew();
    // All are under way before the first is answered.
    server.pause();
    thread::scope(|scope| {
        for number in 0..20 {
            let store = &store;
            scope.spawn(move || store.read(number.to_string().into()).unwrap());
        }
        until("all questions", || {
            (proxy.traffic().sent(&["EVALSHA"]) == 20).then_some(())
        });
        server.resume();
    });
    assert_eq!(proxy.traffic().trips, 1);
    assert_eq!(server.clients().len(), 1);
}

both! {
    a_thousand_watches_are_one_connection
    idle_channels_are_given_back_together
}

fn a_thousand_watches_are_one_connection(open: fn(&str) -> Opened) {
    let server = RedisServer::new();
    let store = open(&server.url());
    let keys: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    let heard: Vec<_> = keys.iter().map(|key| watch(&store, key)).collect();
    let has_both = |events: &[WatchEvent]| (events.len() >= 2).then_some(());
    for heard in &heard {
        heard.until("the snapshot", has_both);
    }
    assert_eq!(server.clients().len(), 1);
    for (key, heard) in keys.iter().zip(&heard).step_by(100) {
        let revision = fill(&store, key, Revision::NEVER, "value");
        common::hears(heard, revision);
    }
    assert_eq!(server.clients().len(), 1);
}

/// What nobody watches any more is given back, in one go.
fn idle_channels_are_given_back_together(open: fn(&str) -> Opened) {
    let server = RedisServer::new();
    let proxy = Proxy::to(server.address());
    let store = open(&server.url_at(proxy.address()));
    let channels = || {
        server
            .command::<Vec<String>>(&["PUBSUB", "CHANNELS"])
            .unwrap()
    };
    let keys: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    let watches: Vec<_> = keys.iter().map(|key| watch(&store, key)).collect();
    until("the channels", || (channels().len() == 50).then_some(()));
    let kept = watch(&store, "kept");
    until("one more", || (channels().len() == 51).then_some(()));
    drop(watches);
    until("their end", || {
        (channels() == ["oneflight:0:key:kept"]).then_some(())
    });
    // In two goes, if a tick came between the drops.
    assert!(proxy.traffic().sent(&["UNSUBSCRIBE"]) <= 2);
    let revision = fill(&store, "kept", Revision::NEVER, "value");
    common::hears(&kept, revision);
    // What was given back is asked for again.
    let again = watch(&store, "0");
    let revision = fill(&store, "0", Revision::NEVER, "value");
    common::hears(&again, revision);
}

/// A value that is too large to travel with its message is read.
#[test]
fn a_large_value_is_read() {
    let server = RedisServer::new();
    for open in [common::waited, common::blocking] {
        server.command::<()>(&["FLUSHALL"]).unwrap();
        let store: Opened = open(&server.url());
        let heard = watch(&store, "key");
        let token = granted(store.claim(request("key", LONG, Revision::NEVER)));
        let value = oneflight_store::Bytes::from(vec![7; 100_000]);
        let publication = store.publish(lease("key", token), Arc::from("key"), value.clone(), None);
        common::published(publication);
        heard.until("the value", |events| {
            let told = |event: &WatchEvent| match event {
                WatchEvent::Key(state) => state.entry.as_ref().is_some_and(|e| e.value == value),
                _ => false,
            };
            events.iter().any(told).then_some(())
        });
    }
}
