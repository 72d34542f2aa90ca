//! What can be said on the command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use oneflight_core::{OnFenced, OnUnavailable, Policy};

use crate::log;
use crate::store_url::StoreUrl;

/// Compute once, share with everyone.
///
/// Of all the processes that want the result for one key, one runs the command; every other one
/// waits for it and prints the same bytes.
#[derive(Debug, Parser)]
#[command(name = "oneflight", version, after_help = TOP_EXAMPLES)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) order: Order,

    /// Where the fleet meets: `sqlite:PATH`, a file that the processes of one machine share; or
    /// `redis://HOST:PORT`, a server that many machines reach.
    ///
    /// A server's URL may have a user and a password, as in `redis://user:password@host:6379/0`: pass
    /// it in $ONEFLIGHT_STORE, for what is on the command line can be seen by others. It begins with
    /// `rediss:` for TLS, and with `unix:` for a socket. `redis-cluster://HOST:PORT?node=HOST:PORT` is a
    /// cluster, of which a few servers are named, and
    /// `redis-sentinel://HOST:PORT?sentinelServiceName=NAME` the primary that sentinels know by a name.
    ///
    /// Or `dust+wss://HOST/ORG/STORE`, a store of a Dust server, with the token in $ONEFLIGHT_DUST_TOKEN or
    /// in the file that `?token-file=PATH` names.
    ///
    /// By default `oneflight/flights.db` in $XDG_STATE_HOME, or in ~/.local/state.
    #[arg(long, global = true, env = "ONEFLIGHT_STORE", value_name = "URL")]
    #[arg(
        default_value = "sqlite:",
        hide_default_value = true,
        hide_env_values = true
    )]
    pub(crate) store: StoreUrl,

    /// Say on standard error what happens inside: leases, faults, calls
    ///
    /// A level (error, warn, info, debug, trace), or parts with their levels: oneflight::lease=debug,warn.
    /// Values are never told. By default nothing is.
    #[arg(long, global = true, env = "ONEFLIGHT_LOG", value_name = "FILTER", value_parser = log::filter)]
    #[arg(hide_env_values = true)]
    pub(crate) log: Option<String>,
}

const TOP_EXAMPLES: &str = "\
Examples:
  oneflight run greeting -- echo hello
  oneflight get greeting
  oneflight status
  oneflight --log debug run greeting -- echo hello
  oneflight forget greeting";

#[derive(Debug, Subcommand)]
pub(crate) enum Order {
    Run(Box<RunArgs>),
    Get(GetArgs),
    Forget(ForgetArgs),
    Status(StatusArgs),
    Completions(CompletionsArgs),
}

/// Print the value of KEY; if there is none, run COMMAND to get one and share it
///
/// The value is the command's standard output, byte for byte. It is published only if the command
/// succeeds; if it fails, the next one who waits runs its own at once.
#[derive(Debug, Args)]
#[command(after_help = RUN_AFTER)]
pub(crate) struct RunArgs {
    /// What the value is for
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) key: String,

    /// The command that computes the value, and its arguments
    ///
    /// Its standard error passes through, and it finds ONEFLIGHT_KEY and ONEFLIGHT_TOKEN (the fencing
    /// token, a number that grows with every run; unset without a store) in its environment.
    #[arg(last = true, required = true, num_args = 1.., value_names = ["COMMAND", "ARG"])]
    pub(crate) command: Vec<OsString>,

    /// Take a value that was published at most this long ago [default: any, however old]
    ///
    /// 0s shares only what is published while this call waits.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) fresh_for: Option<Duration>,

    /// How long others wait for this process after it has died
    ///
    /// As long as it lives, and may run, the lease is renewed.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = lease_ttl)]
    pub(crate) lease_ttl: Duration,

    /// How long to wait for another process's command [default: the lease's ttl + 5s]
    ///
    /// After that a value that is older than --fresh-for is printed, if there is one; else it is an
    /// error.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) wait_timeout: Option<Duration>,

    /// How long the command may run before it is ended [default: as long as it takes]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) fill_timeout: Option<Duration>,

    /// What to do when the store cannot be reached
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub(crate) on_unavailable: WhenUnavailable,

    /// What to do when another process has overtaken this one's command
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub(crate) on_fenced: WhenFenced,

    /// The name of the lease, for keys that are to be computed one at a time
    /// [default: one of the key's own]
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) lock_key: Option<String>,

    /// The most bytes the command may print
    #[arg(long, value_name = "SIZE", default_value = "1MiB")]
    pub(crate) max_value: ByteSize,

    /// Print one JSON object: key, value, source, stale, coordinated, token, elapsed_ms
    #[arg(long)]
    pub(crate) json: bool,

    /// Say where the value came from, and how long it took
    #[arg(short, long)]
    pub(crate) verbose: bool,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

impl RunArgs {
    /// How long the call waits for somebody else's command.
    pub(crate) fn patience(&self) -> Duration {
        self.wait_timeout
            .unwrap_or_else(|| Policy::wait_timeout_for(self.lease_ttl))
    }

