//! What a server's answers mean.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oneflight_store::{
    Claim, Entry, Holder, KeyState, LockState, Publication, PutOutcome, Renewal, Revision,
    StoreError, Token,
};
use redis::Value;

use crate::fault::Place;
use crate::moment::LockAt;

/// An answer that none of the scripts gives.
#[derive(Debug)]
pub(crate) struct Unexpected;

impl Unexpected {
    pub(crate) fn of(&self, place: &Place, key: &str) -> StoreError {
        StoreError::unavailable(format_args!(
            "{place} answered a call for {key:?} with something no oneflight script answers; is there \
             a proxy on the way, or another version of oneflight?"
        ))
    }
}

type Read<T> = Result<T, Unexpected>;

/// The answer to a claim, and what one that found the lease held tells beside it.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) claim: Claim,
    /// How the key stands: if its value is not too large to be told by the way.
    pub(crate) key: Option<KeyState>,
}

/// The elements of an answer, one after the other.
struct Parts(std::vec::IntoIter<Value>);

impl Parts {
    fn of(value: Value) -> Read<Self> {
        let Value::Array(values) = value else {
            return Err(Unexpected);
        };
        Ok(Self(values.into_iter()))
    }

    fn next(&mut self) -> Read<Value> {
        self.0.next().ok_or(Unexpected)
    }

    fn number(&mut self) -> Read<u64> {
        number(&self.next()?)
    }

    fn bytes(&mut self) -> Read<Vec<u8>> {
        let Value::BulkString(bytes) = self.next()? else {
            return Err(Unexpected);
        };
        Ok(bytes)
    }

    fn token(&mut self) -> Read<Token> {
        Token::new(self.number()?).ok_or(Unexpected)
    }

    fn time(&mut self) -> Read<Duration> {
        self.number().map(Duration::from_micros)
    }

    fn holder(&mut self) -> Read<Option<Holder>> {
        self.bytes().map(|words| read_holder(&words))
    }
}

fn number(value: &Value) -> Read<u64> {
    let Value::Int(number) = value else {
        return Err(Unexpected);
    };
    u64::try_from(*number).map_err(|_| Unexpected)
}

/// The state of a key; nothing if it holds a value which was not sent along.
fn entry(value: Value) -> Read<Option<KeyState>> {
    let mut parts = Parts::of(value)?;
    let revision = Revision::new(parts.number()?);
    if parts.number()? == 0 {
        let entry = None;
        return Ok(Some(KeyState { revision, entry }));
    }
    let value = parts.next()?;
    if matches!(value, Value::Int(_)) {
        return Ok(None);
    }
    let Value::BulkString(value) = value else {
        return Err(Unexpected);
    };
    let value = Bytes::from(value);
    let entry = Some(Entry {
        value,
        revision,
        token: Token::new(parts.number()?),
        age: parts.time()?,
    });
    Ok(Some(KeyState { revision, entry }))
}

pub(crate) fn claim(value: Value) -> Read<Claimed> {
    let mut parts = Parts::of(value)?;
    let what = parts.bytes()?;
    let mut key = None;
    let claim = match what.as_slice() {
        b"newer" => Claim::Newer {
            entry: entry(parts.next()?)?
                .and_then(|state| state.entry)
                .ok_or(Unexpected)?,
            latest: Token::new(parts.number()?),
        },
        b"granted" => Claim::Granted {
            token: parts.token()?,
            remaining: parts.time()?,
            generation: Revision::new(parts.number()?),
        },
        b"held" => {
            let held = Claim::Held {
                token: parts.token()?,
                remaining: Some(parts.time()?),
                holder: parts.holder()?,
            };
            key = entry(parts.next()?)?;
            held
        }
        _ => return Err(Unexpected),
    };
    Ok(Claimed { claim, key })
}

pub(crate) fn renew(value: Value) -> Read<Renewal> {
    match number(&value)? {
        0 => Ok(Renewal::Lost),
        _ => Ok(Renewal::Renewed),
    }
}

pub(crate) fn publish(value: Value) -> Read<Publication> {
    let mut parts = Parts::of(value)?;
    match parts.number()? {
        0 => Ok(Publication::Fenced),
        _ => Ok(Publication::Published(Revision::new(parts.number()?))),
    }
}

pub(crate) fn put(value: Value) -> Read<PutOutcome> {
    let mut parts = Parts::of(value)?;
    match parts.number()? {
        0 => Ok(PutOutcome::Newer(Revision::new(parts.number()?))),
        _ => Ok(PutOutcome::Written(Revision::new(parts.number()?))),
    }
}

