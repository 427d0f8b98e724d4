//! `minuet run`: the real thing.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};
use tracing_subscriber::filter::LevelFilter;

use super::ddl::table_of;
use super::environment;
use super::http::{self, HttpPlace, Met};
use super::place::{SinkPlace, SourcePlace, StatePlace};
use super::report::Report;
use super::shape::{ShapeArgs, fits};
use super::sink::SinkArgs;
use super::state::{S3Args, State};
use super::topic::TopicArgs;
use super::{Ended, Failure, answer, wall_clock};
use crate::cluster::{Begin, Hosts, Mesh, Outcome, Stoppable, begin, join, stop_on_signals};
use crate::connect::files::Files;
use crate::connect::pulsar::PulsarSource;
use crate::connect::{Keeper, random_number};
use crate::dataflow::edges::{Sink, Source};
use crate::dataflow::{Combine, Fate, Job};
use crate::error::{Error, Fault};
use crate::limits::{LAST_LOOK_MS, MANIFESTS_KEPT_DEFAULT};
use crate::observe::status::{Board, Stage};
use crate::observe::{Combining, LiveLine, LogFormat, Progress, Summary, start_log};
use crate::plan::{self, Plan};
use crate::snapshot::{From, History};

/// How often one that waits for its input looks whether it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// Run a dataflow.
#[derive(Debug, clap::Args)]
#[command(after_help = "A run resumes from the newest manifest in --state, with any number of workers and processes. \
    A finite input closes every window, commits and exits 0.")]
pub struct Args {
    /// The dataflow's folder.
    #[arg(value_name = "DATAFLOW_DIR")]
    pub dataflow: PathBuf,
    /// Where events come from: files:GLOB (Avro container files, and capture files named *.events), or a topic,
    /// pulsar://HOST:PORT/TENANT/NAMESPACE/TOPIC (pulsar+ssl:// for TLS); unless given, what PULSAR_URL and PULSAR_TOPIC say.
    #[arg(long, value_name = "PLACE")]
    pub source: Option<SourcePlace>,
    /// Where rows go: files:DIR, or tables, clickhouse://HOST[:8123][,HOST...]/DATABASE.TABLE (clickhouses:// for TLS);
    /// unless given, what CLICKHOUSE_URL says.
    #[arg(long, value_name = "PLACE")]
    pub sink: Option<SinkPlace>,
    /// Where snapshots live: dir:DIR, or s3://BUCKET/PREFIX.
    #[arg(long, value_name = "PLACE")]
    pub state: StatePlace,
    /// How S3 is reached.
    #[command(flatten)]
    pub s3: S3Args,
    /// Workers and processes.
    #[command(flatten)]
    pub shape: ShapeArgs,
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
    /// How a topic is read.
    #[command(flatten)]
    pub topic: TopicArgs,
    /// How rows go to ClickHouse.
    #[command(flatten)]
    pub tables: SinkArgs,
    /// Where the run tells of itself: /livez, /readyz, /metrics, /api/v1/status, /api/v1/ledger; `off` for nowhere. 127.0.0.1 from
    /// port 8081, each process the next port, unless given. minuet launch tells it to process 0, and each other process as many ports
    /// after it as its number.
    #[arg(long, value_name = "HOST:PORT|off", env = "MINUET_HTTP")]
    pub http: Option<HttpPlace>,
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

/// The fate of the run that goes on, for a sink that outlives it: who waits for tables must hear that a peer is lost.
#[derive(Clone)]
pub(super) struct Now(Arc<Mutex<Fate>>);

impl Now {
    /// Before the first run it is that of the process.
    pub fn of(process: &Fate) -> Self {
        Now(Arc::new(Mutex::new(process.clone())))
    }

    fn set(&self, run: &Fate) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = run.clone();
    }

    fn is_over(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_over()
    }
}

/// The edges of a run.
pub(super) struct Edges {
    /// The fate that the sink looks at.
    pub now: Now,
    /// Opens the input, for each run that follows another anew: it may have grown.
    pub input: Arc<dyn Fn() -> Result<Input, Error> + Send + Sync>,
    pub sink: Arc<dyn Sink>,
    pub state: State,
    /// What they have met.
    pub met: Met,
}

/// Where events come from.
pub(super) struct Input {
    pub source: Arc<dyn Source>,
    /// The same once more where it is a topic, which has more to tell.
    pub topic: Option<Arc<PulsarSource>>,
}

/// What every run is told beside its edges.
pub(super) struct How {
    pub hosts: Hosts,
    pub keep: usize,
    pub combine: Combine,
    pub begin: Begin,
    /// Where it is shown how the run goes.
    pub board: Arc<Board>,
}

