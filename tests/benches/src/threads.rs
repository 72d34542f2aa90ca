//! A thousand threads want one cold key.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use oneflight_blocking::SingleFlight;
use oneflight_store::MemoryStore;

use crate::TASKS;

const FILL: Duration = Duration::from_millis(1);

/// Who holds the crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowd {
    /// Nobody but a cell of one value: what the threads themselves cost.
    Cell,
    /// oneflight over an in-process store.
    Oneflight,
}

impl Crowd {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Cell, Self::Oneflight];

    /// What it is called in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cell => "std OnceLock (one key only)",
            Self::Oneflight => "**oneflight**, driver for threads",
        }
    }
}

/// Lets the threads loose on a cold key; answers how long it took, the fill aside.
///
/// # Panics
///
/// If there is not exactly one fill.
#[must_use]
pub fn stampede_of_threads(crowd: Crowd) -> Duration {
    let fills = Arc::new(AtomicUsize::new(0));
    let filled = Arc::new(OnceLock::new());
    let fill = {
        let (fills, filled) = (Arc::clone(&fills), Arc::clone(&filled));
        move || {
            let start = Instant::now();
            thread::sleep(FILL);
            fills.fetch_add(1, Ordering::Relaxed);
            filled.set(start.elapsed()).ok();
            7_u64
        }
    };
    let wall = match crowd {
        Crowd::Cell => {
            let cell = Arc::new(OnceLock::new());
            run(move || *cell.get_or_init(&fill))
        }
        Crowd::Oneflight => {
            let flights = SingleFlight::new(MemoryStore::new());
            run(move || {
                let landing = flights.key("k").run(|_| Ok::<_, Infallible>(fill()));
                landing.map_or(0, |landing| *landing.value)
            })
        }
    };
    assert_eq!(fills.load(Ordering::Relaxed), 1);
    wall.saturating_sub(filled.get().copied().unwrap_or_default())
}

fn run(work: impl Fn() -> u64 + Clone + Send + 'static) -> Duration {
    let start = Instant::now();
    let threads: Vec<_> = (0..TASKS).map(|_| thread::spawn(work.clone())).collect();
    for thread in threads {
        assert_eq!(thread.join().ok(), Some(7));
    }
    start.elapsed()
}
