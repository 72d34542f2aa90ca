//! The names of the phases.

use oneflight_core::Phase;

/// The names of the phases, and of a key that nobody flies for.
pub(crate) const PHASES: [&str; 10] = [
    "none",
    "claiming",
    "waiting",
    "backing off",
    "filling",
    "filling locally",
    "publishing",
    "departing",
    "releasing",
    "landed",
];

/// The place of a phase among the names.
pub(crate) const fn index(phase: Option<Phase>) -> usize {
    match phase {
        None => 0,
        Some(phase) => match phase {
            Phase::Claiming => 1,
            Phase::Waiting => 2,
            Phase::BackingOff => 3,
            Phase::Filling => 4,
            Phase::FillingLocally => 5,
            Phase::Publishing => 6,
            Phase::Departing => 7,
            Phase::Releasing => 8,
            Phase::Landed | _ => 9,
        },
    }
}

/// The name of a phase; "none" if nobody flies.
pub(crate) const fn name(phase: Option<Phase>) -> &'static str {
    PHASES[index(phase)]
}
