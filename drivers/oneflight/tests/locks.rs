//! One key, and several locks.
#![cfg(all(feature = "tokio", feature = "sqlite"))]

use std::convert::Infallible;

use oneflight::{SingleFlight, Source, SqliteStore};

#[tokio::test]
async fn a_value_published_under_another_lock_is_judged_by_the_predicate() {
    let path = std::env::temp_dir().join(format!("oneflight-locks-{}.db", std::process::id()));
    let flights = SingleFlight::builder(SqliteStore::open(&path).unwrap())
        .local_copies(0)
        .build();
    let fill = |value: u64| move |_| async move { Ok::<_, Infallible>(value) };
    let own = flights.key("k").fresh(|value: &u64| *value == 3);
    let other = flights.key("k").lock_key("nightly").fresh(|_: &u64| false);
    assert_eq!(*flights.key("k").run(fill(1)).await.unwrap().value, 1);
    assert_eq!(*other.run(fill(2)).await.unwrap().value, 2);
    // Published before this call began, and not what it wants.
    let landing = own.run(fill(3)).await.unwrap();
    for suffix in ["", "-wal", "-shm", "-signal"] {
        std::fs::remove_file(format!("{}{suffix}", path.display())).ok();
    }
    assert_eq!((*landing.value, landing.source), (3, Source::Computed));
}
