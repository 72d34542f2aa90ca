//! The async flavour.

mod cluster;
mod link;
mod node;
mod store;
mod up;

pub use store::RedisStore;
