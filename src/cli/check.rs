//! `minuet check`: everything that is wrong with a dataflow, or the plan that would run; and whether what it needs can be reached.

use std::path::PathBuf;
use std::sync::Arc;

use super::environment;
use super::place::{SourcePlace, StatePlace};
use super::state::{S3Args, State};
use super::topic::{TopicArgs, check as readable};
use super::{Ended, Failure, answer, wall_clock};
use crate::connect::pulsar::admin::Admin;
use crate::connect::pulsar::probe::{Probe, Standing, Step};
use crate::connect::pulsar::{Address, Client};
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
    /// Try --source step by step, as a run would use it, and say what to do about what fails.
    #[arg(long)]
    pub connect: bool,
    /// The source to try: pulsar://HOST:PORT/TENANT/NAMESPACE/TOPIC; unless given, what PULSAR_URL and PULSAR_TOPIC say.
    #[arg(long, value_name = "PLACE", requires = "connect")]
    pub source: Option<SourcePlace>,
    /// The state of the pipeline, dir:DIR or s3://BUCKET/PREFIX: how old its newest snapshot is matters to the source.
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
    let SourcePlace::Pulsar(address) = environment::source(args.source.as_ref())? else {
        return Err(Error::configuration(
            "--connect tries a topic: give --source pulsar://HOST:PORT/TENANT/NAMESPACE/TOPIC",
        )
        .into());
    };
    let steps = steps(args, plan, &address)?;
    if args.json {
        answer(serde_json::json!({ "steps": steps }))?;
    } else {
        steps.iter().try_for_each(|step| answer(line(step)))?;
    }
    let bad = steps.iter().any(|step| step.standing == Standing::Bad);
    Ok(if bad { Error::new(Fault::Outside, "").exit_code() } else { 0 })
}

fn steps(args: &Args, plan: &Arc<Plan>, address: &Address) -> Result<Vec<Step>> {
    let security = args.topic.security.security()?;
    let admin = args.admin_url.as_deref().map(|url| Admin::new(url, &security)).transpose()?;
    let (client, readable) = (Client::new(address.clone(), security)?, readable(plan));
    let probe = Probe {
        client,
        subscription: args.topic.subscription.as_deref().unwrap_or(&plan.name),
        admin,
        snapshot_age: args.state.as_ref().map(|state| age(state, &args.s3, plan)).transpose()?.flatten(),
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
