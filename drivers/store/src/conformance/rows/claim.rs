//! What a claim answers.

use crate::conformance::bench::{Bench, DRIFT, LONG, SHORT, SLACK};
use crate::conformance::probe::holder;
use crate::{Claim, ClaimRequest, Renewal, Revision};

pub(super) fn a_free_lock_is_granted(bench: &Bench<'_>) {
    let store = bench.open();
    let grant = store.granted(Revision::NEVER);
    let row = store.row;
    row.same("generation", grant.generation, Revision::NEVER);
    row.within("remaining", grant.remaining, LONG - SLACK, LONG);
}

pub(super) fn a_held_lock_is_not_granted(bench: &Bench<'_>) {
    let store = bench.open();
    let grant = store.granted(Revision::NEVER);
    for _ in 0..3 {
        let claim = store.claim(Revision::NEVER);
        let Claim::Held {
            token,
            remaining,
            holder: told,
        } = claim
        else {
            store
                .row
                .fail("claim of a held lock", format_args!("Held"), claim);
        };
        store.row.same("token", token, grant.token());
        if let Some(remaining) = remaining {
            store
                .row
                .within("remaining", remaining, LONG / 2, LONG + DRIFT);
        }
        if let Some(told) = told {
            store.row.same("holder", told, holder());
        }
    }
}

pub(super) fn a_repeated_claim_is_the_same_claim(bench: &Bench<'_>) {
    let store = bench.open();
    if !store.profile().idempotent_claim {
        return;
    }
    let request = store.request(Revision::NEVER);
    let first = store.granted_with(request.clone());
    for handle in [&store, &bench.open()] {
        let again = handle.granted_with(ClaimRequest {
            ttl: LONG * 2,
            ..request.clone()
        });
        let row = store.row;
        row.same("token of the repeated claim", again.token(), first.token());
        row.same("generation", again.generation, first.generation);
        row.within("what remains", again.remaining, LONG / 2, first.remaining);
    }
    store.held("claim by another", Revision::NEVER, first.token());
    let renewal = store.renew(&first.lease, LONG);
    store.row.same("renewal", renewal, Renewal::Renewed);
}

pub(super) fn an_attempt_whose_lease_ended_is_granted_anew(bench: &Bench<'_>) {
    let store = bench.open();
    let request = store.request(Revision::NEVER);
    let first = store.granted_with(request.clone());
    store.release(&first.lease);
    let second = store.granted_with(request.clone());
    store
        .row
        .above("token after a release", second.token(), first.token());
    store.forget();
    let third = store.granted_with(request);
    store
        .row
        .above("token after a forget", third.token(), second.token());
    store.fenced("publish by the released lease", &first.lease);
}

pub(super) fn a_newer_value_comes_before_the_lock(bench: &Bench<'_>) {
    let store = bench.open();
    let (filler, revision) = store.fill(Revision::NEVER, "value");
    let (entry, _) = store.newer("claim, the lock being free", Revision::NEVER);
    let row = store.row;
    row.same("value", &*entry.value, b"value".as_slice());
    row.same("revision", entry.revision, revision);
    row.same("token", entry.token, Some(filler.token()));

    let request = store.request(revision);
    let holding = store.granted_with(request.clone());
    store.newer("claim, the lock being held", Revision::NEVER);

    store.written("put", revision);
    let claim = store.claim_with(request);
    if !matches!(claim, Claim::Newer { .. }) {
        let what = "claim repeated by the holder, the key having moved";
        row.fail(what, format_args!("Newer"), claim);
    }
    let renewal = store.renew(&holding.lease, LONG);
    row.same("renewal by the holder", renewal, Renewal::Renewed);
}

pub(super) fn a_value_already_seen_is_not_newer(bench: &Bench<'_>) {
    let store = bench.open();
    let (_, revision) = store.fill(Revision::NEVER, "value");
    let grant = store.granted(revision);
    store.held("claim having seen it", revision, grant.token());
    let beyond = Revision::new(revision.get() + 1000);
    store.held("claim having seen more", beyond, grant.token());
    let earlier = Revision::new(revision.get() - 1);
    store.newer("claim having seen the one before", earlier);
}

pub(super) fn a_forgotten_value_is_not_newer(bench: &Bench<'_>) {
    let store = bench.open();
    store.fill(Revision::NEVER, "value");
    let forgotten = store.forget();
    let grant = store.granted(Revision::NEVER);
    store.row.same("generation", grant.generation, forgotten);
}

pub(super) fn the_generation_is_the_last_revision(bench: &Bench<'_>) {
    let store = bench.open();
    let (first, published) = store.fill(Revision::NEVER, "value");
    let row = store.row;
    row.same("before any", first.generation, Revision::NEVER);
    let second = store.granted(published);
    row.same("after a publish", second.generation, published);
    store.release(&second.lease);
    let put = store.written("put", published);
    let third = store.granted(put);
    row.same("after a put", third.generation, put);
    let forgotten = store.forget();
    let fourth = store.granted(put);
    row.same("after a forget", fourth.generation, forgotten);
}

/// Who is told `latest` takes a value with a token above it for one whose fill began later: so no
/// lease granted so far which may still publish is above it.
pub(super) fn latest_covers_every_standing_lease(bench: &Bench<'_>) {
    let store = bench.open();
    let row = store.row;
    let (first, revision) = store.fill(Revision::NEVER, "value");
    let (_, latest) = store.newer("after a publish", Revision::NEVER);
    row.same("latest after a publish", latest, Some(first.token()));

    let second = store.granted(revision);
    let (_, latest) = store.newer("while held", Revision::NEVER);
    row.same("latest while held", latest, Some(second.token()));
    store.release(&second.lease);
    let (_, latest) = store.newer("after a release", Revision::NEVER);
    let (low, high) = (Some(first.token()), Some(second.token()));
    row.within("latest after a release", latest, low, high);

    let third = store.granted_with(ClaimRequest {
        ttl: SHORT,
        ..store.request(revision)
    });
    if store.profile().store_side_lapse && store.profile().lapsed_holder_may_publish {
        store.lapses();
        let (_, latest) = store.newer("after a lapse", Revision::NEVER);
        row.same("latest after a lapse", latest, Some(third.token()));
    }

    let put = store.at("put");
    put.written("put", Revision::NEVER);
    let (entry, latest) = put.newer("after a put", Revision::NEVER);
    row.same("token of what was put", entry.token, None);
    row.same("latest, nothing being granted", latest, None);
}

pub(super) fn keys_and_locks_are_apart(bench: &Bench<'_>) {
    let (one, other) = (bench.open().at("one"), bench.open().at("other"));
    let held = one.granted(Revision::NEVER);
    let (_, revision) = other.fill(Revision::NEVER, "other");
    one.held("claim of one", Revision::NEVER, held.token());
    one.holds_nothing("one", Revision::NEVER);
    let published = one.published(&held.lease, "one");
    one.forget();
    other.holds("other", revision, "other");
    other.newer("claim of other", Revision::NEVER);
    one.row.above("revision of one", published, Revision::NEVER);
}
