//! The threads of the flavour that does without a runtime: they end with the store, and none waits for
//! another. One test, for it counts the threads of its process.

#![cfg(all(feature = "tokio", feature = "blocking"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod common;

use std::fs;

use common::{Opened, fill, hears, listen, watch};
use oneflight_store::{Change, Revision, StoreError};
use oneflight_test_servers::time::until;
use oneflight_test_servers::{Cluster, Direction, Proxy, RedisServer};

/// The names of the store's threads in this process.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| {
        // It may have ended just now.
        let name = fs::read_to_string(task.ok()?.path().join("comm")).ok()?;
        Some(name.trim().to_owned())
    });
    let mut names: Vec<String> = names
        .filter(|name| name.starts_with("oneflight-"))
        .collect();
    names.sort();
    names
}

/// Connected, and used in all ways.
fn used(url: &str) -> Opened {
    let store = common::blocking(url);
    let heard = watch(&store, "key");
    let seen = store.read("key".into()).unwrap().revision;
    let revision = fill(&store, "key", seen, "value");
    hears(&heard, revision);
    store
}

fn ended() {
    until("the end of the threads", || {
        threads().is_empty().then_some(())
    });
}

#[test]
fn threads_end_with_their_store() {
    let mut server = RedisServer::new();
    // Before the first call there are none.
    let store = common::blocking(&server.url());
    assert_eq!(threads(), [""; 0]);
    drop(store);

    // Two, however many ask.
    let store = used(&server.url());
    let changes = listen(&store);
    std::thread::scope(|scope| {
        for number in 0..20 {
            let store = &store;
            scope.spawn(move || store.read(number.to_string().into()).unwrap());
        }
    });
    assert_eq!(threads(), ["oneflight-hear", "oneflight-redis"]);
    // Who hears on is told of the end.
    drop(store);
    ended();
    changes.until("the end", |changes| {
        matches!(
            changes.last(),
            Some(Change::Gap(StoreError::Unavailable(_)))
        )
        .then_some(())
    });
    assert!(server.clients().is_empty());

    // A server that says nothing keeps none of them.
    let proxy = Proxy::to(server.address());
    let store = used(&server.url_at(proxy.address()));
    proxy.hold(Direction::ToClient);
    drop(store);
    ended();
    proxy.heal();

    // Nor does one that is not there, while somebody waits for it.
    let store = used(&server.url());
    let heard = watch(&store, "key");
    server.kill();
    until("the loss", || store.read("key".into()).err());
    // While it tries again, another one looks at the time.
    until("one thread", || {
        (threads() == ["oneflight-redis"]).then_some(())
    });
    drop(store);
    ended();
    drop(heard);

    // One after the other is as good as the first.
    server.restart();
    let store = used(&server.url());
    assert!(store.read("key".into()).unwrap().revision > Revision::NEVER);
    drop(store);
    ended();
    in_a_cluster();
}

fn in_a_cluster() {
    let mut cluster = Cluster::new(2);
    let url = cluster.url();
    let store = common::blocking(&url);
    assert_eq!(threads(), [""; 0]);
    drop(store);

    // Two for each server, and one that asks who keeps what.
    let store = used(&url);
    let changes = listen(&store);
    let stands = |changes: &[Change]| changes.contains(&Change::Connected).then_some(());
    changes.until("the stream", stands);
    let mut all = vec!["oneflight-hear"; 2];
    all.push("oneflight-map");
    all.extend(["oneflight-redis"; 2]);
    // A server that was asked once takes its leave.
    until("those of two servers", || (threads() == all).then_some(()));
    drop(store);
    ended();
    changes.until("the end", |changes| {
        let is_end = |change: &Change| matches!(change, Change::Gap(StoreError::Unavailable(_)));
        changes.last().is_some_and(is_end).then_some(())
    });
    for primary in cluster.primaries() {
        until("no connections", || {
            primary.clients().is_empty().then_some(())
        });
    }
    drop(changes);

    // None is kept by a server that says nothing, by one that is not there, or by who waits for them.
    let store = used(&url);
    let (heard, changes) = (watch(&store, "key"), listen(&store));
    changes.until("the stream", stands);
    cluster.primary(0).kill();
    cluster.primaries()[1].pause();
    let waiting = {
        let store = std::sync::Arc::clone(&store);
        std::thread::spawn(move || store.read("key".into()))
    };
    changes.until("the loss", |changes| {
        let is_gap = |change: &Change| matches!(change, Change::Gap(_));
        changes.last().is_some_and(is_gap).then_some(())
    });
    drop(store);
    // The call has the store live as long as it may take.
    assert!(waiting.join().unwrap().is_err());
    ended();
    drop((heard, changes));
    cluster.primaries()[1].resume();
}
