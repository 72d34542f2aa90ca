//! What can be asked for on the command line.

mod canaries;
mod file;
mod minimize;
mod model;
pub(crate) mod print;
mod report;
mod run;
mod seed_algorithm;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use oneflight_sim::batch::Batch;
use oneflight_sim::draw::Profile;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A deterministic simulator of oneflight, and a checker of its invariants.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run seeds and judge them.
    Run(Run),
    /// Put bugs into runs, and show that each is caught.
    Canaries {
        /// How often each is hunted, from other seeds.
        #[arg(long, default_value_t = 20)]
        trials: u64,
        /// After how many seeds a hunt is given up.
        #[arg(long, default_value_t = 100_000)]
        limit: u64,
        /// All bugs, which is also the default.
        #[arg(long, conflicts_with = "only")]
        all: bool,
        /// Only the bugs whose names contain this.
        #[arg(long)]
        only: Option<String>,
        /// How many threads; all of the machine's by default.
        #[arg(long)]
        jobs: Option<usize>,
    },
    /// Shrink a run that breaks a promise to a reproducer that carries its own schedule.
    Minimize {
        /// The seed.
        #[arg(long)]
        seed: u64,
        /// With this bug of `canaries`, by name or number; from the seed on, the first that shows it.
        #[arg(long)]
        bug: Option<String>,
        /// As the seed was run.
        #[arg(long, value_enum, default_value_t = ProfileName::Swarm)]
        profile: ProfileName,
        /// Where to write the plan; to the terminal by default.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Search all that a few processes, callers and faults can do with one key.
    Model(Model),
    /// Run the algorithm that oneflight replaces in the same worlds, and show what it breaks.
    SeedAlgorithm {
        /// The seeds: A..B, without B.
        #[arg(long, default_value = "0..20000", value_parser = seeds)]
        seeds: std::ops::Range<u64>,
        /// Only this seed, with all that it breaks.
        #[arg(long, conflicts_with = "seeds")]
        seed: Option<u64>,
        /// A plan to run, in place of one drawn from a seed.
        #[arg(long, conflicts_with_all = ["seeds", "seed"])]
        plan: Option<PathBuf>,
        /// What goes wrong.
        #[arg(long, value_enum, default_value_t = ProfileName::Swarm)]
        profile: ProfileName,
        /// How many threads; all of the machine's by default.
        #[arg(long)]
        jobs: Option<usize>,
        /// Write the trace of the one run.
        #[arg(long)]
        trace: Option<PathBuf>,
    },
    /// Judge a trace: of a simulated run, or a recording of real processes.
    Check {
        /// The traces; those of several processes are put together.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Feed the notices of a trace to fresh machines and demand the same orders.
    Replay {
        /// The traces.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Draw a trace, also a recording: one HTML file that needs nothing else.
    Timeline {
        /// The traces; those of several processes are put together.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Where to write the page.
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(Args)]
struct Model {
    /// How many callers.
    #[arg(long, default_value_t = 3)]
    callers: usize,
    /// On how many processes; one each by default.
    #[arg(long)]
    nodes: Option<usize>,
    /// How many faults, at most.
    #[arg(long, default_value_t = 2)]
    faults: u8,
    /// Only faults of these kinds; deaths, pauses and losses by default.
    #[arg(long, value_delimiter = ',')]
    only: Option<Vec<String>>,
    /// One search after the other: each kind of fault alone, some together, one of any kind.
    #[arg(long, conflicts_with = "only")]
    all: bool,
    /// With this bug of `canaries`.
    #[arg(long)]
    bug: Option<String>,
    /// Put each bug of `canaries` in, and show the shortest way to what it breaks.
    #[arg(long, conflicts_with = "bug")]
    all_bugs: bool,
    /// Print every transition that was reached.
    #[arg(long)]
    coverage: bool,
    /// Print the transitions that these searches reach, and the seeds do not.
    #[arg(long)]
    blind_spot: bool,
    /// The seeds for `--blind-spot`: A..B, without B.
    #[arg(long, default_value = "0..10000", value_parser = seeds)]
    seeds: std::ops::Range<u64>,
    /// After how many states a search is given up.
    #[arg(long, default_value_t = 30_000_000)]
    limit: usize,
}

#[derive(Args)]
struct Run {
    /// The seeds: A..B, without B.
    #[arg(long, default_value = "0..10000", value_parser = seeds)]
    seeds: std::ops::Range<u64>,
    /// Only this seed.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// A plan to run, in place of one drawn from a seed.
    #[arg(long, conflicts_with_all = ["seeds", "seed"])]
    plan: Option<PathBuf>,
    /// How many processes each run has; drawn from the seed by default.
    #[arg(long)]
    nodes: Option<u32>,
    /// What goes wrong.
    #[arg(long, value_enum, default_value_t = ProfileName::Swarm)]
    profile: ProfileName,
    /// How many threads; all of the machine's by default.
    #[arg(long)]
    jobs: Option<usize>,
    /// Write the run's trace.
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Draw the run of one seed or plan: one HTML file that needs nothing else.
    #[arg(long)]
    timeline: Option<PathBuf>,
    /// With this bug of `canaries`, for one seed or plan.
    #[arg(long)]
    bug: Option<String>,
    /// Write the run's plan, with its schedule.
    #[arg(long)]
    save: Option<PathBuf>,
    /// Print every transition that was reached.
    #[arg(long)]
    coverage: bool,
    /// Print a digest of all traces: the same for the same seeds, on any machine.
    #[arg(long)]
    digest: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProfileName {
    /// Half of the runs with some faults, a quarter with all, a quarter with none.
    Swarm,
    /// No faults.
    Calm,
    /// All faults.
    Chaos,
}

impl ProfileName {
    fn profile(self) -> Profile {
        match self {
            Self::Swarm => Profile::Swarm,
            Self::Calm => Profile::Calm,
            Self::Chaos => Profile::Chaos,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Swarm => "swarm",
            Self::Calm => "calm",
            Self::Chaos => "chaos",
        }
    }
}

fn seeds(text: &str) -> std::result::Result<std::ops::Range<u64>, String> {
    let (from, until) = text.split_once("..").ok_or("seeds are written as A..B")?;
    let number = |text: &str| {
        text.replace('_', "")
            .parse::<u64>()
            .map_err(|error| format!("{text:?}: {error}"))
    };
    let (from, until) = (number(from)?, number(until)?);
    if from >= until {
        return Err("there is no seed in it: A..B is without B".into());
    }
    Ok(from..until)
}

pub(crate) fn main() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::Run(run) => run::run(&run),
        Command::Canaries {
            trials,
            limit,
            all: _,
            only,
            jobs,
        } => Ok(canaries::run(trials, limit, only.as_deref(), jobs)),
        Command::Minimize {
            seed,
            bug,
            profile,
            out,
        } => minimize::run(seed, bug.as_deref(), profile.profile(), out),
        Command::Model(options) => model::run(&options),
        Command::SeedAlgorithm {
            seeds,
            seed,
            plan,
            profile,
            jobs,
            trace,
        } => {
            let profile = profile.profile();
            if plan.is_none() && seed.is_none() {
                return Ok(seed_algorithm::run(&Batch {
                    from: seeds.start,
                    until: seeds.end,
                    profile,
                    nodes: None,
                    jobs: jobs.unwrap_or_else(run::processors),
                }));
            }
            let plan = seed_algorithm::plan(plan.as_deref(), seed.unwrap_or(0), profile)?;
            seed_algorithm::one(&plan, trace.as_deref())
        }
        Command::Check { files } => file::check(&files),
        Command::Replay { files } => file::replay(&files),
        Command::Timeline { files, out } => file::timeline(&files, &out),
    }
}
