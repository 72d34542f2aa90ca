//! What was taken along with what stood above it, as long as something older may come.

use std::collections::BTreeMap;

use crate::path::Path;

/// The paths that were written over or deleted with all below them, by operations beyond one that is
/// missing.
#[derive(Debug, Default)]
pub(super) struct Cleared {
    paths: BTreeMap<Path, u64>,
    by_seq: BTreeMap<u64, Path>,
}

impl Cleared {
    /// This operation has removed what stood here and below.
    pub(super) fn insert(&mut self, path: &Path, seq: u64) {
        let last = self.paths.entry(path.clone()).or_default();
        *last = seq.max(*last);
        self.by_seq.insert(seq, path.clone());
    }

    /// Whether what this operation wrote here is gone by now.
    pub(super) fn covers(&self, path: &Path, seq: u64) -> bool {
        if self.paths.is_empty() {
            return false;
        }
        let text = &**path.text();
        let above = text.match_indices('/').map(|(at, _)| &text[..at]);
        above
            .chain([text])
            .any(|above| self.paths.get(above).is_some_and(|cleared| *cleared > seq))
    }

    /// Nothing comes any more from up to this operation.
    pub(super) fn forget_through(&mut self, seq: u64) {
        while self
            .by_seq
            .first_key_value()
            .is_some_and(|(first, _)| *first <= seq)
            && let Some((first, path)) = self.by_seq.pop_first()
        {
            if self.paths.get(&path) == Some(&first) {
                self.paths.remove(&path);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.paths.len() + self.by_seq.len()
    }
}
