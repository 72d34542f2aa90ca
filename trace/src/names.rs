//! How keys are named.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use oneflight_core::{FlightId, Notice, Order};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Digest, Record, What};

/// A key by its number: in the simulator, and wherever traces are worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u32);

impl Key {
    /// The number as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("k{}", self.0))
    }
}

/// A key as a recording spells it: the key alone, or with its lock key if that is not the default.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Name {
    /// The key, under the default lock.
    Key(String),
    /// The key, under a lock of the caller's choice.
    Locked {
        /// The key.
        key: String,
        /// The lock key.
        lock: String,
    },
}

impl Name {
    fn parts(&self) -> (&str, Option<&str>) {
        match self {
            Self::Key(key) => (key, None),
            Self::Locked { key, lock } => (key, Some(lock)),
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    /// The order of the drivers' own keys: a machine goes through what is due at once in this order.
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

/// The numbers given to names, in the order of their first appearance.
#[derive(Clone, Debug, Default)]
pub struct Names {
    numbers: BTreeMap<Name, Key>,
    names: Vec<Name>,
}

impl Names {
    /// The number of a name.
    pub fn key(&mut self, name: &Name) -> Key {
        if let Some(key) = self.numbers.get(name) {
            return *key;
        }
        let key = Key(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        self.numbers.insert(name.clone(), key);
        self.names.push(name.clone());
        key
    }

    /// Numbers the names anew, in their order; tells the new number of each old one.
    pub(super) fn sort(&mut self) -> Vec<Key> {
        let mut renumbered = vec![Key(0); self.names.len()];
        for (number, (_, key)) in (0..).zip(&mut self.numbers) {
            renumbered[key.index()] = Key(number);
            *key = Key(number);
        }
        self.names.sort();
        renumbered
    }

    /// The name of a number.
    #[must_use]
    pub fn name(&self, key: Key) -> Option<&Name> {
        self.names.get(key.index())
    }
}

impl<K> Record<K> {
    /// The same record with its keys named otherwise.
    pub fn rename<L>(self, name: &mut impl FnMut(&K) -> L) -> Record<L> {
        Record {
            at: self.at,
            node: self.node,
            what: self.what.rename(name),
        }
    }
}

impl<K> What<K> {
    /// The same with its keys named otherwise.
    #[rustfmt::skip]
    pub fn rename<L>(self, name: &mut impl FnMut(&K) -> L) -> What<L> {
        match self {
            Self::Up { name, clock } => What::Up { name, clock },
            Self::Down { crashed } => What::Down { crashed },
            Self::Told { now, notice, orders } => What::Told {
                now,
                notice: rename_notice(notice, name),
                orders: orders.into_iter().map(|order| rename_order(order, name)).collect(),
            },
            Self::Began { key, passenger, freshness } => {
                What::Began { key: name(&key), passenger, freshness }
            }
            Self::Landed { key, passenger, outcome, digest, local } => {
                What::Landed { key: name(&key), passenger, outcome, digest, local }
            }
            Self::Left { key, passenger } => What::Left { key: name(&key), passenger },
            Self::FillBegan { key, passenger, flight, attempt, token } => {
                What::FillBegan { key: name(&key), passenger, flight, attempt, token }
            }
            Self::FillEnded { key, passenger, flight, attempt, result, digest } => {
                What::FillEnded { key: name(&key), passenger, flight, attempt, result, digest }
            }
            Self::Sent { id, key, flight, request } => {
                What::Sent { id, key: name(&key), flight, request }
            }
            Self::Committed { id, again, time, key, from, request, answer } => {
                What::Committed { id, again, time, key: name(&key), from, request, answer }
            }
            Self::Answered { id, answer } => What::Answered { id, answer },
            Self::WatchOpened { key, watcher, flight } => {
                What::WatchOpened { key: name(&key), watcher, flight }
            }
            Self::WatchClosed { key, watcher, flight } => {
                What::WatchClosed { key: name(&key), watcher, flight }
            }
            Self::Changes { connected } => What::Changes { connected },
            Self::Fault { fault, until } => What::Fault { fault, until },
            Self::Healed { broken } => What::Healed { broken },
            Self::Ended { pending } => What::Ended { pending },
        }
    }
}

fn rename_flight<K, L>(flight: &FlightId<K>, name: &mut impl FnMut(&K) -> L) -> FlightId<L> {
    FlightId {
        key: name(&flight.key),
        number: flight.number,
    }
}

#[rustfmt::skip]
fn rename_notice<K, L>(notice: Notice<K>, name: &mut impl FnMut(&K) -> L) -> Notice<L> {
    match notice {
        Notice::Boarded { key, passenger, policy, known } => {
            Notice::Boarded { key: name(&key), passenger, policy, known }
        }
        Notice::Answered { flight, event } => {
            Notice::Answered { flight: rename_flight(&flight, name), event }
        }
        Notice::Arrived { flight, attempt, latest, arrival } => {
            Notice::Arrived { flight: rename_flight(&flight, name), attempt, latest, arrival }
        }
        Notice::Judged { key, passenger, verdict } => {
            Notice::Judged { key: name(&key), passenger, verdict }
        }
        Notice::Left { key, passenger } => Notice::Left { key: name(&key), passenger },
        Notice::Tick | _ => Notice::Tick,
    }
}

#[rustfmt::skip]
fn rename_order<K, L>(order: Order<K>, name: &mut impl FnMut(&K) -> L) -> Order<L> {
    match order {
        Order::Command { flight, command } => {
            Order::Command { flight: rename_flight(&flight, name), command }
        }
        Order::Judge { key, passenger, revision } => {
            Order::Judge { key: name(&key), passenger, revision }
        }
        Order::Fill { flight, passenger, attempt, lease } => {
            Order::Fill { flight: rename_flight(&flight, name), passenger, attempt, lease }
        }
        Order::Land { key, passenger, outcome } => {
            Order::Land { key: name(&key), passenger, outcome }
        }
        Order::Retired { flight } => Order::Retired { flight: rename_flight(&flight, name) },
    }
}

// In JSON a digest is a string of 16 hexadecimal digits: numbers of 64 bits are not safe everywhere.
impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let number = u64::from_str_radix(&digits, 16).map_err(de::Error::custom)?;
        Ok(Self(number))
    }
}
