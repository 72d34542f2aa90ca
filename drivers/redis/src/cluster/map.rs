//! Which server keeps which slots.

use std::collections::BTreeSet;

use redis::Value;

use super::Address;
use super::slots::SLOTS;

/// As one server of the cluster has told it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Map {
    owners: Vec<Option<Address>>,
    /// All servers that were named, replicas as well: any of them may be asked next time.
    known: BTreeSet<Address>,
}

impl Map {
    /// What `CLUSTER SLOTS` has answered; `None` if it is no such answer. `asked` is the host that was.
    pub(crate) fn of(answer: Value, asked: &str) -> Option<Self> {
        let Value::Array(ranges) = answer else {
            return None;
        };
        let mut map = Self {
            owners: vec![None; usize::from(SLOTS)],
            known: BTreeSet::new(),
        };
        for range in ranges {
            let Value::Array(range) = range else {
                return None;
            };
            let [Value::Int(first), Value::Int(last), servers @ ..] = &*range else {
                return None;
            };
            let first = usize::try_from(*first).ok()?;
            let last = usize::try_from(*last).ok()?;
            let mut servers = servers.iter().map(|server| address(server, asked));
            // The primary is the first of them.
            let primary = servers.next()??;
            let slots = map.owners.get_mut(first..=last.max(first))?;
            slots.fill(Some(primary.clone()));
            map.known.insert(primary);
            map.known.extend(servers.flatten());
        }
        Some(map)
    }

    /// Whether no slot is served by anybody.
    pub(crate) fn is_empty(&self) -> bool {
        self.owners.iter().all(Option::is_none)
    }

    pub(crate) fn owner(&self, slot: u16) -> Option<&Address> {
        self.owners.get(usize::from(slot))?.as_ref()
    }

    /// A server has told that the slot is there by now; whether that is news.
    pub(crate) fn moved(&mut self, slot: u16, to: Address) -> bool {
        let Some(owner) = self.owners.get_mut(usize::from(slot)) else {
            return false;
        };
        if owner.as_ref() == Some(&to) {
            return false;
        }
        self.known.insert(to.clone());
        *owner = Some(to);
        true
    }

    /// Those that keep any slot.
    pub(crate) fn primaries(&self) -> BTreeSet<&Address> {
        self.owners.iter().flatten().collect()
    }

    pub(crate) fn known(&self) -> impl Iterator<Item = &Address> {
        self.known.iter()
    }
}

/// Its host, its port, and what is of no interest.
fn address(server: &Value, asked: &str) -> Option<Address> {
    let Value::Array(server) = server else {
        return None;
    };
    let [host, Value::Int(port), ..] = &**server else {
        return None;
    };
    let host = if let Value::BulkString(host) = host {
        std::str::from_utf8(host).ok()?
    } else if let Value::Nil = host {
        // Where it is not to be told, it is where this answer came from.
        ""
    } else {
        return None;
    };
    Some(Address::at(host, u16::try_from(*port).ok()?, asked))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn server(host: Value, port: i64) -> Value {
        let id = Value::BulkString(b"id".to_vec());
        Value::Array(vec![host, Value::Int(port), id, Value::Array(Vec::new())])
    }

    pub(crate) fn named(host: &str, port: i64) -> Value {
        server(Value::BulkString(host.as_bytes().to_vec()), port)
    }

    pub(crate) fn range(first: i64, last: i64, servers: Vec<Value>) -> Value {
        let mut range = vec![Value::Int(first), Value::Int(last)];
        range.extend(servers);
        Value::Array(range)
    }

    pub(crate) fn at(host: &str, port: u16) -> Address {
        Address::at(host, port, "")
    }

    #[test]
    fn every_slot_has_its_owner() {
        let answer = Value::Array(vec![
            range(0, 99, vec![named("a", 1), named("replica", 9)]),
            range(100, 100, vec![server(Value::Nil, 2)]),
            range(200, 16383, vec![named("", 3)]),
        ]);
        let mut map = Map::of(answer, "asked").unwrap();
        for (slot, owner) in [
            (0, Some(at("a", 1))),
            (99, Some(at("a", 1))),
            (100, Some(at("asked", 2))),
            (101, None),
            (16383, Some(at("asked", 3))),
            (16384, None),
        ] {
            assert_eq!(map.owner(slot), owner.as_ref(), "{slot}");
        }
        assert_eq!(map.primaries().len(), 3);
        assert!(map.known().any(|it| *it == at("replica", 9)));
        assert!(!map.is_empty());

        assert!(map.moved(100, at("b", 4)));
        assert_eq!(map.owner(100), Some(&at("b", 4)));
        assert!(!map.moved(100, at("b", 4)) && !map.moved(16384, at("b", 4)));
        assert!(!map.primaries().contains(&at("asked", 2)));
    }

    #[test]
    fn what_is_no_map_is_none() {
        for other in [
            Value::Nil,
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![range(0, 1, vec![])]),
            Value::Array(vec![range(-1, 1, vec![named("a", 1)])]),
            Value::Array(vec![range(0, 16384, vec![named("a", 1)])]),
            Value::Array(vec![range(0, 1, vec![named("a", 65536)])]),
            Value::Array(vec![range(0, i64::MAX, vec![named("a", 1)])]),
        ] {
            assert_eq!(Map::of(other.clone(), ""), None, "{other:?}");
        }
        assert!(Map::of(Value::Array(Vec::new()), "").unwrap().is_empty());
        // The first after the last counts for itself.
        assert!(Map::of(Value::Array(vec![range(5, 1, vec![named("a", 1)])]), "").is_some());
    }
}
