//! What a publish does, and whose.

use crate::conformance::bench::{Bench, LONG};
use crate::{LeaseId, Publication, Renewal, Revision, Token};

pub(super) fn a_publish_writes_and_frees(bench: &Bench<'_>) {
    let store = bench.open();
    let row = store.row;
    let (first, published) = store.fill(Revision::NEVER, "one");
    row.above("revision", published, first.generation);
    store.holds("the key", published, "one");
    row.same("token", store.entry().token, Some(first.token()));

    let (second, replaced) = store.fill(published, "two");
    row.above("token", second.token(), first.token());
    row.above("revision", replaced, published);
    store.holds("the key after the second", replaced, "two");
}

pub(super) fn a_repeated_publish_is_the_same_publish(bench: &Bench<'_>) {
    let store = bench.open();
    let (grant, revision) = store.fill(Revision::NEVER, "value");
    for handle in [&store, &bench.open()] {
        let again = handle.publish(&grant.lease, "again");
        let what = "publish repeated";
        store
            .row
            .same(what, again, Publication::Published(revision));
        store.holds("the key", revision, "value");
    }
}

pub(super) fn a_publish_repeated_after_a_new_grant_is_the_same(bench: &Bench<'_>) {
    let store = bench.open();
    let row = store.row;
    let (first, revision) = store.fill(Revision::NEVER, "value");
    let second = store.granted(revision);
    let again = store.publish(&first.lease, "value");
    let what = "publish repeated, the lock being granted to another";
    row.same(what, again, Publication::Published(revision));
    let renewal = store.renew(&second.lease, LONG);
    row.same("renewal by the other", renewal, Renewal::Renewed);
    store.held("claim by a third", revision, second.token());
}

/// Whether it is still known to have published or counts as overtaken is the store's choice.
pub(super) fn a_late_repeated_publish_changes_nothing(bench: &Bench<'_>) {
    let store = bench.open();
    let (first, revision) = store.fill(Revision::NEVER, "first");
    let (_, second) = store.fill(revision, "second");
    late(&store, &first.lease, revision);
    store.holds("the key after a newer publish", second, "second");

    let (third, revision) = store.fill(second, "third");
    let put = store.written("put", revision);
    late(&store, &third.lease, revision);
    store.holds("the key after a put", put, "put");

    let (fourth, revision) = store.fill(put, "fourth");
    let forgotten = store.forget();
    late(&store, &fourth.lease, revision);
    store.holds_nothing("the key after a forget", forgotten);
}

#[track_caller]
fn late(store: &crate::conformance::probe::Probe, lease: &LeaseId, revision: Revision) {
    let again = store.publish(lease, "again");
    if again != Publication::Fenced {
        let what = "publish repeated late";
        store
            .row
            .same(what, again, Publication::Published(revision));
    }
}

pub(super) fn a_released_lease_does_not_publish(bench: &Bench<'_>) {
    let store = bench.open();
    let released = store.granted(Revision::NEVER);
    store.release(&released.lease);
    store.fenced("publish after the release", &released.lease);
    let next = store.granted(Revision::NEVER);
    store.fenced("publish after the next grant", &released.lease);
    store.held("claim", Revision::NEVER, next.token());
}

pub(super) fn a_forgotten_lease_does_not_publish(bench: &Bench<'_>) {
    let store = bench.open();
    let (_, revision) = store.fill(Revision::NEVER, "value");
    let filling = store.granted(revision);
    let forgotten = store.forget();
    store.fenced("publish after the forget", &filling.lease);
    store.holds_nothing("the key", forgotten);
    let next = store.granted(revision);
    store.row.above("token", next.token(), filling.token());
    store.fenced("publish after the next grant", &filling.lease);
    store.published(&next.lease, "afresh");
}

pub(super) fn a_token_never_granted_does_not_publish(bench: &Bench<'_>) {
    let store = bench.open();
    let unknown = |number| LeaseId {
        lock: store.lock.clone(),
        token: Token::new(number).unwrap_or_else(|| store.row.fail("token", "one", number)),
    };
    store.fenced("publish on a lock never taken", &unknown(1));
    let held = store.granted(Revision::NEVER);
    let number = held.token().get();
    store.fenced("publish above the token", &unknown(number + 1));
    if number > 1 {
        store.fenced("publish below the token", &unknown(number - 1));
    }
    let elsewhere = LeaseId {
        lock: store.at("elsewhere").lock,
        token: held.token(),
    };
    store.fenced("publish with the token of another lock", &elsewhere);
    store.published(&held.lease, "value");
}
