//! `minimize`: a run that breaks a promise, made as small as it gets.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use oneflight_sim::bugs::Bug;
use oneflight_sim::canaries;
use oneflight_sim::draw::{Profile, draw};
use oneflight_sim::minimize::minimize;

use super::Result;

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
    let bug = match bug {
        Some(name) => {
            let known = Bug::ALL
                .into_iter()
                .find(|bug| format!("{bug:?}").eq_ignore_ascii_case(name) || bug.story().0 == name);
            Some(known.ok_or_else(|| format!("no bug is called {name:?}: `canaries` lists them"))?)
        }
        None => None,
    };
    let (mut plan, wanted) = match bug {
        Some(bug) => (canaries::plan(bug, seed), bug.expected()),
        None => (draw(seed, profile, None), &[][..]),
    };
    let mut minimal = minimize(&plan, bug, wanted);
    if let Some(bug) = bug.filter(|_| minimal.is_none()) {
        // Not with this seed: the next that shows it.
        let next = (seed..seed + 100_000).find_map(|seed| {
            plan = canaries::plan(bug, seed);
            minimize(&plan, Some(bug), wanted)
        });
        minimal = next;
    }
    let Some(minimal) = minimal else {
        println!("seed {seed} breaks nothing");
        return Ok(ExitCode::SUCCESS);
    };
    println!(
        "{}, seed {}: {} events, {} before; {} calls, {} faults; {} runs in {:.2} s",
        minimal.invariant,
        plan.seed,
        minimal.events.1,
        minimal.events.0,
        minimal.plan.calls.len(),
        minimal.plan.faults.len(),
        minimal.runs,
        begin.elapsed().as_secs_f64()
    );
    let text = serde_json::to_string_pretty(&minimal.plan)?;
    match out {
        Some(path) => {
            File::create(&path)?.write_all(text.as_bytes())?;
            let with = bug.map_or_else(String::new, |bug| format!(" --bug {bug:?}"));
            println!("    oneflight-sim run --plan {}{with}", path.display());
        }
        None => println!("{text}"),
    }
    Ok(ExitCode::FAILURE)
}
