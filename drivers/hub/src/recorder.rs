//! The flight recorder: what happens in this process, as a trace for the checker.

mod tape;
mod words;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use oneflight_core::{Outcome, PassengerId, Revision};
use oneflight_store::{Holder, KeyState, Pending, Profile, StoreError};
use oneflight_trace::{Answer, Digest, Freshness, NodeId, Record, Request, RequestId, What};

use crate::hub::Names;
use crate::observe::Reply;
use tape::Tape;
pub(crate) use words::{claimed, forgotten, looked, published, put, released, renewed};

/// Writes down what happens in one process: given to the `Builder` of a driver.
///
/// The lines are those of `docs/trace.md`, with digests in place of values; `oneflight-sim` checks and
/// replays them. Any number of processes may record into one file.
///
/// A line is with the system before what it tells of can be felt elsewhere: before a request leaves,
/// before a fill begins, before a call lands. So a process that is killed has told of all that others
/// can know of it. Only local hits may stay in memory for a while. Writing happens in place: while the
/// disk stalls, so do the calls.
pub struct Recorder {
    node: NodeId,
    tape: Tape,
    requests: AtomicU64,
}

impl Recorder {
    /// Appends to a file, which is made if there is none. When it cannot be written to any more, the
    /// recording ends, `on_failure` is told why, and the calls go on. It is told in the middle of a
    /// call's work: it must not block, and must not call the driver.
    ///
    /// # Errors
    ///
    /// That the file cannot be opened.
    pub fn append(
        path: impl AsRef<Path>,
        on_failure: impl FnOnce(io::Error) + Send + 'static,
    ) -> io::Result<Self> {
        Ok(Self {
            node: 0,
            tape: Tape::append(path.as_ref(), Box::new(on_failure))?,
            requests: AtomicU64::new(0),
        })
    }

    /// Begins, under the number of this process.
    pub(crate) fn begin(
        mut self,
        driver: &str,
        nonce: u64,
        profile: &Profile,
        holder: &Holder,
    ) -> Self {
        // Not 0, which is the store, and no more digits than every reader of JSON can take.
        self.node = (nonce >> 16) | 1;
        self.tape.put(&words::header(driver, profile));
        self.write(What::Up {
            name: holder.to_string(),
            clock: words::clock(),
        });
        self
    }

    /// Notes something that cannot be felt elsewhere yet.
    pub(crate) fn note(&self, what: What<Names>) {
        let node = self.node;
        self.tape.put_at(|at| Record { at, node, what });
    }

    /// Notes something, and writes all that was noted.
    pub(crate) fn write(&self, what: What<Names>) {
        self.note(what);
        self.tape.flush();
    }

    /// Notes the end, if nobody has yet, and nothing after it: a watch may tell of something late.
    pub(crate) fn end(&self, crashed: bool) {
        self.write(What::Down { crashed });
        self.tape.close();
    }

    /// Notes a call that a local copy has served.
    #[cold]
    pub(crate) fn hit(
        &self,
        key: Names,
        passenger: PassengerId,
        freshness: Freshness,
        revision: Revision,
        digest: Digest,
    ) {
        self.note(What::Began {
            key: key.clone(),
            passenger,
            freshness,
        });
        self.note(What::Landed {
            key,
            passenger,
            outcome: Outcome::Cached {
                revision,
                stale: false,
            },
            digest: Some(digest),
            local: true,
        });
    }

    /// Notes a request that is about to leave.
    pub(crate) fn sent(&self, key: Names, flight: Option<u64>, request: Request) -> RequestId {
        let id = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        self.write(What::Sent {
            id,
            key,
            flight,
            request,
        });
        id
    }

    /// Notes what has come back.
    pub(crate) fn answered(&self, id: RequestId, answer: Answer) {
        self.note(What::Answered { id, answer });
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

impl crate::hub::Hub {
    /// Sends a request; with a recorder, its leaving and its answer are noted.
    pub(crate) fn ask<T: Reply>(
        &self,
        key: &Names,
        flight: Option<u64>,
        request: impl FnOnce() -> Request,
        answer: fn(&Result<T, StoreError>) -> Option<Answer>,
        send: impl FnOnce() -> Pending<T>,
    ) -> Pending<T> {
        let send = || self.meters.timed(self.clock, send);
        let Some(recorder) = self.recorder.clone() else {
            return send();
        };
        let id = recorder.sent(key.clone(), flight, request());
        let pending = send();
        Box::pin(async move {
            let came = pending.await;
            if let Some(answer) = answer(&came) {
                recorder.answered(id, answer);
            }
            came
        })
    }

    pub(crate) fn read(&self, key: &Names) -> Pending<KeyState> {
        let read = || self.store.read(Arc::clone(&key.key));
        self.ask(key, None, || Request::Read, looked, read)
    }

    /// What stands for a value in the recording; nothing worth its cost without a recorder.
    pub(crate) fn digest(&self, value: &crate::value::Value) -> Digest {
        match &self.recorder {
            Some(_) => value.digest(),
            None => Digest(0),
        }
    }
}
