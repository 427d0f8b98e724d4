//! `minuet why`: asks a running job why a row is not there yet, or where its events went, and answers in a sentence.

mod sentence;

use super::http::usual;
use super::{Ended, answer, wall_clock};
use crate::connect::generate::parse_time;
use crate::error::{Error, Result};
use crate::observe::CommitLedger;
use crate::observe::http::ask;
use crate::observe::status::Status;
use crate::time::{Millis, from_utc, minute_of};

/// Ask a running job why a row is not there yet, or where its events went.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  minuet why\n  minuet why --minute '2026-01-01 12:03'\n  \
    minuet why --minute 2026-01-01T12:03:00Z --source sensor_17\n\nProcess 0 knows most: it commits.")]
pub struct Args {
    /// Where the job tells of itself, as its --http says.
    #[arg(long, value_name = "HOST:PORT")]
    pub http: Option<String>,
    /// The minute of the row, by any time in it: in UTC, or in milliseconds since 1970; the oldest that is open unless given.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub minute: Option<Millis>,
    /// The source of the row, as its events have it.
    #[arg(long, value_name = "KEY")]
    pub source: Option<String>,
}

fn time(text: &str) -> std::result::Result<Millis, String> {
    from_utc(text).map_or_else(|| parse_time(text), Ok)
}

/// Runs the verb.
pub(super) fn why(args: &Args) -> Ended {
    let minute = args.minute.map(|time| {
        minute_of(time)
            .ok_or_else(|| Error::configuration("--minute is before 1970 or after 2106: no row has such a minute"))
    });
    let minute = minute.transpose()?;
    let address = args.http.clone().unwrap_or_else(|| usual(0));
    let status: Status = read(&address, "/api/v1/status")?;
    let ledger: Vec<CommitLedger> = match minute {
        Some(_) => read(&address, "/api/v1/ledger")?,
        None => Vec::new(),
    };
    if let Some(source) = &args.source {
        answer(sentence::of_source(&status, source))?;
    }
    if minute.is_some() || args.source.is_none() {
        let lane = args.source.as_ref().map(|source| sentence::lane_of(&status, source));
        answer(sentence::of_minute(&status, &ledger, minute, lane))?;
    }
    let apart = (wall_clock()() - status.now).abs();
    if apart > sentence::CLOCKS_APART_MS {
        answer(format_args!("(the clock of the job and the one here are {} s apart)", apart / 1_000))?;
    }
    Ok(0)
}

fn read<T: serde::de::DeserializeOwned>(address: &str, path: &str) -> Result<T> {
    serde_json::from_str(&ask(address, path)?).map_err(|why| {
        Error::outside(
            format!("asking http://{address}{path}"),
            format!("the answer is not that of this version of minuet: {why}"),
        )
    })
}
