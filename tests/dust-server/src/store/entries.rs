//! What stands at the paths of a store. A plain map is stored as its leaves.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde_json::{Map, Value, json};

use crate::path::escape;
use crate::store::Millis;

/// One leaf.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What was written.
    pub value: Value,
    /// The type that snapshots tell: `string`, `integer`, `counter`, `lease`…
    pub kind: &'static str,
    /// Of the operation that wrote it.
    pub seq: u64,
}

impl Entry {
    pub(super) fn new(value: Value, seq: u64) -> Self {
        let kind = match &value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "float",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "list",
            Value::Object(_) if value["_type"] == "lease" => "lease",
            Value::Object(_) => "map",
        };
        Self { value, kind, seq }
    }

    pub(super) fn is_lease(&self) -> bool {
        self.kind == "lease"
    }

    /// A lease that has not lapsed.
    pub(super) fn lives(&self, now: Millis) -> bool {
        self.is_lease() && self.value["expires_at"].as_u64() > Some(now)
    }

    /// The token of such a lease.
    pub(super) fn held(&self, now: Millis) -> Option<u64> {
        self.value["token"].as_u64().filter(|_| self.lives(now))
    }
}

/// The leaves of what is set at `path`.
pub(super) fn leaves(path: &str, value: &Value, leaf: &mut impl FnMut(String, Value)) {
    match value {
        Value::Object(map) if !map.is_empty() && !map.contains_key("_type") => {
            for (segment, value) in map {
                leaves(&format!("{path}/{}", escape(segment)), value, leaf);
            }
        }
        _ => leaf(path.to_owned(), value.clone()),
    }
}

/// `path` itself and all below it.
pub(super) fn tree(entries: &BTreeMap<String, Entry>, path: &str) -> Vec<String> {
    let below = format!("{path}/");
    let from = (Bound::Included(below.as_str()), Bound::Unbounded);
    let below = entries
        .range::<str, _>(from)
        .map(|(path, _)| path)
        .take_while(|path| path.starts_with(&below));
    let own = entries.get_key_value(path).map(|(path, _)| path);
    own.into_iter().chain(below).cloned().collect()
}

/// The `entries` of a snapshot.
pub(super) fn describe(entries: &BTreeMap<String, Entry>) -> Value {
    let describe = |(path, entry): (&String, &Entry)| {
        let value = match &entry.value {
            value @ Value::Object(_) => value.clone(),
            scalar => json!({"_scalar": scalar}),
        };
        (path.clone(), json!({"type": entry.kind, "value": value}))
    };
    Value::Object(entries.iter().map(describe).collect::<Map<_, _>>())
}
