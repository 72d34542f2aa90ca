//! `model`: a search through all states within small bounds.

use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use oneflight_sim::model::{Found, Kind, Setup, explore};

use super::minimize::named;
use super::{Model, Result};

pub(super) fn run(options: &Model) -> Result<ExitCode> {
    let bug = named(options.bug.as_deref())?;
    let mut setup = Setup::new(options.callers).faults(options.faults, &Kind::ALL);
    if let Some(kinds) = &options.only {
        setup.kinds = Kind::ALL
            .into_iter()
            .filter(|kind| kinds.iter().any(|name| kind.name().starts_with(name)))
            .collect();
    }
    setup.bug = bug;
    if let Some(nodes) = options.nodes {
        setup.nodes = nodes;
    }
    setup.limit = options.limit;
    let found = search(&setup);
    println!(
        "{} states, {} transitions, depth {}, {} machines, {:.1} s, {} triples, exhausted: {}",
        found.states,
        found.transitions,
        found.depth,
        found.machines,
        found.took.as_secs_f64(),
        found.coverage.reached(),
        found.exhausted
    );
    if let Some(broken) = &found.broken {
        for line in broken.words(&setup) {
            println!("{line}");
        }
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn search(setup: &Setup) -> Found {
    let style = ProgressStyle::with_template("{spinner} {msg}");
    let bar = ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    let found = explore(setup, |level, states, width| {
        bar.set_message(format!("step {level}: {states} states, {width} wide"));
        bar.tick();
    });
    bar.finish_and_clear();
    found
}
