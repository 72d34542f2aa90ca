//! Tokens and revisions: they order things only if they never go back.

use crate::conformance::bench::{Bench, SHORT};
use crate::conformance::probe::Probe;
use crate::{Revision, Token};

pub(super) fn tokens_only_grow(bench: &Bench<'_>) {
    let mut store = bench.open();
    let mut last: Option<Token> = None;
    let mut grows = |store: &Probe, what: &str, token: Token| {
        if let Some(last) = last {
            store.row.above(what, token, last);
        }
        last = Some(token);
    };
    for _ in 0..2 {
        let seen = store.read().revision;
        let released = store.granted(seen);
        grows(&store, "token", released.token());
        store.release(&released.lease);
        let (published, revision) = store.fill(seen, "value");
        grows(&store, "token after a release", published.token());
        let forgotten = store.granted(revision);
        grows(&store, "token after a publish", forgotten.token());
        store.forget();
        let lapsed = store.granted_for(SHORT);
        grows(&store, "token after a forget", lapsed.token());
        let next = store.takes_over(revision);
        grows(&store, "token after a lapse", next.token());
        store.release(&next.lease);
        drop(store);
        store = bench.open();
        let reopened = store.granted(revision);
        grows(&store, "token after reopening", reopened.token());
        store.release(&reopened.lease);
    }
}

pub(super) fn revisions_only_grow(bench: &Bench<'_>) {
    let mut store = bench.open();
    let mut last = Revision::NEVER;
    let mut grows = |store: &Probe, what: &str, revision: Revision| {
        store.row.above(what, revision, last);
        store
            .row
            .same("the key's revision", store.read().revision, revision);
        last = revision;
        revision
    };
    let mut seen = Revision::NEVER;
    for _ in 0..2 {
        let (_, revision) = store.fill(seen, "published");
        let revision = grows(&store, "revision of a publish", revision);
        let put = store.written("put", revision);
        grows(&store, "revision of a put", put);
        let forgotten = store.forget();
        let forgotten = grows(&store, "revision of a forget", forgotten);
        let put = store.written("put", forgotten);
        grows(&store, "revision of a put after a forget", put);
        let forgotten = store.forget();
        grows(&store, "revision of a second forget", forgotten);
        drop(store);
        store = bench.open();
        seen = forgotten;
    }
}
