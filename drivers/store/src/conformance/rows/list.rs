//! The list for people.

use crate::conformance::bench::{Bench, SHORT};
use crate::{LockState, Revision};

pub(super) fn a_list_tells_values_and_leases(bench: &Bench<'_>) {
    let store = bench.open();
    let row = store.row;
    row.same("the list of an empty store", store.list(), vec![]);
    let (value, both) = (store.at("b/value"), store.at("a/both"));
    let held = store.at("c/held");
    let (_, of_value) = value.fill(Revision::NEVER, "value");
    let (_, of_both) = both.fill(Revision::NEVER, "");
    let on_both = both.granted(of_both);
    let on_held = held.granted(Revision::NEVER);

    let lines = bench.open().list();
    let keys: Vec<_> = lines.iter().map(|line| &*line.key).collect();
    row.same("the keys", keys, vec!["a/both", "b/value", "c/held"]);
    let sizes: Vec<_> = lines.iter().map(|line| line.size).collect();
    row.same("the sizes", sizes, vec![Some(0), Some(5), None]);
    let aged: Vec<_> = lines.iter().map(|line| line.age.is_some()).collect();
    row.same("whether there is an age", aged, vec![true, true, false]);
    let revisions: Vec<_> = lines.iter().map(|line| line.revision).collect();
    let expected = vec![of_both, of_value, Revision::NEVER];
    row.same("the revisions", revisions, expected);
    let locks: Vec<_> = lines.iter().map(|line| line.lock.clone()).collect();
    row.same(
        "the locks",
        locks,
        vec![Some(both.lock), None, Some(held.lock)],
    );
    let tokens: Vec<_> = lines
        .iter()
        .map(|line| match &line.state {
            LockState::Free => None,
            LockState::Held { token, .. } => Some(*token),
        })
        .collect();
    let expected = vec![Some(on_both.token()), None, Some(on_held.token())];
    row.same("the tokens", tokens, expected);
}

pub(super) fn a_list_leaves_out_what_is_over(bench: &Bench<'_>) {
    let store = bench.open();
    let released = store.at("released").granted(Revision::NEVER);
    store.release(&released.lease);
    let forgotten = store.at("forgotten");
    forgotten.fill(Revision::NEVER, "value");
    forgotten.forget();
    if store.profile().retains {
        let retained = store.at("retained");
        let grant = retained.granted(Revision::NEVER);
        retained.publish_for(&grant.lease, "value", Some(SHORT));
    }
    if store.profile().store_side_lapse {
        store.at("lapsed").granted_for(SHORT);
    }
    store
        .row
        .until("an empty list", || store.list().is_empty().then_some(()));
}
