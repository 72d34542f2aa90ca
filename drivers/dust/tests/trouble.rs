//! What the store does when something goes wrong.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use common::{address, builder};
use oneflight_dust::DustStore;
use oneflight_store::{
    AttemptId, Change, Claim, ClaimRequest, Entry, Holder, LeaseId, Publication, PutOutcome,
    Renewal, Revision, Store, StoreError, Token, WatchEvent,
};
use oneflight_test_dust::{DustServer, Fate, READ_ONLY, STORE, TOKEN, Which, rate_limited};
use serde_json::json;
use tokio::time::timeout;

const LONG: Duration = Duration::from_secs(300);
/// Longer than anything takes, however busy the machine.
const BOUND: Duration = Duration::from_secs(60);

fn request(key: &str, seen: Revision) -> ClaimRequest {
    static LAST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let number = LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    ClaimRequest {
        key: key.into(),
        lock: oneflight_store::default_lock(key).into(),
        ttl: LONG,
        seen,
        holder: Holder {
            host: "h".into(),
            pid: 1,
            user: "u".into(),
        },
        attempt: AttemptId(u128::from(number)),
    }
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    timeout(BOUND, what)
        .await
        .expect("an answer within the bound")
}

async fn claim(store: &DustStore, key: &str) -> Result<Claim, StoreError> {
    within(store.claim(request(key, Revision::NEVER))).await
}

async fn granted(store: &DustStore, key: &str) -> LeaseId {
    match claim(store, key).await {
        Ok(Claim::Granted { token, .. }) => lease_id(key, token),
        other => panic!("not granted: {other:?}"),
    }
}

fn lease_id(key: &str, token: Token) -> LeaseId {
    LeaseId {
        lock: oneflight_store::default_lock(key).into(),
        token,
    }
}

async fn publish(
    store: &DustStore,
    lease: &LeaseId,
    key: &str,
    value: &'static str,
) -> Result<Publication, StoreError> {
    within(store.publish(
        lease.clone(),
        key.into(),
        Bytes::from_static(value.as_bytes()),
        None,
    ))
    .await
}

async fn entry(store: &DustStore, key: &str) -> Option<Entry> {
    within(store.read(key.into())).await.unwrap().entry
}

/// How many operations of a kind were committed.
fn committed(server: &DustServer, op: &str) -> usize {
    server
        .log(STORE)
        .iter()
        .filter(|entry| entry.op == op)
        .count()
}

fn refused<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(StoreError::Refused(why)) => why.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

fn unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(StoreError::Unavailable(why)) => why.to_string(),
        other => panic!("not unavailable: {other:?}"),
    }
}

#[tokio::test]
async fn a_grant_counts_only_once_the_mirror_has_come_so_far() {
    let server = DustServer::new();
    let (here, there) = (builder(&server).build(), builder(&server).build());
    here.catch_up().await.unwrap();
    server.delay_events(here.device(), Duration::from_millis(50));
    for n in 0..20 {
        let key = format!("k/{n}");
        let lease = granted(&there, &key).await;
        publish(&there, &lease, &key, "1").await.unwrap();
        // The lock is free, and nothing has been told here.
        let path = oneflight_store::default_lock(&key);
        server.until("a free lock", || {
            server.entry(STORE, &path).is_none().then_some(())
        });
        match claim(&here, &key).await.unwrap() {
            Claim::Newer { entry, latest } => {
                assert_eq!(entry.value, "1");
                assert!(latest >= Some(lease.token));
            }
            claim => panic!("{claim:?}"),
        }
        there.catch_up().await.unwrap();
    }
}

