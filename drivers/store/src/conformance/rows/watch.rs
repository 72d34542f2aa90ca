//! What a watcher hears, and that it never misses how things stand at last.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::conformance::bench::Bench;
use crate::conformance::ear::{Ear, keys};
use crate::conformance::probe::{Probe, text};
use crate::{KeyState, LockState, Revision};

/// How often a concurrent writer writes.
const WRITES: u64 = 200;

/// A handle, if its store pushes at all.
fn open(bench: &Bench<'_>) -> Option<Probe> {
    let store = bench.open();
    store.profile().push.then_some(store)
}

pub(super) fn a_watch_begins_with_how_things_stand(bench: &Bench<'_>) {
    let store = bench.open();
    let row = store.row;
    let (key, lock) = Ear::watch(&store).snapshot();
    let nothing = KeyState {
        revision: Revision::NEVER,
        entry: None,
    };
    row.same("a key never written", key, nothing);
    row.same("a lock never taken", lock, LockState::Free);

    let (filler, revision) = store.fill(Revision::NEVER, "value");
    let holding = store.granted(revision);
    let (key, lock) = Ear::watch(&store).snapshot();
    row.same("value", text(&key), Some("value".into()));
    row.same("revision", key.revision, revision);
    let token = key.entry.and_then(|entry| entry.token);
    row.same("token of the value", token, Some(filler.token()));
    if !matches!(lock, LockState::Held { token, .. } if token == holding.token()) {
        let what = "a held lock";
        row.fail(what, format_args!("Held under {}", holding.token()), lock);
    }

    let forgotten = store.forget();
    let (key, lock) = Ear::watch(&store).snapshot();
    row.same("value, forgotten", text(&key), None);
    row.same("revision of the forget", key.revision, forgotten);
    row.same("a lock freed by a forget", lock, LockState::Free);
}

fn hears_a_publish(watching: &Probe, writing: &Probe) {
    let ear = Ear::watch_from_snapshot(watching);
    let (grant, revision) = writing.fill(Revision::NEVER, "value");
    let state = ear.hears_key("a publish", revision);
    let row = watching.row;
    row.same("the value told", text(&state), Some("value".into()));
    let token = state.entry.and_then(|entry| entry.token);
    row.same("the token told", token, Some(grant.token()));
    ear.hears_free("the lock freed by a publish");
}

fn hears_a_put(watching: &Probe, writing: &Probe) {
    let ear = Ear::watch_from_snapshot(watching);
    let revision = writing.written("value", Revision::NEVER);
    let state = ear.hears_key("a put", revision);
    let row = watching.row;
    row.same("the value told", text(&state), Some("value".into()));
}

fn hears_a_release(watching: &Probe, writing: &Probe) {
    let grant = writing.granted(Revision::NEVER);
    let ear = Ear::watch_from_snapshot(watching);
    writing.release(&grant.lease);
    ear.hears_free("a release");
}

fn hears_a_forget(watching: &Probe, writing: &Probe) {
    let (_, revision) = writing.fill(Revision::NEVER, "value");
    writing.granted(revision);
    let ear = Ear::watch_from_snapshot(watching);
    let forgotten = writing.forget();
    let state = ear.hears_key("a forget", forgotten);
    watching.row.same("the value told", text(&state), None);
    ear.hears_free("the lock freed by a forget");
}

pub(super) fn a_watch_hears_a_publish(bench: &Bench<'_>) {
    if let Some(store) = open(bench) {
        hears_a_publish(&store, &store);
    }
}

pub(super) fn a_watch_hears_a_put(bench: &Bench<'_>) {
    if let Some(store) = open(bench) {
        hears_a_put(&store, &store);
    }
}

pub(super) fn a_watch_hears_a_release(bench: &Bench<'_>) {
    if let Some(store) = open(bench) {
        hears_a_release(&store, &store);
    }
}

pub(super) fn a_watch_hears_a_forget(bench: &Bench<'_>) {
    if let Some(store) = open(bench) {
        hears_a_forget(&store, &store);
    }
}

