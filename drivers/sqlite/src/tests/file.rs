//! Hands in the file while it is open.

use oneflight_store::StoreError;

use super::*;

/// All calls that look at this key.
fn calls(store: &SqliteStore, key: &str) -> Vec<Result<(), StoreError>> {
    let lock: Arc<str> = format!("{key}/lock").into();
    let token = Token::new(1).unwrap();
    let lease = LeaseId {
        lock: Arc::clone(&lock),
        token,
    };
    let key: Arc<str> = key.into();
    let request = ClaimRequest {
        key: Arc::clone(&key),
        lock: Arc::clone(&lock),
        ttl: SECOND,
        seen: Revision::NEVER,
        holder: Holder {
            host: "here".into(),
            pid: 1,
            user: "me".into(),
        },
        attempt: AttemptId(9),
    };
    vec![
        store.claim(request).map(drop),
        store
            .publish(lease.clone(), Arc::clone(&key), Bytes::new(), None)
            .map(drop),
        store.forget(Arc::clone(&key), lock).map(drop),
        store
            .put(
                Arc::clone(&key),
                Bytes::new(),
                None,
                Revision::new(u64::MAX),
            )
            .map(drop),
        store.read(key).map(drop),
        store.renew(lease.clone(), SECOND).map(drop),
        store.release(lease).map(drop),
    ]
}

fn dump(scene: &Scene, table: &str) -> Vec<String> {
    let conn = rusqlite::Connection::open(scene.path()).unwrap();
    let mut statement = conn.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        (0..columns)
            .map(|column| row.get_ref(column).map(|value| format!("{value:?}")))
            .collect::<rusqlite::Result<Vec<_>>>()
    });
    rows.unwrap()
        .map(|row| format!("{:?}", row.unwrap()))
        .collect()
}

#[test]
fn a_row_that_does_not_decode_is_left_alone() {
    for (sql, of_entry) in [
        ("UPDATE entries SET revision = -5", true),
        ("UPDATE entries SET revision = 0, value = NULL", true),
        ("UPDATE entries SET token = 0", true),
        ("UPDATE locks SET token = -1", false),
        ("UPDATE locks SET live = 7", false),
        ("UPDATE locks SET attempt = x'00'", false),
        ("UPDATE locks SET pid = -1", false),
        ("UPDATE locks SET host = CAST(x'ff' AS TEXT)", false),
        (
            "UPDATE locks SET published_token = 0, published_revision = 1",
            false,
        ),
    ] {
        let scene = Scene::new();
        let store = scene.open();
        granted(claim(&store, "key", 1, SECOND, 0));
        put(&store, "key", "value");
        scene.sql(sql);
        let table = if of_entry { "entries" } else { "locks" };
        let before = dump(&scene, table);
        let answers = calls(&store, "key");
        let concerned = if of_entry {
            &answers[..5]
        } else {
            &answers[1..3]
        };
        for answer in concerned {
            let Err(StoreError::Malformed { key, .. }) = answer else {
                panic!("{sql}: {answer:?}");
            };
            assert_eq!(&**key, "key", "{sql}");
        }
        assert_eq!(before, dump(&scene, table), "{sql}");
        // Other keys go on.
        put(&store, "other", "value");
    }
}

#[test]
fn keys_that_are_no_strings_are_told_by_the_list() {
    let scene = Scene::new();
    let store = scene.open();
    put(&store, "key", "value");
    scene.sql("UPDATE entries SET key = x'ff'");
    let listed = store.list();
    assert!(
        matches!(listed, Err(StoreError::Malformed { .. })),
        "{listed:?}"
    );
}

#[test]
fn a_file_that_is_gone_is_said_to_be_gone() {
    let scene = Scene::new();
    let store = scene.open();
    put(&store, "key", "value");
    std::fs::remove_file(scene.path()).unwrap();
    for answer in calls(&store, "key") {
        let Err(StoreError::Unavailable(told)) = answer else {
            panic!("{answer:?}");
        };
        assert!(told.contains("deleted"), "{told}");
    }
    // Another one in its place is not the one that was opened.
    for suffix in ["-wal", "-shm"] {
        std::fs::remove_file(format!("{}{suffix}", scene.path().display())).unwrap();
    }
    let other = scene.open();
    for answer in calls(&store, "key") {
        let Err(StoreError::Unavailable(told)) = answer else {
            panic!("{answer:?}");
        };
        assert!(told.contains("replaced"), "{told}");
    }
    put(&other, "key", "value");
}

#[test]
fn a_lock_that_is_never_let_go_is_reported() {
    let scene = Scene::new();
    let store = scene.open();
    let other = rusqlite::Connection::open(scene.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let since = std::time::Instant::now();
    let answer = store.forget("key".into(), "lock".into());
    let Err(StoreError::Unavailable(told)) = answer else {
        panic!("{answer:?}");
    };
    assert!(
        told.contains("store.db") && told.contains("locked"),
        "{told}"
    );
    let waited = since.elapsed();
    assert!((4 * SECOND..8 * SECOND).contains(&waited), "{waited:?}");
    // Who only looks need not wait.
    assert!(store.read("key".into()).is_ok());
    other.execute_batch("COMMIT").unwrap();
    put(&store, "key", "value");
}

#[test]
fn too_large_a_value_is_refused_before_the_file_is_asked() {
    let scene = Scene::new();
    let store = scene.open();
    let value = Bytes::from(vec![0; (64 << 20) + 1]);
    let refused = store.put("key".into(), value, None, Revision::NEVER);
    assert!(
        matches!(refused, Err(StoreError::Refused(_))),
        "{refused:?}"
    );
    assert_eq!(put(&store, "key", "value").get(), 1);
}

#[test]
fn a_publish_is_remembered_when_the_key_has_moved_on() {
    let scene = Scene::new();
    let store = scene.open();
    let token = granted(claim(&store, "key", 1, SECOND, 0));
    let publish = || store.publish(lease("key", token), "key".into(), Bytes::new(), None);
    let published = publish();
    put(&store, "key", "above it");
    assert_eq!(publish(), published);
    store.forget("key".into(), "key/lock".into()).unwrap();
    assert_eq!(publish(), published);
    assert!(store.read("key".into()).unwrap().entry.is_none());
}
