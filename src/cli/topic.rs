//! The flags of a source that is a Pulsar topic.

use std::sync::Arc;

use clap::builder::NonEmptyStringValueParser;

use super::security::SecurityArgs;
use crate::connect::generate::parse_time;
use crate::connect::pulsar::{Address, Begin, Check, Client, Config, PulsarSource};
use crate::error::Result;
use crate::event::ReadPlan;
use crate::limits::{PULSAR_MEMORY_DEFAULT, PULSAR_MEMORY_MIN, PULSAR_THREADS};
use crate::plan::Plan;

/// How a topic is read.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Pulsar: how the topic is read")]
pub struct TopicArgs {
    /// The durable subscription; the pipeline's name unless given.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub subscription: Option<String>,
    /// Where the very first run begins: earliest, latest, or a publish time in UTC or milliseconds since 1970.
    #[arg(long, value_name = "earliest|latest|TIME", value_parser = parse_begin, default_value = "earliest")]
    pub start: Begin,
    /// Bytes that this process holds of what the brokers have sent, like 256MiB.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, default_value_t = Bytes(PULSAR_MEMORY_DEFAULT))]
    pub memory: Bytes,
    /// Go on behind entries that are gone (by retention, expiry, or somebody who moved the subscription), and record the gap.
    #[arg(long)]
    pub accept_gap: bool,
    /// Who we are.
    #[command(flatten)]
    pub security: SecurityArgs,
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub usize);

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (unit, name) = UNITS.into_iter().find(|(unit, _)| self.0.is_multiple_of(*unit)).unwrap_or((1, ""));
        write!(f, "{}{name}", self.0 / unit)
    }
}

/// Units of bytes, the largest first.
const UNITS: [(usize, &str); 4] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "")];

fn parse_bytes(text: &str) -> std::result::Result<Bytes, String> {
    let (unit, digits) = UNITS
        .into_iter()
        .find_map(|(unit, name)| text.strip_suffix(name).map(|digits| (unit, digits)))
        .unwrap_or((1, text));
    let number = digits.trim().parse::<usize>().ok().and_then(|number| number.checked_mul(unit));
    let bytes =
        number.map(Bytes).ok_or_else(|| "allowed is a whole number, alone or with KiB, MiB or GiB".to_owned())?;
    let least = Bytes(PULSAR_MEMORY_MIN);
    if bytes.0 < least.0 {
        Err(format!("allowed is {least} or more: what a broker sends at once must have room"))
    } else {
        Ok(bytes)
    }
}

fn parse_begin(text: &str) -> std::result::Result<Begin, String> {
    match text {
        "earliest" => Ok(Begin::Earliest),
        "latest" => Ok(Begin::Latest),
        time => parse_time(time).map(Begin::At).map_err(|why| format!("allowed is earliest, latest or a time: {why}")),
    }
}

impl TopicArgs {
    /// The source that the flags describe.
    pub(super) fn source(&self, address: &Address, plan: &Arc<Plan>) -> Result<PulsarSource> {
        PulsarSource::open(Config {
            client: Client::new(address.clone(), self.security.security()?)?,
            subscription: self.subscription.clone().unwrap_or_else(|| plan.name.clone()),
            start: self.start,
            memory: self.memory.0,
            accept_gap: self.accept_gap,
            check: check(plan),
            threads: PULSAR_THREADS,
        })
    }
}

/// Whether what a writer's schema describes can be read as the dataflow wants it.
pub(super) fn check(plan: &Arc<Plan>) -> Check {
    let plan = Arc::clone(plan);
    Arc::new(move |json| match ReadPlan::compile(json, &plan.schema, &plan.selection) {
        Ok(_) => Ok(()),
        Err(why) => Err(why.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_said_as_they_are_written() {
        let good = [("100000000", 100_000_000), ("32769KiB", 32_769 << 10), ("256MiB", 256 << 20), ("2 GiB", 2 << 30)];
        for (text, bytes) in good {
            assert_eq!(parse_bytes(text), Ok(Bytes(bytes)), "{text}");
            assert_eq!(Bytes(bytes).to_string(), text.replace(' ', ""));
        }
        for text in ["", "MiB", "1.5GiB", "-1", "1kb", "99999999999GiB", "0", "1MiB"] {
            assert!(parse_bytes(text).expect_err("it is no number of bytes").contains("MiB"), "{text}");
        }
    }

    #[test]
    fn a_beginning_is_an_end_of_the_topic_or_a_time() {
        assert_eq!(parse_begin("earliest"), Ok(Begin::Earliest));
        assert_eq!(parse_begin("latest"), Ok(Begin::Latest));
        assert_eq!(parse_begin("1970-01-01T00:00:01Z"), Ok(Begin::At(1_000)));
        assert!(parse_begin("soon").expect_err("it is none").contains("earliest"));
    }
}
