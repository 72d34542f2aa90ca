//! The list for people: what `SCAN` finds, each described by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use oneflight_store::{KeyStatus, LockState, Revision, StoreError};
use redis::{Cmd, Value};

use crate::answer::{Described, Unexpected};
use crate::call::{self, Call};
use crate::fault::Place;
use crate::layout::{self, Found};

/// How many names of the database the server looks at in one go.
const AT_ONCE: u32 = 1000;

type Describe = Call<Option<Described>>;

/// A list that is being made.
#[derive(Default)]
pub(crate) struct List {
    /// Where the scan goes on; `None` before its beginning.
    cursor: Option<String>,
    found: Vec<Describe>,
    /// Which lock or key each call under way is about, in their order.
    asked: std::collections::VecDeque<Found>,
    lines: BTreeMap<Arc<str>, KeyStatus>,
}

impl List {
    /// Another server is to be scanned, from its beginning.
    pub(crate) fn begin(&mut self) {
        self.cursor = None;
    }

    /// The next scan; `None` when all has been seen.
    pub(crate) fn scan(&self) -> Option<Cmd> {
        let cursor = match self.cursor.as_deref() {
            Some("0") => return None,
            Some(cursor) => cursor,
            None => "0",
        };
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(layout::ALL);
        scan.arg("COUNT").arg(AT_ONCE).arg("TYPE").arg("hash");
        Some(scan)
    }

    /// What a scan has answered.
    pub(crate) fn found(&mut self, place: &Place, answer: Value) -> Result<(), StoreError> {
        let (cursor, names) = redis::from_redis_value::<(String, Vec<Vec<u8>>)>(answer)
            .map_err(|_| Unexpected.of(place, layout::ALL))?;
        self.cursor = Some(cursor);
        for name in names {
            let Ok(name) = String::from_utf8(name) else {
                continue;
            };
            if let Some(found) = layout::find(&name) {
                self.found.push(call::describe(name, &found));
                self.asked.push_back(found);
            }
        }
        Ok(())
    }

    /// What is to be asked next, to be answered in this order.
    pub(crate) fn take_found(&mut self) -> Vec<Describe> {
        std::mem::take(&mut self.found)
    }

    /// One of these is not there any more.
    pub(crate) fn skip(&mut self) {
        self.asked.pop_front();
    }

    /// What one of these was answered.
    pub(crate) fn add(
        &mut self,
        answer: Result<Option<Described>, StoreError>,
    ) -> Result<(), StoreError> {
        let found = self.asked.pop_front();
        let described = match answer {
            // It is not this list's to complain of.
            Err(StoreError::Malformed { .. }) => return Ok(()),
            answer => answer?,
        };
        match (found, described) {
            (Some(Found::Value(key)), Some(Described::Value { revision, measures })) => {
                let line = self.line(&key);
                line.revision = revision;
                line.age = measures.map(|(age, _)| age);
                line.size = measures.map(|(_, size)| size);
            }
            (Some(Found::Lock(lock)), Some(Described::Lock { key, state })) => {
                let line = self.line(&key);
                line.lock = Some(lock);
                line.state = state;
            }
            _ => {}
        }
        Ok(())
    }

    fn line(&mut self, key: &Arc<str>) -> &mut KeyStatus {
        let line = || KeyStatus {
            key: Arc::clone(key),
            lock: None,
            state: LockState::Free,
            revision: Revision::NEVER,
            age: None,
            size: None,
        };
        self.lines.entry(Arc::clone(key)).or_insert_with(line)
    }

    /// The keys that hold a value, or whose lock is held.
    pub(crate) fn into_lines(self) -> Vec<KeyStatus> {
        let lines = self.lines.into_values();
        let is_shown = |line: &KeyStatus| line.age.is_some() || line.lock.is_some();
        lines.filter(is_shown).collect()
    }
}
