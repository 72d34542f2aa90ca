//! What is under test.

use crate::blocking;

/// One data set of the store under test, and how it is opened.
///
/// A closure which opens the store is a subject; whatever must outlive the store, such as a
/// temporary directory, it owns.
pub trait Subject {
    /// The store.
    type Store: blocking::Store;

    /// Opens the data set as one more process would: at first it is empty, and each time it holds
    /// what was stored before, whether or not the earlier handles are still open.
    fn open(&self) -> Self::Store;
}

impl<F: Fn() -> S, S: blocking::Store> Subject for F {
    type Store = S;

    fn open(&self) -> S {
        self()
    }
}