    /// The name of the lease: by default the one that every driver of the protocol uses.
    pub(crate) fn lock(&self) -> String {
        match &self.lock_key {
            Some(lock) => lock.clone(),
            None => oneflight_store::default_lock(&self.key),
        }
    }
}

const RUN_AFTER: &str = "\
Examples:
  oneflight run greeting -- echo hello
  oneflight run -v --fresh-for 1h 'report/2026-11' -- sh -c 'sleep 1; date'
  oneflight run --json --wait-timeout 2m --fill-timeout 1m users -- getent passwd
  oneflight run listing --max-value 10MiB -- ls -l / > listing.txt

Exit status:
  0      the value was printed
  N      the command's own when it fails (128 + the signal that killed it)
  2      bad arguments
  75     the store is unavailable (--on-unavailable error), or the command was overtaken
         (--on-fenced error)
  124    --wait-timeout or --fill-timeout is over
  125    an error of oneflight's own, such as a value over --max-value
  126    the command cannot be executed
  127    the command was not found";

/// Print the value of KEY, if there is one
///
/// Exits with 1 and prints nothing if there is none.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  oneflight get greeting
  oneflight get greeting > greeting.txt || echo 'no greeting yet' >&2")]
pub(crate) struct GetArgs {
    /// What the value is for
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) key: String,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// Remove the value of KEY
///
/// A command that computes one at this moment is overtaken: what it prints is not published, and it is run
/// again. If it was given a --lock-key, give the same here.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  oneflight forget greeting
  oneflight forget --lock-key nightly 'report/2026-11'")]
pub(crate) struct ForgetArgs {
    /// What the value is for
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) key: String,

    /// The name of the lease, if `run` was given one [default: one of the key's own]
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) lock_key: Option<String>,

    #[command(flatten)]
    pub(crate) record: RecordArgs,
}

/// The flight recorder.
#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// Append what happens to FILE, for `oneflight-sim check FILE`
    ///
    /// One JSON object a line, with a digest in place of the value. Any number of processes may share
    /// the file. For a verdict, all that use the store must record.
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}

/// List the published values and the commands under way
///
/// SIZE is that of the value as it is stored: as JSON.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  oneflight status
  oneflight status --json
  timeout 3 oneflight status --watch")]
pub(crate) struct StatusArgs {
    /// Print one JSON array (with --watch, one per line)
    #[arg(long)]
    pub(crate) json: bool,

    /// Look again every second, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,
}

/// Print the completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  source <(oneflight completions bash)
  oneflight completions zsh > _oneflight
  oneflight completions fish > oneflight.fish")]
pub(crate) struct CompletionsArgs {
    /// Which shell
    pub(crate) shell: Shell,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum WhenUnavailable {
    /// Run the command here, unshared
    #[default]
    RunLocal,
    /// Exit with 75
    Error,
}

impl From<WhenUnavailable> for OnUnavailable {
    fn from(what: WhenUnavailable) -> Self {
        match what {
            WhenUnavailable::RunLocal => Self::RunLocal,
            WhenUnavailable::Error => Self::Error,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum WhenFenced {
    /// Print what the other one publishes
    #[default]
    Ride,
    /// Exit with 75
    Error,
}

impl From<WhenFenced> for OnFenced {
    fn from(what: WhenFenced) -> Self {
        match what {
            WhenFenced::Ride => Self::Ride,
            WhenFenced::Error => Self::Error,
        }
    }
}

fn lease_ttl(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("a lease must live for some time, such as 30s".to_owned()),
        Ok(ttl) => Ok(ttl),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn run(arguments: &[&str]) -> Result<Box<RunArgs>, clap::Error> {
        let all = ["oneflight", "run"].iter().chain(arguments);
        let Order::Run(args) = Cli::try_parse_from(all)?.order else {
            panic!("{arguments:?} is a run");
        };
        Ok(args)
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_command_keeps_its_options() {
        let args = run(&["key", "--fresh-for", "0s", "--", "ls", "--json", "--", "-l"]).unwrap();
        assert_eq!(args.command, ["ls", "--json", "--", "-l"]);
        assert_eq!(args.fresh_for, Some(Duration::ZERO));
        assert!(!args.json);
        assert_eq!(args.max_value.as_u64(), 1 << 20);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for arguments in [
            &["key"] as &[&str],
            &["key", "--"],
            &["key", "ls"],
            &["", "--", "ls"],
            &["key", "--lease-ttl", "0s", "--", "ls"],
            &["key", "--lease-ttl", "soon", "--", "ls"],
            &["key", "--max-value", "much", "--", "ls"],
            &["key", "--store", "memory:", "--", "ls"],
            &["key", "--log", "a=loud", "--", "ls"],
        ] {
            assert!(run(arguments).is_err(), "{arguments:?}");
        }
    }
}
