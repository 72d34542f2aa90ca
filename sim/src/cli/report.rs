//! The table at the end of a batch.

use std::collections::BTreeMap;
use std::time::Duration;

use oneflight_sim::batch::Failure;
use oneflight_sim::coverage::Coverage;
use oneflight_sim::rare::what_it_takes;
use oneflight_sim::stats::{LANDINGS, MARKS, Stats, Times};

use super::print::say;

pub(super) fn table(stats: &Stats, failures: &[Failure], took: Duration, jobs: usize) {
    let seconds = took.as_secs_f64();
    let line = |name: &str, value: String| say!("{name:<22} {value}");
    let per = |count: u64| count as f64 / seconds / jobs as f64;
    line("runs", format!("{}", stats.runs));
    line(
        "took",
        format!(
            "{seconds:.1} s on {jobs} threads: {:.0} runs/s, {:.2} M events/s each",
            per(stats.runs),
            per(stats.events) / 1e6
        ),
    );
    let days = stats.time as f64 / 86_400e9;
    line(
        "simulated",
        format!("{days:.1} days, {} events", stats.events),
    );
    line("calls", format!("{}, {} fills", stats.calls, stats.fills));
    let landings = LANDINGS.iter().zip(stats.landings);
    line(
        "landings",
        list(landings.map(|(name, count)| (*name, count))),
    );
    let faults: Vec<(String, u64)> = stats
        .faults
        .iter()
        .map(|(fault, count)| (format!("{fault:?}"), *count))
        .collect();
    line(
        "faults",
        list(faults.iter().map(|(name, count)| (name.as_str(), *count))),
    );
    line("takeover after lapse", percentiles(&stats.takeovers));
    line("commit to landing", percentiles(&stats.wakes));
    line(
        "transitions",
        format!("{} reached", stats.coverage.reached()),
    );
    let marks = MARKS.iter().zip(stats.marks);
    line("sometimes", list(marks.map(|(name, count)| (*name, count))));
    let unseen = stats.unseen();
    if !unseen.is_empty() {
        line("never seen", unseen.join(", "));
    }
    let mut broken: BTreeMap<&str, u64> = BTreeMap::new();
    for failure in failures {
        let mut names: Vec<&str> = failure.violations.iter().map(|it| it.invariant).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            *broken.entry(name).or_default() += 1;
        }
    }
    let counts = list(broken.iter().map(|(name, count)| (*name, *count)));
    line(
        "violations",
        format!(
            "{} runs{}{counts}",
            failures.len(),
            if counts.is_empty() { "" } else { ": " }
        ),
    );
}

/// Every transition that was reached; how many cannot be, and why; what it takes to reach others; and
/// those of which nobody knows.
pub(super) fn triples(coverage: &Coverage) {
    for ((before, event, after), count) in coverage.triples() {
        say!("{count:>12}  {before} -- {event} -> {after}");
    }
    let (impossible, open) = coverage.unreached();
    for (reason, count) in &impossible {
        say!("{count:>12}  impossible: {reason}");
    }
    let mut rare = 0;
    for (before, event, after) in &open {
        match what_it_takes(before, event, after) {
            Some(word) => {
                rare += 1;
                say!("        rare  {before} -- {event} -> {after}: {word}");
            }
            None => say!("        open  {before} -- {event} -> {after}"),
        }
    }
    say!(
        "{} reached, {} impossible, {rare} rare, {} neither",
        coverage.reached(),
        impossible.values().sum::<usize>(),
        open.len() - rare
    );
}

fn list<'a>(items: impl Iterator<Item = (&'a str, u64)>) -> String {
    let items: Vec<String> = items
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    items.join(", ")
}

fn percentiles(times: &Times) -> String {
    let shown = [("half", 0.5), ("9 of 10", 0.9), ("99 of 100", 0.99)].map(|(name, share)| {
        times.percentile(share).map_or_else(String::new, |time| {
            format!("{name} within {:.2} ms", time as f64 / 1e6)
        })
    });
    shown.join(", ")
}
