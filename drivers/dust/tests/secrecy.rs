//! The token is in nothing that anybody can see.

mod common;

use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use common::address;
use log::{LevelFilter, Log, Metadata, Record};
use oneflight_dust::DustStore;
use oneflight_store::Store;
use oneflight_test_dust::{DustServer, TOKEN};

/// All that is logged, down to the least.
static LOGGED: Mutex<String> = Mutex::new(String::new());

struct Everything;

impl Log for Everything {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut logged = LOGGED.lock().unwrap();
        writeln!(logged, "{} {}", record.target(), record.args()).unwrap();
    }

    fn flush(&self) {}
}

#[tokio::test]
async fn the_token_is_not_to_be_seen() {
    log::set_logger(&Everything).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let server = DustServer::new();
    let builder = DustStore::builder(address(&server), TOKEN);
    let mut shown = format!("{builder:?}");
    let store = builder.outage_patience(Duration::from_millis(50)).build();
    write!(shown, "{store:?} {:?}", address(&server)).unwrap();
    store.catch_up().await.unwrap();
    server.cut_all();
    store.catch_up().await.unwrap();
    server.forbid(true);
    let other = DustStore::new(address(&server), TOKEN);
    write!(shown, "{:?}", other.read("k".into()).await.unwrap_err()).unwrap();
    server.kill();
    write!(shown, "{:?}", store.catch_up().await.unwrap_err()).unwrap();
    let nobody = "dust+wss://127.0.0.1:1/o/s".parse().unwrap();
    let nobody = DustStore::builder(nobody, TOKEN)
        .outage_patience(Duration::ZERO)
        .build();
    write!(shown, "{:?}", nobody.read("k".into()).await.unwrap_err()).unwrap();
    assert!(!shown.contains(TOKEN), "{shown}");
    let logged = LOGGED.lock().unwrap();
    // What runs in the server's half of this process is not what is looked for.
    let ours = logged.lines().filter(|line| !line.contains("server"));
    let seen: Vec<_> = ours.filter(|line| line.contains(TOKEN)).collect();
    assert!(seen.is_empty(), "{seen:#?}");
    assert!(
        logged.contains("tungstenite"),
        "the logger hears of connections"
    );
}
