//! Reads what is counted through `metrics`. The tests of all drivers use it.

#![allow(dead_code, reason = "each driver uses a part")]

use std::collections::BTreeMap;
use std::sync::Mutex;

use metrics::LocalRecorderGuard;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshot, Snapshotter};

/// The metrics of one test.
pub(crate) struct Board {
    snapshotter: Snapshotter,
    /// By name and labels. What is read starts anew, so it is added up here.
    sums: Mutex<BTreeMap<String, f64>>,
    _guard: Option<LocalRecorderGuard<'static>>,
}

impl Board {
    /// Of this thread.
    pub(crate) fn new() -> Self {
        let recorder: &'static _ = Box::leak(Box::new(DebuggingRecorder::new()));
        Self {
            snapshotter: recorder.snapshotter(),
            sums: Mutex::default(),
            _guard: Some(metrics::set_default_local_recorder(recorder)),
        }
    }

    /// Of all threads: once in a process.
    pub(crate) fn wide() -> Self {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        recorder.install().unwrap();
        Self {
            snapshotter,
            sums: Mutex::default(),
            _guard: None,
        }
    }

    /// All series, which start anew.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshotter.snapshot()
    }

    /// All series: counters and gauges as they stand, histograms as how often something was recorded.
    pub(crate) fn read(&self) -> BTreeMap<String, f64> {
        let mut sums = self.sums.lock().unwrap();
        for (key, _, _, value) in self.snapshotter.snapshot().into_vec() {
            let labels = key.key().labels();
            let labels: Vec<_> = labels
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            let name = format!("{}{{{}}}", key.key().name(), labels.join(","));
            *sums.entry(name).or_default() += match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(change) => change.into_inner(),
                DebugValue::Histogram(records) => records.len() as f64,
            };
        }
        sums.clone()
    }

    #[track_caller]
    pub(crate) fn stands(&self, series: &str, expected: f64) {
        let all = self.read();
        let found = all.get(series);
        assert_eq!(found, Some(&expected), "{series}: {all:#?}");
    }
}