pub(super) fn a_watch_hears_other_handles(bench: &Bench<'_>) {
    let Some(here) = open(bench) else { return };
    let there = bench.open();
    hears_a_publish(&here.at("publish"), &there.at("publish"));
    hears_a_put(&here.at("put"), &there.at("put"));
    hears_a_release(&here.at("release"), &there.at("release"));
    hears_a_forget(&here.at("forget"), &there.at("forget"));
}

/// Starts watches all along while `write` is called again and again on another handle.
fn watch_a_writer(
    bench: &Bench<'_>,
    store: &Probe,
    write: impl Fn(&Probe, u64) + Sync,
) -> Vec<Ear<crate::WatchEvent>> {
    const EARS: u64 = 10;
    let progress = AtomicU64::new(0);
    let writer = bench.open();
    thread::scope(|scope| {
        let writing = scope.spawn(|| {
            // Tells the watchers below to go on even if a write fails.
            let progress = Progress(&progress);
            for n in 0..WRITES {
                progress.0.store(n, Ordering::Release);
                write(&writer, n);
            }
        });
        let mut ears = Vec::new();
        for n in 0..EARS {
            let from = n * WRITES / EARS;
            while progress.load(Ordering::Acquire) < from {
                thread::yield_now();
            }
            ears.push(Ear::watch(store));
        }
        if let Err(panic) = writing.join() {
            std::panic::resume_unwind(panic);
        }
        ears
    })
}

/// How many writes were begun; all of them once it is dropped.
struct Progress<'a>(&'a AtomicU64);

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.0.store(u64::MAX, Ordering::Release);
    }
}

pub(super) fn a_watch_misses_no_last_value(bench: &Bench<'_>) {
    let Some(store) = open(bench) else { return };
    let ears = watch_a_writer(bench, &store, |writer, n| {
        writer.written(&n.to_string(), Revision::new(u64::MAX));
    });
    let last = store.read().revision;
    for ear in ears {
        let state = ear.hears_key("the last of many writes", last);
        let row = store.row;
        row.same(
            "the value told",
            text(&state),
            Some((WRITES - 1).to_string()),
        );
        let told: Vec<_> = keys(&ear.events()).map(|state| state.revision).collect();
        if !told.is_sorted() {
            row.fail("the revisions told", "them in order", told);
        }
    }
}

pub(super) fn a_watch_misses_no_last_release(bench: &Bench<'_>) {
    let Some(store) = open(bench) else { return };
    let ears = watch_a_writer(bench, &store, |writer, _| {
        let grant = writer.granted(Revision::NEVER);
        writer.release(&grant.lease);
    });
    for ear in ears {
        ear.hears_free("the last of many releases");
    }
}

pub(super) fn a_watch_hears_of_its_own_key_only(bench: &Bench<'_>) {
    let Some(store) = open(bench) else { return };
    let (one, other) = (store.at("one"), store.at("other"));
    let here = Ear::watch_from_snapshot(&one);
    let there = Ear::watch_from_snapshot(&other);
    let (_, first) = one.fill(Revision::NEVER, "one");
    let (_, second) = other.fill(Revision::NEVER, "other");
    let last = one.forget();
    here.hears_key("the last of its own", last);
    there.hears_key("the last of its own", second);
    for (ear, own) in [(&here, [first, last]), (&there, [second, second])] {
        for state in keys(&ear.events()) {
            if state.revision != Revision::NEVER && !own.contains(&state.revision) {
                store.row.fail("what was told", "its own key", state);
            }
        }
    }
}

pub(super) fn a_closed_watch_hears_nothing(bench: &Bench<'_>) {
    let Some(store) = open(bench) else { return };
    let mut closed = Ear::watch_from_snapshot(&store);
    let open = Ear::watch_from_snapshot(&store);
    closed.close();
    let (_, revision) = store.fill(Revision::NEVER, "value");
    // Once the open one has heard it, the closed one would have.
    open.hears_key("the publish by who still watches", revision);
    let forgotten = store.forget();
    open.hears_key("the forget by who still watches", forgotten);
    for state in keys(&closed.events()) {
        let what = "what was told after the watch was closed";
        store.row.same(what, state.revision, Revision::NEVER);
    }
}
