//! `minuet run`: the real thing.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use tracing_subscriber::filter::LevelFilter;

use super::place::{SinkPlace, SourcePlace, StatePlace};
use super::{Ended, Failure, answer, wall_clock};
use crate::cluster::{Begin, Outcome, Stoppable, begin, launch, stop_on_signals};
use crate::connect::files::{FileSink, Files, FolderStore};
use crate::connect::{Keeper, random_number};
use crate::dataflow::edges::{Sink, Source};
use crate::dataflow::{Combine, Job};
use crate::error::Error;
use crate::limits::{MANIFESTS_KEPT_DEFAULT, SLOTS_MAX};
use crate::observe::{LiveLine, LogFormat, Progress, Summary, start_log};
use crate::plan::{self, Plan};
use crate::snapshot::{From, History, Store};

/// Run a dataflow.
#[derive(Debug, clap::Args)]
#[command(after_help = "A run resumes from the newest manifest in --state, with any number of workers. \
    A finite input closes every window, commits and exits 0.")]
pub struct Args {
    /// The dataflow's folder.
    #[arg(value_name = "DATAFLOW_DIR")]
    pub dataflow: PathBuf,
    /// Where events come from: files:GLOB (Avro container files, and capture files named *.events).
    #[arg(long, value_name = "PLACE")]
    pub source: SourcePlace,
    /// Where rows go: files:DIR.
    #[arg(long, value_name = "PLACE")]
    pub sink: SinkPlace,
    /// Where snapshots live: dir:DIR.
    #[arg(long, value_name = "PLACE")]
    pub state: StatePlace,
    /// Worker threads.
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    pub workers: usize,
    /// Fold events before they are exchanged: auto, on, off; auto does where there are several processes and it pays.
    #[arg(long, value_name = "auto|on|off", default_value = "auto")]
    pub combine: Combine,
    /// Manifests to keep.
    #[arg(long, value_name = "N", default_value_t = MANIFESTS_KEPT_DEFAULT)]
    pub keep: NonZeroUsize,
    /// Start empty: forget the pipeline's state, and remove its rows from --sink.
    #[arg(long, conflicts_with = "from")]
    pub fresh: bool,
    /// Resume from the manifest of this sequence number instead of the newest.
    #[arg(long, value_name = "SEQUENCE")]
    pub from: Option<u64>,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
    /// What to log: off, error, warn, info, debug, trace.
    #[arg(long, value_name = "LEVEL", default_value = "warn", env = "MINUET_LOG")]
    pub log: LevelFilter,
    /// How log lines are written.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// The edges of a run.
pub(super) struct Edges {
    pub source: Arc<dyn Source>,
    pub sink: Arc<dyn Sink>,
    pub store: Arc<dyn Store>,
}

/// What every run is told beside its edges.
pub(super) struct Shape {
    pub workers: usize,
    pub keep: usize,
    pub combine: Combine,
    pub begin: Begin,
}

/// Runs the verb.
pub(super) fn run(args: &Args) -> Ended {
    let stoppable = stop_on_signals()?;
    start_log(args.log, args.log_format);
    let plan = Arc::new(plan::load(&args.dataflow).map_err(Failure::Problems)?);
    let edges = Edges {
        source: Arc::new(Files::open(&args.source.0)?),
        sink: Arc::new(FileSink::new(&args.sink.0, Arc::clone(&plan.layout))),
        store: Arc::new(FolderStore::open(&args.state.0)?),
    };
    let from = match args.from {
        _ if args.fresh => From::Nothing,
        Some(sequence) => From::Sequence(sequence),
        None => From::Newest,
    };
    let begin = Begin { from, owner: random_name() };
    let shape = Shape { workers: args.workers, keep: args.keep.get(), combine: args.combine.across(1), begin };
    let (code, summary) = drive(&plan, edges, shape, &stoppable)?;
    if args.json {
        answer(serde_json::json!({ "summary": summary, "exchange": summary.combining.numbers() }))?;
    } else {
        answer(&summary)?;
        if summary.counters.read > summary.counters.folded {
            let rejects = args.sink.0.join("rejects");
            answer(format_args!("rejects, the first of each minute with their reason: {}", rejects.display()))?;
        }
        if code != 0 {
            answer("stopped; the same command goes on from the newest commit")?;
        }
    }
    Ok(code)
}

/// Runs a plan between its edges, to its end or until a signal; gives the exit code and what it came to.
pub(super) fn drive(
    plan: &Arc<Plan>,
    edges: Edges,
    shape: Shape,
    stoppable: &Stoppable,
) -> Result<(u8, Summary), Error> {
    if !(1..=SLOTS_MAX).contains(&shape.workers) || shape.workers > plan.key_groups as usize {
        let most = SLOTS_MAX.min(plan.key_groups as usize);
        return Err(Error::configuration(format!(
            "--workers {}: allowed are 1 to {most} (the pipeline has {} key groups)",
            shape.workers, plan.key_groups
        )));
    }
    let clock = wall_clock();
    let history = History::new(edges.store, &plan.name);
    let resume = begin(plan, &*edges.source, &*edges.sink, &history, &clock, shape.keep, &shape.begin)?;
    let progress = Arc::new(Progress::new(resume.manifest.clone()));
    let job = Job {
        plan: Arc::clone(plan),
        source: edges.source,
        sink: edges.sink,
        archive: Arc::new(Keeper::new(history, shape.keep)),
        observer: Arc::clone(&progress) as _,
        clock: Arc::clone(&clock),
        resume: Arc::new(resume),
        fate: stoppable.fate.clone(),
        combine: shape.combine,
    };
    let live = LiveLine::start(Arc::clone(&progress), clock);
    let outcome = launch(&job, shape.workers)?;
    drop(live);
    let code = match outcome {
        Outcome::Finished => 0,
        Outcome::Stopped => stoppable.exit_code(),
    };
    Ok((code, Summary::of(&progress)))
}

/// A name that no other run has: 128 random bits.
pub(super) fn random_name() -> String {
    format!("{:016x}{:016x}", random_number(), random_number())
}
