//! Figures: a line each, printed and, if asked for, kept.

use std::fs;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use minuet::time::utc;

use super::{Ask, Cost};

/// The figures of one case.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// What it took, all in all.
    pub cost: Cost,
    /// CPU time of making the input, which is not part of the work.
    pub making: Duration,
    /// Threads that made it at the same time.
    pub makers: u32,
    /// Events.
    pub events: u64,
    /// Bytes of state, of the kind that the report names.
    pub state: u64,
}

impl Figures {
    /// CPU time of the work.
    pub fn cpu(&self) -> Duration {
        self.cost.cpu.saturating_sub(self.making)
    }

    fn line(&self, state: &str) -> String {
        let millions = self.events as f64 / 1e6;
        let wall = self.cost.wall.saturating_sub(self.making / self.makers);
        format!(
            "cpu {:.4} s per million events, {:>6.2} million records per second, peak {:>5} MiB, {state} {:>5} bytes",
            self.cpu().as_secs_f64() / millions,
            millions / wall.as_secs_f64(),
            self.cost.peak_rss >> 20,
            self.state,
        )
    }
}

/// The lines of one bench.
pub struct Report {
    bench: &'static str,
    /// What the bytes of state are.
    state: &'static str,
    lines: Vec<String>,
}

impl Report {
    /// Begins with the date and the machine; `state` says what the bytes of state are.
    pub fn begin(bench: &'static str, state: &'static str, ask: &Ask) -> Self {
        let mut report = Report { bench, state, lines: Vec::new() };
        report.line(format!("{bench}, {}, {}", now(), machine()));
        report.line(format!("{} events a case, least CPU of {} runs", ask.events, ask.repeat));
        report
    }

    /// Prints a line.
    pub fn line(&mut self, line: String) {
        println!("{line}");
        self.lines.push(line);
    }

    /// Prints a case.
    pub fn case(&mut self, name: &str, figures: &Figures) {
        self.line(format!("{name:<40} {}", figures.line(self.state)));
    }

    /// Prints what a part of the work takes for one of what it works on.
    pub fn part(&mut self, name: &str, cost: Cost, count: u64, of: &str) {
        let each = cost.cpu.as_secs_f64() / count as f64;
        self.line(format!(
            "{name:<40} {:>8.1} ns per {of:<7}, cpu {:.4} s per million, {:>7.2} million per second, peak {:>5} MiB",
            each * 1e9,
            each * 1e6,
            1e-6 / each,
            cost.peak_rss >> 20
        ));
    }

    /// Keeps the lines, if asked.
    pub fn end(self, ask: &Ask) {
        let Some(word) = &ask.record else { return };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/runs");
        let (bench, date) = (self.bench, now());
        let file = folder.join(format!("{}-{bench}-{word}.txt", &date[..10]));
        let text = self.lines.join("\n") + "\n";
        fs::create_dir_all(&folder).and_then(|()| fs::write(&file, text)).expect("benches/runs can be written to");
        println!("written to {}", file.display());
    }
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    utc(since.as_millis() as i64)
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let cores = available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    format!("{}, {cores} cores", model.trim_start_matches([' ', '\t', ':']))
}
