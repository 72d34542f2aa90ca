//! Mixed chaos on a Redis server, for as long as you like.
//!
//! ```text
//! cargo run --release -p oneflight-tests --example chaos -- [--minutes 10] [--processes 8] [--seed N]
//! ```
//!
//! Prints what happened as a table in Markdown, and fails if the recording is not sound, if a call hung,
//! or if the processes are not as they were. `docs/chaos.md` has more.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use oneflight_tests::chaos::{Plan, chaos};

/// Kill, stop, cut and delay a fleet and its Redis server, and have the checker judge what it recorded
#[derive(Debug, Parser)]
struct Arguments {
    /// For how long
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// How many processes, half of them with each driver
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(2..))]
    processes: u8,
    /// What is drawn [default: a random one, which is printed]
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    // The processes of the fleet are this program, too.
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "participant") {
        oneflight_tests::participant::run(&words[1..]);
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    let plan = Plan {
        time: Duration::from_secs_f64(arguments.minutes * 60.0),
        processes: arguments.processes.into(),
        seed: arguments.seed.unwrap_or_else(|| fastrand::u64(..)),
    };
    eprintln!("seed {}", plan.seed);
    // Hidden where there is no terminal.
    let bar = ProgressBar::new(plan.time.as_secs());
    let style = ProgressStyle::with_template("{elapsed} {wide_bar} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let outcome = chaos(plan, |progress| {
        bar.set_position(progress.elapsed.as_secs());
        let faults: usize = progress.faults.values().sum();
        let tally = progress.tally;
        bar.set_message(format!(
            "{} orders, {} fills, {} uncoordinated, {faults} faults",
            tally.orders, tally.fills, tally.uncoordinated
        ));
    });
    bar.finish_and_clear();
    println!("{outcome}");
    match outcome.verdict() {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    }
}
