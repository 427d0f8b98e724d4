//! `minuet ledger`: whether everything that was read is in the rows, or accounted for.

use super::place::SinkPlace;
use super::sink::UserArgs;
use super::{Ended, answer};
use crate::connect::clickhouse::TablesLedger;
use crate::connect::files::FolderLedger;
use crate::error::Error;
use crate::ledger::{Agreed, Horizon, Range, Report, check};
use crate::limits::MINUTE_MS;
use crate::observe::status::minute as utc_minute;
use crate::observe::{balance, committed};
use crate::snapshot::Position;
use crate::time::{Minute, from_utc, minute_of};

/// Check the ledger of a sink against its rows; exit code 65 where something does not add up.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The sink: files:DIR, or clickhouse://HOST:8123/DATABASE.TABLE with all its servers.
    #[arg(long, value_name = "PLACE")]
    sink: SinkPlace,
    /// The first minute to look at, in UTC, as in "2026-01-31 12:00"; the lines of partitions go by the minute of their commit.
    #[arg(long, value_name = "TIME", value_parser = minute)]
    from: Option<Minute>,
    /// The first minute not to look at any more.
    #[arg(long, value_name = "TIME", value_parser = minute)]
    to: Option<Minute>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Who reads the tables.
    #[command(flatten)]
    user: UserArgs,
}

fn minute(text: &str) -> Result<Minute, String> {
    let time = from_utc(text).filter(|time| time % MINUTE_MS == 0);
    time.and_then(minute_of).ok_or_else(|| "allowed is a minute of 1970 to 2106, as in \"2026-01-31 12:00\"".to_owned())
}

/// Runs the verb.
pub(super) fn ledger(args: &Args) -> Ended {
    let range = Range { from: args.from.unwrap_or(Range::ALL.from), to: args.to.unwrap_or(Range::ALL.to) };
    if range.from >= range.to {
        return Err(Error::configuration("--from must be before --to").into());
    }
    let report = match &args.sink {
        SinkPlace::Files(dir) => check(&FolderLedger::open(dir)?, range)?,
        SinkPlace::ClickHouse(address) => check(&TablesLedger::open(address, &args.user.user()?)?, range)?,
    };
    if args.json {
        answer(serde_json::json!(report))?;
    } else {
        answer(told(&report).trim_end())?;
    }
    Ok(if report.balances() { 0 } else { Error::data("").exit_code() })
}

fn told(report: &Report) -> String {
    let newest = report.newest.map_or("none".to_owned(), |newest| committed(Some(newest)));
    let mut text = format!(
        "commits     {}, the newest {newest}\npartitions  {}\nread        {}\nminutes     {}, with {} events\nrows        {}, counting {}\n\
         rejects     {} kept\n",
        report.commits,
        report.partitions,
        balance(&report.counters),
        report.minutes,
        report.events,
        report.rows,
        report.counted,
        report.rejects
    );
    if let Some(open) = report.open {
        text.push_str(&format!("open        {open} events, in minutes that are not closed\n"));
    }
    for agreed in &report.agreed {
        text.push_str(&gone(agreed));
    }
    text.push_str(&old(report.horizon));
    text.push_str(&replaced(report));
    for finding in &report.findings {
        text.push_str(&format!("{}: {}\n", finding.place, finding.problem));
    }
    match report.problems {
        0 if report.gaps > 0 => text.push_str("what was read adds up\n"),
        0 => text.push_str("everything adds up\n"),
        1 => text.push_str("1 thing does not add up\n"),
        many => text.push_str(&format!("{many} things do not add up\n")),
    }
    text
}

/// What is not looked at for its age, in words.
fn old(horizon: Horizon) -> String {
    let minutes = horizon.minutes.map(|minute| format!("minutes before {} UTC", utc_minute(minute)));
    let commits = horizon.commits.map(|commit| format!("commits before {commit}"));
    let old: Vec<String> = minutes.into_iter().chain(commits).collect();
    match old.is_empty() {
        true => String::new(),
        false => format!("{} are not looked at: the tables keep lines for a limited time\n", old.join(" and ")),
    }
}

/// Rows that are there in older revisions too, in words.
fn replaced(report: &Report) -> String {
    let rows = match report.replaced {
        0 => return String::new(),
        1 => "1 row is".to_owned(),
        many => format!("{many} rows are"),
    };
    let mends: Vec<&str> = report.mends.iter().map(String::as_str).collect();
    format!(
        "{rows} there in older revisions too: readers of the newest (FINAL, or the view) see each once, all others more often, until \
         a merge\n        {}\n",
        mends.join("\n        ")
    )
}

/// Entries that were done without, in words.
fn gone(agreed: &Agreed) -> String {
    let Agreed { partition, commit, from, to, gaps, within } = agreed;
    let at = |position: &Option<Position>| {
        position.map_or("the beginning".to_owned(), |position| format!("{}:{}", position.0, position.1))
    };
    let what = if *gaps == 1 { "a gap".to_owned() } else { format!("{gaps} gaps") };
    let place = if *within {
        format!("{what} between {} and {}", at(from), at(to))
    } else {
        format!("{what} before {}", at(to))
    };
    format!("commit {commit}, {partition}: {place} was agreed to: events that were in it are lost\n")
}
