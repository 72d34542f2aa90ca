//! What the server tells of the store.

use serde_json::Value;

use crate::path::Path;

/// An operation that was committed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) seq: u64,
    /// What it was done to; `None` if that cannot be told.
    pub(crate) path: Option<Path>,
    pub(crate) op: Op,
    pub(crate) value: Value,
    pub(crate) device: String,
    pub(crate) op_id: String,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// It holds this now, and nothing else.
    Set,
    /// It holds nothing any more.
    Delete,
    /// It holds this beside what it held.
    Merge,
    /// A lease was taken or prolonged.
    Lease,
    /// A lease was given up.
    Release,
    /// Something else (`increment`, `add`, …), which leaves this value.
    Other,
}

impl Event {
    /// Reads an `event`; `None` if it does not even say which operation it was.
    pub(crate) fn read(payload: &mut Value) -> Option<Self> {
        let seq = payload["store_seq"].as_u64()?;
        let op = match payload["op"].as_str()? {
            "set" => Op::Set,
            "delete" => Op::Delete,
            "merge" => Op::Merge,
            "lease" | "renew" => Op::Lease,
            "release" => Op::Release,
            _ => Op::Other,
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Some(Self {
            seq,
            path: path(payload),
            op,
            device: text(&payload["device_id"]),
            op_id: text(&payload["client_op_id"]),
            value: payload["value"].take(),
        })
    }
}

fn path(payload: &Value) -> Option<Path> {
    if let Some(segments) = payload["path_segments"].as_array() {
        let segments: Option<Vec<_>> = segments.iter().map(Value::as_str).collect();
        return Path::of_segments(segments?);
    }
    Path::of_key(&payload["path"].as_str()?.into()).ok()
}

/// How everything stood at one moment, for who is far behind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) seq: u64,
    pub(crate) entries: Vec<SnapshotEntry>,
}

/// One leaf of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SnapshotEntry {
    pub(crate) path: Path,
    /// As an event would tell it.
    pub(crate) value: Value,
}

impl Snapshot {
    pub(crate) fn read(payload: &mut Value) -> Option<Self> {
        let seq = payload["snapshot_seq"].as_u64()?;
        let Value::Object(entries) = payload["entries"].take() else {
            return None;
        };
        let read = |(path, mut entry): (String, Value)| {
            Some(SnapshotEntry {
                path: Path::of_key(&path.into()).ok()?,
                value: unwrap(entry.get_mut("value").map(Value::take).unwrap_or_default()),
            })
        };
        Some(Self {
            seq,
            entries: entries.into_iter().filter_map(read).collect(),
        })
    }
}

/// Snapshots wrap what is no object: `{"_scalar": v}`.
fn unwrap(mut value: Value) -> Value {
    let wrapped = value.as_object_mut().filter(|map| map.len() == 1);
    match wrapped.and_then(|map| map.remove("_scalar")) {
        Some(scalar) => scalar,
        None => value,
    }
}
