//! One store: its entries, and the log of what was done to them.

mod entries;
mod write;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::path::Path;
pub use entries::Entry;
pub use write::Written;

/// Milliseconds since 1970 by the server's clock.
pub type Millis = u64;

/// An operation that was committed.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    /// Its place: 1, 2, 3… in each store.
    pub seq: u64,
    /// `set`, `lease`, `release`…
    pub op: String,
    /// What it was done to.
    pub path: Path,
    /// What watchers are told.
    pub value: Value,
    /// Who did it.
    pub device_id: String,
    /// What the client called it.
    pub client_op_id: String,
    /// When.
    pub at: Millis,
}

impl Op {
    /// The payload of its `event`.
    #[must_use]
    pub fn event(&self) -> Value {
        json!({
            "value": self.value,
            "path": self.path.text,
            "op": self.op,
            "store_seq": self.seq,
            "device_id": self.device_id,
            "client_op_id": self.client_op_id,
            "path_segments": self.path.segments,
        })
    }
}

/// A store and all that ever happened in it.
#[derive(Debug)]
#[must_use]
pub struct Store {
    pub(crate) name: String,
    pub(crate) uuid: String,
    archived: bool,
    key_limit: Option<usize>,
    entries: BTreeMap<String, Entry>,
    log: Vec<Op>,
    snapshot: Option<Snapshot>,
}

/// What clients get that are behind it.
#[derive(Debug)]
struct Snapshot {
    seq: u64,
    entries: Value,
}

/// What a client is sent when it joins.
pub(crate) struct CatchUp<'a> {
    /// The payload of a `snapshot`, if the client is behind it.
    pub(crate) snapshot: Option<Value>,
    pub(crate) ops: &'a [Op],
    pub(crate) through: Value,
}

impl Store {
    /// An empty one: `ORG/NAME`, and the UUID by which it is known as well.
    pub fn new(name: &str, uuid: &str) -> Self {
        Self {
            name: name.to_owned(),
            uuid: uuid.to_owned(),
            archived: false,
            key_limit: None,
            entries: BTreeMap::new(),
            log: Vec::new(),
            snapshot: None,
        }
    }

    /// How many entries the plan allows; unlimited by default.
    pub fn key_limit(mut self, entries: usize) -> Self {
        self.key_limit = Some(entries);
        self
    }

    /// From now on nothing is written to it.
    pub fn archive(&mut self) {
        self.archived = true;
    }

    /// The `store_seq` of the last operation.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.log.last().map_or(0, |op| op.seq)
    }

    /// All that was committed, in order, also what clients can no longer get.
    #[must_use]
    pub fn log(&self) -> &[Op] {
        &self.log
    }

    /// What stands at `path`.
    #[must_use]
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Forgets the operations so far: who joins from before gets a snapshot.
    pub fn compact(&mut self) {
        self.snapshot = Some(Snapshot {
            seq: self.seq(),
            entries: entries::describe(&self.entries),
        });
    }

    /// What happened after `last_store_seq`, which is what the client says it is.
    pub(crate) fn catch_up(&self, last: &Value) -> CatchUp<'_> {
        // The real server compares Erlang's way: `null` and strings stand above every number.
        let mut after = match last.as_i64() {
            Some(seq) => u64::try_from(seq).unwrap_or(0),
            None => u64::MAX,
        };
        let mut through = last.clone();
        let snapshot = self
            .snapshot
            .as_ref()
            .filter(|snapshot| after < snapshot.seq);
        if let Some(snapshot) = snapshot {
            after = snapshot.seq;
            through = json!(snapshot.seq);
        }
        let ops = &self.log[self.log.partition_point(|op| op.seq <= after)..];
        if let Some(last) = ops.last() {
            through = json!(last.seq);
        }
        let describe = |snapshot: &Snapshot| json!({"entries": snapshot.entries, "snapshot_seq": snapshot.seq});
        CatchUp {
            snapshot: snapshot.map(describe),
            ops,
            through,
        }
    }

    /// What the store adds to the answer to `status`.
    pub(crate) fn describe(&self) -> Value {
        let recent = self.log.iter().rev().take(5).map(|op| {
            json!({"path": op.path.text, "op": op.op, "store_seq": op.seq, "inserted_at": null})
        });
        json!({
            "expires_at": null,
            "current_seq": self.seq(),
            "entry_count": self.entries.len(),
            "file_storage_bytes": 0,
            "op_count": self.log.len(),
            "db_size_bytes": null,
            "latest_snapshot_at": null,
            "latest_snapshot_seq": self.snapshot.as_ref().map(|snapshot| snapshot.seq),
            "recent_ops": recent.collect::<Vec<_>>(),
        })
    }
}
