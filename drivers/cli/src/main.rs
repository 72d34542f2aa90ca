#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::wildcard_enum_match_arm))]
//! The program `oneflight`: run a command once across many processes, and hand its output to all of
//! them.
//!
//! ```text
//! args ─▶ run ──▶ fill ──▶ command ──▶ parent_death
//!      │   ├────▶ signals, waiting, report
//!      ├▶ keys (get, forget)        store_url ─▶ the store, or down; recording
//!      └▶ status                    exit, print, human, output, log: the words for all of it
//! ```

mod args;
mod command;
mod down;
mod exit;
mod fill;
mod human;
mod keys;
mod log;
mod output;
mod parent_death;
mod print;
mod recording;
mod report;
mod run;
mod signals;
mod status;
mod store_url;
mod waiting;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser as _};

use crate::args::{Cli, Order};
use crate::exit::{Code, Failure};
use crate::print::{print, say};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misunderstood(&error),
    };
    match obey(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message {
                say(message);
            }
            failure.code.into()
        }
    }
}

fn obey(cli: &Cli) -> Result<(), Failure> {
    if let Order::Completions(args) = &cli.order {
        let mut script = Vec::new();
        clap_complete::generate(args.shell, &mut Cli::command(), "oneflight", &mut script);
        return print(&script);
    }
    log::tell(cli.log.as_deref());
    // All on this thread: a command is killed when the thread that has started it ends.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match &cli.order {
            Order::Run(args) => run::run(args, &cli.store).await,
            Order::Get(args) => keys::get(args, &cli.store).await,
            Order::Forget(args) => keys::forget(args, &cli.store).await,
            Order::Status(args) => status::status(args, &cli.store).await,
            Order::Completions(_) => Ok(()),
        }
    })
}

/// Answers arguments that make no sense, and requests for help.
fn misunderstood(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Nobody is left to be told when standard output is gone.
        error.print().ok();
        return ExitCode::SUCCESS;
    }
    let mut text = error.render().to_string();
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) {
        // It may be a URL with a password.
        text = text.replace(value, &store_url::without_password(value));
    }
    if error.kind() == ErrorKind::UnknownArgument && std::env::args_os().all(|arg| arg != "--") {
        // In front of the usage, which shows it, too.
        let tip = "\n\n  tip: the command stands behind `--`, as in: oneflight run KEY -- COMMAND\n\nUsage: oneflight run";
        text = text.replacen("\n\nUsage: oneflight run", tip, 1);
    }
    say(text.strip_prefix("error: ").unwrap_or(&text).trim_end());
    Code::USAGE.into()
}
