//! What came of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use oneflight_sim::trace::Trace;

use super::{Footprint, Plan};
use crate::storm::Tally;

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// What was to happen.
    pub plan: Plan,
    /// What came of the calls.
    pub tally: Tally,
    /// What befell whom, and how often.
    pub faults: BTreeMap<&'static str, usize>,
    /// From the death of a process to the next fill of a key that it was filling, in ns.
    pub takeovers: Vec<i64>,
    /// What the fleet took up after a short calm at the beginning.
    pub start: Footprint,
    /// The same at the end.
    pub end: Footprint,
    /// The recording, or the first complaint about it and where it is kept.
    pub judged: Result<Trace, (String, PathBuf)>,
}

impl Outcome {
    /// What is wrong with it, if anything: the recording, the connections, or the memory of a process,
    /// which may not have grown by more than half and 8 MiB.
    ///
    /// # Errors
    ///
    /// In words.
    pub fn verdict(&self) -> Result<(), String> {
        if let Err((complaint, kept)) = &self.judged {
            return Err(format!(
                "{complaint}\nthe recording is kept: {}",
                kept.display()
            ));
        }
        let (start, end) = (&self.start, &self.end);
        // A process has one connection for everything, whatever its driver.
        let most = self.plan.processes;
        if end.connections > most {
            return Err(format!(
                "{} connections, at first {}, at most {most} are due",
                end.connections, start.connections
            ));
        }
        for (before, after) in start.veterans.iter().zip(&end.veterans) {
            let [memory, threads, files] = *before;
            let most = [memory * 3 / 2 + 8 * 1024, threads, files];
            if after.iter().zip(most).any(|(is, most)| *is > most) {
                return Err(format!(
                    "KiB, threads, files: {after:?}, at first {before:?}"
                ));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, tally, .. } = self;
        writeln!(f, "| {} processes, seed {} | |", plan.processes, plan.seed)?;
        writeln!(f, "| --- | ---: |")?;
        let mut row = |what: &str, value: String| writeln!(f, "| {what} | {value} |");
        row("orders", tally.orders.to_string())?;
        row("fills", tally.fills.to_string())?;
        for (how, count) in &tally.landings {
            row(&format!("landed {how}"), count.to_string())?;
        }
        row("of them uncoordinated", tally.uncoordinated.to_string())?;
        row("of them stale", tally.stale.to_string())?;
        row(
            "the longest call that did not fill",
            format!("{:.1} s", tally.longest.as_secs_f64()),
        )?;
        for (fault, count) in &self.faults {
            row(fault, count.to_string())?;
        }
        row(
            "process killed in its fill → next fill of the key",
            self.takeover(),
        )?;
        let (start, end) = (&self.start, &self.end);
        row(
            "connections at rest, start → end",
            format!("{} → {}", start.connections, end.connections),
        )?;
        let drivers = ["tokio", "blocking"]
            .iter()
            .zip(&start.veterans)
            .zip(&end.veterans);
        for ((driver, before), after) in drivers {
            row(
                &format!("the {driver} process never killed: memory, threads, files"),
                format!("{} → {}", footprint(*before), footprint(*after)),
            )?;
        }
        let judged = match &self.judged {
            Ok(trace) => format!(
                "sound ({} records of {} processes)",
                trace.records.len(),
                trace.nodes.len()
            ),
            Err((complaint, _)) => complaint.clone(),
        };
        row("the recording", judged)
    }
}

impl Outcome {
    fn takeover(&self) -> String {
        let mut sorted = self.takeovers.clone();
        sorted.sort_unstable();
        let Some(last) = sorted.len().checked_sub(1) else {
            return "none".to_owned();
        };
        let at = |part: usize| sorted[last * part / 100] as f64 / 1e9;
        format!(
            "median {:.2} s, p99 {:.2} s (of {})",
            at(50),
            at(99),
            sorted.len()
        )
    }
}

fn footprint([memory, threads, files]: [u64; 3]) -> String {
    format!("{:.1} MiB, {threads}, {files}", memory as f64 / 1024.0)
}
