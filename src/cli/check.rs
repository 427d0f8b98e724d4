//! `minuet check`: everything that is wrong with a dataflow, or the plan that would run; and whether what it needs can be reached.

use std::path::PathBuf;
use std::sync::Arc;

use super::ddl::table_of;
use super::environment;
use super::place::{SinkPlace, SourcePlace, StatePlace};
use super::sink::SinkArgs;
use super::state::{S3Args, State};
use super::topic::{TopicArgs, check as readable};
use super::{Ended, Failure, answer, wall_clock};
use crate::connect::clickhouse::probe as probe_tables;
use crate::connect::probe::{Standing, Step};
use crate::connect::pulsar::admin::Admin;
use crate::connect::pulsar::probe::Probe;
use crate::connect::pulsar::{Address, Client};
use crate::connect::s3::probe as probe_bucket;
use crate::error::{Error, Fault, Result};
use crate::plan::{self, Plan};
use crate::snapshot::History;
use crate::time::Millis;

/// Check a dataflow's folder and print the plan that would run.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 78 where there are problems; all of them are shown at once. With --connect, 69 where a run would end."
)]
pub struct Args {
    /// The dataflow's folder.
    #[arg(value_name = "DATAFLOW_DIR")]
    pub dataflow: PathBuf,
    /// Print the plan, or the problems, as JSON.
    #[arg(long)]
    pub json: bool,
    /// Try --source, --sink and --state step by step, as a run would use them, and say what to do about what fails.
    #[arg(long)]
    pub connect: bool,
    /// The source to try: pulsar://HOST:PORT/TENANT/NAMESPACE/TOPIC; unless given, what PULSAR_URL and PULSAR_TOPIC say.
    #[arg(long, value_name = "PLACE", requires = "connect")]
    pub source: Option<SourcePlace>,
    /// The sink to try: clickhouse://HOST:PORT/DATABASE.TABLE. A table beside it is made and removed again.
    #[arg(long, value_name = "PLACE", requires = "connect")]
    pub sink: Option<SinkPlace>,
    /// How rows go there.
    #[command(flatten)]
    pub tables: SinkArgs,
    /// The state of the pipeline, to be tried where it is s3://BUCKET/PREFIX; or dir:DIR: how old its newest snapshot is matters to the source.
    #[arg(long, value_name = "PLACE", requires = "connect")]
    pub state: Option<StatePlace>,
    /// How S3 is reached.
    #[command(flatten)]
    pub s3: S3Args,
    /// Pulsar's administration, http://HOST:8080: it knows backlog and retention.
    #[arg(long, value_name = "URL", requires = "connect")]
    pub admin_url: Option<String>,
    /// How a topic is read.
    #[command(flatten)]
    pub topic: TopicArgs,
}

/// Runs the verb.
pub(super) fn check(args: &Args) -> Ended {
    match plan::load(&args.dataflow) {
        Ok(plan) if args.connect => return connect(args, &Arc::new(plan)),
        Ok(plan) if args.json => answer(serde_json::json!({ "plan": plan.describe()? }))?,
        Ok(plan) => answer(plan.describe()?)?,
        Err(problems) if args.json => {
            answer(serde_json::json!({ "problems": problems }))?;
            return Ok(Error::configuration("").exit_code());
        }
        Err(problems) => return Err(Failure::Problems(problems)),
    }
    Ok(0)
}

fn connect(args: &Args, plan: &Arc<Plan>) -> Ended {
    let mut steps = Vec::new();
    if let Some(StatePlace::S3(address)) = &args.state {
        steps.extend(probe_bucket(address, &args.s3.settings()));
    }
    // The age of the newest snapshot, which a topic is compared with, is only asked for where the state can be reached.
    let reached = !is_bad(&steps);
    if let Some(SourcePlace::Pulsar(address)) = &environment::source_if_any(args.source.as_ref())? {
        steps.extend(of_topic(args, plan, address, reached)?);
    }
    if let Some(SinkPlace::ClickHouse(address)) = &environment::sink_if_any(args.sink.as_ref(), &table_of(plan))? {
        let config = args.tables.config(address, Arc::new(|| false))?;
        steps.extend(probe_tables(&config, &plan.layout, wall_clock()())?);
    }
    if steps.is_empty() {
        return Err(Error::configuration(
            "--connect tries what is reached over a network: give --source pulsar://HOST:PORT/TENANT/NAMESPACE/TOPIC, --sink \
             clickhouse://HOST:PORT/DATABASE.TABLE or --state s3://BUCKET/PREFIX",
        )
        .into());
    }
    if args.json {
        answer(serde_json::json!({ "steps": steps }))?;
    } else {
        steps.iter().try_for_each(|step| answer(line(step)))?;
    }
    Ok(if is_bad(&steps) { Error::new(Fault::Outside, "").exit_code() } else { 0 })
}

fn is_bad(steps: &[Step]) -> bool {
    steps.iter().any(|step| step.standing == Standing::Bad)
}

fn of_topic(args: &Args, plan: &Arc<Plan>, address: &Address, reached: bool) -> Result<Vec<Step>> {
    let security = args.topic.security.security()?;
    let admin = args.admin_url.as_deref().map(|url| Admin::new(url, &security)).transpose()?;
    let (client, readable) = (Client::new(address.clone(), security)?, readable(plan));
    let state = args.state.as_ref().filter(|_| reached);
    let probe = Probe {
        client,
        subscription: args.topic.subscription.as_deref().unwrap_or(&plan.name),
        admin,
        snapshot_age: state.map(|state| age(state, &args.s3, plan)).transpose()?.flatten(),
        check: &*readable,
    };
    probe.run()
}

/// How old the newest snapshot is.
fn age(state: &StatePlace, s3: &S3Args, plan: &Plan) -> Result<Option<Millis>> {
    let history = History::new(State::open(state, s3)?.store(), &plan.name);
    Ok(history.newest()?.map(|manifest| wall_clock()() - manifest.written_at))
}

fn line(step: &Step) -> String {
    let sign = match step.standing {
        Standing::Good => "ok   ",
        Standing::Doubtful => "doubt",
        Standing::Bad => "FAIL ",
    };
    let advice = step.advice.as_ref().map_or(String::new(), |advice| format!("\n        {advice}"));
    format!("{sign} {:<36} {:>6} ms   {}{advice}", step.name, step.millis, step.found)
}
