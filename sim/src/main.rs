//! The program `oneflight-sim`: runs seeds, judges traces, shows what the checker is worth.
#![expect(clippy::print_stdout, reason = "this is a program")]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::main() {
        Ok(code) => code,
        Err(error) => {
            println!("error: {error}");
            ExitCode::from(2)
        }
    }
}
