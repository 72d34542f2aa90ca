//! The numbers that a state holds of each kind that counts by its order alone.

use std::ops::BitOr;

use super::encode::Kind;

/// The numbers below this are told apart by their place among each other; the others, which no search
/// has reached, count as themselves.
const ENOUGH: u64 = 64;

/// Which numbers of each kind there are, a bit for each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places {
    tokens: u64,
    revisions: u64,
    attempts: u64,
    flights: u64,
}

impl Places {
    /// Notes a number. What nobody was told, and what no store ever grants or reaches, is not a number
    /// among others.
    pub(super) fn note(&mut self, kind: Kind, number: u64) {
        let of = match kind {
            Kind::Token => &mut self.tokens,
            Kind::Revision => &mut self.revisions,
            Kind::Attempt => &mut self.attempts,
            Kind::Flight => &mut self.flights,
            Kind::Plain | Kind::Moment | Kind::Hidden => return,
        };
        if number > 0 && number < ENOUGH {
            *of |= 1 << number;
        }
    }

    /// Those of one process: attempts and flights are its own.
    pub(super) fn with_own(self, own: Self) -> Self {
        Self {
            attempts: own.attempts,
            flights: own.flights,
            ..self
        }
    }

    /// The place of a number among those of its kind.
    pub(super) fn place(self, kind: Kind, number: u64) -> u64 {
        let among = match kind {
            Kind::Token => self.tokens,
            Kind::Revision => self.revisions,
            Kind::Attempt => self.attempts,
            Kind::Flight => self.flights,
            Kind::Plain | Kind::Moment | Kind::Hidden => return number,
        };
        if number == 0 || number >= ENOUGH {
            return number;
        }
        let below = among << (ENOUGH - 1 - number);
        u64::from(below.count_ones())
    }
}

impl BitOr for Places {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self {
            tokens: self.tokens | other.tokens,
            revisions: self.revisions | other.revisions,
            attempts: self.attempts | other.attempts,
            flights: self.flights | other.flights,
        }
    }
}
