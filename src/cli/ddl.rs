//! `minuet ddl`: the tables that a dataflow's rows go into.

use std::path::PathBuf;

use super::{Ended, Failure, answer};
use crate::connect::clickhouse::address::plain;
use crate::connect::clickhouse::{Form, Tables};
use crate::plan::{self, Plan};

/// Print the statements that make a dataflow's tables in ClickHouse.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each statement does nothing where the table exists. `minuet run --create-tables` makes the same, without --replicated and --ttl-days."
)]
pub struct Args {
    /// The dataflow's folder.
    #[arg(value_name = "DATAFLOW_DIR")]
    pub dataflow: PathBuf,
    /// The database; the one that the client is in unless given.
    #[arg(long, value_name = "NAME", value_parser = plain)]
    pub database: Option<String>,
    /// The table of rows, with which the names of the others begin; the dataflow's name unless given.
    #[arg(long, value_name = "NAME", value_parser = plain)]
    pub table: Option<String>,
    /// Tables that Keeper replicates.
    #[arg(long)]
    pub replicated: bool,
    /// Days after which rows, rejects and ledger lines go away; never unless given.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    pub ttl_days: Option<u32>,
}

/// Runs the verb.
pub(super) fn ddl(args: &Args) -> Ended {
    let plan = plan::load(&args.dataflow).map_err(Failure::Problems)?;
    let table = args.table.clone().unwrap_or_else(|| table_of(&plan));
    let tables = Tables::new(args.database.as_deref(), &table, &plan.layout);
    let form = Form { replicated: args.replicated, ttl_days: args.ttl_days };
    let statements: Vec<String> = tables.statements(form).into_iter().map(|text| text + ";\n").collect();
    answer(statements.join("\n").trim_end())?;
    Ok(0)
}

/// A dataflow's name as a table may have it.
pub(super) fn table_of(plan: &Plan) -> String {
    let name = plan.name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}
