//! Local copies: the decoded values that a fresh hit reads.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use oneflight_store::{Revision, Token};
use oneflight_trace::Digest;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, UnitWeighter};

use crate::value::Times;

/// A decoded value and which one it is.
#[derive(Clone)]
pub(crate) struct Copy {
    pub(crate) value: Arc<dyn Any + Send + Sync>,
    pub(crate) revision: Revision,
    pub(crate) token: Option<Token>,
    pub(crate) times: Times,
    /// For the recorder.
    pub(crate) digest: Digest,
}

/// A bounded cache of copies, and an epoch that moves whenever one is replaced, removed or evicted:
/// whoever holds on to a copy outside the cache knows by it when to look again.
pub(crate) struct Copies {
    cache: Option<Cache<Arc<str>, Copy, UnitWeighter, DefaultHashBuilder, Evictions>>,
    epoch: Arc<AtomicU64>,
}

impl Copies {
    /// Room for this many copies; none at all for zero.
    pub(crate) fn new(capacity: usize) -> Self {
        let epoch = Arc::new(AtomicU64::new(0));
        let cache = (capacity > 0).then(|| {
            Cache::with(
                capacity,
                capacity as u64,
                UnitWeighter,
                DefaultHashBuilder::default(),
                Evictions(Arc::clone(&epoch)),
            )
        });
        Self { cache, epoch }
    }

    pub(crate) fn are_kept(&self) -> bool {
        self.cache.is_some()
    }

    /// Moves with every copy that is gone. Read it before the copy, never after.
    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn get(&self, key: &str) -> Option<Copy> {
        self.cache.as_ref()?.get(key)
    }

    pub(crate) fn insert(&self, key: &Arc<str>, copy: Copy) {
        if let Some(cache) = &self.cache {
            cache.insert(Arc::clone(key), copy);
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Removes the copy of a key that has moved on to `revision`.
    pub(crate) fn outdate(&self, key: &str, revision: Revision) {
        if let Some(cache) = &self.cache
            && cache.peek(key).is_some_and(|copy| copy.revision < revision)
        {
            cache.remove(key);
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The keys of all copies.
    pub(crate) fn keys(&self) -> Vec<Arc<str>> {
        let copies = self.cache.iter().flat_map(Cache::iter);
        copies.map(|(key, _)| key).collect()
    }
}

/// Counts what the cache throws out by itself.
#[derive(Clone)]
struct Evictions(Arc<AtomicU64>);

impl Lifecycle<Arc<str>, Copy> for Evictions {
    type RequestState = ();

    fn on_evict(&self, _request: &mut (), _key: Arc<str>, _copy: Copy) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}
