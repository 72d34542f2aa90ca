//! The calls of the contract as a server is asked them: the same for both flavours.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oneflight_store::{
    ClaimRequest, KeyState, LeaseId, Publication, PutOutcome, Renewal, Revision, StoreError,
};
use redis::{Cmd, Value};

use crate::answer::{self, Described, Unexpected};
use crate::fault::Place;
use crate::layout::{self, Channels};
use crate::moment::LockAt;
use crate::script::{self, Loaded};

/// The largest value: a script that copies more would keep all others waiting for too long, and some
/// servers' buffers for subscribers end near there.
pub(crate) const MAX_VALUE: u64 = 16 << 20;

/// The largest value that travels with the message which tells of it, in bytes.
pub(crate) const SMALL: usize = 4096;

/// The longest lease or retention, in microseconds: thirty years. Beyond, the server's numbers would
/// lose their last digits.
const LONGEST: u128 = 1_000_000_000_000_000;

/// One call: what to send, and how to read the answer.
pub(crate) struct Call<T> {
    script: &'static Loaded,
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
    read: fn(Value) -> Result<T, Unexpected>,
    /// What an error names.
    pub(crate) key: Arc<str>,
    /// Whether a second time changes nothing more than the first.
    pub(crate) is_idempotent: bool,
    /// The channels that it is told on, if it changes anything.
    pub(crate) told_on: Vec<Arc<str>>,
}

impl<T> Call<T> {
    fn new(
        script: &'static Loaded,
        key: &Arc<str>,
        keys: Vec<String>,
        arguments: Vec<Vec<u8>>,
        read: fn(Value) -> Result<T, Unexpected>,
    ) -> Self {
        Self {
            script,
            keys,
            arguments,
            read,
            key: Arc::clone(key),
            is_idempotent: true,
            told_on: Vec::new(),
        }
    }

    fn told_on(mut self, channels: impl IntoIterator<Item = Arc<str>>) -> Self {
        self.told_on = channels.into_iter().collect();
        self
    }

    fn not_twice(mut self) -> Self {
        self.is_idempotent = false;
        self
    }

    pub(crate) fn by_digest(&self) -> Cmd {
        self.script.by_digest(&self.keys, &self.arguments)
    }

    pub(crate) fn in_full(&self) -> Cmd {
        self.script.in_full(&self.keys, &self.arguments)
    }

    /// What the server has answered.
    pub(crate) fn read(&self, place: &Place, value: Value) -> Result<T, StoreError> {
        (self.read)(value).map_err(|unexpected| unexpected.of(place, &self.key))
    }

    /// Where on the server the call takes place, for errors.
    pub(crate) fn places(&self) -> &[String] {
        &self.keys
    }
}

/// In whole microseconds, and never nothing.
fn micros(time: Duration) -> Vec<u8> {
    let micros = time.as_micros().clamp(1, LONGEST);
    micros.to_string().into_bytes()
}

/// Nothing for what is kept for good.
fn retention(retain: Option<Duration>) -> Vec<u8> {
    match retain {
        Some(retain) if retain.as_micros() <= LONGEST => micros(retain),
        Some(_) | None => Vec::new(),
    }
}

fn text(text: impl ToString) -> Vec<u8> {
    text.to_string().into_bytes()
}

/// `is_repeated`: what was granted before may not be known, because the answer was lost.
pub(crate) fn claim(
    channels: &Channels,
    request: &ClaimRequest,
    is_repeated: bool,
) -> Call<answer::Claimed> {
    let told_on = channels.lock(&request.lock);
    let keys = vec![layout::value(&request.key), layout::lock(&request.lock)];
    let arguments = vec![
        text(request.seen.get()),
        micros(request.ttl),
        text(request.attempt),
        answer::write_holder(&request.holder),
        text(&request.key),
        text(SMALL),
        text(&told_on),
        text(u8::from(is_repeated)),
    ];
    Call::new(&script::claim, &request.key, keys, arguments, answer::claim).told_on([told_on])
}

