//! `model`: searches through all states within small bounds.

use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use oneflight_sim::batch::{self, Batch, Progress};
use oneflight_sim::bugs::Bug;
use oneflight_sim::coverage::Coverage;
use oneflight_sim::draw::Profile;
use oneflight_sim::model::{Found, Kind, Setup, Start, Wants, canary, explore};

use super::minimize::named;
use super::print::say;
use super::run::processors;
use super::{Model, Result, report};

/// What the design asks to be searched together: deaths, pauses (so lapses) and losses.
const TOGETHER: [Kind; 3] = [Kind::Crash, Kind::Pause, Kind::Late];

pub(super) fn run(options: &Model) -> Result<ExitCode> {
    if let Some(bug) = named(options.bug.as_deref())? {
        return one_bug(bug);
    }
    if options.all_bugs {
        return Ok(all_bugs());
    }
    let mut coverage = Coverage::default();
    let mut clean = true;
    say!(
        "{:<34} {:>10} {:>12} {:>6} {:>9} {:>9}  {:>8}",
        "",
        "states",
        "transitions",
        "depth",
        "machines",
        "triples",
        "time"
    );
    for (name, setup) in searches(options)? {
        let found = search(&setup);
        let verdict = match &found.broken {
            Some(broken) => broken.violation.invariant,
            None if found.exhausted => "exhausted",
            None => "NOT ALL",
        };
        say!(
            "{name:<34} {:>10} {:>12} {:>6} {:>9} {:>9}  {:>6.1} s  {verdict}",
            found.states,
            found.transitions,
            found.depth,
            found.machines,
            found.coverage.reached(),
            found.took.as_secs_f64()
        );
        clean &= found.exhausted;
        coverage.add(&found.coverage);
        tell(&setup, &found);
    }
    say!("{} triples reached", coverage.reached());
    if options.coverage {
        report::triples(&coverage);
    }
    if options.blind_spot {
        blind_spot(&coverage, options.seeds.clone());
    }
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The searches that were asked for: of some kinds of faults, or of each kind alone, some and all.
fn searches(options: &Model) -> Result<Vec<(String, Setup)>> {
    let bounds = |kinds: &[Kind]| {
        let mut setup = Setup::new(options.callers).faults(options.faults, kinds);
        setup.nodes = options.nodes.unwrap_or(options.callers);
        setup.limit = options.limit;
        setup
    };
    if !options.all {
        let Some(names) = &options.only else {
            let names = TOGETHER.map(Kind::name).join(" + ");
            return Ok(vec![(names, bounds(&TOGETHER))]);
        };
        let mut kinds = Vec::new();
        for name in names {
            let mut known = Kind::ALL.into_iter();
            let kind = known.find(|kind| kind.name().starts_with(name.as_str()));
            kinds.push(kind.ok_or_else(|| format!("no kind of fault is called {name:?}"))?);
        }
        return Ok(vec![(names.join(" + "), bounds(&kinds))]);
    }
    let mut searches = vec![("nothing".to_owned(), bounds(&[]).faults(0, &[]))];
    for kind in Kind::ALL {
        searches.push((kind.name().to_owned(), bounds(&[kind])));
    }
    searches.push((TOGETHER.map(Kind::name).join(" + "), bounds(&TOGETHER)));
    let mut one = bounds(&Kind::ALL);
    one.faults = options.faults.min(1);
    searches.push(("one of any kind".to_owned(), one.clone()));
    one.wants = Wants::Newer;
    one.start = Start::Old;
    searches.push(("one, an old value stands".to_owned(), one.clone()));
    one.wants = Wants::Computed;
    searches.push(("one, no value is good enough".to_owned(), one.clone()));
    let mut shared = bounds(&Kind::ALL);
    shared.nodes = 1;
    searches.push(("any, all callers in one process".to_owned(), shared));
    let mut few = bounds(&Kind::ALL);
    (few.nodes, few.callers) = (2, 2);
    searches.push(("any, two callers".to_owned(), few));
    Ok(searches)
}

fn one_bug(bug: Bug) -> Result<ExitCode> {
    let setup = canary(bug)?;
    let found = search(&setup);
    say!("{}", line(bug, &setup, &found));
    tell(&setup, &found);
    Ok(ExitCode::FAILURE)
}

fn all_bugs() -> ExitCode {
    say!(
        "{:<4} {:<19} {:<22} {:>5} {:>8} {:>8}  within",
        "",
        "bug",
        "breaks",
        "steps",
        "states",
        "time"
    );
    let mut missed = 0;
    for bug in Bug::ALL {
        match canary(bug) {
            Ok(setup) => {
                let found = search(&setup);
                say!("{}", line(bug, &setup, &found));
                missed += u32::from(found.broken.is_none());
            }
            Err(reason) => say!("{:<4} {:<19} {reason}", bug.story().0, format!("{bug:?}")),
        }
    }
    say!("{missed} not found");
    if missed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn line(bug: Bug, setup: &Setup, found: &Found) -> String {
    let (invariant, steps) = match &found.broken {
        Some(broken) => (broken.violation.invariant, broken.steps().to_string()),
        None => ("not found", "-".to_owned()),
    };
    let kinds: Vec<&str> = setup.kinds.iter().map(|kind| kind.name()).collect();
    let faults = match setup.faults {
        0 => "no fault".to_owned(),
        faults => format!("{faults} of {}", kinds.join(", ")),
    };
    format!(
        "{:<4} {:<19} {invariant:<22} {steps:>5} {:>8} {:>6.2} s  {} callers, {faults}",
        bug.story().0,
        format!("{bug:?}"),
        found.states,
        found.took.as_secs_f64(),
        setup.callers
    )
}

fn tell(setup: &Setup, found: &Found) {
    if let Some(broken) = &found.broken {
        for line in broken.words(setup) {
            say!("{line}");
        }
    }
}

/// What a search reaches, and random runs do not.
fn blind_spot(coverage: &Coverage, seeds: std::ops::Range<u64>) {
    let batch = Batch {
        from: seeds.start,
        until: seeds.end,
        profile: Profile::Swarm,
        nodes: None,
        jobs: processors(),
    };
    let (stats, _) = batch::run(&batch, &Progress::default());
    let (all, drawn) = (coverage.triples(), stats.coverage.triples());
    let blind: Vec<_> = all
        .keys()
        .filter(|triple| !drawn.contains_key(*triple))
        .collect();
    say!(
        "{} triples reached by the seeds {}..{}, {} only by them; {} only by the searches:",
        drawn.len(),
        seeds.start,
        seeds.end,
        drawn
            .keys()
            .filter(|triple| !all.contains_key(*triple))
            .count(),
        blind.len()
    );
    for (before, event, after) in blind {
        say!("    {before} -- {event} -> {after}");
    }
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
