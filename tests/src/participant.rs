//! A process of a fleet that uses the library, by either driver, and does as it is told.
//!
//! [`Participant`] holds one, from outside; [`run`] is what it does. Orders go to its standard input and
//! reports come from its standard output, a line of JSON each: the words are in [`words`].

mod blocking;
mod handle;
mod overheard;
mod role;
mod tokio;
pub mod words;

pub use handle::{PATIENCE, Participant};
pub use role::run;
