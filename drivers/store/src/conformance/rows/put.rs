//! The unfenced write of a degraded caller.

use crate::conformance::bench::{Bench, LONG};
use crate::{PutOutcome, Renewal, Revision};

pub(super) fn a_put_writes_without_a_lease(bench: &Bench<'_>) {
    let store = bench.open();
    let revision = store.written("value", Revision::NEVER);
    store.row.above("revision", revision, Revision::NEVER);
    store.holds("the key", revision, "value");
    store.row.same("token", store.entry().token, None);
    let (entry, _) = store.newer("claim", Revision::NEVER);
    store.row.same("revision", entry.revision, revision);
}

pub(super) fn a_put_replaces_nothing_unseen(bench: &Bench<'_>) {
    let store = bench.open();
    let row = store.row;
    let (_, published) = store.fill(Revision::NEVER, "published");
    let outcome = store.put("blind", Revision::NEVER);
    row.same("put unseen", outcome, PutOutcome::Newer(published));
    store.holds("the key", published, "published");

    let written = store.written("seen", published);
    row.above("revision", written, published);
    store.holds("the key after the put", written, "seen");
    let outcome = store.put("blind", published);
    row.same("put over a put", outcome, PutOutcome::Newer(written));
    store.holds("the key at last", written, "seen");
}

pub(super) fn a_put_does_not_bring_back_what_was_forgotten(bench: &Bench<'_>) {
    let store = bench.open();
    let (_, published) = store.fill(Revision::NEVER, "published");
    let forgotten = store.forget();
    for seen in [Revision::NEVER, published] {
        let outcome = store.put("old", seen);
        let what = "put by who has not seen the forget";
        store.row.same(what, outcome, PutOutcome::Newer(forgotten));
        store.holds_nothing("the key", forgotten);
    }
    let written = store.written("new", forgotten);
    store.row.above("revision", written, forgotten);
    store.holds("the key at last", written, "new");
}

pub(super) fn a_put_leaves_the_lease_alone(bench: &Bench<'_>) {
    let store = bench.open();
    let holding = store.granted(Revision::NEVER);
    let put = store.written("put", Revision::NEVER);
    let renewal = store.renew(&holding.lease, LONG);
    store.row.same("renewal", renewal, Renewal::Renewed);
    store.held("claim", put, holding.token());
    let published = store.published(&holding.lease, "published");
    store.row.above("revision", published, put);
    store.holds("the key", published, "published");
}
