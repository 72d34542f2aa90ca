//! `run`: batches, or one seed with its trace.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use oneflight_sim::batch::{self, Batch, Progress};
use oneflight_sim::canaries;
use oneflight_sim::draw::draw;
use oneflight_sim::plan::Plan;
use oneflight_sim::timeline;
use oneflight_sim::trace::{Key, Line, write_line};
use oneflight_sim::words::words;

use super::minimize::named;
use super::print::say;
use super::{Result, Run, report};

pub(super) fn run(options: &Run) -> Result<ExitCode> {
    if let Some(path) = &options.plan {
        let plan: Plan = serde_json::from_reader(File::open(path)?)?;
        return one(
            options,
            &plan,
            &format!(
                "oneflight-sim run --plan {}{}",
                path.display(),
                with_bug(options)
            ),
        );
    }
    let profile = options.profile.profile();
    if let Some(seed) = options.seed {
        let plan = match named(options.bug.as_deref())? {
            Some(bug) => canaries::plan(bug, seed),
            None => draw(seed, profile, options.nodes),
        };
        return one(options, &plan, &reproducer(options, seed));
    }
    if options.digest {
        let digest = batch::digest(options.seeds.clone(), profile, options.nodes);
        say!("{:016x}", digest.0);
        return Ok(ExitCode::SUCCESS);
    }
    let batch = Batch {
        from: options.seeds.start,
        until: options.seeds.end,
        profile,
        nodes: options.nodes,
        jobs: options.jobs.unwrap_or_else(processors),
    };
    let progress = Progress::default();
    let begin = Instant::now();
    let (stats, failures) = thread::scope(|scope| {
        let runner = scope.spawn(|| batch::run(&batch, &progress));
        show(&progress, batch.until - batch.from, || runner.is_finished());
        runner
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let took = begin.elapsed();
    report::table(&stats, &failures, took, batch.jobs);
    if options.coverage {
        report::triples(&stats.coverage);
    }
    for failure in failures.iter().take(20) {
        for violation in failure.violations.iter().take(1) {
            say!("{violation}");
        }
        say!("    {}", reproducer(options, failure.seed));
    }
    let unseen = stats.unseen();
    let contradictions = stats.coverage.contradictions();
    for (before, event, after) in &contradictions {
        say!("reached, though it is impossible: {before} -- {event} -> {after}");
    }
    let clean = failures.is_empty() && unseen.is_empty() && contradictions.is_empty();
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

pub(super) fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn reproducer(options: &Run, seed: u64) -> String {
    let mut line = format!(
        "oneflight-sim run --profile {} --seed {seed}",
        options.profile.name()
    );
    if let Some(nodes) = options.nodes {
        line += &format!(" --nodes {nodes}");
    }
    line + &with_bug(options)
}

fn with_bug(options: &Run) -> String {
    let bug = options.bug.as_ref();
    bug.map_or_else(String::new, |bug| format!(" --bug {bug}"))
}

pub(super) fn show(progress: &Progress, runs: u64, finished: impl Fn() -> bool) {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {msg}");
    let bar =
        ProgressBar::new(runs).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let begin = Instant::now();
    while !finished() {
        thread::sleep(Duration::from_millis(100));
        let done = progress.runs.load(Ordering::Relaxed);
        bar.set_position(done.min(runs));
        let rate = done as f64 / begin.elapsed().as_secs_f64();
        let days = progress.micros.load(Ordering::Relaxed) as f64 / 86_400e6;
        let (faults, failures) = (
            progress.faults.load(Ordering::Relaxed),
            progress.failures.load(Ordering::Relaxed),
        );
        bar.set_message(format!(
            "{rate:.0} a second, {days:.1} days simulated, {faults} faults, {failures} violating"
        ));
    }
    bar.finish_and_clear();
}

fn one(options: &Run, plan: &Plan, reproducer: &str) -> Result<ExitCode> {
    let bug = named(options.bug.as_deref())?;
    let (lines, violations, run) = batch::trace(plan, bug);
    if let Some(path) = &options.trace {
        write(path, &lines)?;
    }
    let mut drawn = None;
    if let Some(path) = &options.timeline {
        let page = timeline::of_run(plan, bug, reproducer);
        std::fs::write(path, page)?;
        drawn = Some(path.display());
    }
    if let Some(path) = &options.save {
        let mut plan = plan.clone();
        plan.fates = run.fates.clone();
        std::fs::write(path, serde_json::to_string_pretty(&plan)? + "\n")?;
    }
    say!(
        "seed {}, {}: {} processes, {} calls, {} events, {} ms simulated, {} violations",
        plan.seed,
        plan.profile,
        plan.clocks.len(),
        plan.calls.len(),
        run.events,
        run.time / 1_000_000,
        violations.len()
    );
    print!("{}", words(plan));
    for violation in &violations {
        say!("{violation}");
    }
    if let Some(path) = drawn {
        say!("drawn: {path}");
    }
    if violations.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    say!("    {reproducer}");
    Ok(ExitCode::FAILURE)
}

pub(super) fn write(path: &Path, lines: &[Line<Key>]) -> Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    for line in lines {
        write_line(&mut out, line)?;
    }
    out.flush()?;
    Ok(())
}
