//! What holds whatever operators permit and servers forget, in both flavours.

#![cfg(all(feature = "tokio", feature = "blocking"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod common;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::{LONG, Opened, fill, granted, hears, lease, listen, published, request, watch};
use oneflight_redis::RedisStore;
use oneflight_store::{
    Change, Claim, LockState, PutOutcome, Renewal, Revision, Store, StoreError, WatchEvent,
    default_lock,
};
use oneflight_test_servers::time::{BOUND, until};
use oneflight_test_servers::{Config, Direction, Proxy, RedisServer};

type Open = fn(&str) -> Opened;

both! {
    what_may_not_be_told_is_not_done
    revisions_grow_though_a_value_was_evicted_during_a_fill
    a_watch_begins_though_all_was_lost
    a_lease_that_has_lapsed_and_is_renewed_is_held
    a_server_that_was_busy_is_heard_again
    who_is_not_let_in_does_not_watch_in_vain
    a_connection_that_was_closed_while_idle_is_made_anew
    a_refusal_that_takes_its_time_is_heard
    a_claim_that_is_repeated_too_late_gives_its_lease_back
}

fn what_may_not_be_told_is_not_done(open: Open) {
    let config = Config::new().user("limited on >sesame ~* resetchannels +@all");
    let server = config.start();
    let store = open(&server.url());
    let silent = open(&format!("redis://limited:sesame@{}/", server.address()));
    let is_refused = |error: StoreError| match error {
        StoreError::Refused(why) => why.to_string(),
        other => panic!("{other}"),
    };
    let lock = || "_dust:sf/key".into();
    let why = is_refused(
        silent
            .claim(request("key", LONG, Revision::NEVER))
            .unwrap_err(),
    );
    granted(store.claim(request("key", LONG, Revision::NEVER)));
    server.command::<()>(&["FLUSHALL"]).unwrap();
    is_refused(silent.forget("key".into(), lock()).unwrap_err());
    let put = silent.put("key".into(), "put".into(), None, Revision::NEVER);
    is_refused(put.unwrap_err());
    let nothing = || store.read("key".into()).unwrap().revision == Revision::NEVER;
    assert!(nothing());

    let token = granted(store.claim(request("key", LONG, Revision::NEVER)));
    let publish = silent.publish(lease("key", token), "key".into(), "value".into(), None);
    is_refused(publish.unwrap_err());
    is_refused(silent.release(lease("key", token)).unwrap_err());
    is_refused(silent.renew(lease("key", token), LONG).unwrap_err());
    assert!(nothing());
    assert_eq!(store.renew(lease("key", token), LONG), Ok(Renewal::Renewed));
    assert!(why.contains("access list"), "{why}");
}

fn revisions_grow_though_a_value_was_evicted_during_a_fill(open: Open) {
    let server = RedisServer::new();
    let store = open(&server.url());
    let token = granted(store.claim(request("key", LONG, Revision::NEVER)));
    let put = store.put("key".into(), "put".into(), None, Revision::NEVER);
    let Ok(PutOutcome::Written(put)) = put else {
        panic!("{put:?}");
    };
    let removed: u64 = server.command(&["DEL", "oneflight:value:{p:key}"]).unwrap();
    assert_eq!(removed, 1);
    let heard = watch(&store, "key");
    let value = store.publish(lease("key", token), "key".into(), "value".into(), None);
    let revision = published(value);
    assert!(revision > put, "{revision:?} after {put:?}");
    hears(&heard, revision);
}

/// The answer to a claim is lost, and before it is made again somebody writes without a lease.
fn a_claim_that_is_repeated_too_late_gives_its_lease_back(open: Open) {
    let server = RedisServer::new();
    let proxy = Proxy::to(server.address());
    let (store, other) = (open(&server.url_at(proxy.address())), open(&server.url()));
    // The scripts are there, so that the first answer is the one to the claim.
    granted(other.claim(request("other", LONG, Revision::NEVER)));
    store.read("key".into()).unwrap();
    thread::scope(|scope| {
        proxy.hold(Direction::ToClient);
        let claiming = scope.spawn(|| store.claim(request("key", LONG, Revision::NEVER)));
        until("the lease", || {
            let held: bool = server.command(&["EXISTS", "oneflight:lock:{p:key}"]).ok()?;
            held.then_some(())
        });
        let put = other.put("key".into(), "put".into(), None, Revision::NEVER);
        put.unwrap();
        proxy.cut();
        proxy.heal();
        let claim = claiming.join().unwrap().unwrap();
        assert!(matches!(claim, Claim::Newer { .. }), "{claim:?}");
    });
    granted(other.claim(request("key", LONG, Revision::new(u64::MAX))));
}

