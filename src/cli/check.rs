//! `minuet check`: everything that is wrong with a dataflow, or the plan that would run.

use std::path::PathBuf;

use super::{Ended, Failure, answer};
use crate::error::Error;
use crate::plan;

/// Check a dataflow's folder and print the plan that would run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 78 where there are problems; all of them are shown at once.")]
pub struct Args {
    /// The dataflow's folder.
    #[arg(value_name = "DATAFLOW_DIR")]
    pub dataflow: PathBuf,
    /// Print the plan, or the problems, as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs the verb.
pub(super) fn check(args: &Args) -> Ended {
    match plan::load(&args.dataflow) {
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
