//! The bench one row runs on: its name, and fresh data to open.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Subject;
use super::probe::Probe;
use crate::blocking;

/// Longer than any row takes: a lease or a retention that must not be over before its row.
pub(super) const LONG: Duration = Duration::from_secs(300);
/// A lease or a retention to be waited out.
pub(super) const SHORT: Duration = Duration::from_millis(60);
/// How far a store's clock may be off in a row: stores may count whole milliseconds, or seconds.
pub(super) const SLACK: Duration = Duration::from_secs(2);
/// Clocks need not run alike to the last moment.
pub(super) const DRIFT: Duration = Duration::from_millis(5);
/// How long what must come is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What a row is given.
pub(super) struct Bench<'a> {
    row: Row,
    open: Box<dyn Fn() -> Arc<dyn blocking::Store> + 'a>,
}

impl<'a> Bench<'a> {
    pub(super) fn new(row: &'static str, subject: &'a impl Subject) -> Self {
        Self {
            row: Row(row),
            open: Box::new(|| Arc::new(subject.open())),
        }
    }

    /// Opens the row's data as one more process would.
    pub(super) fn open(&self) -> Probe {
        Probe::new(self.row, (self.open)())
    }
}

/// The name of a row, and its verdicts.
#[derive(Clone, Copy)]
pub(super) struct Row(&'static str);

impl Row {
    /// Fails the row.
    #[track_caller]
    pub(super) fn fail(self, what: &str, expected: impl Debug, got: impl Debug) -> ! {
        panic!("row {}: {what}: expected {expected:?}, got {got:?}", self.0);
    }

    #[track_caller]
    pub(super) fn same<T: PartialEq + Debug>(self, what: &str, got: T, expected: T) {
        if got != expected {
            self.fail(what, expected, got);
        }
    }

    #[track_caller]
    pub(super) fn above<T: PartialOrd + Debug>(self, what: &str, got: T, floor: T) {
        if got <= floor {
            self.fail(what, format_args!("above {floor:?}"), got);
        }
    }

    #[track_caller]
    pub(super) fn within<T: PartialOrd + Debug>(self, what: &str, got: T, low: T, high: T) {
        if got < low || got > high {
            self.fail(what, format_args!("{low:?} to {high:?}"), got);
        }
    }

    /// Looks again and again until there is something, for as long as patience lasts.
    #[track_caller]
    pub(super) fn until<T>(self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(found) = look() {
                return found;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.fail(
            what,
            format_args!("it within {PATIENCE:?}"),
            format_args!("nothing"),
        )
    }
}