/// What a run came to.
pub(super) enum Came {
    /// All of it, as process 0 knows.
    Summary(Summary),
    /// The events that another process has read, and what its slots made of them before the exchange.
    Read(u64, Combining),
    /// It was stopped before it began.
    Nothing,
}

/// Runs the verb.
pub(super) fn run(args: &Args) -> Ended {
    let stoppable = stop_on_signals()?;
    start_log(args.log, args.log_format);
    let plan = Arc::new(plan::load(&args.dataflow).map_err(Failure::Problems)?);
    let (source, sink) =
        (environment::source(args.source.as_ref())?, environment::sink(args.sink.as_ref(), &table_of(&plan))?);
    let hosts = args.shape.hosts()?;
    let board = http::board(&plan, &hosts);
    let _told = http::tell(&args.http.clone().unwrap_or_default(), hosts.process, &board)?;
    let state = match State::open_to_run(&args.state, &args.s3, &stoppable.fate) {
        Err(_) if stoppable.fate.is_over() => return Ok(stoppable.exit_code()),
        opened => opened?,
    };
    let now = Now::of(&stoppable.fate);
    let (place, topic, reader, over) = (source, args.topic.clone(), Arc::clone(&plan), now.clone());
    let opened = args.tables.open(&sink, &plan, Arc::new(move || over.is_over()))?;
    let edges = Edges {
        now,
        input: Arc::new(move || input(&place, &topic, &reader)),
        sink: opened.sink,
        state,
        met: Met { sink: opened.tables, ..Met::default() },
    };
    let from = match args.from {
        _ if args.fresh => From::Nothing,
        Some(sequence) => From::Sequence(sequence),
        None => From::Newest,
    };
    let begin = Begin { from, owner: random_name() };
    let combine = args.combine.across(hosts.processes());
    let how = How { hosts, keep: args.keep.get(), combine, begin, board };
    let (code, came) = drive(&plan, &edges, how, &stoppable)?;
    tell(args, &sink, code, &came)?;
    Ok(code)
}

fn input(place: &SourcePlace, topic: &TopicArgs, plan: &Arc<Plan>) -> Result<Input, Error> {
    match place {
        SourcePlace::Files(glob) => Ok(Input { source: Arc::new(Files::open(glob)?), topic: None }),
        SourcePlace::Pulsar(address) => {
            let topic = Arc::new(topic.source(address, plan)?);
            Ok(Input { source: Arc::clone(&topic) as _, topic: Some(topic) })
        }
    }
}

fn tell(args: &Args, sink: &SinkPlace, code: u8, came: &Came) -> Result<(), Error> {
    let process = args.shape.process;
    match came {
        Came::Summary(summary) if args.json => {
            answer(serde_json::json!({ "summary": summary, "exchange": summary.combining.numbers() }))?;
        }
        Came::Summary(summary) => {
            answer(summary)?;
            if summary.counters.read > summary.counters.folded {
                let rejects = match sink {
                    SinkPlace::Files(dir) => dir.join("rejects").display().to_string(),
                    SinkPlace::ClickHouse(address) => format!("{address}_rejects"),
                };
                answer(format_args!("rejects, the first of each minute with their reason: {rejects}"))?;
            }
        }
        Came::Read(read, _) if args.json => answer(serde_json::json!({ "process": process, "read": read }))?,
        Came::Read(read, combining) => {
            answer(format_args!("process {process} read {read} events; process 0 has the summary"))?;
            if !combining.is_silent() {
                answer(combining)?;
            }
        }
        Came::Nothing => return Ok(()),
    }
    if code != 0 && !args.json {
        answer("stopped; the same command goes on from the newest commit")?;
    }
    Ok(())
}

/// Runs a plan between its edges, to its end or until a signal, again and again while its source grows; gives the exit code and
/// what it came to.
pub(super) fn drive(plan: &Arc<Plan>, edges: &Edges, mut how: How, stoppable: &Stoppable) -> Result<(u8, Came), Error> {
    fits(&how.hosts, plan)?;
    loop {
        let fate = stoppable.fate.of_run();
        edges.now.set(&fate);
        how.board.stage(Stage::Opening);
        let Some(input) = open(edges, &fate)? else {
            return Ok((stoppable.exit_code(), Came::Nothing));
        };
        how.board.stage(Stage::Meeting);
        let Some(mut mesh) = Mesh::meet(&how.hosts, plan, &fate)? else {
            return Ok((stoppable.exit_code(), Came::Nothing));
        };
        let mut came = Came::Nothing;
        let ended = drive_in(&mut mesh, plan, edges, input, &how, fate, &mut came);
        mesh.part(&ended);
        let outcome = match ended {
            // What waits for something outside gives up when the run is to stop: that is no failure.
            Err(error) if error.fault == Fault::Outside && stoppable.fate.is_over() => Outcome::Stopped,
            ended => ended?,
        };
        match outcome {
            Outcome::Finished => return Ok((0, came)),
            Outcome::Stopped => return Ok((stoppable.exit_code(), came)),
            // What was asked of the beginning counts for the first run alone.
            Outcome::Renewed => how.begin = Begin { from: From::Newest, owner: random_name() },
        }
    }
}

