//! Fresh hits.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use oneflight_blocking as blocking;
use oneflight_store::MemoryStore;
use oneflight_tokio::{Handle, Landing, SingleFlight};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

/// How many keys each cache holds.
const KEYS: usize = 1_000;
const KEY: &str = "artifacts/3f9a";
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Awaits what never waits, in place, as an `.await` does.
macro_rules! now {
    ($hit:expr) => {
        match pin!($hit).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => unreachable!("a hit does not wait"),
        }
    };
}

/// What the caches hold: a pointer, as oneflight recommends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Value {
    /// Where the result is.
    pub pointer: String,
    /// How large it is.
    pub size: u64,
}

impl Value {
    fn new() -> Self {
        Self {
            pointer: String::from("s3://results/3f9a"),
            size: 4_096,
        }
    }
}

/// oneflight and its peers, each holding a fresh value of the key among a thousand others.
///
/// Every hit answers an owned reference to the value, except that of [`Bed::cell_by_reference`].
/// Every loader is awaited; it never has to wait.
pub struct Bed {
    flights: SingleFlight,
    handle: Handle<Value>,
    handle_fresh_for: Handle<Value>,
    threads: blocking::SingleFlight,
    threads_handle: blocking::Handle<Value>,
    quick: quick_cache::sync::Cache<String, Arc<Value>>,
    moka: moka::future::Cache<String, Arc<Value>>,
    cell: OnceCell<Arc<Value>>,
    /// The driver's task lives here.
    _runtime: tokio::runtime::Runtime,
}

impl Default for Bed {
    fn default() -> Self {
        Self::new()
    }
}

impl Bed {
    /// Fills them all.
    ///
    /// # Panics
    ///
    /// If one does not do its job.
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let flights = SingleFlight::new(MemoryStore::new());
        let threads = blocking::SingleFlight::new(MemoryStore::new());
        let quick = quick_cache::sync::Cache::new(10_000);
        let moka = moka::future::Cache::new(10_000);
        let cell = OnceCell::new_with(Some(Arc::new(Value::new())));
        runtime.block_on(async {
            let others = (0..KEYS).map(|number| format!("artifacts/{number:05}"));
            for key in others.chain([String::from(KEY)]) {
                let landing = flights.key(&key).run(|_| async { fill() }).await;
                assert!(landing.is_ok());
                assert!(threads.key(&key).run(|_| fill()).is_ok());
                quick.insert(key.clone(), Arc::new(Value::new()));
                moka.insert(key, Arc::new(Value::new())).await;
            }
            moka.run_pending_tasks().await;
        });
        let bed = Self {
            handle: flights.key(KEY).handle(),
            handle_fresh_for: flights.key(KEY).fresh_for(YEAR).handle(),
            flights,
            threads_handle: threads.key(KEY).handle(),
            threads,
            quick,
            moka,
            cell,
            _runtime: runtime,
        };
        assert!(bed.handle.hit().is_some() && bed.handle_fresh_for.hit().is_some());
        bed
    }

    /// By key.
    #[inline]
    pub fn key(&self) -> Landing<Value> {
        now!(self.flights.key(KEY).run(|_| async { fill() })).expect("a hit")
    }

    /// By key, no older than a year.
    #[inline]
    pub fn key_fresh_for(&self) -> Landing<Value> {
        let call = self.flights.key(KEY).fresh_for(YEAR);
        now!(call.run(|_| async { fill() })).expect("a hit")
    }

    /// Through a handle.
    #[inline]
    pub fn handle(&self) -> Landing<Value> {
        now!(self.handle.run(|_| async { fill() })).expect("a hit")
    }

    /// Through a handle, no older than a year.
    #[inline]
    pub fn handle_fresh_for(&self) -> Landing<Value> {
        now!(self.handle_fresh_for.run(|_| async { fill() })).expect("a hit")
    }

    /// By key, with the driver for threads.
    #[inline]
    pub fn threads_key(&self) -> Landing<Value> {
        self.threads.key(KEY).run(|_| fill()).expect("a hit")
    }

    /// Through a handle, with the driver for threads.
    #[inline]
    pub fn threads_handle(&self) -> Landing<Value> {
        self.threads_handle.run(|_| fill()).expect("a hit")
    }

    /// quick_cache, no loader.
    #[inline]
    pub fn quick_get(&self) -> Arc<Value> {
        self.quick.get(KEY).expect("a hit")
    }

    /// quick_cache, with a loader.
    #[inline]
    pub fn quick_loader(&self) -> Arc<Value> {
        let loader = async { fill().map(Arc::new) };
        now!(self.quick.get_or_insert_async(KEY, loader)).expect("a hit")
    }

    /// moka, with a loader.
    #[inline]
    pub fn moka_loader(&self) -> Arc<Value> {
        let loader = async { Arc::new(Value::new()) };
        now!(self.moka.get_with_by_ref(KEY, loader))
    }

    /// A cell of one value.
    #[inline]
    pub fn cell(&self) -> Arc<Value> {
        Arc::clone(self.cell_by_reference())
    }

    /// A cell of one value, which is not cloned.
    #[inline]
    pub fn cell_by_reference(&self) -> &Arc<Value> {
        now!(self.cell.get_or_init(|| async { Arc::new(Value::new()) }))
    }
}

fn fill() -> Result<Value, Infallible> {
    Ok(Value::new())
}
