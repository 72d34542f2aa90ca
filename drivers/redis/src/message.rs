//! What a server pushes.

use std::time::Duration;

use bytes::Bytes;
use oneflight_store::{Entry, KeyState, Revision, Token};
use redis::{PushInfo, PushKind, Value};

use crate::answer::read_holder;
use crate::moment::LockAt;

/// What a push is.
#[derive(Debug, PartialEq)]
pub(crate) enum Push {
    /// The connection is lost.
    Lost,
    /// A subscription to this channel stands from now on.
    Stands(String),
    /// Something was told on this channel.
    Told(String, Vec<u8>),
}

impl Push {
    /// `None` for what is of no interest.
    pub(crate) fn of(info: PushInfo) -> Option<Self> {
        let mut words = info.data.into_iter().map(|value| {
            let Value::BulkString(bytes) = value else {
                return None;
            };
            Some(bytes)
        });
        let mut word = || words.next().flatten();
        let text = |bytes| String::from_utf8(bytes).ok();
        let kind = info.kind;
        if kind == PushKind::Disconnection {
            Some(Self::Lost)
        } else if kind == PushKind::Subscribe {
            Some(Self::Stands(text(word()?)?))
        } else if kind == PushKind::Message {
            Some(Self::Told(text(word()?)?, word()?))
        } else {
            None
        }
    }
}

/// What is told on the channel of a key or of a lock.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) key: Option<ToldKey>,
    pub(crate) lock: Option<LockAt>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum ToldKey {
    State(KeyState),
    /// It holds a value that was too large to be told: read it.
    Moved(Revision),
}

impl Told {
    /// `None` if no script of this version has told it.
    pub(crate) fn of(bytes: Vec<u8>) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let body = Bytes::from(bytes);
        let (head, body) = (body.slice(..end), body.slice(end + 1..));
        let (key, lock) = std::str::from_utf8(&head).ok()?.split_once(';')?;
        let key = match key {
            "" => None,
            key => Some(told_key(key, &body)?),
        };
        let lock = match lock {
            "" => None,
            lock => Some(told_lock(lock, &body)?),
        };
        Some(Self { key, lock })
    }
}

fn told_key(words: &str, body: &Bytes) -> Option<ToldKey> {
    let mut words = words.split(',');
    let what = words.next()?;
    let revision = Revision::new(words.next()?.parse().ok()?);
    let entry = match what {
        "v" => Some(Entry {
            value: body.clone(),
            revision,
            token: Token::new(words.next()?.parse().ok()?),
            age: Duration::ZERO,
        }),
        "n" => None,
        "r" => return Some(ToldKey::Moved(revision)),
        _ => return None,
    };
    Some(ToldKey::State(KeyState { revision, entry }))
}

fn told_lock(words: &str, body: &Bytes) -> Option<LockAt> {
    let mut words = words.split(',');
    match words.next()? {
        "f" => Some(LockAt::ended(words.next()?.parse().ok()?)),
        "h" => {
            let token = Token::new(words.next()?.parse().ok()?)?;
            let remaining = Duration::from_micros(words.next()?.parse().ok()?);
            Some(LockAt::held(token, Some(remaining), read_holder(body)))
        }
        _ => None,
    }
}

/// What is told of every key that moves: its revision and its name.
pub(crate) fn change(bytes: &[u8]) -> Option<(Revision, &str)> {
    let (revision, key) = std::str::from_utf8(bytes).ok()?.split_once(' ')?;
    Some((Revision::new(revision.parse().ok()?), key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> Option<Told> {
        Told::of(bytes.to_vec())
    }

    #[test]
    fn a_publish_tells_both() {
        let told = told(b"v,7,5;f,5\nbytes\n;").unwrap();
        let Some(ToldKey::State(state)) = told.key else {
            panic!("{told:?}");
        };
        let entry = state.entry.unwrap();
        assert_eq!((state.revision.get(), &*entry.value), (7, &b"bytes\n;"[..]));
        assert_eq!(entry.token.unwrap().get(), 5);
        assert_eq!(told.lock, Some(LockAt::ended(5)));
    }

    #[test]
    fn what_is_not_a_value_is_told_in_words() {
        let moved = told(b"r,7;\n").unwrap();
        assert_eq!(moved.key, Some(ToldKey::Moved(Revision::new(7))));
        assert_eq!(moved.lock, None);
        let forgotten = told(b"n,8;f,8\n").unwrap().key;
        assert!(matches!(forgotten, Some(ToldKey::State(state)) if state.entry.is_none()));
        let held = told(b";h,9,1500\n1 1 hu").unwrap();
        let holder = read_holder(b"1 1 hu");
        assert_eq!(&*holder.as_ref().unwrap().user, "u");
        let remaining = Some(Duration::from_micros(1500));
        let expected = LockAt::held(Token::new(9).unwrap(), remaining, holder);
        assert_eq!(held.lock, Some(expected));
        assert_eq!(change(b"7 a b").unwrap(), (Revision::new(7), "a b"));
    }

    #[test]
    fn anything_else_is_nothing() {
        for other in [
            "",
            "\n",
            "v;\n",
            "v,1;\n",
            "x,1;\n",
            ";h,0,1\n",
            ";h,1\n",
            ";f\n",
            "v,-1,1;\n",
            ";?\n",
        ] {
            assert_eq!(told(other.as_bytes()), None, "{other:?}");
        }
        assert_eq!(change(b"key"), None);
        assert_eq!(change(b"7 \xff"), None);
    }
}
