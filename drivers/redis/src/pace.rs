//! How closely a connection is looked after: as those who watch need it.

use std::time::Duration;

use crate::times::{QUIET, SHORTEST_TICK, TICK};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// How often.
    pub(crate) tick: Duration,
    /// How long nothing may be heard before it is asked whether there is still somebody.
    pub(crate) quiet: Duration,
}

impl Pace {
    /// For somebody as patient as this: asked by half of that time, what is silent for all of it has had the
    /// other half to answer.
    pub(crate) fn of(patience: Duration) -> Self {
        let tick = (patience / 10).clamp(SHORTEST_TICK, TICK);
        Self {
            tick,
            // One tick before the half, for it is found out at the next.
            quiet: (patience / 5 * 2).clamp(2 * tick, QUIET),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_silent_is_asked_by_half_of_the_patience() {
        let millis = Duration::from_millis;
        for patience in [500, 700, 2_500, 4_000].map(millis) {
            let Pace { tick, quiet } = Pace::of(patience);
            assert!(quiet + tick <= patience / 2, "{patience:?}");
            assert!(tick <= patience / 8, "{patience:?}");
        }
    }

    #[test]
    fn nobody_keeps_a_process_busy() {
        let pace = Pace::of(Duration::ZERO);
        assert!(pace.tick >= SHORTEST_TICK && pace.quiet >= 2 * SHORTEST_TICK);
        let (tick, quiet) = (TICK, QUIET);
        assert_eq!(Pace::of(Duration::MAX), Pace { tick, quiet });
    }
}
