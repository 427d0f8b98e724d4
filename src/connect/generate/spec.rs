//! The knobs of generation, and how their values are written.

use crate::error::{Error, Result};
use crate::limits::{GENERATED_LATE_MINUTES_MAX, GENERATED_SOURCES_MAX, MINUTE_MS, PARTITIONS_MAX, TIME_END_S};
use crate::time::Millis;

/// How much is generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// This many events, all partitions together.
    Events(u64),
    /// Events of this much event time.
    Duration(Millis),
}

/// What is generated: a value for each knob. Shares are from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// The seed of everything random.
    pub seed: u64,
    /// How much.
    pub extent: Extent,
    /// Events per second of event time, all partitions together.
    pub rate: f64,
    /// Different sources.
    pub sources: u64,
    /// Partitions.
    pub partitions: u32,
    /// The exponent of a Zipf distribution of events over sources; 0 is uniform.
    pub skew: f64,
    /// Share of events that come up to `jitter` after younger ones of their partition, and are not late.
    pub out_of_order: f64,
    /// How far out of order, at most; `None` for as far as the dataflow allows.
    pub jitter: Option<Millis>,
    /// Share of events whose minute is already closed for their partition.
    pub late: f64,
    /// Share of payloads that cannot be decoded.
    pub malformed: f64,
    /// Share of null among the values of fields that may be null.
    pub nulls: f64,
    /// Share of NaN and infinities among floats and doubles.
    pub non_finite: f64,
    /// Share of partitions that fall silent for `idle_for`.
    pub idle: f64,
    /// How much event time a silent partition leaves out.
    pub idle_for: Millis,
    /// Event time of the first event, in milliseconds since the Unix epoch.
    pub start: Millis,
}

/// 2026-01-01T00:00:00Z: fixed, so that the output is a function of the seed.
const START: Millis = 1_767_225_600_000;

impl Default for Spec {
    fn default() -> Self {
        Spec {
            seed: 1,
            extent: Extent::Events(1_000_000),
            rate: 50_000.0,
            sources: 10_000,
            partitions: 4,
            skew: 0.0,
            out_of_order: 0.0,
            jitter: None,
            late: 0.0,
            malformed: 0.0,
            nulls: 0.0,
            non_finite: 0.0,
            idle: 0.0,
            idle_for: 5 * MINUTE_MS,
            start: START,
        }
    }
}

impl Spec {
    /// Checks every knob against its bounds and against the dataflow's `out_of_order`.
    pub fn check(&self, out_of_order: Millis) -> Result<()> {
        self.check_shares()?;
        within("rate", self.rate, 1e-6, 1e9)?;
        within("skew", self.skew, 0.0, 10.0)?;
        within("sources", self.sources as f64, 1.0, GENERATED_SOURCES_MAX as f64)?;
        within("partitions", f64::from(self.partitions), 1.0, PARTITIONS_MAX as f64)?;
        within("idle-for", self.idle_for as f64, 0.0, (TIME_END_S * 1_000) as f64)?;
        within("start", self.start as f64, 0.0, (TIME_END_S * 1_000 - 1) as f64)?;
        if let Extent::Duration(duration) = self.extent {
            within("duration", duration as f64, 1.0, (TIME_END_S * 1_000) as f64)?;
        }
        if let Some(jitter) = self.jitter {
            within("jitter", jitter as f64, 0.0, out_of_order as f64).map_err(|error| {
                error.while_doing("a jitter past the dataflow's out_of_order would make late events")
            })?;
        }
        let reach = out_of_order.saturating_add((GENERATED_LATE_MINUTES_MAX + 1) * MINUTE_MS);
        if (self.late > 0.0 || self.out_of_order > 0.0) && self.start < reach {
            return Err(Error::configuration(format!(
                "start is {} ms after 1970; with late or out-of-order events it must be at least {reach} ms, so that none \
                 lies before 1970",
                self.start
            )));
        }
        Ok(())
    }

    fn check_shares(&self) -> Result<()> {
        within("out-of-order", self.out_of_order, 0.0, 1.0)?;
        within("late", self.late, 0.0, 1.0)?;
        within("malformed", self.malformed, 0.0, 1.0)?;
        within("nulls", self.nulls, 0.0, 1.0)?;
        within("non-finite", self.non_finite, 0.0, 1.0)?;
        within("idle", self.idle, 0.0, 1.0)?;
        within("out-of-order, late and malformed together", self.out_of_order + self.late + self.malformed, 0.0, 1.0)
    }
}

fn within(knob: &str, found: f64, least: f64, most: f64) -> Result<()> {
    if found >= least && found <= most {
        return Ok(());
    }
    Err(Error::configuration(format!("{knob} is {found}; allowed is {least} to {most}")))
}

/// Milliseconds of a duration as it is written on a command line: a whole number and `ms`, `s`, `m`, `h` or `d`.
pub fn parse_duration(text: &str) -> std::result::Result<Millis, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let unit = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => MINUTE_MS,
        "h" => 60 * MINUTE_MS,
        "d" => 1_440 * MINUTE_MS,
        _ => return Err(format!("found {text:?}; allowed is a whole number with its unit: 500ms, 30s, 5m, 2h, 1d")),
    };
    text[..digits]
        .parse::<Millis>()
        .ok()
        .and_then(|count| count.checked_mul(unit))
        .ok_or_else(|| format!("found {text:?}; allowed is a whole number with its unit: 500ms, 30s, 5m, 2h, 1d"))
}

/// Milliseconds since the Unix epoch of `YYYY-MM-DDTHH:MM:SSZ`, or of a plain number of milliseconds.
pub fn parse_time(text: &str) -> std::result::Result<Millis, String> {
    if let Ok(millis) = text.parse::<Millis>() {
        return Ok(millis);
    }
    civil(text).ok_or_else(|| {
        format!("found {text:?}; allowed is a UTC time like 2026-01-01T00:00:00Z, or milliseconds since 1970")
    })
}

fn civil(text: &str) -> Option<Millis> {
    let bytes = text.as_bytes();
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')];
    if bytes.len() != 20 || marks.iter().any(|&(at, mark)| bytes[at] != mark) {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let part = text.get(from..to)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::try_from(month - 1).ok()?)?;
    if year < 1970 || !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let years = (1970..year).map(|y| if y % 4 == 0 && (y % 100 != 0 || y % 400 == 0) { 366 } else { 365 });
    let days = years.sum::<i64>() + lengths[..(month - 1) as usize].iter().sum::<i64>() + day - 1;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000)
}
