//! When two states are the same: a number that they share then.
//!
//! Moments count by how far they are from now, tokens, revisions, attempts and the numbers of flights
//! by their order alone, processes in no order at all. What a state holds but nothing depends on any
//! more does not count: see `content`.

mod content;

use super::encode::Kind;
use super::machine::Machines;
use super::places::Places;
use super::state::State;
use crate::trace::Nanos;

/// Longer than all that a search counts from a moment: what is longer ago is as good as for ever.
const LONG_AGO: Nanos = 6_000_000;

/// The buffers of [`Same::number`], kept between calls.
#[derive(Debug, Default)]
pub(super) struct Same {
    items: Vec<(Kind, u64)>,
    /// The parts: where each begins, and whose it is; the parts of one owner are in no order.
    parts: Vec<(usize, usize)>,
    /// The world, then each process: which numbers each holds.
    owners: Vec<Places>,
}

impl Same {
    /// A number that is the same for the same states, and hardly ever for others.
    pub(super) fn number(&mut self, state: &State, machines: &Machines) -> u64 {
        self.items.clear();
        self.parts.clear();
        self.owners.clear();
        self.owner();
        self.world(state);
        for (index, node) in state.nodes.iter().enumerate() {
            self.owner();
            self.node(state, index, node, machines);
            for message in &node.messages {
                self.part();
                self.message(node, message);
            }
        }
        let ends = self.parts[1..].iter().map(|(begin, _)| *begin);
        let ends = ends.chain([self.items.len()]);
        // Tokens and revisions are the store's, so they count among those of all.
        let everywhere = self
            .owners
            .iter()
            .fold(Places::default(), |all, it| all | *it);
        let mut sum = 0u64;
        let mut whole = 0u64;
        let mut last = 0;
        for (&(begin, owner), end) in self.parts.iter().zip(ends) {
            if owner != last {
                sum = sum.wrapping_add(mix(whole, last.min(1) as u64));
                (whole, last) = (0, owner);
            }
            let places = everywhere.with_own(self.owners[owner]);
            whole = whole.wrapping_add(self.hash(begin, end, state.now, places));
        }
        sum = sum.wrapping_add(mix(whole, last.min(1) as u64));
        mix(sum, 3)
    }

    /// Whatever comes is the next one's.
    fn owner(&mut self) {
        self.owners.push(Places::default());
        self.part();
    }

    fn part(&mut self) {
        self.parts.push((self.items.len(), self.owners.len() - 1));
    }

    fn push(&mut self, kind: Kind, number: u64) {
        self.items.push((kind, number));
        if let Some(owner) = self.owners.last_mut() {
            owner.note(kind, number);
        }
    }

    fn hash(&self, begin: usize, end: usize, now: Nanos, places: Places) -> u64 {
        let mut hash = 0x243f_6a88_85a3_08d3;
        for (kind, number) in &self.items[begin..end] {
            let normal = match kind {
                Kind::Plain | Kind::Hidden => *number,
                Kind::Moment if *number == u64::MAX => u64::MAX,
                Kind::Moment => (number + LONG_AGO).saturating_sub(now),
                Kind::Token | Kind::Revision | Kind::Attempt | Kind::Flight => {
                    places.place(*kind, *number)
                }
            };
            hash = mix(hash, normal);
        }
        hash
    }
}

/// A folded multiplication, as in wyhash.
pub(super) fn mix(hash: u64, number: u64) -> u64 {
    let product = u128::from(hash ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xa409_3822_299f)
        * 0xe703_7ed1_a0b4_28db_u128;
    (product as u64) ^ (product >> 64) as u64 ^ hash.rotate_left(29)
}
