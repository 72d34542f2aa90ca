//! The async flavour.

mod link;
mod store;
mod up;

pub use store::RedisStore;
