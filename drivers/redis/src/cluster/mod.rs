//! A Redis Cluster: which of its servers keeps a key, and what is to be done when that changes.
//!
//! Nothing here waits or connects: both flavours may build on it.

mod address;
mod map;
mod relay;
mod roster;
mod seeds;
mod slots;
mod stream;
mod turn;
mod url;

pub(crate) use self::address::Address;
pub(crate) use self::map::Map;
pub(crate) use self::roster::{Member, Roster};
pub(crate) use self::seeds::Seeds;
pub(crate) use self::slots::slot;
pub(crate) use self::turn::Turn;
pub(crate) use self::url::is_cluster;
