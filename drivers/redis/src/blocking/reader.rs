//! The thread that reads a connection.

use std::io;
use std::sync::Arc;
use std::thread;

use oneflight_store::StoreError;
use redis::RedisError;

use super::up::Up;
use super::wire::Inbound;
use crate::fault;
use crate::line::Line;
use crate::pulse::Pulse;

/// Starts it. It ends with the connection.
pub(crate) fn start(up: Up, inbound: Inbound, pulse: Arc<Pulse>) -> io::Result<()> {
    let reader = Reader(up);
    thread::Builder::new()
        .name("oneflight-hear".to_owned())
        .spawn(move || reader.read(inbound, &pulse))?;
    Ok(())
}

struct Reader(Up);

impl Reader {
    fn read(&self, mut inbound: Inbound, pulse: &Pulse) {
        while self.0.lost().is_none() {
            match inbound.next(self.0.wire(), pulse) {
                Ok(value) => self.0.heard(value),
                Err(error) => return self.lose(&error),
            }
        }
    }

    fn lose(&self, error: &RedisError) {
        let error = fault::of_connection(self.0.place(), error);
        self.0.lose(error);
    }
}

impl Drop for Reader {
    /// However the thread ends: a watcher may panic.
    fn drop(&mut self) {
        self.0.lose(StoreError::unavailable(format_args!(
            "{}: nobody reads the connection any more",
            self.0.place()
        )));
    }
}
