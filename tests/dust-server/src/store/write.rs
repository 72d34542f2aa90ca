//! What a `write` does.

use serde_json::{Value, json};

use super::entries::{Entry, leaves, tree};
use super::{Millis, Op, Store};
use crate::path::Path;

const DEFAULT_TTL: u64 = 30_000;

/// What was recorded of faults within the real server.
const ARITHMETIC: &str = r#"%ArithmeticError{message: "bad argument in arithmetic expression"}"#;
const NO_ID: &str =
    r#"%MatchError{term: {:error, "NOT NULL constraint failed: store_ops.client_op_id"}}"#;

/// What became of a write.
#[derive(Debug)]
pub struct Written {
    /// What was committed: nothing by a release of what is not held.
    pub op: Option<Op>,
    /// The answer.
    pub response: Value,
}

/// What an operation makes of its path.
enum Change {
    /// These stand there, and nothing else.
    Replace(Value),
    /// These are added.
    Add(Value),
    /// One leaf is this, of this kind.
    Leaf(Value, &'static str),
    Remove,
    /// Only the leaf itself.
    RemoveLeaf,
}

impl Store {
    /// Does what `write` says at once, or nothing: then the refusal says why. Nobody is told, as if it had
    /// come by HTTP.
    ///
    /// # Errors
    ///
    /// The `response` of the refusal.
    pub fn write(&mut self, now: Millis, device: &str, write: &Value) -> Result<Written, Value> {
        self.commit(now, device, write)
            .map_err(|reason| json!({"reason": reason}))
    }

    fn commit(
        &mut self,
        now: Millis,
        device: &str,
        write: &Value,
    ) -> Result<Written, &'static str> {
        let op = write["op"].as_str().unwrap_or_default();
        if !matches!(
            op,
            "set"
                | "delete"
                | "merge"
                | "increment"
                | "add"
                | "remove"
                | "lease"
                | "renew"
                | "release"
        ) {
            return Err("invalid op");
        }
        let path = Path::of(write)?;
        if self.archived {
            return Err("store_archived");
        }
        let seq = self.seq() + 1;
        let entry = self.entries.get(&path.text);
        let leases = matches!(op, "lease" | "renew" | "release");
        if !leases {
            self.preconditions(now, &path, write)?;
        }
        let value = &write["value"];
        // What watchers are told, what it does, and what the answer has besides the sequence.
        let (told, change) = match op {
            "set" => (value.clone(), Change::Replace(value.clone())),
            "merge" => (value.clone(), Change::Add(value.clone())),
            "delete" => (Value::Null, Change::Remove),
            "increment" => {
                let by = value.as_i64().ok_or(ARITHMETIC)?;
                let before = entry.and_then(|entry| entry.value.as_i64()).unwrap_or(0);
                let sum = json!(before.saturating_add(by));
                (sum.clone(), Change::Leaf(sum, "counter"))
            }
            "add" | "remove" => {
                let members = entry.and_then(|entry| entry.value.as_array());
                let mut members = members.cloned().unwrap_or_default();
                members.retain(|member| member != value);
                if op == "add" {
                    members.push(value.clone());
                }
                (value.clone(), Change::Leaf(members.into(), "set"))
            }
            "lease" => {
                match entry {
                    Some(entry) if !entry.is_lease() => return Err("occupied"),
                    Some(entry) if entry.lives(now) => return Err("held"),
                    _ => {}
                }
                let lease = lease(now, write, &write["holder"], seq)?;
                (lease.clone(), Change::Leaf(lease, "lease"))
            }
            "renew" => {
                let token = token(write)?;
                let held = entry.filter(|entry| entry.held(now) == Some(token));
                let holder = &held.ok_or("not_held")?.value["holder"];
                let lease = lease(now, write, holder, token)?;
                (lease.clone(), Change::Leaf(lease, "lease"))
            }
            _ => {
                let token = token(write)?;
                if entry.and_then(|entry| entry.held(now)) != Some(token) {
                    let response = json!({"released": false});
                    return Ok(Written { op: None, response });
                }
                (Value::Null, Change::RemoveLeaf)
            }
        };
        let client_op_id = write["client_op_id"].as_str().ok_or(NO_ID)?.to_owned();
        self.room_for(&path, &change)?;
        self.apply(&path.text, change, seq);
        let mut response = json!({"store_seq": seq});
        if matches!(op, "lease" | "renew") {
            for field in ["token", "expires_at", "holder"] {
                response[field] = told[field].clone();
            }
        }
        let op = Op {
            seq,
            op: op.to_owned(),
            path,
            value: told,
            device_id: device.to_owned(),
            client_op_id,
            at: now,
        };
        self.log.push(op.clone());
        Ok(Written {
            op: Some(op),
            response,
        })
    }

    fn preconditions(&self, now: Millis, path: &Path, write: &Value) -> Result<(), &'static str> {
        // A fence whose token is not an integer is no fence.
        let fence = &write["fence"];
        if let (Value::String(key), Some(token)) = (&fence["key"], fence["token"].as_i64()) {
            let held = self.entries.get(key).and_then(|entry| entry.held(now));
            if held != u64::try_from(token).ok() || held.is_none() {
                return Err("fenced");
            }
        }
        let there = tree(&self.entries, &path.text);
        if write["if_absent"] == true && !there.is_empty() {
            return Err("exists");
        }
        if let Some(revision) = write.get("if_match").filter(|revision| !revision.is_null()) {
            let newest = there.iter().map(|path| self.entries[path].seq).max();
            if newest.is_none() || newest != revision.as_u64() {
                return Err("conflict");
            }
        }
        Ok(())
    }

    fn room_for(&self, path: &Path, change: &Change) -> Result<(), &'static str> {
        let adds = match change {
            Change::Replace(value) | Change::Add(value) => {
                let mut new = 0;
                leaves(&path.text, value, &mut |path, _| {
                    new += usize::from(!self.entries.contains_key(&path));
                });
                new
            }
            Change::Leaf(..) => usize::from(!self.entries.contains_key(&path.text)),
            Change::Remove | Change::RemoveLeaf => 0,
        };
        match self.key_limit {
            Some(limit) if adds > 0 && self.entries.len() + adds > limit => Err("limit_exceeded"),
            _ => Ok(()),
        }
    }

    fn apply(&mut self, path: &str, change: Change, seq: u64) {
        if matches!(change, Change::Replace(_) | Change::Remove) {
            for path in tree(&self.entries, path) {
                self.entries.remove(&path);
            }
        }
        match change {
            Change::Replace(value) | Change::Add(value) => {
                leaves(path, &value, &mut |path, value| {
                    self.entries.insert(path, Entry::new(value, seq));
                });
            }
            Change::Leaf(value, kind) => {
                let entry = Entry { value, kind, seq };
                self.entries.insert(path.to_owned(), entry);
            }
            Change::RemoveLeaf => {
                self.entries.remove(path);
            }
            Change::Remove => {}
        }
    }
}

fn token(write: &Value) -> Result<u64, &'static str> {
    write["token"].as_u64().ok_or(":invalid_lease_op")
}

fn lease(now: Millis, write: &Value, holder: &Value, token: u64) -> Result<Value, &'static str> {
    let ttl = match write.get("ttl_ms") {
        Some(ttl) => ttl.as_i64().ok_or(ARITHMETIC)?,
        None => DEFAULT_TTL.cast_signed(),
    };
    let expires_at = now.saturating_add_signed(ttl);
    Ok(json!({"_type": "lease", "expires_at": expires_at, "holder": holder, "token": token}))
}