fn a_watch_begins_though_all_was_lost(open: Open) {
    let server = RedisServer::new();
    let store = open(&server.url());
    let heard = watch(&store, "key");
    let revision = fill(&store, "key", Revision::NEVER, "value");
    hears(&heard, revision);
    server.command::<()>(&["FLUSHALL"]).unwrap();
    let again = watch(&store, "key");
    again.until("the snapshot", |events| {
        let is_key = |event: &WatchEvent| matches!(event, WatchEvent::Key(_));
        let is_lock = |event: &WatchEvent| *event == WatchEvent::Lock(LockState::Free);
        (events.iter().any(is_key) && events.iter().any(is_lock)).then_some(())
    });
    let later = fill(&store, "key", revision, "value");
    hears(&again, later);
}

fn a_lease_that_has_lapsed_and_is_renewed_is_held(open: Open) {
    let server = RedisServer::new();
    let (store, other) = (open(&server.url()), open(&server.url()));
    let ttl = Duration::from_millis(1);
    let token = granted(store.claim(request("key", ttl, Revision::NEVER)));
    until("the lapse", || {
        let keys = store.list().unwrap();
        keys.iter()
            .all(|it| it.state == LockState::Free)
            .then_some(())
    });
    // Of another process, which is told by a look.
    let heard = watch(&other, "key");
    let last = |events: &[WatchEvent]| {
        let mut locks = events.iter().rev();
        locks.find_map(|event| match event {
            WatchEvent::Lock(state) => Some(state.clone()),
            WatchEvent::Key(_) | WatchEvent::Ended(_) => None,
        })
    };
    let is_free = |events: &[WatchEvent]| (last(events)? == LockState::Free).then_some(());
    heard.until("a free lock", is_free);
    assert_eq!(store.renew(lease("key", token), LONG), Ok(Renewal::Renewed));
    heard.until("its holder", |events| {
        matches!(last(events)?, LockState::Held { .. }).then_some(())
    });
    store.release(lease("key", token)).unwrap();
    heard.until("a free lock again", is_free);
}

fn a_server_that_was_busy_is_heard_again(open: Open) {
    let server = Config::new().line("lua-time-limit 20").start();
    thread::scope(|scope| {
        scope.spawn(|| server.command::<()>(&["EVAL", "while true do end", "0"]));
        until("the script", || server.command::<()>(&["GET", "a"]).err());
        let store = open(&server.url());
        let changes = listen(&store);
        // It has asked to be told, and was told that the server is busy.
        let heard = watch(&store, "key");
        until("a refusal", || store.read("key".into()).err());
        thread::sleep(Duration::from_secs(1));
        server.command::<()>(&["SCRIPT", "KILL"]).unwrap();
        until("an answer", || store.read("key".into()).ok());
        changes.until("the stream", |changes| {
            (changes.last() == Some(&Change::Connected)).then_some(())
        });
        let revision = fill(&store, "key", Revision::NEVER, "value");
        hears(&heard, revision);
    });
}

fn who_is_not_let_in_does_not_watch_in_vain(open: Open) {
    let server = Config::new().password("right").start();
    let store = open(&format!("redis://:wrong@{}/", server.address()));
    let heard = watch(&store, "key");
    heard.until("the end", |events| {
        matches!(events.last()?, WatchEvent::Ended(StoreError::Refused(_))).then_some(())
    });
}

fn a_connection_that_was_closed_while_idle_is_made_anew(open: Open) {
    let server = RedisServer::new();
    let store = open(&server.url());
    let forget = || store.forget("key".into(), default_lock("key").into());
    let first = forget().unwrap();
    server.kill_clients();
    // What must not be sent twice may have been sent just then.
    let second = until("an answer", || match forget() {
        Err(StoreError::Unavailable(_)) => None,
        answer => Some(answer.unwrap()),
    });
    assert!(second > first);
}

