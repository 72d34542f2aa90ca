//! The program `oneflight-sim`.
#![expect(clippy::print_stdout, reason = "this is a program")]

use std::time::Instant;

use oneflight_sim::batch::{Batch, Progress, run};
use oneflight_sim::draw::Profile;

fn main() {
    let n: u64 = std::env::args()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(1000);
    let batch = Batch {
        from: 0,
        until: n,
        profile: Profile::Swarm,
        nodes: None,
        jobs: 1,
    };
    let begin = Instant::now();
    let (stats, failures) = run(&batch, &Progress::default());
    let took = begin.elapsed().as_secs_f64();
    println!(
        "{} runs {} events in {took:.2} s: {:.0} runs/s {:.0} events/s",
        stats.runs,
        stats.events,
        stats.runs as f64 / took,
        stats.events as f64 / took
    );
    println!(
        "{:?}\n{:?}\n{:?}",
        stats.landings, stats.marks, stats.faults
    );
    let mut by: std::collections::BTreeMap<&str, (u64, Vec<u64>)> = Default::default();
    for failure in &failures {
        let mut seen = std::collections::BTreeSet::new();
        for violation in &failure.violations {
            if seen.insert(violation.invariant) {
                let e = by.entry(violation.invariant).or_default();
                e.0 += 1;
                if e.1.len() < 8 {
                    e.1.push(failure.seed);
                }
            }
        }
    }
    for (k, v) in by {
        println!("{k}: {v:?}");
    }
    for failure in failures.iter().take(10) {
        println!("seed {}: {}", failure.seed, failure.violations[0]);
    }
}
