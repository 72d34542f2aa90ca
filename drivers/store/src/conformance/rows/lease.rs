//! How a lease lives and ends.

use std::time::Instant;

use crate::conformance::bench::{Bench, DRIFT, LONG, SHORT, SLACK};
use crate::conformance::probe::Probe;
use crate::{Claim, Publication, Renewal, Revision};

#[track_caller]
fn lost(store: &Probe, what: &str, lease: &crate::LeaseId) {
    let renewal = store.renew(lease, LONG);
    store.row.same(what, renewal, Renewal::Lost);
}

pub(super) fn a_renewal_counts_from_now(bench: &Bench<'_>) {
    let store = bench.open();
    let grant = store.granted(Revision::NEVER);
    for ttl in [LONG * 3, LONG / 2] {
        let renewal = store.renew(&grant.lease, ttl);
        store.row.same("renewal", renewal, Renewal::Renewed);
        let claim = store.claim(Revision::NEVER);
        match claim {
            Claim::Held {
                remaining: Some(remaining),
                ..
            } => {
                let what = "what remains after the renewal";
                store.row.within(what, remaining, ttl - SLACK, ttl + DRIFT);
            }
            Claim::Held {
                remaining: None, ..
            } => {}
            Claim::Granted { .. } | Claim::Newer { .. } => {
                store
                    .row
                    .fail("claim by another", format_args!("Held"), claim);
            }
        }
    }
}

pub(super) fn an_ended_lease_is_not_renewed(bench: &Bench<'_>) {
    let store = bench.open();
    let released = store.granted(Revision::NEVER);
    store.release(&released.lease);
    lost(&store, "renewal after a release", &released.lease);
    let (published, revision) = store.fill(Revision::NEVER, "value");
    lost(&store, "renewal after a publish", &published.lease);
    let forgotten = store.granted(revision);
    store.forget();
    lost(&store, "renewal after a forget", &forgotten.lease);
    // None of these brought the lock back to life.
    store.granted(revision);
}

pub(super) fn a_lapsed_lease_is_taken_over(bench: &Bench<'_>) {
    let store = bench.open();
    let start = Instant::now();
    let first = store.granted_for(SHORT);
    let second = store.takes_over(Revision::NEVER);
    let took = start.elapsed();
    let row = store.row;
    row.above("time to the take-over", took, SHORT.saturating_sub(DRIFT));
    row.above("token", second.token(), first.token());
    row.same("generation", second.generation, Revision::NEVER);
    row.within("remaining", second.remaining, LONG - SLACK, LONG);
}

pub(super) fn an_overtaken_holder_is_fenced(bench: &Bench<'_>) {
    let store = bench.open();
    let first = store.granted_for(SHORT);
    let second = store.takes_over(Revision::NEVER);
    store.fenced("publish by the overtaken", &first.lease);
    lost(&store, "renewal by the overtaken", &first.lease);
    store.release(&first.lease);
    store.held("claim by a third", Revision::NEVER, second.token());
    let revision = store.published(&second.lease, "of the second");
    store.fenced("publish by the overtaken, later", &first.lease);
    store.holds("the key", revision, "of the second");
}

pub(super) fn a_lapsed_holder_is_treated_as_promised(bench: &Bench<'_>) {
    let store = bench.open();
    let profile = store.profile();
    if !profile.store_side_lapse {
        return;
    }
    let renewing = store.granted_for(SHORT);
    store.lapses();
    if !profile.lapsed_holder_may_publish {
        lost(&store, "renewal after the lapse", &renewing.lease);
        store.fenced("publish after the lapse", &renewing.lease);
        return;
    }
    let row = store.row;
    let renewal = store.renew(&renewing.lease, LONG);
    row.same("renewal after the lapse", renewal, Renewal::Renewed);
    store.held("claim by another", Revision::NEVER, renewing.token());
    store.release(&renewing.lease);

    let publishing = store.granted_for(SHORT);
    store.lapses();
    let publication = store.publish(&publishing.lease, "late");
    let Publication::Published(revision) = publication else {
        row.fail(
            "publish after the lapse",
            format_args!("Published"),
            publication,
        );
    };
    store.holds("the key", revision, "late");
}

pub(super) fn a_release_frees_the_lock(bench: &Bench<'_>) {
    let store = bench.open();
    let first = store.granted(Revision::NEVER);
    store.release(&first.lease);
    store.holds_nothing("the key", Revision::NEVER);
    let second = store.granted(Revision::NEVER);
    store.row.above("token", second.token(), first.token());
}

pub(super) fn a_late_release_does_nothing(bench: &Bench<'_>) {
    let store = bench.open();
    let released = store.granted(Revision::NEVER);
    store.release(&released.lease);
    store.release(&released.lease);
    let (published, revision) = store.fill(Revision::NEVER, "value");
    store.release(&published.lease);
    store.holds("the key after late releases", revision, "value");

    let holding = store.granted(revision);
    for late in [&released.lease, &published.lease] {
        store.release(late);
        store.held("claim after a late release", revision, holding.token());
    }
    store.forget();
    store.release(&holding.lease);
    store.at("never locked").release(&holding.lease);
}
