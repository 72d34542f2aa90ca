//! The program `oneflight-sim`: runs seeds, judges traces, shows what the checker is worth.

mod cli;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A run makes a hundred small allocations, and there are millions of runs.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match cli::main() {
        Ok(code) => code,
        Err(error) => {
            cli::print::line(format_args!("error: {error}"));
            ExitCode::from(2)
        }
    }
}