fn a_refusal_that_takes_its_time_is_heard(open: Open) {
    let config = Config::new().user("limited on >sesame ~* resetchannels +@all");
    let server = config.start();
    let proxy = Proxy::to(server.address());
    proxy.delay(Direction::ToClient, Duration::from_millis(700));
    let store = open(&format!("redis://limited:sesame@{}/", proxy.address()));
    let heard = watch(&store, "key");
    heard.until("the end", |events| {
        matches!(events.last()?, WatchEvent::Ended(StoreError::Refused(_))).then_some(())
    });
}

/// Nobody waits for long, and each new question is no reason to trust the connection anew.
async fn a_dead_connection_is_given_up<S: Store>(open: impl Fn(String) -> S) {
    let server = RedisServer::new();
    let proxy = Proxy::to(server.address());
    let store = open(server.url_at(proxy.address()));
    store.read("key".into()).await.unwrap();
    proxy.hold(Direction::ToClient);
    let since = tokio::time::Instant::now();
    loop {
        let read = store.read("key".into());
        match tokio::time::timeout(Duration::from_secs(1), read).await {
            Ok(Err(StoreError::Unavailable(_))) => break,
            Ok(answer) => panic!("{answer:?}"),
            Err(_) => assert!(since.elapsed() < Duration::from_secs(30)),
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_dead_connection_is_given_up_however_short_the_patience_of_its_callers() {
    a_dead_connection_is_given_up(|url| RedisStore::open(url).unwrap()).await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_dead_connection_of_threads_is_given_up_however_short_the_patience_of_its_callers() {
    a_dead_connection_is_given_up(|url| oneflight_redis::blocking::RedisStore::open(url).unwrap())
        .await;
}

/// The answer is there when the thread has time to look at it.
#[tokio::test(flavor = "current_thread")]
async fn a_thread_that_was_busy_does_not_take_its_answers_for_missing() {
    let server = RedisServer::new();
    let proxy = Proxy::to(server.address());
    let store = RedisStore::open(server.url_at(proxy.address())).unwrap();
    store.read("key".into()).await.unwrap();
    let connection = server.clients();
    proxy.delay(Direction::ToClient, Duration::from_millis(300));
    let read = tokio::spawn(store.read("key".into()));
    tokio::time::sleep(Duration::from_millis(50)).await;
    thread::sleep(Duration::from_secs(6));
    read.await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    store.read("key".into()).await.unwrap();
    let id = |lines: &[String]| lines[0].split(' ').next().unwrap().to_owned();
    assert_eq!(id(&server.clients()), id(&connection));
}

type Tell = tokio::sync::mpsc::UnboundedSender<(&'static str, String)>;

fn heard<E: std::fmt::Debug>(tell: &Tell, name: &'static str) -> impl Fn(E) + use<E> {
    let tell = tell.clone();
    move |event| drop(tell.send((name, format!("{event:?}"))))
}

/// All that is wanted is asked for with one command, which a server refuses as a whole.
async fn one_forbidden_key_is_silent<S: Store>(open: impl Fn(String) -> S) {
    let channels = "&oneflight:0:changes &oneflight:0:key:mine";
    let rules = format!("limited on >sesame ~* resetchannels {channels} +@all");
    let server = Config::new().user(&rules).start();
    let url = format!("redis://limited:sesame@{}/", server.address());
    let store = open(url);
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let watch = |name: &'static str| {
        let watcher = heard(&tell, name);
        store.watch(name.into(), default_lock(name).into(), Arc::new(watcher))
    };
    let (_mine, _theirs) = (watch("mine"), watch("theirs"));
    let _changes = store.changes(Arc::new(heard(&tell, "changes")));
    let mut missing = vec![
        ("mine", "Key("),
        ("mine", "Lock("),
        ("theirs", "Ended(Refused"),
        ("changes", "Connected"),
    ];
    while !missing.is_empty() {
        let event = tokio::time::timeout(BOUND, told.recv()).await;
        let (name, event) = event.expect("an event").unwrap();
        let before = missing.len();
        missing.retain(|(whose, what)| *whose != name || !event.starts_with(what));
        assert!(missing.len() < before, "{name}: {event}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn one_forbidden_key_does_not_silence_the_others() {
    one_forbidden_key_is_silent(|url| RedisStore::open(url).unwrap()).await;
}

#[tokio::test(flavor = "current_thread")]
async fn one_forbidden_key_does_not_silence_the_others_of_threads() {
    one_forbidden_key_is_silent(|url| oneflight_redis::blocking::RedisStore::open(url).unwrap())
        .await;
}
