//! The store keeps the contract, for threads and for async callers, with every handle a connection
//! of its own.

use oneflight_sqlite::SqliteStore;
use oneflight_store::conformance;
use oneflight_store::conformance::Waited;

mod blocking {
    use super::*;

    conformance!(|| {
        let directory = tempfile::tempdir().unwrap();
        move || SqliteStore::open(directory.path().join("store.db")).unwrap()
    });
}

mod waited {
    use super::*;

    conformance!(|| {
        let directory = tempfile::tempdir().unwrap();
        move || Waited::new(SqliteStore::open(directory.path().join("store.db")).unwrap())
    });
}
