//! Who may do what.

use serde_json::{Value, json};

/// Everything that a token of the real server could hold.
const FULL: [&str; 12] = [
    "audit:read",
    "entries:read",
    "entries:write",
    "files:read",
    "files:write",
    "stores:clone",
    "stores:create",
    "stores:read",
    "tokens:read",
    "tokens:write",
    "webhooks:read",
    "webhooks:write",
];

const READ_ONLY: [&str; 5] = [
    "audit:read",
    "entries:read",
    "files:read",
    "stores:read",
    "webhooks:read",
];

/// What a client shows as it connects, and what it may do with it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Token {
    pub(crate) secret: String,
    scopes: Vec<&'static str>,
    stores: Option<Vec<String>>,
    writes_per_minute: Option<u32>,
    /// The minute that counts, and how many writes it saw.
    window: (u64, u32),
}

impl Token {
    /// One that may do everything with every store.
    pub fn full(secret: &str) -> Self {
        Self {
            secret: secret.to_owned(),
            scopes: FULL.to_vec(),
            stores: None,
            writes_per_minute: None,
            window: (0, 0),
        }
    }

    /// One that may read every store.
    pub fn read_only(secret: &str) -> Self {
        Self {
            scopes: READ_ONLY.to_vec(),
            ..Self::full(secret)
        }
    }

    /// One that may do nothing at all.
    pub fn powerless(secret: &str) -> Self {
        Self {
            scopes: Vec::new(),
            ..Self::full(secret)
        }
    }

    /// Only with the stores of these UUIDs.
    pub fn only(mut self, uuids: &[&str]) -> Self {
        self.stores = Some(uuids.iter().map(|&uuid| uuid.to_owned()).collect());
        self
    }

    /// At most so many writes in a minute; unlimited by default.
    pub fn writes_per_minute(mut self, writes: u32) -> Self {
        self.writes_per_minute = Some(writes);
        self
    }

    pub(crate) fn may(&self, scope: &str) -> Result<(), Value> {
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        let message = format!("Token is missing {scope} scope");
        Err(json!({"reason": "missing_scope", "scope": scope, "message": message}))
    }

    pub(crate) fn may_enter(&self, uuid: &str) -> Result<(), Value> {
        match &self.stores {
            Some(uuids) if !uuids.iter().any(|allowed| allowed == uuid) => Err(json!({
                "reason": "store_not_allowed",
                "message": "Token does not have access to this store",
            })),
            _ => Ok(()),
        }
    }

    /// Counts a write.
    pub(crate) fn spend(&mut self, now: u64) -> Result<(), Value> {
        let minute = now / 60_000;
        if self.window.0 != minute {
            self.window = (minute, 0);
        }
        self.window.1 = self.window.1.saturating_add(1);
        match self.writes_per_minute {
            Some(limit) if self.window.1 > limit => Err(rate_limited(60_000)),
            _ => Ok(()),
        }
    }

    /// What every join and every `status` is told.
    pub(crate) fn describe(&self) -> [(&'static str, Value); 3] {
        let mode = if self.stores.is_some() {
            "selected"
        } else {
            "all"
        };
        let ids = self.stores.clone().unwrap_or_default();
        let read = self.scopes.contains(&"entries:read");
        let write = self.scopes.contains(&"entries:write");
        [
            ("permissions", json!({"read": read, "write": write})),
            ("scopes", json!(self.scopes)),
            ("store_access", json!({"mode": mode, "store_ids": ids})),
        ]
    }
}

/// What a client is told that writes too often.
#[must_use]
pub fn rate_limited(retry_after_ms: u64) -> Value {
    json!({"reason": "rate_limited", "retry_after_ms": retry_after_ms})
}
