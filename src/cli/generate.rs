//! `minuet gen`: seeded events for a dataflow's schema.

mod topic;

use std::io;
use std::path::PathBuf;
use std::thread;

use clap::Args;

use super::place::TargetPlace;
use super::{Ended, Failure, answer, say};
use crate::connect::generate::{
    Extent, Format, Generator, Spec, Summary, parse_duration, parse_time, to_folder, to_stream,
};
use crate::error::{Error, Result};
use crate::plan::{self, Plan};
use crate::time::Millis;

/// Generate events for a dataflow's schema.
///
/// The same flags and the same schema give the same bytes. Shares are from 0 to 1.
#[derive(Args, Clone, Debug)]
pub struct GenArgs {
    /// Folder of the dataflow whose schema the events have
    pub dataflow: PathBuf,

    /// Where the events go: `files:DIR`, one file per partition; `-`, standard output; or a topic,
    /// `pulsar://HOST:PORT/TENANT/NAMESPACE/TOPIC`
    #[arg(long, value_name = "PLACE")]
    pub to: TargetPlace,

    /// How they are written; only `capture` can hold malformed ones
    #[arg(long, value_enum, default_value = "capture")]
    pub format: Format,

    /// Replace generated files that are already there
    #[arg(long)]
    pub force: bool,

    /// Threads that write files; as many as there are processors unless given
    #[arg(long, value_name = "COUNT")]
    pub threads: Option<usize>,

    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,

    /// What is generated
    #[command(flatten)]
    pub knobs: KnobArgs,

    /// How it is sent
    #[command(flatten)]
    pub topic: topic::TopicArgs,
}

/// The knobs of generation.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Knobs")]
pub struct KnobArgs {
    /// Seed of everything random
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,

    /// How many events, all partitions together [default: 1000000]
    #[arg(long, value_name = "COUNT", conflicts_with = "duration")]
    pub events: Option<u64>,

    /// How much event time instead, like 90s, 10m or 2h
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub duration: Option<Millis>,

    /// Events per second of event time, all partitions together
    #[arg(long, value_name = "RATE", default_value_t = 50_000.0)]
    pub rate: f64,

    /// Different sources
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    pub sources: u64,

    /// Partitions
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    pub partitions: u32,

    /// Exponent of a Zipf distribution of events over sources; 0 is uniform
    #[arg(long, value_name = "EXPONENT", default_value_t = 0.0)]
    pub skew: f64,

    /// Share of events that come after younger ones, but in time
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub out_of_order: f64,

    /// How far out of order, at most [default: as far as the dataflow allows]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub jitter: Option<Millis>,

    /// Share of events that come too late
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub late: f64,

    /// Share of payloads that cannot be decoded
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub malformed: f64,

    /// Share of null among values that may be null
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub nulls: f64,

    /// Share of NaN and infinities among floats and doubles
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub non_finite: f64,

    /// Share of partitions that fall silent for a while
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub idle: f64,

    /// How much event time a silent partition leaves out
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "5m")]
    pub idle_for: Millis,

    /// Event time of the first event, in UTC or in milliseconds since 1970
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "2026-01-01T00:00:00Z")]
    pub start: Millis,
}

impl KnobArgs {
    /// The spec that these flags ask for; not yet checked.
    pub fn spec(&self) -> Spec {
        let extent = match (self.events, self.duration) {
            (Some(events), _) => Extent::Events(events),
            (None, Some(duration)) => Extent::Duration(duration),
            (None, None) => Spec::default().extent,
        };
        Spec {
            seed: self.seed,
            extent,
            rate: self.rate,
            sources: self.sources,
            partitions: self.partitions,
            skew: self.skew,
            out_of_order: self.out_of_order,
            jitter: self.jitter,
            late: self.late,
            malformed: self.malformed,
            nulls: self.nulls,
            non_finite: self.non_finite,
            idle: self.idle,
            idle_for: self.idle_for,
            start: self.start,
        }
    }
}

/// A generator for a dataflow's own schema.
pub fn generator(plan: &Plan, spec: Spec) -> Result<Generator> {
    let selection = &plan.selection;
    Generator::new(plan.schema.avro(), &selection.source, selection.time.as_deref(), plan.out_of_order, spec)
}

