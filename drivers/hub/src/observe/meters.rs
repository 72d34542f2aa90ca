//! The metrics of one driver, through the facade `metrics`.
//!
//! Handles are fetched once, by the first call that needs the store, and all counters stand at zero from
//! then on: what is rare is to be seen the first time it happens.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use oneflight_core::{FlightId, Flights, Notice, Order};
use oneflight_store::{KeyState, Pending, StoreError};

use super::reply::{self, UNANSWERED};
use super::{Ending, Fault, Reply, StoreCall, names};
use crate::clock::Clock;
use crate::hub::Names;

/// What one driver counts.
#[derive(Default)]
pub(crate) struct Meters {
    hits: OnceLock<Counter>,
    series: OnceLock<Series>,
}

/// A handle for each series.
struct Series {
    landings: Vec<Counter>,
    waits: Vec<(&'static str, Histogram)>,
    fills: Vec<(&'static str, Histogram)>,
    faults: Vec<Counter>,
    calls: Vec<Arc<Call>>,
    push: Histogram,
    leases: Gauge,
    passengers: Gauge,
    watches: Gauge,
}

/// The series of one call to the store.
struct Call {
    took: Histogram,
    answers: Vec<(&'static str, Counter)>,
}

const SOURCES: [&str; 4] = ["cached", "awaited", "computed", "none"];
const RESULTS: [&str; 4] = ["value", "error", "panic", "left"];

impl Series {
    fn register() -> Self {
        names::describe();
        let histograms = |name: &'static str, label: &'static str, words: [&'static str; 4]| {
            words
                .map(|word| (word, histogram!(name, label => word)))
                .into()
        };
        let series = Self {
            landings: Ending::ALL.iter().map(|ending| landings(*ending)).collect(),
            waits: histograms(names::WAIT, "source", SOURCES),
            fills: histograms(names::FILL, "result", RESULTS),
            faults: Fault::ALL
                .iter()
                .map(|fault| counter!(names::FAULTS, "fault" => fault.word()))
                .collect(),
            calls: StoreCall::ALL
                .iter()
                .map(|call| Arc::new(Call::register(*call)))
                .collect(),
            push: histogram!(names::PUSH),
            leases: gauge!(names::LEASES),
            passengers: gauge!(names::PASSENGERS),
            watches: gauge!(names::WATCHES),
        };
        let counters = series.landings.iter().chain(&series.faults);
        counters.for_each(|counter| counter.increment(0));
        let gauges = [&series.leases, &series.passengers, &series.watches];
        gauges.iter().for_each(|gauge| gauge.increment(0.0));
        series
    }
}

fn landings(ending: Ending) -> Counter {
    counter!(names::LANDINGS, "source" => ending.source(), "outcome" => ending.outcome())
}

impl Call {
    fn register(call: StoreCall) -> Self {
        let answer = |word| {
            let counter = counter!(names::ANSWERS, "call" => call.word(), "answer" => word);
            counter.increment(0);
            (word, counter)
        };
        Self {
            took: histogram!(names::STORE_CALL, "call" => call.word()),
            answers: reply::words(call).map(answer).collect(),
        }
    }

    fn answered(&self, answer: &'static str) {
        if let Some(counter) = of(&self.answers, answer) {
            counter.increment(1);
        }
    }
}

fn of<'a, T>(series: &'a [(&'static str, T)], word: &str) -> Option<&'a T> {
    let found = series.iter().find(|(known, _)| *known == word);
    found.map(|(_, series)| series)
}

impl Meters {
    /// Whether anything is counted.
    pub(crate) const COUNT: bool = true;

    fn series(&self) -> &Series {
        self.series.get_or_init(Series::register)
    }

    /// A local copy has served a call.
    #[inline]
    pub(crate) fn hit(&self) {
        self.hits
            .get_or_init(|| landings(Ending::Local))
            .increment(1);
    }

    /// A call has ended otherwise.
    pub(crate) fn landed(&self, ending: Ending, waited: Duration) {
        let series = self.series();
        if let Some(landings) = series.landings.get(ending as usize) {
            landings.increment(1);
        }
        if let Some(waits) = of(&series.waits, ending.source()) {
            waits.record(waited);
        }
    }

    pub(crate) fn filled(&self, result: &'static str, took: Duration) {
        if let Some(fills) = of(&self.series().fills, result) {
            fills.record(took);
        }
    }

    pub(crate) fn fault(&self, fault: Fault) {
        if let Some(faults) = self.series().faults.get(fault as usize) {
            faults.increment(1);
        }
    }

    /// A caller is aboard for as long as this lives.
    pub(crate) fn passenger(&self) -> Up {
        Up::new(&self.series().passengers)
    }

    /// A key is watched for as long as this lives.
    pub(crate) fn watch(&self) -> Up {
        Up::new(&self.series().watches)
    }

    /// Values that are pushed to a watch from now on.
    pub(crate) fn pushes(&self) -> Pushes {
        Pushes {
            push: self.series().push.clone(),
            last: AtomicU64::new(u64::MAX),
        }
    }

    /// The same request, timed, and its answer counted.
    pub(crate) fn timed<T: Reply>(
        &self,
        clock: Clock,
        send: impl FnOnce() -> Pending<T>,
    ) -> Pending<T> {
        let Some(call) = self.series().calls.get(T::CALL as usize) else {
            return send();
        };
        let asked = Asked {
            call: Arc::clone(call),
            clock,
            sent: Some(clock.read()),
        };
        let request = send();
        Box::pin(async move {
            let asked = asked;
            let came = request.await;
            asked.answered(&came);
            came
        })
    }
}

/// A request under way; counts as unanswered when it is dropped.
struct Asked {
    call: Arc<Call>,
    clock: Clock,
    sent: Option<Instant>,
}

impl Asked {
    fn answered<T: Reply>(mut self, came: &Result<T, StoreError>) {
        if let Some(sent) = self.sent.take() {
            let took = self.clock.read().saturating_duration_since(sent);
            self.call.took.record(took);
            self.call.answered(reply::word(came));
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.sent.is_some() {
            self.call.answered(UNANSWERED);
        }
    }
}

/// A gauge that is one higher for as long as this lives.
pub(crate) struct Up(Gauge);

impl Up {
    fn new(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// The flights that hold a lease.
#[derive(Default)]
pub(crate) struct Held(BTreeMap<u64, Up>);

impl Held {
    /// The flight that a notice is about. Those about callers are followed by orders to the flight.
    pub(crate) fn about(notice: &Notice<Names>) -> Option<FlightId<Names>> {
        if let Notice::Answered { flight, .. } | Notice::Arrived { flight, .. } = notice {
            return Some(flight.clone());
        }
        None
    }

    /// The machine was told something about a flight, and gave these orders.
    pub(crate) fn follow(
        &mut self,
        meters: &Meters,
        flights: &Flights<Names>,
        about: Option<FlightId<Names>>,
        orders: &[Order<Names>],
    ) {
        let ordered = orders.iter().filter_map(|order| match order {
            Order::Command { flight, .. }
            | Order::Fill { flight, .. }
            | Order::Retired { flight } => Some(flight),
            Order::Judge { .. } | Order::Land { .. } => None,
        });
        for flight in about.iter().chain(ordered) {
            let number = flight.number;
            if flights.lease(flight).is_none() {
                self.0.remove(&number);
            } else {
                let leases = &meters.series().leases;
                self.0.entry(number).or_insert_with(|| Up::new(leases));
            }
        }
    }
}

/// The values that one watch is told.
pub(crate) struct Pushes {
    push: Histogram,
    /// The last revision. At first the highest, which no other is above: how the key stands when the watch
    /// begins was not pushed.
    last: AtomicU64,
}

impl Pushes {
    /// The key is in this state. States may be repeated.
    pub(crate) fn heard(&self, key: &KeyState) {
        let revision = key.revision.get();
        let last = self.last.swap(revision, Ordering::Relaxed);
        if let Some(entry) = &key.entry
            && last < revision
        {
            self.push.record(entry.age);
        }
    }
}
