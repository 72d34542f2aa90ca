//! Wall-clock time of the stampede, the fill aside: the herds take turns, so that whatever else the
//! machine does meets them all.

use std::time::Duration;

use oneflight_benches::{Herd, stampede};
use tokio::runtime::{Builder, Runtime};

const ROUNDS: usize = 101;

fn main() {
    if !std::env::args().any(|arg| arg == "--bench") {
        return; // Only being tested to start.
    }
    let one = Builder::new_current_thread().enable_time().build();
    let two = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build();
    let columns = [one, two].map(|runtime| measure(&runtime.expect("a runtime")));
    for (index, herd) in Herd::ALL.iter().enumerate() {
        let [one, two] = columns.each_ref().map(|column| column[index]);
        println!(
            "| {} | {} | {} | {} |",
            herd.name(),
            one.0.as_micros(),
            two.0.as_micros(),
            one.1.max(two.1)
        );
    }
}

/// The median time and the most fills of each herd.
fn measure(runtime: &Runtime) -> Vec<(Duration, usize)> {
    let mut times = [const { Vec::new() }; Herd::ALL.len()];
    for _ in 0..ROUNDS {
        for (herd, times) in Herd::ALL.iter().zip(&mut times) {
            // In a task of its own, as an application would.
            let run = runtime.block_on(async { tokio::spawn(stampede(*herd)).await });
            times.push(run.expect("no panic"));
        }
    }
    let summary = |mut times: Vec<(Duration, usize)>| {
        times.sort_unstable();
        let fills = times.iter().map(|time| time.1).max();
        (times[times.len() / 2].0, fills.unwrap_or(0))
    };
    times.into_iter().map(summary).collect()
}
