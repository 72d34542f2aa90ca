//! What runs on a real server runs on the stand-in, without the SDK.

use std::sync::Arc;
use std::time::Duration;

use oneflight_live_dust::Meeting;
use oneflight_live_dust::figures::{follower, handover, stampede, takeover};
use oneflight_live_dust::mixed::{Kind, a_killed_filler_is_taken_over, one_fill_for_each_key};
use oneflight_test_dust::DustServer;

fn ours() -> Kind {
    Kind::Rust(env!("CARGO_BIN_EXE_live-dust").into())
}

#[tokio::test]
async fn every_key_is_filled_once() {
    let server = Arc::new(DustServer::new());
    server.reorder(Duration::from_millis(5), 7);
    let meeting = Meeting::stand_in(&server, Duration::from_millis(40));
    let ran = stampede(&meeting, 8, 40).await;
    assert_eq!(ran.fills, 40);
}

#[tokio::test]
async fn followers_follow_and_the_failed_and_the_dead_are_replaced() {
    let server = Arc::new(DustServer::new());
    let meeting = Meeting::stand_in(&server, Duration::ZERO);
    assert_eq!(follower(&meeting, 2).await.len(), 2);
    assert_eq!(handover(&meeting, 2).await.len(), 2);
    assert_eq!(takeover(&meeting, 2).await.len(), 2);
}

#[tokio::test]
async fn processes_fill_once_and_take_over_from_the_killed() {
    let server = Arc::new(DustServer::new());
    let meeting = Meeting::stand_in(&server, Duration::ZERO);
    let kinds = vec![ours(); 4];
    assert_eq!(one_fill_for_each_key(&meeting, &kinds, 10).await, 10);
    a_killed_filler_is_taken_over(&meeting, &ours(), &ours(), "killed").await;
}
