//! The async flavour.

mod link;
mod node;
mod store;
mod tasks;
mod up;

pub use store::RedisStore;
