//! The clients that fly as Dust's SDKs do, on the stand-in: among themselves, and with what is wrong there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oneflight_test_dust::{DustServer, STORE, Seed, SeedError, SeedPolicy, SeedSource, TOKEN};
use serde_json::{Value, json};

/// Longer than a test takes, and shorter than a connection may be silent.
const LONG: SeedPolicy = SeedPolicy {
    lease_ttl: Duration::from_secs(30),
    wait_timeout: Duration::from_secs(120),
};

async fn seed(server: &DustServer, device: &str) -> Seed {
    Seed::connect(&server.url(), TOKEN, device, STORE).await
}

/// Without blocking.
async fn until(mut state: impl FnMut() -> bool) {
    let wait = async {
        while !state() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), wait)
        .await
        .unwrap();
}

fn claims(server: &DustServer) -> u64 {
    server.received("write lease")
}

/// The holder of the lock of `k`, if there is one.
fn is_locked(server: &DustServer) -> bool {
    server.entry(STORE, "_dust:sf/k").is_some()
}

#[tokio::test]
async fn one_fills_and_everybody_has_it() {
    let server = DustServer::new();
    let fills = AtomicUsize::new(0);
    let fly = async |device: &str| {
        let seed = seed(&server, device).await;
        let fill = async |_| {
            fills.fetch_add(1, Ordering::SeqCst);
            until(|| claims(&server) == 4).await;
            Ok(json!({"n": 1}))
        };
        seed.single_flight("k", LONG, fill).await.unwrap()
    };
    let (a, b, c, d) = tokio::join!(fly("a"), fly("b"), fly("c"), fly("d"));
    let landings = [a, b, c, d];
    assert!(landings.iter().all(|(value, _)| *value == json!({"n": 1})));
    let count = |source| landings.iter().filter(|(_, from)| *from == source).count();
    assert_eq!(
        (count(SeedSource::Computed), count(SeedSource::Awaited)),
        (1, 3)
    );
    assert_eq!(fills.into_inner(), 1);
    assert_eq!(server.entry(STORE, "k").unwrap().value, r#"{"n":1}"#);
    assert!(!is_locked(&server));
    let late = seed(&server, "late").await;
    let (_, source) = late
        .single_flight("k", LONG, async |_| Ok(Value::Null))
        .await
        .unwrap();
    assert_eq!(source, SeedSource::Cached);
}

#[tokio::test]
async fn who_has_no_value_leaves_it_to_others() {
    let server = DustServer::new();
    let (a, b) = (seed(&server, "a").await, seed(&server, "b").await);
    // A release between `held` and the waiting is missed, and a lease waited for: so it is with them.
    let policy = SeedPolicy::new(Duration::from_secs(1));
    let aborting = a.single_flight("k", policy, async |_| {
        until(|| claims(&server) == 2).await;
        Err("no".to_owned())
    });
    let filling = async {
        until(|| is_locked(&server)).await;
        b.single_flight("k", policy, async |_| Ok(json!(1))).await
    };
    let (aborted, filled) = tokio::join!(aborting, filling);
    assert_eq!(aborted, Err(SeedError::Aborted("no".to_owned())));
    assert_eq!(filled, Ok((json!(1), SeedSource::Computed)));
}

#[tokio::test]
async fn the_dead_are_taken_over_when_their_lease_has_lapsed() {
    let server = DustServer::new();
    let (dead, heir) = (seed(&server, "dead").await, seed(&server, "heir").await);
    dead.lease("_dust:sf/k", Duration::from_millis(200))
        .await
        .unwrap();
    drop(dead);
    let policy = SeedPolicy::new(Duration::from_millis(200));
    let landed = heir
        .single_flight("k", policy, async |_| Ok(json!(1)))
        .await;
    assert_eq!(landed, Ok((json!(1), SeedSource::Computed)));
    let leases: Vec<_> = server
        .log(STORE)
        .into_iter()
        .filter(|op| op.op == "lease")
        .collect();
    assert!(leases[1].at >= leases[0].value["expires_at"].as_u64().unwrap());
}

#[tokio::test]
async fn a_lease_lives_as_long_as_its_fill() {
    let server = DustServer::new();
    let holder = seed(&server, "holder").await;
    let policy = SeedPolicy::new(Duration::from_secs(3));
    let landed = holder.single_flight("k", policy, async |_| {
        until(|| server.received("write renew") == 2).await;
        Ok(json!(1))
    });
    landed.await.unwrap();
    let renewals = server
        .log(STORE)
        .into_iter()
        .filter(|op| op.op == "renew")
        .count();
    assert_eq!(renewals, 2);
}

#[tokio::test]
async fn who_was_lost_for_too_long_is_fenced() {
    let server = DustServer::new();
    let (lost, heir) = (seed(&server, "lost").await, seed(&server, "heir").await);
    let lost = lost.single_flight("k", LONG, async |_| {
        server.black_hole("lost");
        server.advance(LONG.lease_ttl);
        heir.single_flight("k", LONG, async |_| Ok(json!("heir")))
            .await
            .unwrap();
        server.heal("lost");
        Ok(json!("lost"))
    });
    assert_eq!(lost.await, Err(SeedError::Refused("fenced".to_owned())));
    assert_eq!(server.entry(STORE, "k").unwrap().value, "\"heir\"");
}

#[tokio::test]
async fn without_a_server_everybody_fills_and_later_it_is_there_again() {
    let server = DustServer::new();
    let seed = seed(&server, "a").await;
    server.kill();
    let alone = seed
        .single_flight("k", LONG, async |lease| Ok(json!(lease.is_none())))
        .await;
    assert_eq!(alone, Ok((json!(true), SeedSource::Uncoordinated)));
    server.restart();
    server
        .http_write(
            STORE,
            &json!({"op": "set", "path": "k", "value": "2", "client_op_id": "x"}),
        )
        .unwrap();
    until(|| seed.value("k") == Some(json!(2))).await;
    server.compact(STORE);
    let late = Seed::connect(&server.url(), TOKEN, "late", STORE).await;
    assert_eq!(late.value("k"), Some(json!(2)));
}

/// The flaw: whoever is granted the lease fills, without another look.
#[tokio::test]
async fn a_copy_that_is_behind_fills_again() {
    let server = DustServer::new();
    let (first, behind) = (seed(&server, "first").await, seed(&server, "behind").await);
    server.delay_events("behind", Duration::from_secs(3600));
    first
        .single_flight("k", LONG, async |_| Ok(json!(1)))
        .await
        .unwrap();
    let again = behind
        .single_flight("k", LONG, async |_| Ok(json!(2)))
        .await;
    assert_eq!(again, Ok((json!(2), SeedSource::Computed)));
}

#[tokio::test]
async fn two_never_fill_at_the_same_time() {
    let server = DustServer::new();
    server.reorder(Duration::from_millis(3), 11);
    let filling: [AtomicUsize; 20] = std::array::from_fn(|_| AtomicUsize::new(0));
    let fly = async |device: &str| {
        let seed = seed(&server, device).await;
        for (key, filling) in filling.iter().enumerate() {
            let fill = async |_| {
                assert_eq!(filling.fetch_add(1, Ordering::SeqCst), 0);
                tokio::time::sleep(Duration::from_millis(2)).await;
                filling.fetch_sub(1, Ordering::SeqCst);
                Ok(json!(device))
            };
            seed.single_flight(&format!("k/{key}"), LONG, fill)
                .await
                .unwrap();
        }
    };
    tokio::join!(fly("a"), fly("b"), fly("c"), fly("d"));
}
