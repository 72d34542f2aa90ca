//! Recordings, judged by the checker of the simulator.

use std::path::{Path, PathBuf};

use oneflight_sim::check::Checker;
use oneflight_sim::replay::replay;
use oneflight_sim::trace::{Trace, read};

/// Why a recording is not sound, if it is not: by the checker, or because the machine would have done
/// otherwise.
///
/// # Errors
///
/// The first complaint.
pub fn judged(text: &[u8]) -> Result<Trace, String> {
    let trace = read(text).map_err(|error| error.to_string())?;
    if let Some(violation) = Checker::check(&trace).first() {
        return Err(violation.to_string());
    }
    if let Some(difference) = replay(&trace).1.first() {
        return Err(difference.story.clone());
    }
    Ok(trace)
}

/// The recording in this file is sound. Else it is kept.
#[track_caller]
pub fn sound(tape: &Path) -> Trace {
    judged(&std::fs::read(tape).unwrap()).unwrap_or_else(|complaint| {
        let kept = kept(tape);
        panic!("{complaint}\nthe recording is kept: {}", kept.display());
    })
}

/// Keeps a recording that is not sound: where.
#[must_use]
pub fn kept(tape: &Path) -> PathBuf {
    let name = format!("unsound-{:08x}.jsonl", fastrand::u32(..));
    let kept = std::env::temp_dir().join(name);
    std::fs::copy(tape, &kept).unwrap();
    kept
}
