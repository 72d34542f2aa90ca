//! What is said over a connection: frames, and the words in them.

mod event;
mod frame;
mod op_id;
mod reply;
mod write;

pub(crate) use event::{Event, Op, Snapshot};
pub use frame::Wire;
pub(crate) use frame::{Frame, Message};
pub(crate) use op_id::{OpId, Stamp};
pub(crate) use reply::{Done, Failure, Joined, Reply, read as read_reply};
pub(crate) use write::{Condition, Deed, Write, millis};
