//! A Redis Cluster: which of its servers keeps a key, and what is to be done when that changes.
//!
//! Both flavours build on it: what each of them does in its own way is asked of the
//! [`Flavour`](crate::flavour::Flavour).

mod address;
mod chart;
mod map;
mod relay;
mod roster;
mod route;
mod seeds;
mod slots;
mod stream;
mod survey;
mod turn;
mod url;

pub(crate) use self::address::Address;
use self::map::Map;
pub(crate) use self::roster::{Member, Roster};
pub(crate) use self::route::Cluster;
pub(crate) use self::seeds::Seeds;
use self::slots::slot;
#[cfg(test)]
pub(crate) use self::slots::tag;
pub(crate) use self::turn::Turn;
