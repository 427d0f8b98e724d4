//! The command line: verbs, flags, and how each ends.

mod check;
mod ddl;
mod demo;
mod environment;
mod generate;
mod http;
mod launch;
mod ledger;
mod place;
mod report;
mod run;
mod security;
mod shape;
mod sink;
mod snapshot;
mod state;
mod topic;
mod why;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{ArgAction, Parser, Subcommand};

use crate::error::{Error, Happened};
use crate::plan::Problem;

/// Minute aggregates of event streams, exactly once.
#[derive(Debug, Parser)]
#[command(name = "minuet", version, about, propagate_version = true, max_term_width = 110, after_help = EXIT_CODES)]
#[command(disable_help_flag = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// Print help; `-h` is the hostfile, as timely has it.
    #[arg(long, global = true, action = ArgAction::Help)]
    help: Option<bool>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a dataflow.
    Run(run::Args),
    /// Start all processes of a run on this machine, and end them together.
    Launch(launch::Args),
    /// Generate sensor events, run dataflows/sensors over them, and show what comes out.
    Demo(demo::Args),
    /// Check a dataflow's folder and print the plan that would run.
    Check(check::Args),
    /// Print the statements that make a dataflow's tables in ClickHouse.
    Ddl(ddl::Args),
    /// Generate events for a dataflow, the same ones for the same seed.
    Gen(generate::GenArgs),
    /// Look at the snapshots of a pipeline.
    Snapshot(snapshot::Args),
    /// Check that everything that was read is in the rows of a sink, or accounted for.
    Ledger(ledger::Args),
    /// Ask a running job why a row is not there yet, or where its events went.
    Why(why::Args),
}

const EXIT_CODES: &str = "Exit codes:\n  \
    0    done\n  \
    2    the command line is wrong\n  \
    65   data is not what it must be: a damaged snapshot, a file that changed, a ledger that does not add up\n  \
    69   something outside failed: a disk, a service\n  \
    70   a defect of minuet\n  \
    75   another process of the run went away: start all again\n  \
    76   a newer run owns the pipeline\n  \
    78   the dataflow or a flag says something that cannot be\n  \
    130  stopped by SIGINT, the state as of the newest commit\n  \
    143  stopped by SIGTERM, likewise";

/// How a verb ended without an error: its exit code.
pub(crate) type Ended = Result<u8, Failure>;

/// Why a verb failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// One error.
    Error(Error),
    /// Everything that is wrong with a dataflow.
    Problems(Vec<Problem>),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let ended = match Cli::parse().verb {
        Verb::Run(args) => run::run(&args),
        Verb::Launch(args) => launch::launch(&args),
        Verb::Demo(args) => demo::demo(&args),
        Verb::Check(args) => check::check(&args),
        Verb::Ddl(args) => ddl::ddl(&args),
        Verb::Gen(args) => generate::run(&args),
        Verb::Snapshot(args) => snapshot::snapshot(&args),
        Verb::Ledger(args) => ledger::ledger(&args),
        Verb::Why(args) => why::why(&args),
    };
    ExitCode::from(match ended {
        Ok(code) => code,
        Err(Failure::Error(error)) => {
            complain(format_args!("minuet: {error}"));
            if error.happened == Happened::Unknown {
                complain("minuet: it may have happened all the same; starting again is safe");
            }
            error.exit_code()
        }
        Err(Failure::Problems(problems)) => {
            for problem in &problems {
                complain(problem);
            }
            let many = if problems.len() == 1 { "" } else { "s" };
            complain(format_args!("minuet: {} problem{many}", problems.len()));
            Error::configuration("").exit_code()
        }
    })
}

/// Writes a text and a line end. A reader that has gone away, as `head` does, has read enough: that is no error.
pub(crate) fn say(out: &mut dyn Write, text: impl fmt::Display) -> Result<(), Error> {
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(Error::outside("writing the answer", cause)),
        _ => Ok(()),
    }
}

/// The same, to standard output.
pub(crate) fn answer(text: impl fmt::Display) -> Result<(), Error> {
    say(&mut io::stdout().lock(), text)
}

/// Writes a line to standard error. Where that cannot be written there is nobody to tell, and the exit code says the rest.
pub(crate) fn complain(text: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The time of day, for everything below that is handed a clock.
pub(crate) fn wall_clock() -> crate::time::Clock {
    std::sync::Arc::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
