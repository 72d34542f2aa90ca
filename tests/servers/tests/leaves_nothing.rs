//! A proxy that is dropped leaves no thread and no connection. Alone in its process: it counts threads.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use oneflight_test_servers::time::until;
use oneflight_test_servers::{Direction, Proxy, RedisServer};

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn nothing_is_left_of_a_proxy() {
    let server = RedisServer::new();
    let before = threads();
    let proxy = Proxy::to(server.address());
    let client = redis::Client::open(server.url_at(proxy.address())).unwrap();
    let clients: Vec<_> = (0..3).map(|_| client.get_connection().unwrap()).collect();
    assert_eq!(server.clients().len(), 3);
    assert_eq!(threads(), before + 1 + 3 * 2);
    // They wait for what does not come.
    proxy.hold(Direction::ToClient);
    drop(proxy);
    assert_eq!(threads(), before);
    until("no client", || server.clients().is_empty().then_some(()));
    drop(clients);
}
