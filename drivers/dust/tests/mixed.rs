//! Together with a client that flies as those of Dust's own SDKs do.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::builder;
use oneflight_store::{
    AttemptId, Claim, ClaimRequest, Holder, LeaseId, Publication, Revision, Store, default_lock,
};
use oneflight_test_dust::{DustServer, STORE, Seed, TOKEN};

#[tokio::test]
async fn each_excludes_the_other_and_reads_the_others_values() {
    let server = DustServer::new();
    let ours = builder(&server).build();
    let theirs = Seed::connect(&server.url(), TOKEN, "seed", STORE).await;
    let request = |key: &str| ClaimRequest {
        key: key.into(),
        lock: default_lock(key).into(),
        ttl: Duration::from_secs(60),
        seen: Revision::NEVER,
        holder: Holder::this_process(),
        attempt: AttemptId(1),
    };
    let Ok(Claim::Granted { token, .. }) = ours.claim(request("a")).await else {
        panic!("not granted");
    };
    let lock = default_lock("a");
    assert!(theirs.lease(&lock, Duration::from_secs(60)).await.is_err());
    let lease = LeaseId {
        lock: lock.into(),
        token,
    };
    let value = Bytes::from_static(b"{\"n\":1}");
    let published = ours.publish(lease, "a".into(), value, None).await;
    assert!(matches!(published, Ok(Publication::Published(_))));
    let heard = async {
        while theirs.value("a").is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), heard)
        .await
        .unwrap();
    assert_eq!(theirs.value("a"), Some(serde_json::json!({"n": 1})));

    let lock = default_lock("b");
    let lease = theirs.lease(&lock, Duration::from_secs(60)).await.unwrap();
    let held = ours.claim(request("b")).await.unwrap();
    assert!(
        matches!(held, Claim::Held { token, .. } if token.get() == lease.token()),
        "{held:?}"
    );
    theirs
        .put("b", &serde_json::json!([2]), Some(&lease))
        .await
        .unwrap();
    theirs.release(&lease).await.unwrap();
    ours.catch_up().await.unwrap();
    let Ok(Claim::Newer { entry, .. }) = ours.claim(request("b")).await else {
        panic!("no value");
    };
    assert_eq!(entry.value, "[2]");
    assert_eq!(entry.token.map(|token| token.get()), Some(lease.token()));
}
