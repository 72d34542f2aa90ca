//! The conformance suite: what every store is checked against.
//!
//! Each **row** is one promise of the contract, run on data of its own. The suite is written once,
//! against [`blocking::Store`](crate::blocking::Store); an async store is wrapped in [`Waited`].
//! Rows about something the store's [`Profile`](crate::Profile) does not promise are passed over.
//!
//! What a store author brings is a function that makes a fresh [`Subject`]; a closure which opens
//! the store is one. The macro [`conformance!`](crate::conformance!) makes a `#[test]` of every row:
//!
//! ```
//! use oneflight_store::MemoryStore;
//!
//! mod memory {
//!     use super::*;
//!
//!     oneflight_store::conformance!(|| {
//!         // Here a fresh data set is made (a directory, a key prefix, …) …
//!         let data = MemoryStore::new();
//!         // … and here it is opened, each time as another process would.
//!         move || data.clone()
//!     });
//! }
//! ```
//!
//! An async store is waited for, with a runtime of its own if it needs one:
//!
//! ```
//! use oneflight_store::conformance::{self, Waited};
//! use oneflight_store::{MemoryStore, Offload};
//!
//! conformance::check("a_free_lock_is_granted", || {
//!     let data = Offload::new(MemoryStore::new());
//!     move || Waited::new(data.clone())
//! });
//! ```

mod bench;
mod ear;
mod probe;
#[macro_use]
mod rows;
mod subject;
mod waited;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::bench::Bench;
use self::rows::TABLE;
pub use self::subject::Subject;
pub use self::waited::Waited;

/// The names of all rows, in the order [`check_all`] runs them.
pub fn rows() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name)
}

/// Checks one row on a fresh subject.
///
/// # Panics
///
/// If the store does not keep the promise, with the row's name and what was expected and got; if
/// there is no such row.
#[track_caller]
pub fn check<T: Subject>(row: &str, fresh: impl FnOnce() -> T) {
    let Some((name, run)) = TABLE.iter().find(|(name, _)| *name == row) else {
        panic!("the conformance suite has no row {row}");
    };
    let subject = fresh();
    run(&Bench::new(name, &subject));
}

/// Checks every row, each on a fresh subject, to the end even if some fail.
///
/// # Panics
///
/// If any promise is not kept, with the names of all those rows.
#[track_caller]
pub fn check_all<T: Subject>(fresh: impl Fn() -> T) {
    let failed: Vec<_> = rows()
        .filter(|row| catch_unwind(AssertUnwindSafe(|| check(row, &fresh))).is_err())
        .collect();
    assert!(failed.is_empty(), "the store failed the rows {failed:?}");
}

/// Makes a `#[test]` of every row of the [conformance suite](mod@crate::conformance), named after it.
///
/// Takes what [`conformance::check`](fn@crate::conformance::check) takes: a closure or function that
/// makes a fresh [`Subject`](crate::conformance::Subject). Use it once per module.
#[macro_export]
macro_rules! conformance {
    ($fresh:expr) => {
        $crate::__conformance_rows! { __conformance_tests ($fresh) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    (($fresh:expr) $($module:ident: $($row:ident)*;)*) => { $($(
        #[test]
        fn $row() {
            $crate::conformance::check(stringify!($row), $fresh);
        }
    )*)* };
}
