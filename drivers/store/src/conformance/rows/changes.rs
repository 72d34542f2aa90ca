//! The stream of all changes.

use std::thread;

use crate::conformance::bench::Bench;
use crate::conformance::ear::Ear;
use crate::conformance::probe::Probe;
use crate::{Change, Revision};

/// How many writers, and how many keys each writes.
const WRITERS: u32 = 4;
const KEYS: u32 = 25;

fn tells_every_move(listening: &Probe, writing: &Probe) {
    let ear = Ear::listen(listening);
    let key = &*writing.key;
    let (_, published) = writing.fill(Revision::NEVER, "value");
    ear.hears_moved("a publish", key, published);
    let put = writing.written("put", published);
    ear.hears_moved("a put", key, put);
    let forgotten = writing.forget();
    ear.hears_moved("a forget", key, forgotten);
}

pub(super) fn changes_tell_every_move(bench: &Bench<'_>) {
    let store = bench.open();
    if store.profile().push {
        tells_every_move(&store, &store);
        // Again, now that there is something which a new listener must not take for a change.
        tells_every_move(&store, &store.at("鍵\0"));
    }
}

pub(super) fn changes_tell_of_other_handles(bench: &Bench<'_>) {
    let store = bench.open();
    if store.profile().push {
        tells_every_move(&store, &bench.open());
    }
}

pub(super) fn changes_miss_nothing_of_many_writers(bench: &Bench<'_>) {
    let store = bench.open();
    if !store.profile().push {
        return;
    }
    let ear = Ear::listen(&store);
    let handles = [store, bench.open()];
    let written: Vec<(Probe, Revision)> = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .zip(handles.iter().cycle())
            .map(|(writer, handle)| {
                scope.spawn(move || {
                    let keys = (0..KEYS).map(|key| handle.at(&format!("{writer}/{key}")));
                    keys.map(|key| {
                        let revision = key.written("value", Revision::NEVER);
                        (key, revision)
                    })
                    .collect::<Vec<_>>()
                })
            })
            .collect();
        let written = writers.into_iter().map(|writer| writer.join());
        written
            .flat_map(|joined| joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    for (key, revision) in written {
        ear.hears_moved("one of many writes", &key.key, revision);
    }
    for change in ear.events() {
        if matches!(change, Change::Gap(_)) {
            let what = "changes while nothing failed";
            handles[0].row.fail(what, "no gap", change);
        }
    }
}

pub(super) fn closed_changes_tell_nothing(bench: &Bench<'_>) {
    let store = bench.open();
    if !store.profile().push {
        return;
    }
    let mut closed = Ear::listen(&store);
    let open = Ear::listen(&store);
    closed.close();
    let revision = store.written("value", Revision::NEVER);
    // Once the open one has heard it, the closed one would have.
    open.hears_moved("a put by who still listens", &store.key, revision);
    let forgotten = store.forget();
    open.hears_moved("a forget by who still listens", &store.key, forgotten);
    let heard = closed.events();
    let what = "what was told to who has closed";
    store.row.same(what, heard, vec![Change::Connected]);
}
