//! `minimize`: a run that breaks a promise, made as small as it gets.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use oneflight_sim::batch;
use oneflight_sim::bugs::Bug;
use oneflight_sim::draw::{Profile, draw};
use oneflight_sim::minimize::{minimize, minimize_bug};
use oneflight_sim::steps::story;

use super::Result;
use super::print::say;

/// The bug of this name or number.
pub(super) fn named(name: Option<&str>) -> Result<Option<Bug>> {
    let Some(name) = name else {
        return Ok(None);
    };
    let known = Bug::ALL
        .into_iter()
        .find(|bug| format!("{bug:?}").eq_ignore_ascii_case(name) || bug.story().0 == name);
    match known {
        Some(bug) => Ok(Some(bug)),
        None => Err(format!("no bug is called {name:?}: `canaries` lists them").into()),
    }
}

pub(super) fn run(
    seed: u64,
    bug: Option<&str>,
    profile: Profile,
    out: Option<PathBuf>,
) -> Result<ExitCode> {
    let begin = Instant::now();
    let bug = named(bug)?;
    let found = match bug {
        Some(bug) => minimize_bug(seed, bug),
        None => minimize(&draw(seed, profile, None), None, &[]),
    };
    let Some(minimal) = found else {
        say!("seed {seed} breaks nothing");
        return Ok(ExitCode::SUCCESS);
    };
    say!(
        "{}, seed {}: {} events until it is broken, {} before shrinking; {} calls, {} faults; {:.2} s",
        minimal.invariant,
        minimal.plan.seed,
        minimal.steps.1,
        minimal.steps.0,
        minimal.plan.calls.len(),
        minimal.plan.faults.len(),
        begin.elapsed().as_secs_f64()
    );
    let (lines, violations, _) = batch::trace(&minimal.plan, bug);
    for line in story(&lines, minimal.at) {
        say!("{line}");
    }
    let broken = violations
        .iter()
        .find(|violation| violation.invariant == minimal.invariant);
    if let Some(violation) = broken {
        say!("{violation}");
    }
    let text = serde_json::to_string_pretty(&minimal.plan)? + "\n";
    match out {
        Some(path) => {
            std::fs::write(&path, text)?;
            let with = bug.map_or_else(String::new, |bug| format!(" --bug {bug:?}"));
            say!("    oneflight-sim run --plan {}{with}", path.display());
        }
        None => print!("{text}"),
    }
    Ok(ExitCode::FAILURE)
}
