//! Clocks that jump, machines that boot, days that pass.

use oneflight_store::{LockState, Publication, PutOutcome, Renewal, StoreError};

use super::*;

fn age(store: &SqliteStore, key: &str) -> Duration {
    store.read(key.into()).unwrap().entry.unwrap().age
}

#[test]
fn setting_the_time_of_day_neither_stretches_nor_cuts_a_lease() {
    for seconds in [-86_400 * 365, -100, 100, 86_400 * 365] {
        let scene = Scene::new();
        let store = scene.open();
        granted(claim(&store, "key", 1, 10 * SECOND, 0));
        put(&store, "other", "value");
        scene.clock.pass(4 * SECOND);
        scene.clock.set_wall(seconds);
        match claim(&store, "key", 2, 10 * SECOND, 0) {
            Claim::Held { remaining, .. } => assert_eq!(remaining, Some(6 * SECOND)),
            other @ (Claim::Newer { .. } | Claim::Granted { .. }) => panic!("{other:?}"),
        }
        assert_eq!(age(&store, "other"), 4 * SECOND);
        scene.clock.pass(6 * SECOND);
        granted(claim(&store, "key", 2, 10 * SECOND, 0));
    }
}

#[test]
fn a_lease_lapses_with_its_boot() {
    let scene = Scene::new();
    let store = scene.open();
    let before = granted(claim(&store, "key", 1, 1000 * SECOND, 0));
    drop(store);
    scene.clock.reboot(SECOND);
    let store = scene.open();
    let after = granted(claim(&store, "key", 2, 10 * SECOND, 0));
    assert!(after > before);
    let value = Bytes::from("late");
    let late = store.publish(lease("key", before), "key".into(), value, None);
    assert_eq!(late, Ok(Publication::Fenced));
}

#[test]
fn an_attempt_of_another_boot_is_granted_anew() {
    let scene = Scene::new();
    let before = granted(claim(&scene.open(), "key", 1, 1000 * SECOND, 0));
    scene.clock.reboot(SECOND);
    let after = granted(claim(&scene.open(), "key", 1, 10 * SECOND, 0));
    assert!(after > before);
}

#[test]
fn what_a_loss_of_power_takes_back_is_never_drawn_again() {
    let scene = Scene::new();
    let store = scene.open();
    put(&store, "key", "on the disk");
    drop(store);
    let on_disk = std::fs::read(scene.path()).unwrap();

    // These commits reach the log, which the power takes.
    let store = scene.open();
    let mut drawn = Vec::new();
    for attempt in 0..50 {
        let token = granted(claim(&store, "key", attempt, SECOND, 99));
        store.release(lease("key", token)).unwrap();
        drawn.push(token.get());
        drawn.push(put(&store, "other", "value").get());
    }
    drop(store);
    std::fs::write(scene.path(), on_disk).unwrap();
    scene.clock.reboot(SECOND);

    let store = scene.open();
    let token = granted(claim(&store, "key", 1000, SECOND, 99));
    let last = drawn.iter().max().unwrap();
    assert!(token.get() > *last, "{token} was drawn before: {last}");
    assert!(put(&store, "key", "next").get() > *last);
}

#[test]
fn numbers_grow_across_reopening_and_boots() {
    let scene = Scene::new();
    let mut last = 0;
    for round in 0..6 {
        let store = scene.open();
        for attempt in 0..3 {
            let seen = u64::MAX;
            let token = granted(claim(&store, "key", round * 10 + attempt, SECOND, seen)).get();
            assert!(token > last);
            let value = Bytes::from("value");
            let published = store
                .publish(lease("key", token_of(token)), "key".into(), value, None)
                .unwrap();
            let Publication::Published(revision) = published else {
                panic!("{published:?}")
            };
            assert!(revision.get() > token);
            last = revision.get();
        }
        drop(store);
        if round % 2 == 1 {
            scene.clock.reboot(SECOND);
        }
    }
}

fn token_of(number: u64) -> Token {
    Token::new(number).unwrap()
}

#[test]
fn numbers_are_small_at_first() {
    let scene = Scene::new();
    assert_eq!(put(&scene.open(), "key", "value").get(), 1);
}

#[test]
fn a_store_that_another_boot_has_entered_is_refused() {
    let scene = Scene::new();
    let store = scene.open();
    put(&store, "key", "value");
    scene.clock.reboot(SECOND);
    put(&scene.open(), "key", "value");
    let refused = store.forget("key".into(), "lock".into());
    assert!(
        matches!(refused, Err(StoreError::Refused(_))),
        "{refused:?}"
    );
}

