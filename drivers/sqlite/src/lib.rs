//! A [`Store`] in one SQLite file, shared by all processes of a machine.

mod busy;
mod calls;
mod clock;
mod ear;
mod fault;
mod hub;
mod meta;
mod notifier;
mod open;
mod place;
mod prune;
mod rows;
mod schema;
mod signal;
mod step;
mod store;

pub use open::OpenError;
pub use store::SqliteStore;
