//! What the server answers.

use std::time::Duration;

use oneflight_store::StoreError;
use serde_json::Value;

/// A `phx_reply`: what it answers, or why not.
pub(crate) type Reply = Result<Value, Failure>;

/// A write was committed, or there was nothing to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Which operation it was; `None` if nothing had to be done.
    pub(crate) seq: Option<u64>,
    /// Of a lease.
    pub(crate) token: Option<u64>,
    /// Of a lease, in milliseconds since 1970.
    pub(crate) expires_at: Option<i64>,
}

impl Done {
    pub(crate) fn read(response: &Value) -> Self {
        Self {
            seq: response["store_seq"].as_u64(),
            token: response["token"].as_u64(),
            expires_at: response["expires_at"].as_i64(),
        }
    }
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Somebody has the lease.
    Held,
    /// Where the lease is to be, something else is.
    Occupied,
    /// The lease is not this one, any more.
    NotHeld,
    /// The lease of the fence is not this one, any more.
    Fenced,
    /// There is something already.
    Exists,
    /// There is something else by now.
    Conflict,
    /// Too many writes; again after this long.
    RateLimited(Duration),
    /// The topic is not joined: nothing was done.
    NotJoined,
    /// What the contract says.
    Store(StoreError),
}

impl Failure {
    pub(crate) fn unavailable(cause: impl std::fmt::Display) -> Self {
        Self::Store(StoreError::unavailable(cause))
    }

    /// Reads the `response` of an answer whose status is `error`.
    fn read(response: &Value) -> Self {
        // Reasons may be anything, even what the server says to itself: bounded, for people.
        let reason: String = match response["reason"].as_str() {
            Some(reason) => reason.chars().take(200).collect(),
            None => "no reason given".to_owned(),
        };
        let message = response["message"].as_str().unwrap_or_default();
        let refused = |what: &str| {
            let message: String = message.chars().take(200).collect();
            let said = if message.is_empty() {
                String::new()
            } else {
                format!(" ({message})")
            };
            Self::Store(StoreError::refused(format_args!(
                "Dust says {reason}{said}: {what}"
            )))
        };
        match &*reason {
            "held" => Self::Held,
            "occupied" => Self::Occupied,
            "not_held" => Self::NotHeld,
            "fenced" => Self::Fenced,
            "exists" => Self::Exists,
            "conflict" => Self::Conflict,
            "unmatched topic" => Self::NotJoined,
            "rate_limited" => {
                let after = response["retry_after_ms"].as_u64().unwrap_or(1000);
                Self::RateLimited(Duration::from_millis(after))
            }
            "missing_scope" => {
                let scope = response["scope"].as_str().unwrap_or("entries:write");
                refused(&format!("give the token the scope {scope}"))
            }
            "store_not_allowed" => refused("allow the token this store, or use another token"),
            "unauthorized" => refused(
                "there is no such store, or the token may not know of it; check ORG/STORE in the \
                 URL, and the token's organization",
            ),
            "limit_exceeded" => refused(
                "the plan's limit is reached; delete keys that nobody needs, or take a larger plan",
            ),
            "store_archived" => refused("restore the store, or name another in the URL"),
            "missing_path" | "empty_segment" => refused("Dust does not take this key"),
            _ => Self::unavailable(format_args!("Dust says {reason:?}")),
        }
    }

    /// In the contract's words, where it has any.
    pub(crate) fn into_error(self, what: &str) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::RateLimited(after) => StoreError::unavailable(format_args!(
                "Dust takes no more writes of this token for {:.1} s (rate_limited): raise its \
                 limit, or fill less often",
                after.as_secs_f64()
            )),
            Self::Held
            | Self::Occupied
            | Self::NotHeld
            | Self::Fenced
            | Self::Exists
            | Self::Conflict
            | Self::NotJoined => {
                StoreError::unavailable(format_args!("Dust answers {self:?} to a {what}"))
            }
        }
    }
}

/// Reads the payload of a `phx_reply`.
pub(crate) fn read(payload: &mut Value) -> Reply {
    match payload["status"].as_str() {
        Some("ok") => Ok(payload["response"].take()),
        _ => Err(Failure::read(&payload["response"])),
    }
}

/// What a join is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    /// The last operation of the store.
    pub(crate) seq: u64,
    /// Whether the token may write.
    pub(crate) writes: bool,
}

impl Joined {
    pub(crate) fn read(response: &Value) -> Self {
        Self {
            seq: response["store_seq"].as_u64().unwrap_or(0),
            // What is not said is found out at the first write.
            writes: response["permissions"]["write"].as_bool().unwrap_or(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(response: Value) -> String {
        let mut payload = json!({"status": "error", "response": response});
        match read(&mut payload) {
            Err(Failure::Store(StoreError::Refused(told) | StoreError::Unavailable(told))) => {
                told.to_string()
            }
            other => panic!("not told: {other:?}"),
        }
    }

    #[test]
    fn refusals_say_what_to_do() {
        let missing = json!({"reason": "missing_scope", "scope": "entries:write",
            "message": "Token is missing entries:write scope"});
        let told = |reason: &str| told(json!({"reason": reason}));
        assert!(super::tests::told(missing).contains("give the token the scope entries:write"));
        assert!(told("store_not_allowed").contains("allow the token this store"));
        assert!(told("unauthorized").contains("check ORG/STORE"));
        assert!(told("limit_exceeded").contains("larger plan"));
        assert!(told("store_archived").contains("restore the store"));
    }

    #[test]
    fn what_is_unknown_stays_opaque() {
        for response in [
            json!({"reason": "%MatchError{}"}),
            json!({"reason": 7}),
            json!(null),
            json!("x"),
        ] {
            let mut payload = json!({"status": "error", "response": response});
            let failure = read(&mut payload).unwrap_err();
            assert!(
                matches!(failure, Failure::Store(StoreError::Unavailable(_))),
                "{failure:?}"
            );
        }
        let mut payload = json!([1]);
        assert!(read(&mut payload).is_err());
    }
}
