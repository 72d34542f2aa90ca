//! What stands in for the metrics without the feature `metrics`: nothing.

use std::time::Duration;

use oneflight_core::{Flights, Notice, Order};
use oneflight_store::{KeyState, Pending};

use super::{Ending, Fault, Reply};
use crate::clock::Clock;
use crate::hub::Names;

#[derive(Default)]
pub(crate) struct Meters {}
pub(crate) struct Up;
pub(crate) struct Pushes;
#[derive(Default)]
pub(crate) struct Held {}
pub(crate) struct About;

impl Meters {
    /// Whether anything is counted.
    pub(crate) const COUNT: bool = false;

    #[inline]
    pub(crate) fn hit(&self) {}

    pub(crate) fn landed(&self, _ending: Ending, _waited: Duration) {}

    pub(crate) fn filled(&self, _result: &'static str, _took: Duration) {}

    pub(crate) fn fault(&self, _fault: Fault) {}

    pub(crate) fn passenger(&self) -> Up {
        Up
    }

    pub(crate) fn watch(&self) -> Up {
        Up
    }

    pub(crate) fn pushes(&self) -> Pushes {
        Pushes
    }

    pub(crate) fn timed<T: Reply>(
        &self,
        _clock: Clock,
        send: impl FnOnce() -> Pending<T>,
    ) -> Pending<T> {
        send()
    }
}

impl Held {
    pub(crate) fn about(_notice: &Notice<Names>) -> About {
        About
    }

    pub(crate) fn follow(
        &mut self,
        _meters: &Meters,
        _flights: &Flights<Names>,
        _about: About,
        _orders: &[Order<Names>],
    ) {
    }
}

impl Pushes {
    pub(crate) fn heard(&self, _key: &KeyState) {}
}
