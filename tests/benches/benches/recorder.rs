//! What the flight recorder costs: a fresh hit and a cold call over an in-process store, with it and
//! without.

use std::hint::black_box;
use std::sync::Arc;

use divan::Bencher;
use oneflight_store::MemoryStore;
use oneflight_tokio::{Recorder, SingleFlight};
use tokio::runtime::{Builder, Runtime};

fn main() {
    divan::main();
}

/// A driver on its runtime, which writes down what it does or does not.
struct Bed {
    flights: SingleFlight,
    runtime: Runtime,
    path: std::path::PathBuf,
}

impl Bed {
    fn new(records: bool) -> Self {
        let runtime = Builder::new_current_thread().enable_time().build();
        let name = format!("oneflight-recorder-{}.jsonl", std::process::id());
        let path = std::env::temp_dir().join(name);
        let builder = SingleFlight::builder(Arc::new(MemoryStore::new()));
        let builder = if records {
            let recorder = Recorder::append(&path, |error| panic!("{error}"));
            builder.recorder(recorder.expect("a file for temporary use"))
        } else {
            builder
        };
        Self {
            flights: builder.build(),
            runtime: runtime.expect("a runtime"),
            path,
        }
    }

    fn call(&self, key: &str) -> u64 {
        let call = self.flights.key(key);
        let landed = self.runtime.block_on(call.run(async |_| Ok::<_, ()>(7)));
        *landed.expect("a value").value
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // There is none without a recorder.
        std::fs::remove_file(&self.path).ok();
    }
}

#[divan::bench(args = [false, true], sample_count = 100, sample_size = 500)]
fn hit(bencher: Bencher<'_, '_>, records: bool) {
    let bed = Bed::new(records);
    bed.call("key");
    bencher.bench_local(|| black_box(bed.call("key")));
}

#[divan::bench(args = [false, true], sample_count = 100, sample_size = 100)]
fn cold(bencher: Bencher<'_, '_>, records: bool) {
    let bed = Bed::new(records);
    let mut number = 0;
    bencher.bench_local(|| {
        number += 1;
        black_box(bed.call(&format!("key {number}")))
    });
}
