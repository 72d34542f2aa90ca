//! Where things stand on the server: the names of keys and channels.
//!
//! A key's value and its default lock carry the same hash tag, so that a cluster keeps them on one
//! node. The tag is the whole name, unless the name has one of its own: `{user:1}:report` stands where
//! the caller's own `{user:1}:…` keys do.

use std::sync::Arc;

use oneflight_store::default_lock;

const DEFAULT_LOCK: &str = "_dust:sf/";

/// What an operator permits and sees begins with this.
const ROOT: &str = "oneflight:";

/// A name on the server: after the kind, the caller's name with a tag around it, or as it is when it
/// has one. No two names share a place: the character after the kind tells them apart.
fn place(kind: &str, name: &str) -> String {
    match has_tag(name) {
        true => format!("{ROOT}{kind}={name}"),
        // Not the bare name: an empty one, or one that begins with a brace, would be no tag.
        false => format!("{ROOT}{kind}:{{p:{name}}}"),
    }
}

fn name_at<'a>(kind: &str, place: &'a str) -> Option<&'a str> {
    let rest = place.strip_prefix(ROOT)?.strip_prefix(kind)?;
    match rest.strip_prefix('=') {
        Some(name) => Some(name),
        None => rest.strip_prefix(":{p:")?.strip_suffix('}'),
    }
}

/// As the server finds it: what stands between the first brace and the next closing one, if anything.
fn has_tag(name: &str) -> bool {
    let tag = name
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    tag.is_some_and(|(tag, _)| !tag.is_empty())
}

/// The hash of a key's value.
pub(crate) fn value(key: &str) -> String {
    place("value", key)
}

/// The hash of a lock: of a default lock by its key's name, of another one by its own.
pub(crate) fn lock(lock: &str) -> String {
    match lock.strip_prefix(DEFAULT_LOCK) {
        Some(key) => place("lock", key),
        None => place("own-lock", lock),
    }
}

/// Finds all values and locks, with `SCAN`.
pub(crate) const ALL: &str = "oneflight:*";

/// What stands at a place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The value of this key.
    Value(Arc<str>),
    /// The lock of this name.
    Lock(Arc<str>),
}

pub(crate) fn find(place: &str) -> Option<Found> {
    if let Some(key) = name_at("value", place) {
        return Some(Found::Value(key.into()));
    }
    if let Some(key) = name_at("lock", place) {
        return Some(Found::Lock(default_lock(key).into()));
    }
    let lock = name_at("own-lock", place)?;
    Some(Found::Lock(lock.into()))
}

/// The names of channels, which are the server's: those of one database begin alike.
#[derive(Debug)]
pub(crate) struct Channels {
    root: String,
    /// Tells of every key that moves.
    pub(crate) changes: String,
}

impl Channels {
    pub(crate) fn new(database: i64) -> Self {
        let root = format!("{ROOT}{database}:");
        let changes = format!("{root}changes");
        Self { root, changes }
    }

    /// Tells of a key, and of its default lock.
    pub(crate) fn key(&self, key: &str) -> Arc<str> {
        format!("{}key:{key}", self.root).into()
    }

    /// Tells of a lock: a default one is told of with its key.
    pub(crate) fn lock(&self, lock: &str) -> Arc<str> {
        match lock.strip_prefix(DEFAULT_LOCK) {
            Some(key) => self.key(key),
            None => format!("{}lock:{lock}", self.root).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::tag;

    const NAMES: [&str; 12] = [
        "", "a", "}", "{", "{}", "}a", "{a}", "a{b}c", "{p:a}", "a}b", "=", "é\0",
    ];

    #[test]
    fn every_name_is_found_again() {
        for name in NAMES {
            assert_eq!(find(&value(name)), Some(Found::Value(name.into())));
            let default = default_lock(name);
            for lock_name in [name, &default] {
                assert_eq!(find(&lock(lock_name)), Some(Found::Lock(lock_name.into())));
            }
        }
        for foreign in [
            "",
            "oneflight:",
            "oneflight:value",
            "oneflight:value:{p:a",
            "value=a",
        ] {
            assert_eq!(find(foreign), None);
        }
    }

    #[test]
    fn no_two_names_share_a_place() {
        let mut places: Vec<_> = NAMES
            .iter()
            .flat_map(|name| [value(name), lock(name), lock(&default_lock(name))])
            .collect();
        places.sort();
        let all = places.len();
        places.dedup();
        assert_eq!(places.len(), all);
    }

    #[test]
    fn a_key_and_its_lock_are_in_one_slot() {
        for name in NAMES {
            assert_eq!(tag(&value(name)), tag(&lock(&default_lock(name))), "{name}");
        }
        // So is a lock of one's own that has the same tag.
        assert_eq!(tag(&value("{user:1}:a")), tag(&lock("{user:1}:lock")));
        assert_ne!(tag(&value("a")), tag(&lock("b")));
    }
}