pub(crate) fn read(value: Value) -> Read<KeyState> {
    entry(value)?.ok_or(Unexpected)
}

pub(crate) fn look(value: Value) -> Read<(KeyState, LockAt)> {
    let mut parts = Parts::of(value)?;
    let key = read(parts.next()?)?;
    let (number, remaining) = (parts.number()?, parts.time()?);
    let lock = match Token::new(number) {
        Some(token) if !remaining.is_zero() => {
            LockAt::held(token, Some(remaining), parts.holder()?)
        }
        Some(_) | None => match parts.number()? {
            0 => LockAt::ended(number),
            _ => LockAt::lapsed(number),
        },
    };
    Ok((key, lock))
}

pub(crate) fn forget(value: Value) -> Read<Revision> {
    number(&value).map(Revision::new)
}

/// What a list says of a place.
#[derive(Debug)]
pub(crate) enum Described {
    Value {
        revision: Revision,
        /// How old the value is, and its size; none if there is none.
        measures: Option<(Duration, u64)>,
    },
    Lock {
        key: Arc<str>,
        state: LockState,
    },
}

pub(crate) fn describe_value(value: Value) -> Read<Option<Described>> {
    if is_nothing(&value) {
        return Ok(None);
    }
    let mut parts = Parts::of(value)?;
    let revision = Revision::new(parts.number()?);
    let measures = match parts.number()? {
        0 => None,
        _ => Some((parts.time()?, parts.number()?)),
    };
    Ok(Some(Described::Value { revision, measures }))
}

pub(crate) fn describe_lock(value: Value) -> Read<Option<Described>> {
    if is_nothing(&value) {
        return Ok(None);
    }
    let mut parts = Parts::of(value)?;
    let (token, remaining) = (parts.token()?, parts.time()?);
    let key = String::from_utf8(parts.bytes()?).map_err(|_| Unexpected)?;
    let state = LockState::Held {
        token,
        remaining: Some(remaining),
        holder: parts.holder()?,
    };
    let key = key.into();
    Ok(Some(Described::Lock { key, state }))
}

/// Of a script in either version of the protocol.
fn is_nothing(value: &Value) -> bool {
    matches!(value, Value::Nil | Value::Boolean(false))
}

/// The number of the process, the length of the host's name, and then both names.
pub(crate) fn write_holder(holder: &Holder) -> Vec<u8> {
    let Holder { host, pid, user } = holder;
    format!("{pid} {} {host}{user}", host.len()).into_bytes()
}

/// Nothing if it is something else: it is for people.
pub(crate) fn read_holder(words: &[u8]) -> Option<Holder> {
    let words = std::str::from_utf8(words).ok()?;
    let (pid, rest) = words.split_once(' ')?;
    let (length, names) = rest.split_once(' ')?;
    let (host, user) = names.split_at_checked(length.parse().ok()?)?;
    Some(Holder {
        host: host.into(),
        pid: pid.parse().ok()?,
        user: user.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_comes_back() {
        for (host, user) in [("host", "user"), ("", ""), ("hö st", "1 2 3")] {
            let holder = Holder {
                host: host.into(),
                pid: u32::MAX,
                user: user.into(),
            };
            assert_eq!(read_holder(&write_holder(&holder)), Some(holder));
        }
        for other in ["", "1", "1 2", "1 9 ab", "x 1 ab", "1 x ab", "1 1 é"] {
            assert_eq!(read_holder(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn what_no_script_answers_is_an_error_and_no_panic() {
        let odd = [
            Value::Nil,
            Value::Okay,
            Value::Int(-1),
            Value::Array(vec![]),
            Value::Array(vec![Value::BulkString(b"held".to_vec())]),
            Value::Array(vec![Value::Array(vec![]), Value::Int(1)]),
            Value::Array(vec![Value::Int(1), Value::Int(1), Value::Nil]),
        ];
        for value in odd {
            assert!(claim(value.clone()).is_err(), "{value:?}");
            assert!(publish(value.clone()).is_err() || matches!(value, Value::Array(_)));
            assert!(read(value.clone()).is_err(), "{value:?}");
            assert!(look(value.clone()).is_err(), "{value:?}");
            assert!(describe_lock(value.clone()).is_err() || is_nothing(&value));
        }
    }
}
