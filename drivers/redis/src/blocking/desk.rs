//! Where calls are made.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use oneflight_store::StoreError;
use redis::{Cmd, Connection, ConnectionLike, RedisError, Value};

use crate::call::Call;
use crate::fault::{self, About, Place};
use crate::hub::Hub;
use crate::source::Source;
use crate::times::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT};

/// How many connections are kept while nobody uses them.
const KEPT: usize = 8;

/// What callers and threads share.
pub(crate) struct Desk {
    pub(crate) source: Source,
    pub(crate) place: Place,
    pub(crate) hub: Arc<Hub>,
    pub(crate) bell: Arc<Bell>,
    idle: Mutex<Vec<Connection>>,
}

/// Says that there is something to ask for, or that all is over.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
    is_over: AtomicBool,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.heard.notify_all();
    }

    /// Until it rings, but not for longer than this.
    pub(crate) fn wait(&self, at_most: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.heard.wait_timeout_while(rung, at_most, |rung| !*rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }

    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.ring();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }
}

impl Desk {
    pub(crate) fn new(source: Source, hub: Arc<Hub>, bell: Arc<Bell>) -> Self {
        Self {
            place: source.place(),
            source,
            hub,
            bell,
            idle: Mutex::new(Vec::new()),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server is gone, and so are they.
    pub(crate) fn forget_idle(&self) {
        let idle = std::mem::take(&mut *self.idle());
        drop(idle);
    }

    /// A connection of which both ends answer in time.
    pub(crate) fn connect(&self) -> Result<Connection, StoreError> {
        let client = self.source.client_blocking()?;
        let connect = || {
            let connection = client.get_connection_with_timeout(CONNECT_TIMEOUT)?;
            connection.set_read_timeout(Some(RESPONSE_TIMEOUT))?;
            connection.set_write_timeout(Some(RESPONSE_TIMEOUT))?;
            Ok(connection)
        };
        connect().map_err(|error| fault::of_connection(&self.place, &error))
    }

    /// A connection, and whether it was there before.
    fn take(&self) -> Result<(Connection, bool), StoreError> {
        let kept = self.idle().pop();
        match kept {
            Some(connection) => Ok((connection, true)),
            None => Ok((self.connect()?, false)),
        }
    }

    /// Sends, and takes the answer; the connection is kept if it is in step.
    fn exchange(
        &self,
        mut connection: Connection,
        work: impl FnOnce(&mut Connection) -> Result<Value, RedisError>,
    ) -> Result<Value, RedisError> {
        let answer = work(&mut connection);
        let in_step = answer
            .as_ref()
            .err()
            .is_none_or(|error| !error.is_io_error() && !error.is_unrecoverable_error());
        if in_step && !answer.as_ref().is_err_and(fault::is_read_only) {
            let mut idle = self.idle();
            if idle.len() < KEPT {
                idle.push(connection);
            }
        }
        answer
    }

    /// Makes a call.
    pub(crate) fn ask<T>(&self, call: &Call<T>) -> Result<T, StoreError> {
        let ask = |connection: &mut Connection| {
            let answer = send(connection, &call.by_digest());
            match answer {
                Err(error) if fault::is_unknown_script(&error) => send(connection, &call.in_full()),
                answer => answer,
            }
        };
        loop {
            let (mut connection, is_kept) = self.take()?;
            // What must not be sent twice is not sent to nobody. Where one is dead, so are the others.
            if is_kept && !call.is_idempotent && !connection.check_connection() {
                self.forget_idle();
                continue;
            }
            match self.exchange(connection, ask) {
                Ok(value) => return call.read(&self.place, value),
                // It may have been closed long ago: again, until one is new.
                Err(error) if is_kept && call.is_idempotent && error.is_connection_dropped() => {}
                Err(error) => {
                    let about = About {
                        key: &call.key,
                        places: call.places(),
                    };
                    return Err(fault::of_call(&self.place, &error, about));
                }
            }
        }
    }

    /// Any other command, which changes nothing.
    pub(crate) fn query(&self, command: &Cmd) -> Result<Value, StoreError> {
        loop {
            let (connection, is_kept) = self.take()?;
            match self.exchange(connection, |connection| send(connection, command)) {
                Ok(value) => return Ok(value),
                Err(error) if is_kept && error.is_connection_dropped() => {}
                Err(error) => return Err(fault::of_connection(&self.place, &error)),
            }
        }
    }
}

fn send(connection: &mut Connection, command: &Cmd) -> Result<Value, RedisError> {
    connection.req_command(command)?.extract_error()
}
