//! `oneflight run`: one call, and all that can come between.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oneflight_store::Store;
use oneflight_tokio::{Error, Landing, SingleFlight};
use tokio::time::timeout;

use crate::args::{RunArgs, WhenUnavailable};
use crate::command::CommandLine;
use crate::down::DownStore;
use crate::exit::{Code, Failure};
use crate::fill::{Failed, Filler, Interrupts};
use crate::human::{Rough, Shown, exact};
use crate::output::Output;
use crate::print::{print, say};
use crate::recording;
use crate::report::Report;
use crate::signals::Signals;
use crate::store_url::StoreUrl;
use crate::waiting::show_holder;

/// How long one who is told to leave while it waits may stay to clear up.
const LEAVE: Duration = Duration::from_secs(1);

type Landed = Result<Landing<Output>, Error<Output, Failed>>;

pub(crate) async fn run(args: &RunArgs, url: &StoreUrl) -> Result<(), Failure> {
    let started = Instant::now();
    let recorder = recording::open(&args.record)?;
    let (store, warned) = open(args, url)?;
    let filler = filler(args);
    let flights = recording::flights(Arc::clone(&store), recorder);
    let mut signals = Signals::listen()?;
    let landed = {
        let mut waiting = pin!(show_holder(&*store, args, &filler));
        let mut call = pin!(call(&flights, args, &filler));
        loop {
            tokio::select! {
                biased;
                signal = signals.next() => if !filler.interrupt(signal) {
                    break Err(Code::of_signal(signal.as_raw()));
                },
                code = filler.interrupts.seen_off() => break Err(code),
                landed = &mut call => break Ok(landed),
                never = &mut waiting => match never {},
            }
        }
    };
    let elapsed = started.elapsed();
    let landed = match landed {
        Ok(landed) => landed,
        Err(code) => {
            // The lease is given back, and so is one that a claim on its way may yet be granted.
            timeout(LEAVE, flights.close()).await.ok();
            return Err(Failure::silent(code));
        }
    };
    let outcome = match landed {
        Ok(landing) => {
            let report = Report {
                args,
                landing: &landing,
                elapsed,
                warned,
            };
            report.print(&*store).await
        }
        Err(error) => Err(failure(args, &filler, error)),
    };
    if args.verbose && outcome.is_err() {
        say(format_args!(
            "{}: failed in {}",
            Shown(&args.key),
            Rough(elapsed)
        ));
    }
    flights.close().await;
    outcome
}

/// The store, or one that stands in for it, and whether that was said.
fn open(args: &RunArgs, url: &StoreUrl) -> Result<(Arc<dyn Store>, bool), Failure> {
    match (url.open()?, args.on_unavailable) {
        (Ok(store), _) => Ok((store, false)),
        (Err(error), WhenUnavailable::RunLocal) => {
            let key = Shown(&args.key);
            say(format_args!(
                "{key}: not coordinated: {error}; the command runs here all the same"
            ));
            Ok((Arc::new(DownStore::new(error)), true))
        }
        (Err(error), WhenUnavailable::Error) => Err(Failure::new(
            (&error).into(),
            format!("{}: {error} (--on-unavailable error)", Shown(&args.key)),
        )),
    }
}

fn filler(args: &RunArgs) -> Filler {
    // INVARIANT: the arguments require a command.
    let (program, arguments) = args.command.split_first().expect("there is a command");
    Filler {
        key: args.key.clone(),
        line: CommandLine {
            program: program.clone(),
            arguments: arguments.to_vec(),
            max_output: args.max_value.as_u64(),
        },
        timeout: args.fill_timeout,
        interrupts: Interrupts::new(),
    }
}

async fn call(flights: &SingleFlight, args: &RunArgs, filler: &Filler) -> Landed {
    let mut call = flights
        .key(&args.key)
        .lease_ttl(args.lease_ttl)
        .wait_timeout(args.patience())
        .on_unavailable(args.on_unavailable.into())
        .on_fenced(args.on_fenced.into());
    if let Some(timeout) = args.fill_timeout {
        call = call.fill_timeout(timeout);
    }
    if let Some(age) = args.fresh_for {
        call = call.fresh_for(age);
    }
    if let Some(lock) = &args.lock_key {
        call = call.lock_key(lock);
    }
    call.run(|lease| filler.fill(lease)).await
}

/// What to tell about a call that has no value, or could not share it.
fn failure(args: &RunArgs, filler: &Filler, error: Error<Output, Failed>) -> Failure {
    let key = Shown(&args.key);
    let told = |code, message: String| Failure::new(code, message);
    match error {
        Error::Aborted(failed) => filler.tell(&failed),
        Error::TimedOut => told(
            Code::TIMED_OUT,
            format!(
                "{key}: another process's command is still under way after {} (--wait-timeout); \
                 wait longer, or see who it is with: oneflight status",
                exact(args.patience())
            ),
        ),
        Error::Fenced => told(
            Code::TRY_AGAIN,
            format!(
                "{key}: the command was overtaken (--on-fenced error); run again for the newer value"
            ),
        ),
        Error::Unavailable(cause) => told(
            Code::TRY_AGAIN,
            format!("{key}: {cause} (--on-unavailable error); run again later"),
        ),
        Error::Unpublished { value, cause } => {
            // It was computed at some expense: whoever can use it unshared shall have it.
            if let Err(failure) = print(value.as_bytes()) {
                return failure;
            }
            let code = (&cause).into();
            told(
                code,
                format!("{key}: the value was computed but not published: {cause}"),
            )
        }
        Error::Malformed { reason, .. } => told(
            Code::OWN_ERROR,
            format!(
                "{key}: the stored value cannot be read: {reason}; what oneflight wrote is removed with: \
                 oneflight forget"
            ),
        ),
        Error::Refused(cause) => told(Code::OWN_ERROR, format!("{key}: {cause}")),
        Error::Panicked | _ => told(
            Code::OWN_ERROR,
            format!("{key}: the call ended without a value, which is an error in oneflight"),
        ),
    }
}