/// Opens the input on a thread of its own, because a broker that cannot be reached is tried for minutes, and a signal must not wait
/// for that; none where the run is over before.
fn open(edges: &Edges, fate: &Fate) -> Result<Option<Input>, Error> {
    let (tell, told) = bounded(1);
    let input = Arc::clone(&edges.input);
    let open = move || {
        // Nobody listens any more where the run was given up.
        let _ = tell.send(input());
    };
    let thread = thread::Builder::new().name("open".into()).spawn(open);
    thread.map_err(|cause| Error::outside("starting a thread", cause))?;
    while !fate.is_over() {
        match told.recv_timeout(LOOK) {
            Ok(input) => return input.map(Some),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Error::bug("the thread that opens the input has ended")),
        }
    }
    Ok(None)
}

/// One run, as one process of a mesh that has met.
fn drive_in(
    mesh: &mut Mesh,
    plan: &Arc<Plan>,
    edges: &Edges,
    input: Input,
    how: &How,
    fate: Fate,
    came: &mut Came,
) -> Result<Outcome, Error> {
    let clock = wall_clock();
    how.board.stage(Stage::Resuming);
    let history = History::new(edges.state.of_run(&fate, &edges.met.store), &plan.name);
    let (source, sink) = (&*input.source, &*edges.sink);
    let claim = || begin(plan, source, sink, &history, &clock, how.keep, &how.begin);
    let begun = match mesh.begin(claim, |claim, partitions| join(plan, source, sink, &history, claim, partitions)) {
        // One that was asked to end while it waited for its sink has not failed; one whose peer was lost says that.
        Err(error) if fate.is_over() && error.fault == Fault::Outside => fate.error().map_or(Ok(None), Err)?,
        Err(_) if fate.is_over() && fate.error().is_none() => None,
        begun => begun?,
    };
    let Some(resume) = begun else {
        return Ok(if fate.is_renewed() { Outcome::Renewed } else { Outcome::Stopped });
    };
    let slots = how.hosts.process * how.hosts.workers..(how.hosts.process + 1) * how.hosts.workers;
    let progress = Arc::new(Progress::new(resume.manifest.clone(), slots, Arc::clone(&clock)));
    let job = Job {
        plan: Arc::clone(plan),
        source: input.source,
        sink: Arc::clone(&edges.sink),
        archive: Arc::new(Keeper::new(history.clone(), how.keep)),
        observer: Arc::clone(&progress) as _,
        clock: Arc::clone(&clock),
        resume: Arc::new(resume),
        fate,
        combine: how.combine,
    };
    // What is shown of a topic must not keep it open: the next run subscribes anew.
    let (met, topic) = (edges.met.clone(), input.topic.as_ref().map(Arc::downgrade));
    how.board
        .running(Arc::clone(&progress), Arc::new(move || met.edges(topic.as_ref().and_then(Weak::upgrade).as_deref())));
    let report = |topic| Report::start(topic, Arc::clone(&progress), plan.out_of_order, Arc::clone(&clock));
    let report = input.topic.map(report).transpose()?;
    let live = mesh.is_first().then(|| LiveLine::start(Arc::clone(&progress), Arc::clone(&clock)));
    let outcome = mesh.launch(&job)?;
    how.board.stage(Stage::Ending);
    drop((live, report));
    *came = match mesh.is_first() {
        true => {
            if matches!(outcome, Outcome::Stopped) {
                // Not by the run's own store, which waits for nothing once the run is over.
                let store = edges.state.looked_at_for(Duration::from_millis(LAST_LOOK_MS));
                catch_up(&progress, &History::new(store, &plan.name));
            }
            Came::Summary(Summary::of(&progress))
        }
        false => Came::Read(progress.events(), progress.combining()),
    };
    Ok(outcome)
}

/// Makes a stopped run's progress that of its newest commit. The rows are safe without it, so a store that is gone is only told.
fn catch_up(progress: &Progress, history: &History) {
    match history.newest() {
        Ok(Some(newest)) => progress.catch_up(newest),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "the summary may be older than the newest commit"),
    }
}

/// A name that no other run has: 128 random bits.
pub(super) fn random_name() -> String {
    format!("{:016x}{:016x}", random_number(), random_number())
}