#[test]
fn an_age_reaches_over_a_boot() {
    let scene = Scene::new();
    put(&scene.open(), "key", "value");
    scene.clock.pass(10 * SECOND);
    scene.clock.reboot(20 * SECOND);
    assert_eq!(age(&scene.open(), "key"), 31 * SECOND);
    // Set back to before it was written: at least it is as old as this boot.
    scene.clock.set_wall(-1000);
    assert_eq!(age(&scene.open(), "key"), SECOND);
}

#[test]
fn a_retention_is_counted_by_the_same_clock() {
    let scene = Scene::new();
    let store = scene.open();
    let value = Bytes::from("value");
    store
        .put("key".into(), value, Some(10 * SECOND), Revision::NEVER)
        .unwrap();
    scene.clock.set_wall(1000);
    scene.clock.pass(9 * SECOND);
    assert!(store.read("key".into()).unwrap().entry.is_some());
    scene.clock.pass(SECOND);
    let state = store.read("key".into()).unwrap();
    assert_eq!((state.entry, state.revision.get()), (None, 1));
    // It is over, but the key has moved all the same.
    let late = store.put("key".into(), Bytes::new(), None, Revision::NEVER);
    assert_eq!(late, Ok(PutOutcome::Newer(Revision::new(1))));
}

#[test]
fn the_longest_times_do_not_overflow() {
    let scene = Scene::new();
    let store = scene.open();
    let token = granted(claim(&store, "key", 1, Duration::MAX, 0));
    assert!(matches!(
        claim(&store, "key", 2, Duration::MAX, 0),
        Claim::Held { .. }
    ));
    let renewed = store.renew(lease("key", token), Duration::MAX);
    assert_eq!(renewed, Ok(Renewal::Renewed));
    store
        .publish(
            lease("key", token),
            "key".into(),
            Bytes::new(),
            Some(Duration::MAX),
        )
        .unwrap();
    assert!(store.read("key".into()).unwrap().entry.is_some());
    drop(store);
    scene.clock.reboot(1000 * SECOND);
    assert!(scene.open().read("key".into()).unwrap().entry.is_some());
}

#[test]
fn opening_prunes_what_has_been_dead_for_a_day() {
    let scene = Scene::new();
    let store = scene.open();
    let held = granted(claim(&store, "held", 1, SECOND * 86_400 * 30, 0));
    let lapsed = granted(claim(&store, "lapsed", 1, SECOND, 0));
    let freed = granted(claim(&store, "freed", 1, SECOND, 0));
    store.release(lease("freed", freed)).unwrap();
    put(&store, "kept", "value");
    put(&store, "forgotten", "value");
    store.forget("forgotten".into(), "no lock".into()).unwrap();
    for (key, retain) in [("over", SECOND), ("not over", SECOND * 86_400 * 30)] {
        store
            .put(
                key.into(),
                Bytes::from("value"),
                Some(retain),
                Revision::NEVER,
            )
            .unwrap();
    }
    let rows = || {
        let conn = rusqlite::Connection::open(scene.path()).unwrap();
        let mut rows = Vec::new();
        for sql in [
            "SELECT CAST(key AS TEXT) FROM entries ORDER BY key",
            "SELECT CAST(lock AS TEXT) FROM locks ORDER BY lock",
        ] {
            let mut statement = conn.prepare(sql).unwrap();
            let found = statement
                .query_map([], |row| row.get::<_, String>(0))
                .unwrap();
            rows.extend(found.map(Result::unwrap));
        }
        rows
    };
    scene.clock.pass(SECOND * 3600 * 23);
    drop(scene.open());
    assert_eq!(rows().len(), 7);
    scene.clock.pass(SECOND * 3600 * 2);
    drop(scene.open());
    assert_eq!(rows(), ["kept", "not over", "held/lock"]);

    // What is gone stays fenced, and what comes after is above it.
    let publish =
        |key: &str, token| store.publish(lease(key, token), key.into(), Bytes::new(), None);
    assert_eq!(publish("lapsed", lapsed), Ok(Publication::Fenced));
    assert_eq!(publish("freed", freed), Ok(Publication::Fenced));
    assert!(matches!(
        publish("held", held),
        Ok(Publication::Published(_))
    ));
    assert!(granted(claim(&store, "freed", 2, SECOND, 0)) > freed);
    let status = store.list().unwrap();
    assert!(
        status
            .iter()
            .any(|one| one.key.as_ref() == "freed" && matches!(one.state, LockState::Held { .. }))
    );
}
