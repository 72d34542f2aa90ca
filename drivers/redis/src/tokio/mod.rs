//! The async flavour.

mod link;
mod pulse;
mod store;
mod up;

pub use store::RedisStore;
