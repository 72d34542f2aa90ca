//! The two ways out: values on standard output, words on standard error.

use std::fmt;
use std::io::{self, Write as _};

use crate::exit::Failure;

/// Says something to people, in the one style of this program.
pub(crate) fn say(message: impl fmt::Display) {
    // There is nobody left to tell when standard error is gone.
    // And in one go, for others may say something at the same moment.
    let line = format!("oneflight: {message}\n");
    io::stderr().lock().write_all(line.as_bytes()).ok();
}

/// Prints on standard output.
///
/// A reader that has seen enough and closed the pipe is no failure.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    is_read(bytes).map(|_| ())
}

/// Prints on standard output, and says whether anybody still reads it.
pub(crate) fn is_read(bytes: &[u8]) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::own(format!(
            "cannot write to standard output: {error}"
        ))),
    }
}

/// One line of JSON.
pub(crate) fn line_of_json(value: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    let mut line =
        serde_json::to_vec(value).map_err(|error| Failure::own(format!("no JSON: {error}")))?;
    line.push(b'\n');
    Ok(line)
}
