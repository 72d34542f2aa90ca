//! Orders as values: how they are compared and shown.

use oneflight_core::{Attempt, Event, Outcome, Revision, Token};

use crate::scenario::*;

#[test]
fn commands_are_the_same_if_they_order_the_same() {
    let claims = || Scenario::backing_off().tick_at(250);
    let leaves = Scenario::backing_off().tell(Event::Abandoned);
    assert_eq!(claims(), claims());
    assert_ne!(claims(), leaves);
    assert_ne!(claims(), []);
    assert_ne!(claims(), [claim(1, 0)]);
    assert_eq!(claims(), [claim(2, 0)]);
}

#[test]
fn commands_are_shown_as_a_list() {
    let claims = Scenario::backing_off().tick_at(250);
    let claim = claim(2, 0);
    assert_eq!(format!("{claims:?}"), format!("{:?}", [claim]));
}

#[test]
fn numbers_are_shown_as_they_are() {
    assert_eq!(Token::new(7).map(|it| it.to_string()), Some("7".into()));
    assert_eq!(Token::new(0), None);
    assert_eq!(token(7).get(), 7);
    assert_eq!(Revision::new(8).to_string(), "8");
    assert_eq!(Revision::new(8).get(), 8);
    assert_eq!(Attempt::new(9).get(), 9);
}

#[test]
fn an_outcome_tells_which_value_it_is() {
    let (seven, stale) = (Revision::new(7), true);
    let revision = Some(seven);
    let cached = Outcome::Cached {
        revision: seven,
        stale,
    };
    for found in [
        cached,
        Outcome::Computed { revision },
        Outcome::Awaited { revision },
    ] {
        assert_eq!(found.revision(), revision);
    }
    let alone = Outcome::Computed { revision: None };
    for none in [alone, Outcome::Aborted, Outcome::Fenced, Outcome::TimedOut] {
        assert_eq!(none.revision(), None);
    }
}
