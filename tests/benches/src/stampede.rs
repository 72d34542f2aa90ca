//! A thousand tasks want one cold key.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use oneflight_store::MemoryStore;
use oneflight_tokio::SingleFlight;
use singleflight_async::SingleFlight as Peer;
use tokio::sync::OnceCell;

/// How many tasks there are.
pub const TASKS: usize = 1_000;

const FILL: Duration = Duration::from_millis(1);
const KEY: &str = "artifacts/3f9a";

/// Who holds the herd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Herd {
    /// Nobody but a cell of one value: what the tasks themselves cost.
    Cell,
    /// oneflight over an in-process store.
    Oneflight,
    /// quick_cache, `get_or_insert_async`.
    Quick,
    /// moka, `get_with_by_ref`.
    Moka,
    /// singleflight-async, which keeps nothing.
    SingleflightAsync,
}

impl Herd {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Cell,
        Self::Oneflight,
        Self::Quick,
        Self::Moka,
        Self::SingleflightAsync,
    ];

    /// What it is called in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cell => "tokio OnceCell (one key only)",
            Self::Oneflight => "**oneflight**",
            Self::Quick => "quick_cache `get_or_insert_async`",
            Self::Moka => "moka `get_with_by_ref`",
            Self::SingleflightAsync => "singleflight-async (no cache)",
        }
    }
}

/// Lets the tasks loose on a cold key; answers how long it took, the fill aside, and how many fills
/// there were.
pub async fn stampede(herd: Herd) -> (Duration, usize) {
    let fills = Arc::new(Fills::default());
    match herd {
        Herd::Cell => {
            let cell = Arc::new(OnceCell::new());
            let task = move |fills: Arc<Fills>| {
                let cell = Arc::clone(&cell);
                async move { *cell.get_or_init(|| fills.fill()).await }
            };
            run(&fills, task).await
        }
        Herd::Oneflight => {
            let flights = SingleFlight::new(MemoryStore::new());
            let task = move |fills: Arc<Fills>| {
                let flights = flights.clone();
                async move {
                    let fill = |_| async { Ok::<_, Infallible>(fills.fill().await) };
                    let landing = flights.key(KEY).run(fill).await;
                    landing.map_or(0, |landing| *landing.value)
                }
            };
            run(&fills, task).await
        }
        Herd::Quick => {
            let cache = Arc::new(quick_cache::sync::Cache::<String, u64>::new(10_000));
            let task = move |fills: Arc<Fills>| {
                let cache = Arc::clone(&cache);
                async move {
                    let fill = async { Ok::<_, Infallible>(fills.fill().await) };
                    cache.get_or_insert_async(KEY, fill).await.unwrap_or(0)
                }
            };
            run(&fills, task).await
        }
        Herd::Moka => {
            let cache = moka::future::Cache::<String, u64>::new(10_000);
            let task = move |fills: Arc<Fills>| {
                let cache = cache.clone();
                async move { cache.get_with_by_ref(KEY, fills.fill()).await }
            };
            run(&fills, task).await
        }
        Herd::SingleflightAsync => {
            let flights = Arc::new(Peer::<String, u64>::new());
            let task = move |fills: Arc<Fills>| {
                let flights = Arc::clone(&flights);
                async move {
                    flights
                        .work(KEY.to_owned(), || async { fills.fill().await })
                        .await
                }
            };
            run(&fills, task).await
        }
    }
}

/// Spawns the tasks and waits for them all.
async fn run<F>(fills: &Arc<Fills>, task: impl Fn(Arc<Fills>) -> F) -> (Duration, usize)
where
    F: Future<Output = u64> + Send + 'static,
{
    let start = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| tokio::spawn(task(Arc::clone(fills))))
        .collect();
    for task in tasks {
        assert_eq!(task.await.ok(), Some(7));
    }
    let wall = start.elapsed();
    let filled = Duration::from_nanos(fills.nanos.load(Ordering::Relaxed) as u64);
    (
        wall.saturating_sub(filled),
        fills.count.load(Ordering::Relaxed),
    )
}

#[derive(Default)]
struct Fills {
    count: AtomicUsize,
    nanos: AtomicUsize,
}

impl Fills {
    async fn fill(&self) -> u64 {
        let start = Instant::now();
        tokio::time::sleep(FILL).await;
        self.count.fetch_add(1, Ordering::Relaxed);
        let nanos = usize::try_from(start.elapsed().as_nanos()).unwrap_or(usize::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        7
    }
}
