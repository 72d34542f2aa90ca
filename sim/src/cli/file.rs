//! `check`, `replay` and `timeline`: what is done with traces in files.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use oneflight_sim::check::Checker;
use oneflight_sim::trace::{Trace, read};
use oneflight_sim::{replay, timeline};

use super::Result;
use super::print::say;

fn open(files: &[PathBuf]) -> Result<Trace> {
    let mut all: Box<dyn Read> = Box::new(std::io::empty());
    for file in files {
        let name = file.display();
        let opened = File::open(file).map_err(|error| format!("{name}: {error}"))?;
        all = Box::new(all.chain(opened));
    }
    let names = || files.iter().map(|file| file.display().to_string());
    read(BufReader::new(all)).map_err(|error| {
        let names = names().collect::<Vec<_>>().join(" ");
        format!("{names}: {error}; a trace or a recording is one JSON object a line").into()
    })
}

pub(super) fn check(files: &[PathBuf]) -> Result<ExitCode> {
    let trace = open(files)?;
    let violations = Checker::check(&trace);
    say!(
        "{} records of {} processes, {} violations",
        trace.records.len(),
        trace.nodes.len(),
        violations.len()
    );
    for violation in &violations {
        say!("{violation}");
    }
    Ok(if violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

pub(super) fn replay(files: &[PathBuf]) -> Result<ExitCode> {
    let trace = open(files)?;
    let (told, differences) = replay::replay(&trace);
    say!("{told} notices replayed, {} differences", differences.len());
    for difference in &differences {
        say!(
            "record {}, node {}: {}",
            difference.record + 1,
            difference.node,
            difference.story
        );
    }
    Ok(if differences.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

pub(super) fn timeline(files: &[PathBuf], out: &Path) -> Result<ExitCode> {
    let trace = open(files)?;
    let names: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let command = format!("oneflight-sim check {}", names.join(" "));
    std::fs::write(out, timeline::of_trace(&trace, &command))?;
    say!("{} records drawn: {}", trace.records.len(), out.display());
    Ok(ExitCode::SUCCESS)
}
