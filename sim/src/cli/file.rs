//! `check` and `replay`: what is done with traces in files.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use oneflight_sim::check::Checker;
use oneflight_sim::replay;
use oneflight_sim::trace::{Trace, read};

use super::Result;

fn open(files: &[PathBuf]) -> Result<Trace> {
    let mut all: Box<dyn Read> = Box::new(std::io::empty());
    for file in files {
        let name = file.display();
        let opened = File::open(file).map_err(|error| format!("{name}: {error}"))?;
        all = Box::new(all.chain(opened));
    }
    Ok(read(BufReader::new(all))?)
}

pub(super) fn check(files: &[PathBuf]) -> Result<ExitCode> {
    let trace = open(files)?;
    let violations = Checker::check(&trace);
    println!(
        "{} records of {} processes, {} violations",
        trace.records.len(),
        trace.nodes.len(),
        violations.len()
    );
    for violation in &violations {
        println!("{violation}");
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
    println!("{told} notices replayed, {} differences", differences.len());
    for difference in &differences {
        println!(
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
