//! More than one process on the same data.

use crate::Revision;
use crate::conformance::bench::{Bench, LONG};
use crate::{Publication, Renewal};

pub(super) fn handles_share_everything(bench: &Bench<'_>) {
    let (here, there) = (bench.open(), bench.open());
    let row = here.row;
    let grant = here.granted(Revision::NEVER);
    there.held("claim elsewhere", Revision::NEVER, grant.token());
    let renewal = there.renew(&grant.lease, LONG);
    row.same("renewal elsewhere", renewal, Renewal::Renewed);
    let revision = there.published(&grant.lease, "value");
    here.holds("the key", revision, "value");
    let again = here.publish(&grant.lease, "value");
    row.same("publish repeated", again, Publication::Published(revision));

    let grant = here.granted(revision);
    there.release(&grant.lease);
    here.fenced("publish, released elsewhere", &grant.lease);
    let grant = here.granted(revision);
    let forgotten = there.forget();
    here.fenced("publish, forgotten elsewhere", &grant.lease);
    here.holds_nothing("the key, forgotten elsewhere", forgotten);
    let put = there.written("put", forgotten);
    here.holds("the key, put elsewhere", put, "put");
}

pub(super) fn what_was_stored_outlives_its_handles(bench: &Bench<'_>) {
    let store = bench.open();
    let (value, held) = (store.at("value"), store.at("held"));
    let forgotten = store.at("forgotten");
    let (published, revision) = value.fill(Revision::NEVER, "value");
    let lease = held.granted(Revision::NEVER);
    let tombstone = forgotten.forget();
    drop((store, value, held, forgotten));

    let store = bench.open();
    let (value, held) = (store.at("value"), store.at("held"));
    let row = store.row;
    value.holds("the value", revision, "value");
    row.same("token", value.entry().token, Some(published.token()));
    let again = value.publish(&published.lease, "value");
    row.same("publish repeated", again, Publication::Published(revision));
    held.held("claim of a held lock", Revision::NEVER, lease.token());
    held.published(&lease.lease, "after all");
    let state = store.at("forgotten").read();
    row.same("the last revision", state.revision, tombstone);
}
