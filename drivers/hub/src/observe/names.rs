//! The names of all metrics, with their units, their labels, and what they say.

use metrics::Unit;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It grows and shrinks.
    Gauge,
    /// A distribution.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Metric {
    /// Its name, which `metrics-exporter-prometheus` keeps as it is.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it counts in.
    pub unit: Unit,
    /// The keys of its labels, whose values are few words: never a key of the store.
    pub labels: &'static [&'static str],
    /// What it says.
    pub says: &'static str,
}

macro_rules! metrics {
    ($($(#[$meta:meta])* $const:ident = $name:literal, $kind:ident, $unit:ident, $labels:expr, $says:literal;)*) => {
        $(pub(crate) const $const: &str = $name;)*

        /// All metrics.
        pub const ALL: &[Metric] = &[$(Metric {
            name: $const,
            kind: Kind::$kind,
            unit: Unit::$unit,
            labels: &$labels,
            says: $says,
        },)*];
    };
}

metrics! {
    LANDINGS = "oneflight_landings_total", Counter, Count, ["source", "outcome"],
        "Calls that have ended, by where the value came from and how";
    FAULTS = "oneflight_faults_total", Counter, Count, ["fault"],
        "What has gone wrong with leases, fills, watches and the stream of changes";
    ANSWERS = "oneflight_store_answers_total", Counter, Count, ["call", "answer"],
        "Calls to the store, by what it answered";
    WAIT = "oneflight_wait_seconds", Histogram, Seconds, ["source"],
        "How long calls took that no local copy served, less their own fills";
    FILL = "oneflight_fill_seconds", Histogram, Seconds, ["result"],
        "How long fills took";
    STORE_CALL = "oneflight_store_call_seconds", Histogram, Seconds, ["call"],
        "How long the store took to answer";
    PUSH = "oneflight_push_seconds", Histogram, Seconds, [],
        "How old values were when the store told those who waited for them";
    LEASES = "oneflight_leases_held", Gauge, Count, [],
        "Leases that flights of this process hold";
    PASSENGERS = "oneflight_passengers", Gauge, Count, [],
        "Calls under way that no local copy served";
    WATCHES = "oneflight_watches", Gauge, Count, [],
        "Keys that this process watches";
}

/// Tells the recorder that is installed what each metric counts in and says. The first call of each
/// driver does so by itself.
pub fn describe() {
    for metric in ALL {
        let (name, unit, says) = (metric.name, metric.unit, metric.says);
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(name, unit, says),
            Kind::Gauge => metrics::describe_gauge!(name, unit, says),
            Kind::Histogram => metrics::describe_histogram!(name, unit, says),
        }
    }
}
