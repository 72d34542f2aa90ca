//! Nothing is left to do.

use oneflight_core::{Event, FillResult, Flight, Phase, Policy, Verdict};

use crate::scenario::*;

#[test]
fn nothing_moves_it() {
    let mut it = Scenario::landed();
    for event in [
        Event::Tick,
        Event::Abandoned,
        handed_over(Policy::DEFAULT, 0, Verdict::UNKNOWN),
        key_event(fresh(9)),
        it.published(8),
        it.fenced(),
        it.done(FillResult::Value),
    ] {
        assert_eq!(it.tell(event), []);
        assert_eq!(it.phase(), Phase::Landed);
        assert_eq!(it.due(), None);
    }
}

#[test]
fn a_late_grant_is_released() {
    let mut it = Scenario::landed();
    assert_eq!(it.tell(it.granted(TOKEN + 1)), [release(4, TOKEN + 1)]);
    assert_eq!(it.phase(), Phase::Landed);
}

#[test]
fn it_is_small() {
    assert!(size_of::<Flight>() <= 256, "{}", size_of::<Flight>());
}