#[tokio::test]
async fn what_comes_out_of_order_is_put_in_order() {
    let server = DustServer::new();
    server.reorder(Duration::from_millis(20), 7);
    let stores: Vec<_> = (0..4).map(|_| builder(&server).build()).collect();
    let writers = stores.iter().enumerate().map(|(n, store)| async move {
        for round in 0..20 {
            let key = format!("k/{}", (n + round) % 5);
            match within(store.claim(request(&key, Revision::new(u64::MAX))))
                .await
                .unwrap()
            {
                Claim::Granted { token, .. } => {
                    publish(store, &lease_id(&key, token), &key, "v")
                        .await
                        .unwrap();
                }
                Claim::Held { .. } | Claim::Newer { .. } => {}
            }
        }
    });
    futures_util::future::join_all(writers).await;
    for store in &stores {
        store.catch_up().await.unwrap();
        for n in 0..5 {
            let key = format!("k/{n}");
            let known = entry(store, &key).await.map(|entry| entry.revision.get());
            assert_eq!(
                known,
                server.entry(STORE, &key).map(|entry| entry.seq),
                "{key}"
            );
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_is_found_in_the_past() {
    let server = DustServer::new();
    let store = builder(&server).build();
    server.next(Which::any().op("lease"), Fate::AnswerLost);
    let lease = granted(&store, "k").await;
    assert_eq!(committed(&server, "lease"), 1);
    server.next(Which::any().op("renew"), Fate::AnswerLost);
    let renewal = within(store.renew(lease.clone(), LONG)).await;
    assert_eq!(renewal, Ok(Renewal::Renewed));
    server.next(Which::any().op("set"), Fate::AnswerLost);
    let publication = publish(&store, &lease, "k", "1").await.unwrap();
    let Publication::Published(revision) = publication else {
        panic!("{publication:?}")
    };
    assert_eq!(committed(&server, "set"), 1);
    assert_eq!(entry(&store, "k").await.unwrap().revision, revision);
    server.until("a release", || {
        (committed(&server, "release") == 1).then_some(())
    });
    server.next(Which::any().op("set"), Fate::AnswerLost);
    let put = within(store.put("k".into(), Bytes::from_static(b"2"), None, revision)).await;
    assert!(matches!(put, Ok(PutOutcome::Written(_))), "{put:?}");
    assert_eq!(committed(&server, "set"), 2);
    server.next(Which::any().op("delete"), Fate::AnswerLost);
    within(store.forget("k".into(), lease.lock)).await.unwrap();
    assert_eq!(committed(&server, "delete"), 1);
    assert_eq!(server.fates_left(), 0);
}

#[tokio::test]
async fn what_is_lost_or_not_acknowledged_or_crashes_the_channel_is_done_once() {
    let server = DustServer::new();
    let store = builder(&server).build();
    for (n, fate) in [Fate::Lost, Fate::AckLost, Fate::Crash, Fate::AnswerLost]
        .into_iter()
        .enumerate()
    {
        let key = format!("k/{n}");
        server.next(Which::any().op("lease"), fate.clone());
        let lease = granted(&store, &key).await;
        server.next(Which::any().op("set"), fate);
        publish(&store, &lease, &key, "1").await.unwrap();
        assert_eq!(committed(&server, "lease"), n + 1, "{key}");
        assert_eq!(committed(&server, "set"), n + 1, "{key}");
    }
    assert_eq!(server.fates_left(), 0);
}

#[tokio::test]
async fn a_release_gets_through_a_restart() {
    let server = DustServer::new();
    let store = builder(&server).build();
    let lease = granted(&store, "k").await;
    server.kill();
    let releasing = store.release(lease.clone());
    server.restart();
    within(releasing).await.unwrap();
    assert!(server.entry(STORE, &lease.lock).is_none());
}

#[tokio::test]
async fn a_claim_given_up_leaves_no_lease() {
    let server = DustServer::new();
    let store = builder(&server).build();
    store.catch_up().await.unwrap();
    server.next(Which::any().op("lease"), Fate::Held);
    let mut claiming = store.claim(request("k", Revision::NEVER));
    assert!(futures_util::poll!(&mut claiming).is_pending());
    server.until("a lease", || {
        (committed(&server, "lease") == 1).then_some(())
    });
    drop(claiming);
    server.let_go();
    let lock = oneflight_store::default_lock("k");
    server.until("a free lock", || {
        server.entry(STORE, &lock).is_none().then_some(())
    });
}

#[tokio::test]
async fn what_is_forgotten_does_not_come_back() {
    let server = DustServer::new();
    let (here, there) = (builder(&server).build(), builder(&server).build());
    let lease = granted(&here, "k").await;
    publish(&here, &lease, "k", "old").await.unwrap();
    here.catch_up().await.unwrap();
    let Ok(Claim::Granted { token, .. }) =
        within(here.claim(request("k", Revision::new(u64::MAX)))).await
    else {
        panic!()
    };
    server.delay_events(there.device(), Duration::from_millis(50));
    within(there.forget("k".into(), lease.lock.clone()))
        .await
        .unwrap();
    let publication = publish(&here, &lease_id("k", token), "k", "of the fill before").await;
    assert_eq!(publication, Ok(Publication::Fenced));
    here.catch_up().await.unwrap();
    assert_eq!(entry(&here, "k").await, None);
}

#[tokio::test]
async fn what_is_written_over_http_is_known_to_the_next_claim() {
    let server = DustServer::new();
    let store = builder(&server).build();
    store.catch_up().await.unwrap();
    server
        .http_write(
            STORE,
            &json!({"op": "set", "path": "k", "value": "\"http\"", "client_op_id": "x"}),
        )
        .unwrap();
    let claim = claim(&store, "k").await.unwrap();
    assert!(
        matches!(&claim, Claim::Newer { entry, .. } if entry.value == "\"http\""),
        "{claim:?}"
    );
    let lock = oneflight_store::default_lock("k");
    store.catch_up().await.unwrap();
    assert!(
        server.entry(STORE, &lock).is_none(),
        "the lease was given up"
    );
}

#[tokio::test]
async fn after_a_compaction_all_is_known_that_matters() {
    let server = DustServer::new();
    let store = builder(&server).build();
    let lease = granted(&store, "k").await;
    publish(&store, &lease, "k", "1").await.unwrap();
    let held = granted(&store, "held").await;
    store.catch_up().await.unwrap();
    server.compact(STORE);
    let fresh = builder(&server).build();
    let read = entry(&fresh, "k").await.unwrap();
    assert_eq!(read.value, "1");
    assert_eq!(read.age, Duration::MAX, "nobody knows");
    let claim = within(fresh.claim(request("held", Revision::NEVER)))
        .await
        .unwrap();
    let Claim::Held { token, holder, .. } = claim else {
        panic!("{claim:?}")
    };
    assert_eq!((token, holder.unwrap().user.as_ref()), (held.token, "u"));
    let put = within(fresh.put("k".into(), Bytes::from_static(b"2"), None, read.revision)).await;
    assert!(unavailable(put).contains("snapshot"));
}

#[tokio::test]
async fn a_read_only_token_reads_and_is_told_at_once() {
    let server = DustServer::new();
    server
        .http_write(
            STORE,
            &json!({"op": "set", "path": "k", "value": "1", "client_op_id": "x"}),
        )
        .unwrap();
    let store = DustStore::new(address(&server), READ_ONLY);
    assert!(matches!(claim(&store, "k").await, Ok(Claim::Newer { .. })));
    assert_eq!(entry(&store, "k").await.unwrap().value, "1");
    let told = refused(claim(&store, "other").await);
    assert!(told.contains("entries:write"), "{told}");
    assert_eq!(server.received("write lease"), 0);
}

#[tokio::test]
async fn refusals_are_told_by_name() {
    let server = DustServer::new();
    server.forbid(true);
    let store = DustStore::new(address(&server), TOKEN);
    let told = refused(claim(&store, "k").await);
    assert!(told.contains("403") && told.contains("capver"), "{told}");
    server.forbid(false);
    for (reason, advice) in [
        ("unauthorized", "check ORG/STORE"),
        ("store_not_allowed", "allow the token this store"),
        ("missing_scope", "give the token the scope"),
        ("store_archived", "restore the store"),
        ("limit_exceeded", "larger plan"),
    ] {
        server.refuse_joins(Some(json!({"reason": reason, "message": "as it is"})));
        let store = DustStore::new(address(&server), TOKEN);
        let told = refused(claim(&store, "k").await);
        assert!(told.contains(reason) && told.contains(advice), "{told}");
        server.refuse_joins(None);
        let store = DustStore::new(address(&server), TOKEN);
        server.next(Which::any(), Fate::Refused(json!({"reason": reason})));
        let told = refused(claim(&store, "k").await);
        assert!(told.contains(reason) && told.contains(advice), "{told}");
    }
    let store = builder(&server)
        .outage_patience(Duration::from_millis(1))
        .build();
    server.refuse_joins(Some(json!({"reason": "%MatchError{term: nil}"})));
    assert!(unavailable(claim(&store, "k").await).contains("MatchError"));
    server.refuse_joins(None);
    let store = DustStore::new(address(&server), TOKEN);
    server.next(
        Which::any(),
        Fate::Refused(json!({"reason": "%MatchError{term: nil}"})),
    );
    assert!(unavailable(claim(&store, "k").await).contains("MatchError"));
    server.next(Which::any(), Fate::Refused(rate_limited(60_000)));
    assert!(unavailable(claim(&store, "k").await).contains("rate_limited"));
    let store = DustStore::new(address(&server), TOKEN);
    server.next(Which::any(), Fate::Refused(rate_limited(20)));
    granted(&store, "k").await;
}

#[tokio::test]
async fn keys_and_values_that_dust_cannot_hold_are_told() {
    let server = DustServer::new();
    let store = DustStore::builder(address(&server), TOKEN)
        .mirror("users")
        .mirror("_dust:sf/x")
        .build();
    assert!(refused(claim(&store, "users//1").await).contains("no path"));
    assert!(refused(claim(&store, "groups/1").await).contains("prefix"));
    granted(&store, "users/1").await;
    let lease = granted(&store, "users/2").await;
    publish(&store, &lease, "users/2", "1").await.unwrap();
    let above = claim(&store, "users").await;
    assert!(
        matches!(&above, Err(StoreError::Malformed { reason, .. }) if reason.contains("below")),
        "{above:?}"
    );
    let write = |path: &str, value: serde_json::Value| {
        server
            .write(
                "raw",
                STORE,
                &json!({"op": "set", "path": path, "value": value, "client_op_id": "x"}),
            )
            .unwrap();
    };
    write("users/odd", json!(7));
    write("_dust:sf/users/clobbered", json!("no lease"));
    store.catch_up().await.unwrap();
    for key in ["users/odd", "users/clobbered"] {
        let claim = claim(&store, key).await;
        assert!(
            matches!(claim, Err(StoreError::Malformed { .. })),
            "{key}: {claim:?}"
        );
    }
    let narrow = DustStore::builder(address(&server), TOKEN)
        .mirror_room(0)
        .build();
    assert!(refused(claim(&narrow, "users/2").await).contains("no room"));
}

#[tokio::test]
async fn an_outage_is_told_and_ends() {
    let server = DustServer::new();
    let store = builder(&server)
        .outage_patience(Duration::from_millis(200))
        .build();
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let note = |what: &'static str| {
        let told = Arc::clone(&told);
        move |event: String| told.lock().unwrap().push(format!("{what} {event}"))
    };
    let (watch, listen) = (note("watch"), note("changes"));
    let _watching = store.watch(
        "k".into(),
        "_dust:sf/k".into(),
        Arc::new(move |event| {
            watch(match event {
                WatchEvent::Key(_) => "key".to_owned(),
                WatchEvent::Lock(_) => "lock".to_owned(),
                WatchEvent::Ended(error) => format!("ended: {error}"),
            })
        }),
    );
    let _listening = store.changes(Arc::new(move |change| {
        listen(match change {
            Change::Connected => "connected".to_owned(),
            Change::Moved { key, .. } => format!("moved {key}"),
            Change::Gap(error) => format!("gap: {error}"),
        })
    }));
    store.catch_up().await.unwrap();
    server.kill();
    unavailable(claim(&store, "k").await);
    {
        let told = told.lock().unwrap();
        let told: Vec<_> = told
            .iter()
            .map(|told| told.split(':').next().unwrap())
            .collect();
        assert_eq!(
            told,
            [
                "watch key",
                "watch lock",
                "changes connected",
                "watch ended",
                "changes gap"
            ]
        );
    }
    server.restart();
    let again = async {
        while claim(&store, "k").await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(again).await;
    assert_eq!(told.lock().unwrap()[5], "changes connected");
}

#[tokio::test]
async fn a_store_that_is_dropped_leaves_nothing() {
    let server = DustServer::new();
    let store = DustStore::new(address(&server), TOKEN);
    let lease = granted(&store, "k").await;
    assert_eq!(server.open(), 1);
    // Whoever waits is told, and what was published has given up its lease.
    publish(&store, &lease, "k", "1").await.unwrap();
    drop(store);
    let gone = async {
        while server.open() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(gone).await;
    assert!(server.entry(STORE, &lease.lock).is_none());
    assert_eq!(
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks(),
        0
    );
}

#[test]
fn the_runtime_of_the_connection_may_end_before_the_store() {
    let server = DustServer::new();
    let store = DustStore::new(address(&server), TOKEN);
    for n in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let key = format!("k/{n}");
            let lease = granted(&store, &key).await;
            publish(&store, &lease, &key, "1").await.unwrap();
        });
    }
    let claim = store.claim(request("k", Revision::NEVER));
    let claimed = futures_util::FutureExt::now_or_never(claim).unwrap();
    assert!(unavailable(claimed).contains("runtime"));
}

#[test]
fn a_runtime_may_end_before_it_has_begun() {
    let server = DustServer::new();
    let store = DustStore::new(address(&server), TOKEN);
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let first = runtime();
    let entered = first.enter();
    let never = store.read("k".into());
    drop(entered);
    drop((first, never));
    runtime().block_on(async { drop(granted(&store, "k").await) });
}

#[test]
fn who_waits_is_told_that_the_runtime_of_the_connection_has_ended() {
    let server = DustServer::new();
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let (own, other) = (runtime(), runtime());
    let builder = DustStore::builder(address(&server), TOKEN);
    let store = builder.runtime(own.handle().clone()).build();
    other.block_on(async {
        granted(&store, "k").await;
        server.pause();
        let waiting = tokio::spawn(store.claim(request("j", Revision::NEVER)));
        let late = store.claim(request("j", Revision::NEVER));
        own.shutdown_background();
        assert!(unavailable(within(waiting).await.unwrap()).contains("runtime"));
        assert!(unavailable(within(late).await).contains("runtime"));
    });
}

#[tokio::test]
async fn a_call_does_not_outlive_the_store() {
    let server = DustServer::new();
    let store = DustStore::new(address(&server), TOKEN);
    granted(&store, "k").await;
    let late = store.claim(request("j", Revision::NEVER));
    drop(store);
    assert!(unavailable(within(late).await).contains("closed"));
}

#[tokio::test]
async fn a_store_that_is_not_there_is_told() {
    let server = DustServer::new();
    let unknown = format!("dust+ws://{}/test/other", server.address())
        .parse()
        .unwrap();
    assert!(refused(claim(&DustStore::new(unknown, TOKEN), "k").await).contains("unauthorized"));
}
