//! The program `oneflight-sim`: runs seeds, judges traces, shows what the checker is worth.

mod cli;

use std::io::{self, Write as _};
use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A run makes a hundred small allocations, and there are millions of runs.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match cli::main() {
        Ok(code) => code,
        Err(error) => {
            // There is nobody left to tell when standard error is gone.
            writeln!(io::stderr().lock(), "error: {error}").ok();
            ExitCode::from(2)
        }
    }
}
