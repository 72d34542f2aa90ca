//! What a lease says of who holds it.

use std::sync::Arc;
use std::time::Duration;

use oneflight_store::{AttemptId, ClaimRequest, Holder, default_lock};
use serde::{Deserialize, Serialize};

use crate::wire::millis;

/// The `holder` of a lease of ours, which Dust keeps as it is: JSON, and for people to read.
///
/// A renewal keeps it, so that a lease can be told to be of one attempt for as long as it lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Label {
    user: Arc<str>,
    host: Arc<str>,
    pid: u32,
    /// Which attempt it was granted to.
    attempt: String,
    /// How long it was to live when it was granted: with it, when that was.
    ttl_ms: u64,
    /// The key, if the lock key is not the default of any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Arc<str>>,
}

impl Label {
    pub(crate) fn new(request: &ClaimRequest) -> Self {
        let own = *request.lock == *default_lock(&request.key);
        Self {
            user: Arc::clone(&request.holder.user),
            host: Arc::clone(&request.holder.host),
            pid: request.holder.pid,
            attempt: request.attempt.to_string(),
            ttl_ms: millis(request.ttl),
            key: (!own).then(|| Arc::clone(&request.key)),
        }
    }

    pub(crate) fn text(&self) -> String {
        // INVARIANT: it is strings and numbers, which JSON can say.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what one of ours wrote; `None` for the holders of others.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(crate) fn is_of(&self, attempt: AttemptId) -> bool {
        self.attempt == attempt.to_string()
    }

    pub(crate) fn holder(&self) -> Holder {
        Holder {
            host: Arc::clone(&self.host),
            pid: self.pid,
            user: Arc::clone(&self.user),
        }
    }

    pub(crate) fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }

    pub(crate) fn key(&self) -> Option<&Arc<str>> {
        self.key.as_ref()
    }
}
