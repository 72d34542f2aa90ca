//! x
mod clock;
mod holder;
mod mirror;
mod path;
mod session;
mod wire;
