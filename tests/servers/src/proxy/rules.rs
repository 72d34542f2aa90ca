//! What goes wrong, as it was ordered.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// A way of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What the client sends.
    ToServer,
    /// What the server answers and pushes.
    ToClient,
}

/// How an answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The connection is cut instead.
    Cut,
    /// Nothing comes over this connection any more, and nobody is told.
    Silence,
}

/// What holds for all connections.
pub(crate) struct Rules {
    pub(crate) server: SocketAddr,
    pub(crate) refuses: bool,
    pub(crate) is_over: bool,
    pub(crate) losses: Vec<(Lost, Such)>,
    pub(crate) lost: u64,
    ways: [Way; 2],
}

/// Whether it is such a command, by its words.
type Such = Box<dyn Fn(&[Vec<u8>]) -> bool + Send>;

/// What holds for one direction.
#[derive(Debug, Default)]
pub(crate) struct Way {
    pub(crate) delay: Duration,
    pub(crate) is_held: bool,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("server", &self.server)
            .field("ways", &self.ways)
            .finish_non_exhaustive()
    }
}

impl Rules {
    pub(crate) fn to(server: SocketAddr) -> Self {
        Self {
            server,
            refuses: false,
            is_over: false,
            losses: Vec::new(),
            lost: 0,
            ways: Default::default(),
        }
    }

    pub(crate) fn way(&mut self, direction: Direction) -> &mut Way {
        &mut self.ways[direction as usize]
    }

    pub(crate) fn heal(&mut self) {
        self.refuses = false;
        self.losses.clear();
        self.ways = Default::default();
    }

    /// Whether the answer to this command is to be lost, which then has been.
    pub(crate) fn lose(&mut self, command: &[Vec<u8>]) -> Option<Lost> {
        let at = self.losses.iter().position(|(_, such)| such(command))?;
        self.lost += 1;
        Some(self.losses.remove(at).0)
    }
}

/// The rules, and who waits for them to change.
#[derive(Debug)]
pub(crate) struct Shared {
    rules: Mutex<Rules>,
    changed: Condvar,
}

impl Shared {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules: Mutex::new(rules),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Rules) -> T) -> T {
        read(&self.lock())
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Rules) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    fn lock(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap()
    }

    /// Waits until what came at `since` may pass, or until there is nowhere to pass it on to.
    pub(crate) fn await_passage(
        &self,
        direction: Direction,
        since: Instant,
        is_cut: impl Fn() -> bool,
    ) {
        let mut rules = self.lock();
        while !is_cut() {
            let way = rules.way(direction);
            let left = way.delay.saturating_sub(since.elapsed());
            rules = if way.is_held {
                self.changed.wait(rules).unwrap()
            } else if left.is_zero() {
                return;
            } else {
                self.changed.wait_timeout(rules, left).unwrap().0
            };
        }
    }
}
