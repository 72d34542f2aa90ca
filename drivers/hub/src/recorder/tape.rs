//! The file behind a recorder: whole lines, in order.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use oneflight_trace::{Line, Nanos, Record};

use crate::hub::Names;

/// How many bytes may wait to be written.
const MOST_WAITING: usize = 32 * 1024;

pub(super) type OnFailure = Box<dyn FnOnce(io::Error) + Send>;

pub(super) struct Tape {
    state: Mutex<State>,
}

struct State {
    /// `None` once the recording has ended.
    file: Option<File>,
    waiting: Vec<u8>,
    /// The moment of the last line: a clock that is set back must not change their order.
    last: Nanos,
    on_failure: Option<OnFailure>,
}

impl Tape {
    pub(super) fn append(path: &Path, on_failure: OnFailure) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            state: Mutex::new(State {
                file: Some(file),
                waiting: Vec::new(),
                last: 0,
                on_failure: Some(on_failure),
            }),
        })
    }

    pub(super) fn put(&self, line: &Line<Names>) {
        finish(self.state(), |state| state.put(line));
    }

    /// Takes the moment under the lock, so that the lines are in its order.
    pub(super) fn put_at(&self, record: impl FnOnce(Nanos) -> Record<Names>) {
        finish(self.state(), |state| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = now.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0));
            state.last = state.last.max(now);
            let record = Line::Record(record(state.last));
            state.put(&record)
        });
    }

    pub(super) fn flush(&self) {
        finish(self.state(), State::flush);
    }

    pub(super) fn close(&self) {
        self.state().file = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does something with the file; when that fails, it was the last thing that was done with it.
fn finish(mut state: MutexGuard<'_, State>, act: impl FnOnce(&mut State) -> io::Result<()>) {
    if state.file.is_none() {
        return;
    }
    if let Err(error) = act(&mut state) {
        state.file = None;
        state.waiting = Vec::new();
        let on_failure = state.on_failure.take();
        drop(state);
        if let Some(on_failure) = on_failure {
            on_failure(error);
        }
    }
}

impl State {
    fn put(&mut self, line: &Line<Names>) -> io::Result<()> {
        oneflight_trace::write_line(&mut self.waiting, line)?;
        if self.waiting.len() < MOST_WAITING {
            return Ok(());
        }
        self.flush()
    }

    /// In one piece, or the lines of other processes could come between.
    fn flush(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        if self.waiting.is_empty() {
            return Ok(());
        }
        loop {
            let written = match file.write(&self.waiting) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                written => written?,
            };
            if written < self.waiting.len() {
                return Err(io::Error::new(
                    io::ErrorKind::WriteZero,
                    "there is no room for the whole of a line",
                ));
            }
            self.waiting.clear();
            return Ok(());
        }
    }
}
