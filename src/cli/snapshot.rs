//! `minuet snapshot`: what is stored of a pipeline.

use std::collections::BTreeSet;

use clap::Subcommand;

use super::place::StatePlace;
use super::state::{S3Args, look};
use super::{Ended, answer};
use crate::connect::s3::policy;
use crate::error::{Error, Result};
use crate::observe::{balance, committed};
use crate::snapshot::{Finding, History, Shown, Summary};
use crate::time::utc;

/// Look at the snapshots of a pipeline.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A line for each manifest, the newest last.
    List(Common),
    /// All that one manifest says.
    Show {
        #[command(flatten)]
        common: Common,
        /// Its sequence number; the newest unless given.
        #[arg(long, value_name = "SEQUENCE")]
        sequence: Option<u64>,
    },
    /// Read every manifest and part and compare checksums; exit code 65 where something is wrong.
    Verify(Common),
    /// Print the policy of AWS that allows what a run needs at s3://BUCKET/PREFIX, and no more.
    Policy {
        /// Where the snapshots live: s3://BUCKET/PREFIX.
        #[arg(long, value_name = "PLACE")]
        state: StatePlace,
        #[command(flatten)]
        s3: S3Args,
    },
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Where the snapshots live: dir:DIR, or s3://BUCKET/PREFIX.
    #[arg(value_name = "STATE")]
    state: StatePlace,
    /// The pipeline; needed where the state holds several.
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    s3: S3Args,
}

/// Runs the verb.
pub(super) fn snapshot(args: &Args) -> Ended {
    match &args.what {
        What::List(common) => {
            let summaries = history(common)?.summaries()?;
            if common.json {
                answer(serde_json::json!({ "manifests": summaries }))?;
            } else {
                answer(table(&summaries).trim_end())?;
            }
            Ok(0)
        }
        What::Show { common, sequence } => {
            let history = history(common)?;
            let newest = history.sequences()?.last().copied();
            let sequence = sequence.or(newest).unwrap_or(0);
            let none = || {
                Error::configuration(format!(
                    "there is no manifest {sequence}; `minuet snapshot list` shows which there are"
                ))
            };
            let shown = history.show(sequence)?.ok_or_else(none)?;
            if common.json {
                answer(serde_json::json!(shown))?;
            } else {
                answer(told(&shown).trim_end())?;
            }
            Ok(0)
        }
        What::Verify(common) => verify(common),
        What::Policy { state: StatePlace::S3(address), s3 } => {
            answer(format_args!("{:#}", policy(address, &s3.s3_encryption)))?;
            Ok(0)
        }
        What::Policy { .. } => {
            Err(Error::configuration("a policy is one of AWS: give --state s3://BUCKET/PREFIX").into())
        }
    }
}

fn verify(common: &Common) -> Ended {
    let history = history(common)?;
    let (manifests, findings) = (history.sequences()?.len(), history.verify(None));
    if common.json {
        let problems: Vec<_> = findings
            .iter()
            .map(|finding| serde_json::json!({ "sequence": finding.sequence, "problem": finding.problem }))
            .collect();
        answer(serde_json::json!({ "manifests": manifests, "problems": problems }))?;
    } else {
        for Finding { problem, .. } in &findings {
            answer(problem)?;
        }
        answer(format_args!("{manifests} manifests read, {} problems found", findings.len()))?;
    }
    Ok(if findings.is_empty() { 0 } else { Error::data("").exit_code() })
}

/// The history of the one pipeline that is meant.
fn history(common: &Common) -> Result<History> {
    let store = look(&common.state, &common.s3)?;
    let place = store.place();
    let mut pipelines = BTreeSet::new();
    for name in store.list("")? {
        pipelines.extend(name.split_once("/manifests/").map(|(pipeline, _)| pipeline.to_owned()));
    }
    let found: Vec<&str> = pipelines.iter().map(String::as_str).collect();
    let pipeline = match (&common.pipeline, found.as_slice()) {
        (Some(name), _) if pipelines.contains(name) => name,
        (None, [one]) => *one,
        (_, []) => return Err(Error::configuration(format!("{place} holds no manifests"))),
        _ => {
            let found = found.join(", ");
            return Err(Error::configuration(format!("{place} holds {found}; name one with --pipeline")));
        }
    };
    Ok(History::new(store, pipeline))
}

fn table(summaries: &[Summary]) -> String {
    let mut text = format!(
        "{:>9}  {:>7}  {:<16}  {:<19}  {:>5}  {:>9}  {:>12}  {:>12}\n",
        "manifest", "attempt", "committed", "written", "parts", "partials", "rows", "read"
    );
    for summary in summaries {
        if let Some(damaged) = &summary.damaged {
            text.push_str(&format!("{:>9}  {damaged}\n", summary.sequence));
            continue;
        }
        text.push_str(&format!(
            "{:>9}  {:>7}  {:<16}  {:<19}  {:>5}  {:>9}  {:>12}  {:>12}\n",
            summary.sequence,
            summary.attempt,
            committed(summary.commit),
            utc(summary.written_at),
            summary.parts,
            summary.partials,
            summary.rows,
            summary.counters.read
        ));
    }
    text
}

fn told(shown: &Shown) -> String {
    let manifest = &shown.manifest;
    let next: Vec<String> = manifest.next.iter().map(|epoch| committed(Some(*epoch))).collect();
    let mut text = format!(
        "pipeline   {}\nmanifest   {}\nattempt    {} by {}\ncommitted  {}\nnext       {}\nwritten    {}\nrows       {}\nplan       {}\n",
        manifest.pipeline,
        manifest.sequence,
        manifest.attempt,
        manifest.owner,
        committed(manifest.commit),
        if next.is_empty() { "none: the input has ended".into() } else { next.join(", ") },
        utc(manifest.written_at),
        manifest.totals.rows,
        manifest.plan
    );
    text.push_str(&format!("events     {}\n", balance(&shown.counters)));
    for cut in &manifest.cut {
        let time = cut.max_time.map_or("no event yet".into(), utc);
        let end = if cut.ended { ", ended" } else { "" };
        let position = cut.position.map_or("the beginning".into(), |position| format!("{}:{}", position.0, position.1));
        text.push_str(&format!("partition  {} read to {position}, newest event {time}{end}\n", cut.name));
    }
    for part in &shown.parts {
        text.push_str(&format!(
            "part       {}{}\n",
            part.name,
            part.damaged.as_ref().map_or(String::new(), |damaged| format!(": {damaged}"))
        ));
    }
    text
}
