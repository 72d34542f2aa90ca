//! What a client may do.

use std::time::Duration;

use oneflight_store::Token;
use serde_json::{Value, json};

use crate::path::Path;

/// A write, before it has a name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Write {
    pub(crate) path: Path,
    pub(crate) deed: Deed,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deed {
    /// Takes the lease, if nobody has it.
    Lease { ttl: Duration, holder: String },
    /// Prolongs it.
    Renew { token: Token, ttl: Duration },
    /// Gives it up.
    Release { token: Token },
    /// Writes a string.
    Set { value: String, only: Condition },
    /// Removes what is there.
    Delete,
}

/// When a value is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    /// While this lease lives.
    Fence { lock: Path, token: Token },
    /// While what stands there was written by this operation.
    Match(u64),
    /// While nothing stands there.
    Absent,
}

impl Deed {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Lease { .. } => "lease",
            Self::Renew { .. } => "renew",
            Self::Release { .. } => "release",
            Self::Set { .. } => "set",
            Self::Delete => "delete",
        }
    }
}

/// Whole milliseconds, at least one: to live for no time at all is to be anybody's at once.
pub(crate) fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).map_or(LONGEST, |millis| millis.clamp(1, LONGEST))
}

/// A century, in milliseconds: more would overflow what adds it to the time of day.
const LONGEST: u64 = 100 * 365 * 24 * 3600 * 1000;

impl Write {
    /// What is sent.
    pub(crate) fn payload(&self, op_id: &str) -> Value {
        let mut payload = json!({
            "op": self.deed.name(),
            "path": &**self.path.text(),
            "path_segments": self.path.segments(),
            "client_op_id": op_id,
        });
        match &self.deed {
            Deed::Lease { ttl, holder } => {
                payload["ttl_ms"] = json!(millis(*ttl));
                payload["holder"] = json!(holder);
            }
            Deed::Renew { token, ttl } => {
                payload["token"] = json!(token.get());
                payload["ttl_ms"] = json!(millis(*ttl));
            }
            Deed::Release { token } => payload["token"] = json!(token.get()),
            Deed::Set { value, only } => {
                payload["value"] = json!(value);
                match only {
                    // INVARIANT: the token goes as a number. The server ignores a fence whose token is
                    // not an integer, and writes.
                    Condition::Fence { lock, token } => {
                        payload["fence"] = json!({"key": &**lock.text(), "token": token.get()});
                    }
                    Condition::Match(seq) => payload["if_match"] = json!(seq),
                    Condition::Absent => payload["if_absent"] = json!(true),
                }
            }
            Deed::Delete => {}
        }
        payload
    }

    /// What the server tells of it, once it is done.
    pub(crate) fn value(
        &self,
        token: Option<u64>,
        expires_at: Option<i64>,
        holder: &Value,
    ) -> Value {
        match &self.deed {
            Deed::Lease { .. } | Deed::Renew { .. } => json!({
                "_type": "lease",
                "token": token,
                "expires_at": expires_at,
                "holder": holder,
            }),
            Deed::Set { value, .. } => json!(value),
            Deed::Release { .. } | Deed::Delete => Value::Null,
        }
    }
}
