//! How to wait for another process to be done with the file.

use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// How long to wait before giving up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The first pauses are about as long as somebody else's write takes.
const FIRST: Duration = Duration::from_micros(50);
/// The longest: enough to leave the processor to whoever holds the lock.
const LONGEST: Duration = Duration::from_millis(3);

/// Makes this connection wait. SQLite's own `busy_timeout` begins with whole milliseconds, which
/// would triple the slowest writes.
pub(crate) fn be_patient(conn: &mut Connection) -> rusqlite::Result<()> {
    let mut since = Instant::now();
    conn.busy_handler(Some(move |asked: i32| {
        if asked == 0 {
            since = Instant::now();
        }
        if since.elapsed() >= PATIENCE {
            return false;
        }
        thread::sleep(pause(asked));
        true
    }))
}

/// The pause before asking again: doubles with every fourth time.
pub(crate) fn pause(asked: i32) -> Duration {
    let doublings = u32::try_from(asked).unwrap_or(0) / 4;
    FIRST.saturating_mul(1 << doublings.min(10)).min(LONGEST)
}
