//! Traces as lines of JSON.

use std::fmt;
use std::io::{self, BufRead, Write};

use serde::Serialize;

use crate::{Header, Key, Line, Name, Names, NodeId, Record, VERSION, What};

/// A trace in memory: its heads, its records in order, and the names of its keys.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// One for a simulated run; one per process in a recording.
    pub headers: Vec<Header>,
    /// In the order of time; where that is equal, of the lines.
    pub records: Vec<Record<Key>>,
    /// How the keys are spelled.
    pub names: Names,
    /// What the processes are called in the files: they are numbered from 1 here.
    pub nodes: Vec<NodeId>,
}

/// Why a trace cannot be read.
#[derive(Debug)]
pub struct TraceError {
    /// The line, from 1; 0 if it is about the whole file.
    pub line: usize,
    /// What is the matter.
    pub reason: String,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for TraceError {}

/// Writes one line.
///
/// # Errors
///
/// What the writer says.
pub fn write_line<K: Serialize>(out: &mut impl Write, line: &Line<K>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// Reads a trace, or the traces of several processes one after another, and puts the records in
/// order. Empty lines are skipped; a last line that was cut off by a crash is, too.
///
/// # Errors
///
/// A line that is not of this format, or a header of another version, or none.
pub fn read(input: impl BufRead) -> Result<Trace, TraceError> {
    let mut trace = Trace::default();
    let mut broken: Option<TraceError> = None;
    for (number, line) in input.lines().enumerate() {
        let fail = |reason: String| TraceError {
            line: number + 1,
            reason,
        };
        let line = line.map_err(|error| fail(error.to_string()))?;
        if line.trim().is_empty() {
            continue;
        }
        if let Some(error) = broken.take() {
            return Err(error);
        }
        let parsed = if line.starts_with("{\"oneflight\"") {
            serde_json::from_str(&line).map(Line::Header)
        } else {
            serde_json::from_str::<Record<Name>>(&line).map(Line::Record)
        };
        match parsed {
            Ok(Line::Header(header)) if header.oneflight == VERSION => trace.headers.push(header),
            Ok(Line::Header(header)) => {
                return Err(fail(format!(
                    "written in version {} of the format, this program reads {VERSION}",
                    header.oneflight
                )));
            }
            Ok(Line::Record(record)) => {
                let names = &mut trace.names;
                let mut record = record.rename(&mut |name| names.key(name));
                trace.number_nodes(&mut record);
                trace.records.push(record);
            }
            Err(error) => broken = Some(fail(error.to_string())),
        }
    }
    if trace.headers.is_empty() {
        return Err(TraceError {
            line: 0,
            reason: "no header line: this is not a trace".to_owned(),
        });
    }
    let renumbered = trace.names.sort();
    let records = std::mem::take(&mut trace.records).into_iter();
    trace.records = records
        .map(|record| record.rename(&mut |key| renumbered[key.index()]))
        .collect();
    trace.records.sort_by_key(|record| record.at);
    Ok(trace)
}

impl Trace {
    fn number(&mut self, node: NodeId) -> NodeId {
        if node == 0 {
            return 0;
        }
        let known = self.nodes.iter().position(|other| *other == node);
        let index = known.unwrap_or_else(|| {
            self.nodes.push(node);
            self.nodes.len() - 1
        });
        index as NodeId + 1
    }

    fn number_nodes(&mut self, record: &mut Record<Key>) {
        record.node = self.number(record.node);
        match &mut record.what {
            What::Committed { from: node, .. }
            | What::WatchOpened { watcher: node, .. }
            | What::WatchClosed { watcher: node, .. } => *node = self.number(*node),
            What::Healed { broken } => {
                for node in broken {
                    *node = self.number(*node);
                }
            }
            What::Up { .. }
            | What::Down { .. }
            | What::Told { .. }
            | What::Began { .. }
            | What::Landed { .. }
            | What::Left { .. }
            | What::FillBegan { .. }
            | What::FillEnded { .. }
            | What::Sent { .. }
            | What::Answered { .. }
            | What::Changes { .. }
            | What::Fault { .. }
            | What::Ended { .. } => {}
        }
    }
}
