//! When the store forgot, as far as whoever troubled it has told: what was before is moot after.

use crate::trace::{Fault, Header, Nanos};

/// Moments between which the store may have forgotten, as its profile permits.
#[derive(Clone, Debug, Default)]
pub(super) struct Amnesia {
    writes_permitted: bool,
    tokens_permitted: bool,
    evictions_permitted: bool,
    forgot: Vec<(Nanos, Nanos)>,
    tokens_forgotten: bool,
}

impl Amnesia {
    pub(super) fn of(headers: &[Header]) -> Self {
        let any = |permits: fn(&Header) -> bool| headers.iter().any(permits);
        Self {
            writes_permitted: any(|header| header.store.may_forget_writes),
            tokens_permitted: any(|header| header.store.may_forget_tokens),
            evictions_permitted: any(|header| header.store.may_evict_locks),
            ..Self::default()
        }
    }

    pub(super) fn befalls(&mut self, fault: Fault, from: Nanos, until: Nanos) {
        let permitted = match fault {
            Fault::WritesForgotten => self.writes_permitted,
            Fault::TokensForgotten => self.tokens_permitted,
            Fault::LockEvicted => self.evictions_permitted,
            _ => false,
        };
        if permitted {
            self.forgot.push((from, until));
            self.tokens_forgotten |= fault == Fault::TokensForgotten;
        }
    }

    /// Whether what was so at the one moment may have been forgotten by the other.
    pub(super) fn between(&self, before: Nanos, after: Nanos) -> bool {
        let overlaps = |(from, until): &(Nanos, Nanos)| *from <= after && before <= *until;
        self.forgot.iter().any(overlaps)
    }

    /// Whether tokens may have been granted again.
    pub(super) fn of_tokens(&self) -> bool {
        self.tokens_forgotten
    }
}
