//! `minuet demo`: the main job on a fresh machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing_subscriber::filter::LevelFilter;

use super::generate::generator;
use super::http::{Met, board};
use super::run::{Came, Edges, How, Input, Now, drive, random_name};
use super::state::State;
use super::{Ended, Failure, answer};
use crate::cluster::{Begin, Hosts, stop_on_signals};
use crate::connect::files::{FileSink, FolderStore};
use crate::connect::generate::{Extent, Generated, Pace, Spec};
use crate::dataflow::Combine;
use crate::error::{Error, Result};
use crate::limits::{MANIFESTS_KEPT_DEFAULT, MINUTE_MS};
use crate::observe::{LogFormat, start_log};
use crate::plan;
use crate::snapshot::From;

/// Generate sensor events, run dataflows/sensors over them, and show what comes out.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder for rows and snapshots; an earlier demo's is replaced.
    #[arg(long, value_name = "DIR", default_value = "minuet-demo")]
    pub dir: PathBuf,
    /// Worker threads.
    #[arg(short, long, value_name = "N", default_value_t = 2)]
    pub workers: usize,
    /// Minutes of event time, at 50,000 events a second.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    pub minutes: u32,
    /// How many times faster than the clock events come, as from a live source; as fast as they are read unless given.
    #[arg(long, value_name = "TIMES")]
    pub speed: Option<f64>,
    /// The seed of the events.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// The dataflow travels in the binary, so that the demo runs from any folder.
const FILES: [(&str, &str); 2] = [
    ("dataflow.toml", include_str!("../../dataflows/sensors/dataflow.toml")),
    ("schema.avsc", include_str!("../../dataflows/sensors/schema.avsc")),
];

/// Tells a demo's folder from anything else.
const MARKER: &str = ".minuet-demo";

/// Rows shown at the end.
const ROWS_SHOWN: usize = 5;

/// Columns shown of each.
const COLUMNS_SHOWN: usize = 6;

/// Runs the verb.
pub(super) fn demo(args: &Args) -> Ended {
    let stoppable = stop_on_signals()?;
    start_log(LevelFilter::WARN, LogFormat::Text);
    let dataflow = lay_out(&args.dir)?;
    let plan = Arc::new(plan::load(&dataflow).map_err(Failure::Problems)?);
    let (rows, state) = (args.dir.join("out"), args.dir.join("state"));
    let spec = Spec {
        seed: args.seed,
        extent: Extent::Duration(i64::from(args.minutes) * MINUTE_MS),
        out_of_order: 0.05,
        late: 0.001,
        malformed: 0.000_5,
        non_finite: 0.001,
        ..Spec::default()
    };
    if !args.json {
        answer(format_args!(
            "{} sources, {} events a second of event time, {} minutes, {} workers",
            spec.sources, spec.rate, args.minutes, args.workers
        ))?;
    }
    let pace = args.speed.map_or(Pace::Flat, Pace::Speed);
    let generated = Arc::new(Generated::new(generator(&plan, spec)?, pace)?);
    let edges = Edges {
        now: Now::of(&stoppable.fate),
        input: Arc::new(move || Ok(Input { source: Arc::clone(&generated) as _, topic: None })),
        sink: Arc::new(FileSink::new(&rows, Arc::clone(&plan.layout))),
        state: State::Folder(Arc::new(FolderStore::open(&state)?)),
        met: Met::default(),
    };
    let begin = Begin { from: From::Newest, owner: random_name() };
    let (hosts, keep) = (Hosts::alone(args.workers)?, MANIFESTS_KEPT_DEFAULT.get());
    let board = board(&plan, &hosts);
    let how = How { hosts, keep, combine: Combine::Off, begin, board };
    let (code, Came::Summary(summary)) = drive(&plan, &edges, how, &stoppable)? else {
        return Err(Error::bug("a run of one process has no summary").into());
    };
    if args.json {
        answer(serde_json::json!({ "summary": summary }))?;
        return Ok(code);
    }
    answer(format_args!("\n{}\n{summary}\n", newest_rows(&rows.join("rows"))?))?;
    answer(format_args!("rows       {}\nsnapshots  {}", rows.join("rows").display(), state.display()))?;
    // As it was called, for it need not be where programs are looked for.
    let me = std::env::args().next().unwrap_or_else(|| "minuet".to_owned());
    let dataflow = dataflow.display();
    answer(format_args!(
        "\ntry next\n  {me} snapshot list dir:{}\n  {me} check {dataflow}\n  \
         {me} gen {dataflow} --to files:events --events 1000000\n  \
         {me} run {dataflow} --source 'files:events/*' --sink files:out --state dir:state --workers 2",
        state.display()
    ))?;
    Ok(code)
}

/// Empties the demo's folder and writes the dataflow into it.
fn lay_out(dir: &Path) -> Result<PathBuf> {
    let failed = |cause| Error::outside(format!("preparing {}", dir.display()), cause);
    if dir.exists() {
        if !dir.join(MARKER).exists() {
            let message = format!("{} is not a demo's folder; name another with --dir", dir.display());
            return Err(Error::configuration(message));
        }
        fs::remove_dir_all(dir).map_err(failed)?;
    }
    let dataflow = dir.join("sensors");
    fs::create_dir_all(&dataflow).map_err(failed)?;
    fs::write(dir.join(MARKER), "").map_err(failed)?;
    for (name, text) in FILES {
        fs::write(dataflow.join(name), text).map_err(failed)?;
    }
    Ok(dataflow)
}

/// A table of a few rows of the newest commit that has any.
fn newest_rows(rows: &Path) -> Result<String> {
    let failed = |cause| Error::outside(format!("reading {}", rows.display()), cause);
    let mut files = Vec::new();
    for entry in fs::read_dir(rows).map_err(failed)? {
        files.push(entry.map_err(failed)?.path());
    }
    let Some(newest) = files.iter().max() else { return Ok("no rows\n".into()) };
    let text = fs::read_to_string(newest).map_err(failed)?;
    let mut table: Vec<Vec<String>> = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for line in &lines[lines.len().saturating_sub(ROWS_SHOWN)..] {
        let row: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line)
            .map_err(|cause| Error::bug(format!("a row of {} is not JSON: {cause}", newest.display())))?;
        if table.is_empty() {
            table.push(row.keys().take(COLUMNS_SHOWN).cloned().collect());
        }
        table.push(row.values().take(COLUMNS_SHOWN).map(short).collect());
    }
    Ok(aligned(&table))
}

fn short(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) if number.is_f64() => {
            number.as_f64().map_or_else(String::new, |number| format!("{number:.3}"))
        }
        other => other.to_string(),
    }
}

fn aligned(table: &[Vec<String>]) -> String {
    let columns = table.first().map_or(0, Vec::len);
    let width = |column: usize| table.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in table {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}