pub(crate) fn renew(channels: &Channels, lease: &LeaseId, ttl: Duration) -> Call<Renewal> {
    let told_on = channels.lock(&lease.lock);
    let arguments = vec![text(lease.token.get()), micros(ttl), text(&told_on)];
    let keys = vec![layout::lock(&lease.lock)];
    Call::new(&script::renew, &lease.lock, keys, arguments, answer::renew).told_on([told_on])
}

pub(crate) fn publish(
    channels: &Channels,
    lease: &LeaseId,
    key: &Arc<str>,
    value: &Bytes,
    retain: Option<Duration>,
) -> Call<Publication> {
    let of_key = channels.key(key);
    let of_lock = channels.lock(&lease.lock);
    let keys = vec![layout::value(key), layout::lock(&lease.lock)];
    let arguments = vec![
        text(lease.token.get()),
        value.to_vec(),
        retention(retain),
        text(key),
        text(SMALL),
        text(&of_key),
        text(&of_lock),
        text(&channels.changes),
    ];
    Call::new(&script::publish, key, keys, arguments, answer::publish).told_on([of_key, of_lock])
}

pub(crate) fn release(channels: &Channels, lease: &LeaseId) -> Call<()> {
    let told_on = channels.lock(&lease.lock);
    let arguments = vec![text(lease.token.get()), text(&told_on)];
    let keys = vec![layout::lock(&lease.lock)];
    Call::new(&script::release, &lease.lock, keys, arguments, |_| Ok(())).told_on([told_on])
}

pub(crate) fn put(
    channels: &Channels,
    key: &Arc<str>,
    value: &Bytes,
    retain: Option<Duration>,
    seen: Revision,
) -> Call<PutOutcome> {
    let told_on = channels.key(key);
    let arguments = vec![
        value.to_vec(),
        retention(retain),
        text(seen.get()),
        text(key),
        text(SMALL),
        text(&told_on),
        text(&channels.changes),
    ];
    let keys = vec![layout::value(key)];
    let call = Call::new(&script::put, key, keys, arguments, answer::put).not_twice();
    call.told_on([told_on])
}

pub(crate) fn read(key: &Arc<str>) -> Call<KeyState> {
    let keys = vec![layout::value(key)];
    Call::new(&script::read, key, keys, Vec::new(), answer::read)
}

/// Both at one moment.
pub(crate) fn look(key: &Arc<str>, lock: &str) -> Call<(KeyState, LockAt)> {
    let keys = vec![layout::value(key), layout::lock(lock)];
    Call::new(&script::look, key, keys, Vec::new(), answer::look)
}

pub(crate) fn forget(channels: &Channels, key: &Arc<str>, lock: &str) -> Call<Revision> {
    let of_key = channels.key(key);
    let of_lock = channels.lock(lock);
    let arguments = vec![
        text(key),
        text(&of_key),
        text(&of_lock),
        text(&channels.changes),
    ];
    let keys = vec![layout::value(key), layout::lock(lock)];
    let call = Call::new(&script::forget, key, keys, arguments, answer::forget).not_twice();
    call.told_on([of_key, of_lock])
}

/// What a list found at this place; `None` if there is nothing to show.
pub(crate) fn describe(place: String, found: &layout::Found) -> Call<Option<Described>> {
    let (name, what, read): (_, _, fn(Value) -> _) = match found {
        layout::Found::Value(key) => (key, "value", answer::describe_value),
        layout::Found::Lock(lock) => (lock, "lock", answer::describe_lock),
    };
    Call::new(&script::describe, name, vec![place], vec![text(what)], read)
}

/// Refuses what no server is to be asked to keep.
pub(crate) fn within_limit(place: &Place, value: &Bytes) -> Result<(), StoreError> {
    let size = value.len() as u64;
    if size > MAX_VALUE {
        return Err(StoreError::refused(format_args!(
            "{place}: a value of {size} bytes is over the limit of {MAX_VALUE}; publish a pointer to it"
        )));
    }
    Ok(())
}
