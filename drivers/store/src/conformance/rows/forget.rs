//! What a forget does to the key and to the lock.

use crate::Revision;
use crate::conformance::bench::Bench;

pub(super) fn a_forget_removes_the_value(bench: &Bench<'_>) {
    let store = bench.open();
    let (_, published) = store.fill(Revision::NEVER, "value");
    let forgotten = store.forget();
    store.row.above("revision", forgotten, published);
    store.holds_nothing("the key", forgotten);
}

pub(super) fn a_forget_frees_the_lock(bench: &Bench<'_>) {
    let store = bench.open();
    let held = store.granted(Revision::NEVER);
    let forgotten = store.forget();
    let next = store.granted(Revision::NEVER);
    store.row.above("token", next.token(), held.token());
    store.row.same("generation", next.generation, forgotten);
    store.release(&held.lease);
    store.held("claim after a late release", forgotten, next.token());
}

pub(super) fn a_forget_of_nothing_is_a_revision_too(bench: &Bench<'_>) {
    let store = bench.open();
    let first = store.forget();
    store.row.above("revision", first, Revision::NEVER);
    store.holds_nothing("the key", first);
    let second = store.forget();
    store.row.above("revision", second, first);
}
