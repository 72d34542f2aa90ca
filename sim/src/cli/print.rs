//! The way out: lines on standard output.

use std::fmt::Arguments;
use std::io::{self, Write as _};

/// Prints a line on standard output, as `println` does.
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::print::line(format_args!($($words)*)) };
}

pub(crate) use say;

/// Prints a line.
///
/// A reader that has seen enough and closed the pipe is no failure, and no reason to stop: files are
/// still written, and the exit code still says how it went.
pub(crate) fn line(words: Arguments<'_>) {
    if let Err(error) = writeln!(io::stdout().lock(), "{words}")
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        // There is nobody left to tell when standard error is gone.
        writeln!(io::stderr().lock(), "error: cannot print: {error}").ok();
        std::process::exit(2);
    }
}