/// Generates what the flags ask for and says what was written: on standard output, or on standard error where the events
/// themselves go to standard output.
pub(super) fn run(args: &GenArgs) -> Ended {
    let plan = plan::load(&args.dataflow).map_err(Failure::Problems)?;
    let generator = generator(&plan, args.knobs.spec())?;
    if !matches!(args.to, TargetPlace::Topic(_)) {
        args.topic.none_given()?;
    }
    match &args.to {
        TargetPlace::Topic(address) => answer(written(&args.topic.send(&plan, &generator, address)?, args.json)?)?,
        TargetPlace::Stream => {
            let summary = to_stream(&generator, &mut io::stdout().lock(), args.format)?;
            say(&mut io::stderr().lock(), written(&summary, args.json)?)?;
        }
        TargetPlace::Folder(folder) => {
            let threads = args.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
            let summary = to_folder(&generator, folder, args.format, args.force, threads)?;
            answer(written(&summary, args.json)?)?;
        }
    }
    Ok(0)
}

fn written(summary: &Summary, as_json: bool) -> Result<String> {
    if as_json {
        return serde_json::to_string(summary).map_err(|error| Error::bug(format!("writing a summary: {error}")));
    }
    Ok(readable(summary))
}

fn readable(summary: &Summary) -> String {
    let tally = &summary.tally;
    let place = match summary.files.as_slice() {
        [] => String::new(),
        [only] => format!("\nfile    {}", only.display()),
        [first, .., last] => format!("\nfiles   {} … {}", first.display(), last.display()),
    };
    format!(
        "events  {} ({} out of order, {} late, {} malformed)\nbytes   {}\nrate    {} events/s in {:.2} s{place}",
        tally.events,
        tally.out_of_order,
        tally.late,
        tally.malformed,
        summary.bytes_written,
        summary.events_per_second,
        summary.seconds,
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        gen_args: GenArgs,
    }

    fn parse(flags: &str) -> std::result::Result<GenArgs, String> {
        let words = "gen dataflow --to - ".split_whitespace().chain(flags.split_whitespace());
        Line::try_parse_from(words).map(|line| line.gen_args).map_err(|error| error.to_string())
    }

    #[test]
    fn knobs_left_alone_are_the_default_spec() {
        assert_eq!(parse("").unwrap().knobs.spec(), Spec::default());
    }

    #[test]
    fn every_knob_reaches_the_spec() {
        let flags = "--seed 2 --duration 3m --rate 4.5 --sources 5 --partitions 6 --skew 0.7 --out-of-order 0.1 --jitter 8s \
                     --late 0.2 --malformed 0.3 --nulls 0.4 --non-finite 0.5 --idle 0.6 --idle-for 9s --start 1970-01-02T00:00:00Z";
        let expected = Spec {
            seed: 2,
            extent: Extent::Duration(180_000),
            rate: 4.5,
            sources: 5,
            partitions: 6,
            skew: 0.7,
            out_of_order: 0.1,
            jitter: Some(8_000),
            late: 0.2,
            malformed: 0.3,
            nulls: 0.4,
            non_finite: 0.5,
            idle: 0.6,
            idle_for: 9_000,
            start: 86_400_000,
        };
        assert_eq!(parse(flags).unwrap().knobs.spec(), expected);
        assert_eq!(parse("--events 10").unwrap().knobs.spec().extent, Extent::Events(10));
    }

    #[test]
    fn flags_that_cannot_be_are_refused() {
        assert!(parse("--events 1 --duration 1m").unwrap_err().contains("cannot be used with"));
        assert!(parse("--duration 5").unwrap_err().contains("whole number with its unit"));
        assert!(parse("--format csv").unwrap_err().contains("capture"));
        assert!(parse("--create-topic 4").unwrap_err().contains("--admin-url"));
        let unused = parse("--pace 5").unwrap().topic.none_given().unwrap_err();
        assert_eq!(unused.to_string(), "--pace is for --to pulsar://… only");
    }

    #[test]
    fn a_summary_reads_well() {
        let tally = crate::connect::generate::Tally { events: 10, bytes: 90, out_of_order: 3, late: 2, malformed: 1 };
        let files = vec![PathBuf::from("d/part-00000.events"), PathBuf::from("d/part-00001.events")];
        let summary = Summary { tally, bytes_written: 130, files, seconds: 0.5, events_per_second: 20.0 };
        let expected = "events  10 (3 out of order, 2 late, 1 malformed)\nbytes   130\nrate    20 events/s in 0.50 s\n\
                        files   d/part-00000.events … d/part-00001.events";
        assert_eq!(readable(&summary), expected);
        let json: serde_json::Value = serde_json::from_str(&written(&summary, true).unwrap()).unwrap();
        assert_eq!((&json["events"], &json["bytes_written"]), (&10.into(), &130.into()));
    }
}
