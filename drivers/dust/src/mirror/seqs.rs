//! Which operations of the store are known.

use std::collections::BTreeSet;

/// How many operations may be known beyond one that is not: whoever is told more of them without the
/// missing one asks for it.
const MOST_AHEAD: usize = 1 << 16;

/// All operations up to one, and some beyond it.
///
/// Events come out of order, and what is written over HTTP comes as no event at all: only a contiguous
/// prefix may be told the server as known, and only with it is an absence known.
#[derive(Debug, Default)]
pub(crate) struct Seqs {
    through: u64,
    /// Known ones above `through`, not including the next.
    ahead: BTreeSet<u64>,
    /// The highest that is known to exist.
    top: u64,
}

impl Seqs {
    /// This operation and all before it are known.
    pub(crate) const fn through(&self) -> u64 {
        self.through
    }

    /// An operation is known; `false` if it was before.
    pub(crate) fn know(&mut self, seq: u64) -> bool {
        self.exists(seq);
        if seq <= self.through || !self.ahead.insert(seq) {
            return false;
        }
        self.advance();
        true
    }

    /// All operations up to this one are known.
    pub(crate) fn know_through(&mut self, seq: u64) {
        self.exists(seq);
        if seq > self.through {
            self.through = seq;
            self.ahead = self.ahead.split_off(&seq);
            self.ahead.remove(&seq);
            self.advance();
        }
    }

    /// This operation exists.
    pub(crate) fn exists(&mut self, seq: u64) {
        self.top = self.top.max(seq);
    }

    /// Whether one is missing that exists.
    pub(crate) fn misses_some(&self) -> bool {
        self.top > self.through
    }

    /// Whether so many are known beyond the missing one that it should be asked for at once.
    pub(crate) fn is_far_ahead(&self) -> bool {
        self.ahead.len() > MOST_AHEAD
    }

    fn advance(&mut self) {
        while let Some(next) = self.ahead.first().copied()
            && next == self.through.saturating_add(1)
        {
            self.ahead.pop_first();
            self.through = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_contiguous_prefix_counts() {
        let mut seqs = Seqs::default();
        // As recorded, with eight writers at once.
        for seq in [108, 109, 111, 107, 110, 112] {
            if seq == 107 {
                seqs.know_through(106);
                assert!(seqs.misses_some());
            }
            assert!(seqs.know(seq));
            assert!(!seqs.know(seq), "{seq} again");
        }
        assert_eq!(seqs.through(), 112);
        assert!(!seqs.misses_some());
        seqs.exists(114);
        assert!(seqs.misses_some());
    }

    proptest! {
        #[test]
        fn in_any_order_it_is_the_longest_prefix(order in Just((1..=40_u64).collect::<Vec<_>>()).prop_shuffle(), jump in 0..50_u64, at in 0..40_usize) {
            let mut seqs = Seqs::default();
            let mut known = BTreeSet::new();
            for (n, seq) in order.into_iter().enumerate() {
                if n == at {
                    seqs.know_through(jump);
                    known.extend(1..=jump);
                }
                let new = known.insert(seq);
                prop_assert_eq!(seqs.know(seq), new);
                let longest = (1..).take_while(|seq| known.contains(seq)).count();
                prop_assert_eq!(seqs.through(), longest as u64);
            }
        }
    }
}
