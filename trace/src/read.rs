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
    /// How many lines were cut off by the death of their writers.
    pub cut_off: usize,
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

/// How every line begins. Neither can stand within a line: quotes in strings are escaped.
const BEGINNINGS: [&[u8]; 2] = [b"{\"at\":", b"{\"oneflight\":"];

/// Reads a trace, or the traces of several processes one after another, and puts the records in
/// order. Empty lines are skipped, and so are lines that were cut off by the death of their writers:
/// the last one, or one that goes over into the line that another process has written next.
///
/// # Errors
///
/// A line that is not of this format, or a header of another version, or none.
pub fn read(mut input: impl BufRead) -> Result<Trace, TraceError> {
    let mut trace = Trace::default();
    let mut bytes = Vec::new();
    for number in 1.. {
        let fail = |reason: String| TraceError {
            line: number,
            reason,
        };
        bytes.clear();
        let read = input.read_until(b'\n', &mut bytes);
        if read.map_err(|error| fail(error.to_string()))? == 0 {
            break;
        }
        let ended = bytes.ends_with(b"\n");
        let line = bytes.trim_ascii();
        if line.is_empty() {
            continue;
        }
        match parse(line) {
            Ok(line) => trace.add(line).map_err(fail)?,
            Err(_) if !ended => trace.cut_off += 1,
            Err(error) => {
                let whole = after_cuts(line).and_then(|rest| parse(rest).ok());
                let whole = whole.ok_or_else(|| fail(error.to_string()))?;
                trace.cut_off += 1;
                trace.add(whole).map_err(fail)?;
            }
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

fn parse(line: &[u8]) -> serde_json::Result<Line<Name>> {
    if line.starts_with(BEGINNINGS[1]) {
        serde_json::from_slice(line).map(Line::Header)
    } else {
        serde_json::from_slice(line).map(Line::Record)
    }
}

/// What another process has written after the beginnings of lines that were cut off.
fn after_cuts(line: &[u8]) -> Option<&[u8]> {
    let begins = |at: &usize| BEGINNINGS.iter().any(|it| line[*at..].starts_with(it));
    (1..line.len()).rev().find(begins).map(|at| &line[at..])
}

impl Trace {
    fn add(&mut self, line: Line<Name>) -> Result<(), String> {
        match line {
            Line::Header(header) if header.oneflight == VERSION => self.headers.push(header),
            Line::Header(header) => {
                return Err(format!(
                    "written in version {} of the format, this program reads {VERSION}",
                    header.oneflight
                ));
            }
            Line::Record(record) => {
                let names = &mut self.names;
                let mut record = record.rename(&mut |name| names.key(name));
                self.number_nodes(&mut record);
                self.records.push(record);
            }
        }
        Ok(())
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "{\"oneflight\":1,\"recorder\":\"tokio\"}\n";
    const DOWN: &str = "{\"at\":7,\"node\":9,\"down\":{\"crashed\":false}}\n";

    fn down() -> Vec<(u64, u64)> {
        vec![(7, 1)]
    }

    fn records(text: &[u8]) -> (Vec<(u64, u64)>, usize) {
        let trace = read(text).expect("a trace");
        let records = trace.records.iter().map(|it| (it.at, it.node));
        (records.collect(), trace.cut_off)
    }

    #[test]
    fn a_line_may_be_cut_off_anywhere() {
        // Also in the midst of a letter.
        let left =
            "{\"at\":1,\"node\":5,\"left\":{\"key\":\"ключ {at\",\"passenger\":1}}".as_bytes();
        for cut in 1..left.len() {
            let glued = [HEADER.as_bytes(), &left[..cut], DOWN.as_bytes()].concat();
            assert_eq!(records(&glued), (down(), 1), "cut off at {cut}");
            let last = [HEADER.as_bytes(), DOWN.as_bytes(), &left[..cut]].concat();
            assert_eq!(records(&last), (down(), 1), "cut off at {cut}");
        }
    }

    #[test]
    fn halves_may_follow_upon_one_another() {
        let glued = format!("{HEADER}{{\"at\":1,\"no{{\"at\":2,{HEADER}{{\"at{DOWN}");
        assert_eq!(records(glued.as_bytes()), (down(), 2));
    }

    #[test]
    fn what_is_no_line_is_an_error() {
        for wrong in [
            "nonsense\n",
            "{\"at\":1,\"node\":5,\"left\":{}}\n",
            "{\"oneflight\":2}\n",
        ] {
            let text = format!("{HEADER}{wrong}{DOWN}");
            assert_eq!(
                read(text.as_bytes()).map_err(|error| error.line).err(),
                Some(2)
            );
        }
        assert!(read(DOWN.as_bytes()).is_err());
    }
}
