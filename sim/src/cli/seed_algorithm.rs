//! `seed-algorithm`: what the algorithm that oneflight replaces breaks in the same worlds.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use oneflight_sim::batch::{Batch, Progress};
use oneflight_sim::draw::{Profile, draw};
use oneflight_sim::plan::Plan;
use oneflight_sim::seed;
use oneflight_sim::seed::batch::{self, Findings, Row};
use oneflight_sim::seed::flaws::{Finding, classify, story};

use super::Result;
use super::print::say;
use super::run::{show, write};

pub(super) fn run(batch: &Batch) -> ExitCode {
    let progress = Progress::default();
    let begin = Instant::now();
    let findings = thread::scope(|scope| {
        let runner = scope.spawn(|| batch::run(batch, &progress));
        show(&progress, batch.until - batch.from, || runner.is_finished());
        runner
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    table(&findings);
    say!(
        "{} seeds, {} of them without any fault, both ways in {:.1} s; the seed's algorithm breaks a \
         promise in {}, ours in {}",
        findings.seeds,
        findings.calm,
        begin.elapsed().as_secs_f64(),
        findings.broken,
        findings.ours
    );
    if findings.ours == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn table(findings: &Findings) {
    say!(
        "{:<4} {:>7} {:>8} {:>8} {:>8} {:>6}  what was broken",
        "",
        "seeds",
        "share",
        "no fault",
        "first",
        "ours"
    );
    let flaws = (1..=20).map(Finding::Flaw);
    let others = findings
        .rows
        .keys()
        .filter(|finding| matches!(finding, Finding::Only(_)));
    for finding in flaws.chain(others.copied()) {
        let none = Row::default();
        let row = findings.rows.get(&finding).unwrap_or(&none);
        let first = if row.seeds == 0 {
            "-".to_owned()
        } else {
            row.first.to_string()
        };
        let what = match finding {
            Finding::Flaw(number) => format!("{}: {}", row.invariants.join(", "), story(number)),
            Finding::Only(invariant) => invariant.to_owned(),
        };
        say!(
            "{:<4} {:>7} {:>7}% {:>7}% {:>8} {:>6}  {}",
            finding.to_string(),
            row.seeds,
            share(row.seeds, findings.seeds),
            share(row.calm, findings.calm),
            first,
            row.ours,
            what.trim_start_matches(": ")
        );
    }
}

fn share(part: u64, whole: u64) -> String {
    format!("{:.2}", 100.0 * part as f64 / whole.max(1) as f64)
}

/// The plan that is asked for: of a file, or drawn from a seed.
pub(super) fn plan(file: Option<&Path>, seed: u64, profile: Profile) -> Result<Plan> {
    Ok(match file {
        Some(path) => serde_json::from_reader(File::open(path)?)?,
        None => draw(seed, profile, None),
    })
}

pub(super) fn one(plan: &Plan, trace: Option<&Path>) -> Result<ExitCode> {
    let run = seed::run(plan);
    if let Some(path) = trace {
        write(path, &seed::lines(plan, &run))?;
    }
    say!(
        "seed {}, {}, the seed's algorithm: {} processes, {} calls, {} events, {} ms simulated, {} \
         violations",
        plan.seed,
        plan.profile,
        plan.clocks.len(),
        plan.calls.len(),
        run.run.events,
        run.run.time / 1_000_000,
        run.violations.len()
    );
    for violation in &run.violations {
        let finding = classify(violation, &run.records).to_string();
        say!("{finding:<3} {violation}");
    }
    Ok(if run.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
