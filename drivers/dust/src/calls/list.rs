//! The list for people.

use std::collections::BTreeMap;
use std::sync::Arc;

use oneflight_store::{KeyStatus, LockState, Revision, StoreError, default_lock};

use super::Desk;
use crate::clock::Moment;
use crate::mirror::What;
use crate::path::Path;
use crate::session::Session;

impl Desk {
    pub(crate) async fn list(self) -> Result<Vec<KeyStatus>, StoreError> {
        self.ready().await?;
        Ok(self.look(|session, now| list(session, now)))
    }
}

fn list(session: &Session, now: Moment) -> Vec<KeyStatus> {
    let locks = default_lock("");
    let locks = locks.trim_end_matches('/');
    let mut lines: BTreeMap<Arc<str>, KeyStatus> = BTreeMap::new();
    let line = |key: &Arc<str>| KeyStatus {
        key: Arc::clone(key),
        lock: None,
        state: LockState::Free,
        revision: Revision::NEVER,
        age: None,
        size: None,
    };
    for (path, row) in session.mirror.rows() {
        let key = path.text();
        match &row.what {
            What::Text(text) => {
                let entry = row.entry(text, now);
                let line = lines.entry(Arc::clone(key)).or_insert_with(|| line(key));
                line.revision = row.revision();
                line.age = Some(entry.age);
                line.size = Some(entry.value.len() as u64);
            }
            What::Lease(lease) => {
                // The leases of others may be about something else altogether.
                let named = lease.label.as_ref().and_then(|label| label.key().cloned());
                let Some(key) = named.or_else(|| path.below(locks).map(Arc::from)) else {
                    continue;
                };
                if lease.remaining(&session.clock, now).is_some() {
                    let line = lines.entry(Arc::clone(&key)).or_insert_with(|| line(&key));
                    line.lock = Some(Arc::clone(path.text()));
                    line.state = lease.state(&session.clock, now);
                    if let Ok(path) = Path::of_key(&key) {
                        line.revision = session.mirror.revision(&path);
                    }
                }
            }
            What::Gone | What::Unkept | What::Other(_) => {}
        }
    }
    lines.into_values().collect()
}
