//! The timeline: what a person sees of a run, in one HTML file that needs nothing else.
//!
//! [`of_trace`] draws any trace. [`of_run`] draws a plan's run, and if that breaks a promise, first the
//! smallest run that breaks it, beside its passing twins: the same run with one decision removed.

mod calls;
mod cause;
mod leases;
mod messages;
mod page;
mod picture;
mod states;
mod times;
mod twin;
mod words;

use serde::Serialize;

use crate::batch;
use crate::bugs::Bug;
use crate::minimize::minimize;
use crate::plan::Plan;
use crate::trace::{Line, Name, Nanos, Trace};
use picture::{Picture, picture};

/// All that the page shows.
#[derive(Debug, Serialize)]
struct Report {
    /// What was broken first; nothing in a clean run.
    invariant: Option<&'static str>,
    /// What was run, in a line.
    subject: String,
    /// What does it again.
    command: String,
    /// The three sentences.
    cause: Vec<String>,
    panels: Vec<Panel>,
}

/// One run on the page.
#[derive(Debug, Serialize)]
struct Panel {
    /// `failing`, `twin` or `whole`.
    role: &'static str,
    title: String,
    /// When a twin and its failing run part.
    differs: Option<Nanos>,
    picture: Picture,
}

/// The page of a trace, which may be a recording.
#[must_use]
pub fn of_trace(trace: &Trace, command: &str) -> String {
    let picture = picture(trace);
    let mut report = Report {
        invariant: picture.broken.first().map(|broken| broken.invariant),
        subject: subject(trace),
        command: command.to_owned(),
        cause: cause_of(&picture),
        panels: Vec::new(),
    };
    if report.invariant.is_some() {
        report.cause.push(
            "A trace alone cannot be run again with a decision removed, so what made the difference \
             must be read from the picture."
                .to_owned(),
        );
    }
    report.panels.push(whole(picture));
    page::html(&report)
}

/// The page of a plan's run.
#[must_use]
pub fn of_run(plan: &Plan, bug: Option<Bug>, command: &str) -> String {
    let trace = run(plan, bug);
    let all = picture(&trace);
    let mut subject = subject(&trace);
    if let Some(bug) = bug {
        subject += &format!(", with the bug {} {bug:?}", bug.story().0).replace("bug  ", "bug ");
    }
    let mut report = Report {
        invariant: about(&all, bug),
        subject,
        command: command.to_owned(),
        cause: Vec::new(),
        panels: Vec::new(),
    };
    if let Some(invariant) = report.invariant {
        // A run that goes in circles takes too long to be shrunk: its twins are sought as it is.
        let minimal = if all.left_out == 0 {
            minimize(plan, bug, &[invariant])
        } else {
            None
        };
        let smallest = minimal.as_ref().map_or(plan, |minimal| &minimal.plan);
        failing(&mut report, smallest, bug, all.events.len());
        if minimal.is_none() {
            return page::html(&report);
        }
    }
    report.panels.push(whole(all));
    page::html(&report)
}

/// What a report is about: what a bug is there to break, else what was broken first.
fn about(picture: &Picture, bug: Option<Bug>) -> Option<&'static str> {
    let names = || picture.broken.iter().map(|broken| broken.invariant);
    let expected = bug.map_or(&[][..], Bug::expected);
    names()
        .find(|name| expected.contains(name))
        .or_else(|| names().next())
}

/// The smallest failing run, and its twins.
fn failing(report: &mut Report, plan: &Plan, bug: Option<Bug>, before: usize) {
    let trace = run(plan, bug);
    let mut failing = picture(&trace);
    // What the report is about comes first, whatever else is broken.
    failing
        .broken
        .sort_by_key(|broken| Some(broken.invariant) != report.invariant);
    report.cause = cause_of(&failing);
    let mut differs = None;
    let mut twins = Vec::new();
    for twin in twin::twins(plan, bug) {
        let passing = run(&twin.plan, twin.bug);
        let removed = twin.removed.unwrap_or_else(|| {
            let first = cause::difference(&trace, &passing);
            first.map_or_else(
                || "one decision".to_owned(),
                |index| cause::mishap(&trace, index),
            )
        });
        let parting = cause::parting(&trace, &passing);
        let at = |trace: &Trace, index: usize| trace.records.get(index).map(|record| record.at);
        let moment = parting.and_then(|(index, other)| {
            let moments = [at(&trace, index), at(&passing, other)];
            moments.into_iter().flatten().min()
        });
        if twins.is_empty() {
            let apart = parting.and_then(|records| cause::apart(&trace, &passing, records));
            let apart = apart.map_or_else(String::new, |apart| format!("; {apart}"));
            report.cause.push(format!(
                "Without {removed} the run keeps its promises{apart}."
            ));
            differs = moment;
        }
        twins.push(Panel {
            role: "twin",
            title: format!("without {removed}"),
            differs: moment,
            picture: picture(&passing),
        });
    }
    if twins.is_empty() {
        report.cause.push(
            "No single decision can be removed to make it pass: each of several is enough."
                .to_owned(),
        );
    }
    let events = failing.events.len();
    let title = if failing.left_out == 0 {
        format!("{events} of the run's {before} events are enough")
    } else {
        extent(&failing)
    };
    report.panels.push(Panel {
        role: "failing",
        title,
        differs,
        picture: failing,
    });
    report.panels.extend(twins);
}

fn whole(picture: Picture) -> Panel {
    Panel {
        role: "whole",
        title: extent(&picture),
        differs: None,
        picture,
    }
}

/// How much there is to see.
fn extent(picture: &Picture) -> String {
    let (events, time) = (picture.events.len(), times::time(picture.end));
    match picture.left_out {
        0 => format!("{events} events in {time}"),
        more => format!("the first {events} events, in {time}; {more} more are not drawn"),
    }
}

/// The first two sentences.
fn cause_of(picture: &Picture) -> Vec<String> {
    let Some(broken) = picture.broken.first() else {
        return Vec::new();
    };
    let key = broken.key.and_then(|key| picture.keys.get(key as usize));
    vec![
        format!(
            "{} demands that {}.",
            broken.invariant,
            cause::demand(broken.invariant)
        ),
        cause::happened(
            broken.at,
            broken.node,
            key.map(String::as_str),
            &broken.story,
        ),
    ]
}

fn subject(trace: &Trace) -> String {
    let head = trace.headers.first();
    let recorder = head.map_or("", |head| head.recorder.as_str());
    let seed = head.and_then(|head| head.seed);
    match seed {
        Some(seed) => format!(
            "seed {seed}, {}",
            head.map_or("", |head| head.profile.as_str())
        ),
        None => format!("recorded by {recorder}"),
    }
}

/// A run's trace in memory.
fn run(plan: &Plan, bug: Option<Bug>) -> Trace {
    let (lines, _, _) = batch::trace(plan, bug);
    let mut trace = Trace::default();
    for key in 0..plan.keys {
        trace.names.key(&Name::Key(format!("k{key}")));
    }
    for line in lines {
        match line {
            Line::Header(header) => trace.headers.push(header),
            Line::Record(record) => trace.records.push(record),
        }
    }
    trace
}
