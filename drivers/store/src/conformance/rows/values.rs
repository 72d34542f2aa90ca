//! What comes back of what went in, and for how long.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::conformance::bench::{Bench, LONG, SHORT, SLACK};
use crate::conformance::probe::Probe;
use crate::{Publication, PutOutcome, Revision, StoreError};

/// Larger values than this are not tried, whatever a store takes.
const AT_MOST: u64 = 256 << 20;

pub(super) fn any_bytes_come_back(bench: &Bench<'_>) {
    let store = bench.open();
    let large = store.profile().max_value.min(1 << 20);
    let values = [
        Bytes::new(),
        Bytes::from_static(b"\0"),
        (0..=u8::MAX).collect(),
        (0..large).map(|n| ((n * n) >> 7) as u8).collect(),
    ];
    let any = store.profile().any_bytes;
    let mut seen = Revision::NEVER;
    for value in values {
        if !any && std::str::from_utf8(&value).is_err() {
            refused(&store, seen, value, None);
            continue;
        }
        let what = format!("a value of {} bytes", value.len());
        let grant = store.granted(seen);
        let (lease, key) = (grant.lease, store.key.clone());
        let publication = store.store.publish(lease, key, value.clone(), None);
        let Ok(Publication::Published(revision)) = publication else {
            store
                .row
                .fail(&what, format_args!("Published"), publication);
        };
        // Not shown on failure: it may be large.
        if store.entry().value != value {
            store.row.fail(&what, "the same", "another");
        }
        let (entry, _) = store.newer(&what, seen);
        if entry.value != value {
            store.row.fail(&what, "the same when claimed", "another");
        }
        seen = revision;
    }
}

/// A publish and a put of this are refused, and nothing is changed.
#[track_caller]
fn refused(at: &Probe, seen: Revision, value: Bytes, retain: Option<Duration>) {
    let before = at.read();
    let holding = at.granted(seen);
    let (lease, key) = (holding.lease.clone(), at.key.clone());
    let publication = at.store.publish(lease, key, value.clone(), retain);
    if !matches!(publication, Err(StoreError::Refused(_))) {
        let what = "publish of what the store does not take";
        at.row.fail(what, format_args!("Refused"), publication);
    }
    let put = at
        .store
        .put(at.key.clone(), value, retain, Revision::new(u64::MAX));
    if !matches!(put, Err(StoreError::Refused(_))) {
        let what = "put of what the store does not take";
        at.row.fail(what, format_args!("Refused"), put);
    }
    at.stands("the key", &before);
    at.held("claim", seen, holding.token());
    at.release(&holding.lease);
}

pub(super) fn any_keys_come_back(bench: &Bench<'_>) {
    let store = bench.open();
    let long = "long/".repeat(400);
    let keys = [
        "", " ", "\0", "a", "A", "a ", " a", "a\0", "a\0b", "a\n", "a/b", "a.b", "a:b", "a*", "a>",
        "a%", "a_b", "{a}", "}a", "'a'", "\"a\"", "a'; --", "\\a", "$a", "é", "e\u{301}", "鍵",
        "🔑", &long,
    ];
    // Which others a store takes is its own affair.
    let taken = |key: &&str| store.profile().any_key || !(key.is_empty() || key.contains('/'));
    let keys = keys.into_iter().filter(taken).map(|key| store.at(key));
    let keys: Vec<_> = keys.collect();
    let filled: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(n, key)| {
            let (_, revision) = key.fill(Revision::NEVER, &n.to_string());
            (revision, key.granted(revision))
        })
        .collect();
    for (n, (key, (revision, grant))) in keys.iter().zip(&filled).enumerate() {
        let what = format!("key {:?}", key.key);
        key.holds(&what, *revision, &n.to_string());
        key.held(&what, *revision, grant.token());
    }
    let mut listed: Vec<_> = store.list().into_iter().map(|line| line.key).collect();
    let mut expected: Vec<_> = keys.iter().map(|key| key.key.clone()).collect();
    listed.sort();
    expected.sort();
    store.row.same("the keys listed", listed, expected);
}

