//! A primary that sentinels name, in both flavours.

#![cfg(all(feature = "tokio", feature = "blocking"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod common;

use std::time::{Duration, Instant};

use common::{LONG, Opened, fill, granted, hears, lease, published, request, watch};
use oneflight_store::{Bytes, Revision, StoreError, WatchEvent, Watcher, default_lock};
use oneflight_test_servers::time::until;
use oneflight_test_servers::{Config, RedisServer};

type Open = fn(&str) -> Opened;

both! {
    the_primary_is_found
    a_promoted_replica_is_found
    a_patient_watch_goes_on_at_the_promoted_replica
    a_replica_that_is_named_is_passed_over
    a_name_that_nobody_knows_is_refused
    a_password_for_sentinels_is_theirs
    no_sentinel_at_all_is_unavailable
}

/// A primary, a replica that has all of it, and who watches over them.
struct Watched {
    primary: RedisServer,
    replica: RedisServer,
    sentinel: RedisServer,
}

impl Watched {
    fn new() -> Self {
        let primary = RedisServer::new();
        let replica = Config::new().replica_of(&primary).start();
        until("a replica that is in step", || {
            let info = replica.command::<String>(&["INFO", "replication"]).unwrap();
            info.contains("master_link_status:up").then_some(())
        });
        let sentinel = Config::new().sentinel_of(&primary, "main").start();
        until("a sentinel that knows both", || {
            let replicas = sentinel.command::<redis::Value>(&["SENTINEL", "REPLICAS", "main"]);
            let port = replica.address().port().to_string();
            format!("{replicas:?}").contains(&port).then_some(())
        });
        Self {
            primary,
            replica,
            sentinel,
        }
    }

    /// Among the sentinels is one that is dead.
    fn url(&self) -> String {
        let sentinel = self.sentinel.address();
        format!("redis-sentinel://127.0.0.1:1/0?node={sentinel}&sentinelServiceName=main")
    }
}

fn the_primary_is_found(open: Open) {
    let watched = Watched::new();
    let store = open(&watched.url());
    let revision = fill(&store, "key", Revision::NEVER, "value");
    // Where the primary is, not where it is copied to.
    assert!(!watched.primary.clients().is_empty());
    assert!(watched.replica.clients().is_empty());
    assert_eq!(store.read("key".into()).unwrap().revision, revision);
}

fn a_promoted_replica_is_found(open: Open) {
    let mut watched = Watched::new();
    let store = open(&watched.url());
    let token = granted(store.claim(request("key", LONG, Revision::NEVER)));
    watched.primary.command::<u64>(&["WAIT", "1", "0"]).unwrap();
    watched.primary.kill();
    // The lease has come along, and so has its token.
    let revision = until("the promoted replica", || {
        let value = Bytes::from("value");
        let publication = store.publish(lease("key", token), "key".into(), value, None);
        match publication {
            Err(StoreError::Unavailable(_)) => None,
            other => Some(published(other)),
        }
    });
    let later = granted(store.claim(request("key", LONG, revision)));
    assert!(later > token);
    assert!(!watched.replica.clients().is_empty());
}

fn a_patient_watch_goes_on_at_the_promoted_replica(open: Open) {
    struct Patient(std::sync::mpsc::Sender<WatchEvent>);
    impl Watcher for Patient {
        fn notify(&self, event: WatchEvent) {
            drop(self.0.send(event));
        }
        fn patience(&self) -> Duration {
            LONG
        }
    }
    let mut watched = Watched::new();
    let store = open(&watched.url());
    let (tell, told) = std::sync::mpsc::channel();
    let lock = default_lock("key").into();
    let watch = store.watch("key".into(), lock, std::sync::Arc::new(Patient(tell)));
    let first = fill(&store, "key", Revision::NEVER, "value");
    watched.primary.command::<u64>(&["WAIT", "1", "0"]).unwrap();
    watched.primary.kill();
    until("the promoted replica", || store.read("key".into()).ok());
    // Another one publishes, and only the push tells of it.
    let other = open(&watched.url());
    let second = until("a publish", || {
        let claim = other.claim(request("key", LONG, first));
        let token = claim.is_ok().then(|| granted(claim))?;
        let value = Bytes::from("again");
        let publication = other.publish(lease("key", token), "key".into(), value, None);
        Some(published(publication))
    });
    loop {
        match told.recv_timeout(Duration::from_secs(20)).unwrap() {
            WatchEvent::Key(key) if key.revision == second => break,
            WatchEvent::Ended(error) => panic!("{error}"),
            WatchEvent::Key(_) | WatchEvent::Lock(_) => {}
        }
    }
    drop(watch);
}

/// As by a sentinel that was cut off.
fn a_replica_that_is_named_is_passed_over(open: Open) {
    let watched = Watched::new();
    let store = open(&watched.url());
    fill(&store, "key", Revision::NEVER, "value");
    // The other way round, behind the sentinel's back: it would take its time to undo that.
    let address = watched.replica.address();
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    watched.sentinel.pause();
    watched
        .replica
        .command::<()>(&["REPLICAOF", "NO", "ONE"])
        .unwrap();
    watched
        .primary
        .command::<()>(&["REPLICAOF", &host, &port])
        .unwrap();
    watched.sentinel.resume();
    until("an end of that", || {
        match store.claim(request("other", LONG, Revision::NEVER)) {
            Err(StoreError::Unavailable(_)) => None,
            other => Some(granted(other)),
        }
    });
}

fn a_name_that_nobody_knows_is_refused(open: Open) {
    let watched = Watched::new();
    let url = watched.url().replace("=main", "=mian");
    // One of them is dead, and might know it.
    let error = open(&url).read("key".into()).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(
        error.to_string().contains("no primary of this name"),
        "{error}"
    );
    assert!(error.to_string().contains("127.0.0.1:1:"), "{error}");
    let living = format!("{}/0", watched.sentinel.address());
    let url = format!("redis-sentinel://{living}?sentinelServiceName=mian");
    let error = open(&url).read("key".into()).unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    assert!(error.to_string().contains("mian"), "{error}");
}

fn a_password_for_sentinels_is_theirs(open: Open) {
    let primary = RedisServer::new();
    let sentinel = Config::new()
        .password("sesame")
        .sentinel_of(&primary, "main")
        .start();
    let address = sentinel.address();
    let url = format!("redis-sentinel://{address}/0?sentinelServiceName=main&sentinelPassword=");
    fill(
        &open(&format!("{url}sesame")),
        "key",
        Revision::NEVER,
        "value",
    );
    let error = open(&format!("{url}secret"))
        .read("key".into())
        .unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

fn no_sentinel_at_all_is_unavailable(open: Open) {
    let mut watched = Watched::new();
    let store = open(&watched.url());
    let heard = watch(&store, "key");
    let revision = fill(&store, "key", Revision::NEVER, "value");
    hears(&heard, revision);
    watched.sentinel.kill();
    // Whoever is connected does without them.
    let revision = fill(&store, "key", revision, "again");
    hears(&heard, revision);
    let late = open(&watched.url());
    let since = Instant::now();
    let error = late.read("key".into()).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(error.to_string().contains("main"), "{error}");
    assert!(since.elapsed() < Duration::from_secs(5));
}
