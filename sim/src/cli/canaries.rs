//! `canaries`: a table of bugs, and what caught them.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use oneflight_sim::bugs::Bug;
use oneflight_sim::canaries::{Catch, hunt, product};

use super::print::say;
use super::run::processors;

pub(super) fn run(trials: u64, limit: u64, only: Option<&str>, jobs: Option<usize>) -> ExitCode {
    let begin = Instant::now();
    let bugs: Vec<Bug> = Bug::ALL
        .into_iter()
        .filter(|bug| only.is_none_or(|part| format!("{bug:?}").contains(part)))
        .collect();
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(200));
    let runs = AtomicU64::new(0);
    let next = AtomicUsize::new(0);
    let catches = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs.unwrap_or_else(processors).max(1) {
            scope.spawn(|| {
                while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    bar.set_message(format!(
                        "{bug:?}, {} of {} bugs; {} runs so far",
                        next.load(Ordering::Relaxed).min(bugs.len()),
                        bugs.len(),
                        runs.load(Ordering::Relaxed)
                    ));
                    let catch = hunt(*bug, trials, limit, &runs);
                    let mut catches = catches.lock().unwrap_or_else(PoisonError::into_inner);
                    catches.push(catch);
                }
            });
        }
    });
    let mut catches = catches.into_inner().unwrap_or_else(PoisonError::into_inner);
    catches.sort_by_key(|catch| catch.bug);
    bar.set_message("the same seeds without a bug");
    let clean = AtomicU64::new(0);
    let failed = product(&catches, limit, &clean);
    bar.finish_and_clear();
    say!(
        "{:<4} {:<19} {:<22} {:>7} {:>7} {:>8}  what is wrong",
        "",
        "bug",
        "caught by",
        "median",
        "most",
        "time"
    );
    for catch in &catches {
        say!("{}", line(catch));
    }
    let missed = catches.iter().filter(|catch| !catch.is_caught()).count();
    say!(
        "{} bugs, {missed} not caught in every one of {trials} trials, {:.1} s",
        catches.len(),
        begin.elapsed().as_secs_f64()
    );
    say!(
        "the same {} seeds without a bug: {} violating",
        clean.into_inner(),
        failed.len()
    );
    for seed in failed.iter().take(20) {
        say!("    oneflight-sim run --seed {seed}");
    }
    if missed == 0 && failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn line(catch: &Catch) -> String {
    let (flaw, story) = catch.bug.story();
    let shown =
        |seeds: Option<u64>| seeds.map_or_else(|| "-".to_owned(), |seeds| seeds.to_string());
    format!(
        "{flaw:<4} {:<19} {:<22} {:>7} {:>7} {:>6.2} s  {story}",
        format!("{:?}", catch.bug),
        catch.by.unwrap_or("not caught"),
        shown(catch.median()),
        shown(catch.most()),
        catch.took.as_secs_f64()
    )
}