pub(super) fn too_large_a_value_is_refused(bench: &Bench<'_>) {
    let store = bench.open();
    let size = store.profile().max_value.saturating_add(1);
    if size > AT_MOST {
        return;
    }
    let large = Bytes::from(vec![0; size as usize]);
    let holding = store.granted(Revision::NEVER);
    let (lease, key) = (holding.lease.clone(), store.key.clone());
    let publication = store.store.publish(lease, key, large.clone(), None);
    if !matches!(publication, Err(StoreError::Refused(_))) {
        let what = "publish of too large a value";
        store.row.fail(what, format_args!("Refused"), publication);
    }
    let key = store.key.clone();
    let put = store.store.put(key, large, None, Revision::NEVER);
    if !matches!(put, Err(StoreError::Refused(_))) {
        let what = "put of too large a value";
        store.row.fail(what, format_args!("Refused"), put);
    }
    store.holds_nothing("the key", Revision::NEVER);
    store.held("claim", Revision::NEVER, holding.token());
    store.published(&holding.lease, "smaller");
}

pub(super) fn a_retained_value_is_over(bench: &Bench<'_>) {
    let store = bench.open();
    let row = store.row;
    if !store.profile().retains {
        refused(
            &store,
            Revision::NEVER,
            Bytes::from_static(b"short"),
            Some(SHORT),
        );
        return;
    }
    let start = Instant::now();
    let grant = store.granted(Revision::NEVER);
    let publication = store.publish_for(&grant.lease, "short", Some(SHORT));
    let Publication::Published(short) = publication else {
        row.fail("publish", format_args!("Published"), publication);
    };
    let over = || store.read().entry.is_none().then_some(());
    row.until("the end of the retention", over);
    // Clocks need not run alike to the last moment.
    let early = SHORT.saturating_sub(Duration::from_millis(5));
    row.above("time to the end", start.elapsed(), early);
    store.holds_nothing("the key, its revision staying", short);
    let grant = store.granted(Revision::NEVER);
    row.same("generation", grant.generation, short);

    // A later write is retained on its own terms.
    let publication = store.publish_for(&grant.lease, "long", Some(LONG));
    let Publication::Published(long) = publication else {
        row.fail("publish", format_args!("Published"), publication);
    };
    store.holds("the key", long, "long");
    let put = |value: &'static str, retain, seen| {
        let (key, value) = (store.key.clone(), Bytes::from_static(value.as_bytes()));
        match store.store.put(key, value, retain, seen) {
            Ok(PutOutcome::Written(revision)) => revision,
            other => row.fail("put", format_args!("Written"), other),
        }
    };
    let brief = put("brief", Some(SHORT), long);
    let kept = put("kept", None, brief);
    let other = store.at("other");
    let grant = other.granted(Revision::NEVER);
    other.publish_for(&grant.lease, "brief", Some(SHORT));
    row.until("the end of another's retention", || {
        other.read().entry.is_none().then_some(())
    });
    store.holds("what was kept for good", kept, "kept");
}

pub(super) fn the_age_is_the_stores(bench: &Bench<'_>) {
    let store = bench.open();
    let start = Instant::now();
    let (_, revision) = store.fill(Revision::NEVER, "value");
    let first = store.entry().age;
    let aged = store.row.until("the age to grow", || {
        let age = store.entry().age;
        (age >= first + SHORT).then_some(age)
    });
    let elapsed = start.elapsed() + SLACK;
    store.row.within("age", aged, first + SHORT, elapsed);
    let (entry, _) = store.newer("claim", Revision::NEVER);
    store
        .row
        .within("age when claimed", entry.age, aged, elapsed + SLACK);
    let other = bench.open().entry().age;
    store
        .row
        .within("age elsewhere", other, aged, elapsed + SLACK);

    let start = Instant::now();
    store.fill(revision, "value");
    let again = store.entry().age;
    let elapsed = start.elapsed() + SLACK;
    store
        .row
        .within("age of the next", again, Duration::ZERO, elapsed);
}
